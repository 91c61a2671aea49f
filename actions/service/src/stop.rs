//! Asks ECS to roll back one deployment, and no other.

use ecs::{Client, Error, Rollout, Service};
use kit::aws::{Arn, TaskDefinitionArn};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long ECS may not name the record of a deployment that it works on.
const UNNAMED: Duration = Duration::from_secs(20);

/// The time between two looks for that record.
const LOOK: Duration = Duration::from_secs(1);

/// The answer to that.
pub(crate) enum Stop {
    /// ECS took the request.
    Asked,
    /// There is nothing to roll back; with what was seen instead.
    Ended(String),
    /// ECS works on the deployment and did not name its record, so it could not be asked.
    Unnamed,
}

/// Asks for the rollback of `deployment`, which runs `task_definition`, if the service still works on it.
///
/// The record is read from the answer in which the deployment is the primary one, so it belongs to it and not to one that came
/// after. It is named in the request, and a deployment that was replaced meanwhile has ended: ECS then refuses.
///
/// # Errors
/// ECS does not answer, or refuses although the deployment has not ended.
pub(crate) async fn stop(
    client: &Client,
    deployment: &str,
    task_definition: &TaskDefinitionArn,
) -> Result<Stop, Error> {
    let until = Instant::now() + UNNAMED;
    loop {
        let record = match decide(&client.service().await?, deployment) {
            Next::Ended(seen) => return Ok(Stop::Ended(seen)),
            Next::Ask(record) => Some(record),
            // It may be listed before the service names it. Refused lists only keep it from being found.
            Next::Find => client.unfinished(task_definition).await.unwrap_or_default(),
        };
        if let Some(record) = record {
            return ask(client, &record).await;
        }
        if Instant::now() >= until {
            return Ok(Stop::Unnamed);
        }
        sleep(LOOK).await;
    }
}

async fn ask(client: &Client, record: &Arn) -> Result<Stop, Error> {
    let error = match client.roll_back(record).await {
        Ok(()) => return Ok(Stop::Asked),
        Err(error) => error,
    };
    if error.code() != Some("ConflictException") {
        return Err(error);
    }
    // The exception says only that the state of the deployment does not allow it (Amazon ECS API Reference,
    // `StopServiceDeployment`), which need not be an end.
    match client.status_of(record).await? {
        // It goes back already.
        Some(status) if status.starts_with("ROLLBACK") && !ecs::is_over(&status) => Ok(Stop::Asked),
        Some(status) if ecs::is_over(&status) => Ok(Stop::Ended(format!(
            "{}; ECS says that the deployment is {status}",
            error.line()
        ))),
        _ => Err(error),
    }
}

/// The next action after one look at the service.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// There is nothing to roll back.
    Ended(String),
    /// ECS is to be asked, for this record.
    Ask(Arn),
    /// ECS works on the deployment and does not name its record yet.
    Find,
}

fn decide(service: &Service, deployment: &str) -> Next {
    let Some(primary) = service.primary().filter(|it| it.id == deployment) else {
        return Next::Ended(format!(
            "deployment {deployment} is not the service's primary one any more"
        ));
    };
    match (&service.current, primary.rollout) {
        (Some(record), _) => Next::Ask(record.clone()),
        (None, Rollout::Completed | Rollout::Failed) => {
            Next::Ended("ECS has no deployment of the service in progress".to_owned())
        }
        (None, Rollout::InProgress | Rollout::Unknown) => Next::Find,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use ecs::Deployment;

    #[test]
    fn a_deployment_in_progress_is_not_over_because_ecs_does_not_name_its_record() {
        let record: Arn = "arn:aws:ecs:eu-west-1:111111111111:service-deployment/main/web/1"
            .parse()
            .unwrap();
        let next = |id: &str, rollout, current: Option<Arn>| {
            let service = Service {
                deployments: vec![Deployment {
                    id: id.to_owned(),
                    primary: true,
                    rollout,
                    ..samples::deployment()
                }],
                current,
                ..samples::service()
            };
            decide(&service, "ecs-svc/2")
        };
        let ask = Next::Ask(record.clone());
        assert_eq!(
            next("ecs-svc/2", Rollout::InProgress, Some(record.clone())),
            ask
        );
        assert_eq!(next("ecs-svc/2", Rollout::InProgress, None), Next::Find);
        for (id, rollout, current, words) in [
            ("ecs-svc/2", Rollout::Completed, None, "no deployment"),
            ("ecs-svc/2", Rollout::Failed, None, "no deployment"),
            ("ecs-svc/3", Rollout::InProgress, Some(record), "primary"),
        ] {
            let next = next(id, rollout, current);
            assert!(
                matches!(&next, Next::Ended(seen) if seen.contains(words)),
                "{next:?}"
            );
        }
    }
}
