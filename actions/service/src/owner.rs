//! Decides whether a deployment is this run's own, which it may roll back. Pure.

use crate::decide::Update;
use crate::verdict::Rollback;
use ecs::Service;
use kit::clock::instant;

/// How many seconds ECS's clock may be behind the runner's.
const SKEW: i64 = 60;

/// Why the deployment is left to ECS where this run gives it up, if it is.
///
/// It is the run's own if the run updates the service, or an earlier attempt of it did: the ledger says when that `began`, and
/// ECS began the primary deployment after that. Anything older, such as a change of the infrastructure, or another run's
/// deployment of the same digest, is not.
pub(crate) fn left(
    unwanted: bool,
    update: Update,
    service: &Service,
    began: Option<&str>,
) -> Option<Rollback> {
    let began = began.and_then(instant).map(|at| at.unix_timestamp());
    let created = service.primary().and_then(|primary| primary.created_at);
    let earlier = match (created, began) {
        (Some(created), Some(began)) => created >= began - SKEW,
        _ => false,
    };
    match update {
        _ if unwanted => Some(Rollback::Unwanted),
        Update::None if !earlier => Some(Rollback::NotOurs),
        Update::None | Update::Deploy | Update::Again => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use ecs::Deployment;

    /// 2026-11-21T18:00:00Z.
    const BEGAN: i64 = 1_795_284_000;

    #[test]
    fn a_deployment_is_the_runs_own_only_if_it_came_after_the_run_began_it() {
        let left = |update, created_at, began| {
            let mut service = samples::service();
            service.deployments.push(Deployment {
                primary: true,
                created_at,
                ..samples::deployment()
            });
            left(false, update, &service, began)
        };
        let began = Some("2026-11-21T18:00:00Z");
        let others = Some(Rollback::NotOurs);
        for (created, began, wanted) in [
            (Some(BEGAN + 5), began, None),
            (Some(BEGAN - SKEW), began, None),
            (Some(BEGAN - SKEW - 1), began, others.clone()),
            (None, began, others.clone()),
            (Some(BEGAN + 5), None, others.clone()),
            (Some(BEGAN + 5), Some("yesterday"), others),
        ] {
            assert_eq!(left(Update::None, created, began), wanted, "{created:?}");
        }
        for update in [Update::Deploy, Update::Again] {
            assert_eq!(left(update, None, None), None);
        }
        let unwanted = super::left(true, Update::Deploy, &samples::service(), None);
        assert_eq!(unwanted, Some(Rollback::Unwanted));
    }
}
