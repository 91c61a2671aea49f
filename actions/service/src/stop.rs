//! Asks ECS to roll back one deployment, and no other.

use ecs::{Client, Error, InProgress, Rollout, Service};
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
/// The record has to deploy the same revision and not to be over: the one that the service names may be that of an earlier deployment
/// for a while (kayac/ecspresso#945), and then ECS would refuse to stop what is over while this deployment goes on. It is named in
/// the request, and a deployment that was replaced meanwhile has ended: ECS then refuses.
///
/// # Errors
/// ECS does not answer, or refuses although the deployment has not ended.
pub(crate) async fn stop(
    client: &Client,
    deployment: &str,
    task_definition: &TaskDefinitionArn,
    older: Option<&Arn>,
) -> Result<Stop, Error> {
    let until = Instant::now() + UNNAMED;
    loop {
        let service = client.service().await?;
        let none = match decide(&service, deployment) {
            Next::Ended(seen) => return Ok(Stop::Ended(seen)),
            Next::Find(none) => none,
        };
        match client.in_progress(&service).await {
            Ok(found) if is_ours(found.as_ref(), task_definition, older) => {
                if let Some(found) = found {
                    return ask(client, &found.arn).await;
                }
            }
            Ok(None) => {
                if let Some(seen) = none {
                    return Ok(Stop::Ended(seen));
                }
            }
            Ok(Some(_)) => {}
            // A record that cannot be read may be the one: ECS refuses to stop one that is over.
            Err(_) => {
                if let Some(record) = &service.current {
                    return ask(client, record).await;
                }
            }
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

/// Returns true if the record that ECS works on is this deployment's, and not the one that was the newest before it.
fn is_ours(
    found: Option<&InProgress>,
    task_definition: &TaskDefinitionArn,
    older: Option<&Arn>,
) -> bool {
    found.is_some_and(|found| {
        found.deploys.as_ref() == Some(task_definition) && older != Some(&found.arn)
    })
}

/// The next action after one look at the service.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// There is nothing to roll back.
    Ended(String),
    /// ECS's record of the deployment is to be found; with what it means if ECS works on none.
    Find(Option<String>),
}

fn decide(service: &Service, deployment: &str) -> Next {
    let Some(primary) = service.primary().filter(|it| it.id == deployment) else {
        return Next::Ended(format!(
            "deployment {deployment} is not the service's primary one any more"
        ));
    };
    Next::Find(match primary.rollout {
        Rollout::Completed | Rollout::Failed => {
            Some("ECS has no deployment of the service in progress".to_owned())
        }
        // ECS works on the deployment and does not name its record yet.
        Rollout::InProgress | Rollout::Unknown => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use ecs::{Deployment, Record};

    fn arn(id: &str) -> Arn {
        let arn = format!("arn:aws:ecs:eu-west-1:111111111111:service-deployment/main/web/{id}");
        arn.parse().unwrap()
    }

    #[test]
    fn a_deployment_in_progress_is_not_over_because_ecs_does_not_name_its_record() {
        let next = |id: &str, rollout| {
            let service = Service {
                deployments: vec![Deployment {
                    id: id.to_owned(),
                    primary: true,
                    rollout,
                    ..samples::deployment()
                }],
                ..samples::service()
            };
            decide(&service, "ecs-svc/2")
        };
        assert_eq!(next("ecs-svc/2", Rollout::InProgress), Next::Find(None));
        for rollout in [Rollout::Completed, Rollout::Failed] {
            let next = next("ecs-svc/2", rollout);
            assert!(
                matches!(&next, Next::Find(Some(seen)) if seen.contains("no deployment")),
                "{next:?}"
            );
        }
        let next = next("ecs-svc/3", Rollout::InProgress);
        assert!(
            matches!(&next, Next::Ended(seen) if seen.contains("primary")),
            "{next:?}"
        );
    }

    #[test]
    fn only_a_record_of_the_same_revision_that_is_new_is_stopped() {
        let revision = |number: u32| -> TaskDefinitionArn {
            let arn = format!("arn:aws:ecs:eu-west-1:111111111111:task-definition/web:{number}");
            arn.parse().unwrap()
        };
        for (deploys, older, wanted) in [
            (Some(8), None, true),
            (Some(8), Some("0"), true),
            (Some(8), Some("1"), false),
            (Some(7), None, false),
            (None, None, false),
        ] {
            let found = InProgress {
                arn: arn("1"),
                record: Record::default(),
                deploys: deploys.map(revision),
            };
            let older = older.map(arn);
            let found = is_ours(Some(&found), &revision(8), older.as_ref());
            assert_eq!(found, wanted, "{deploys:?} {older:?}");
        }
        assert!(!is_ours(None, &revision(8), None));
    }
}
