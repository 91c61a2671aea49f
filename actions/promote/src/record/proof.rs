//! Whether a service runs a digest now, as ECS itself says.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{DeploymentRolloutState, Service, TaskDefinition};
use kit::error::{Error, Result};
use net::AwsContext;

/// What was seen running.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// ARN of the task definition.
    pub(super) task_definition: String,
}

/// Looks at the service.
///
/// # Errors
/// ECS cannot be asked, there is no such service, or it does not run the digest, whole and alone.
pub(super) async fn see(
    ecs: &Client,
    cluster: &str,
    service: &str,
    container: Option<&str>,
    digest: &str,
) -> Result<Proof> {
    let answer = ecs
        .describe_services()
        .cluster(cluster)
        .services(service)
        .send()
        .await
        .cannot(format!("describe service {service} of cluster {cluster}"))?;
    let not_so = |why: String| {
        Error::failed(format!("{service} is not seen running {digest}: {why}"))
            .hint("nothing was recorded; follow the deployment with slipway-service, then record again")
            .hint("to put a failed deployment on record: --verdict failed")
    };
    let found = answer.services.unwrap_or_default();
    let Some(found) = found.first() else {
        let reason = answer
            .failures
            .unwrap_or_default()
            .first()
            .and_then(|failure| failure.reason.clone())
            .unwrap_or_else(|| "MISSING".to_owned());
        return Err(not_so(format!(
            "cluster {cluster} has no such service ({reason})"
        )));
    };
    let arn = rolled_out(found).map_err(&not_so)?;
    let definition = ecs
        .describe_task_definition()
        .task_definition(&arn)
        .send()
        .await
        .cannot(format!("describe task definition {arn}"))?
        .task_definition
        .ok_or_else(|| not_so(format!("ECS has no task definition {arn}")))?;
    runs(&definition, container, digest).map_err(&not_so)?;
    Ok(Proof {
        task_definition: arn,
    })
}

/// The task definition of a service whose only deployment is complete (Amazon ECS API Reference,
/// Deployment: `rolloutState` COMPLETED, `runningCount` and `desiredCount`).
fn rolled_out(service: &Service) -> Result<String, String> {
    if service.status() != Some("ACTIVE") {
        return Err(format!(
            "the service is {}",
            service.status().unwrap_or("gone")
        ));
    }
    let primary = service
        .deployments()
        .iter()
        .find(|deployment| deployment.status() == Some("PRIMARY"))
        .ok_or("it has no primary deployment")?;
    if let Some(state) = primary.rollout_state()
        && *state != DeploymentRolloutState::Completed
    {
        return Err(format!("its rollout is {}", state.as_str()));
    }
    if primary.rollout_state().is_none() {
        return Err("ECS says nothing of its rollout".to_owned());
    }
    let (running, desired) = (primary.running_count(), primary.desired_count());
    if desired < 1 || running != desired {
        return Err(format!("{running} of {desired} tasks run"));
    }
    primary
        .task_definition()
        .map(str::to_owned)
        .ok_or_else(|| "its deployment names no task definition".to_owned())
}

/// Whether the task definition takes the digest for the container, or for any where none is named.
fn runs(definition: &TaskDefinition, container: Option<&str>, digest: &str) -> Result<(), String> {
    let images: Vec<&str> = definition
        .container_definitions()
        .iter()
        .filter(|found| container.is_none() || found.name() == container)
        .filter_map(|found| found.image())
        .collect();
    let wanted = format!("@{digest}");
    if images.iter().any(|image| image.ends_with(&wanted)) {
        return Ok(());
    }
    let name = container.unwrap_or("every container");
    Err(match images.first() {
        Some(image) => format!("{name} runs {image}"),
        None => format!("its task definition has no container {name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ecs::types::{ContainerDefinition, Deployment};

    fn deployment(
        status: &str,
        state: Option<DeploymentRolloutState>,
        running: i32,
        desired: i32,
    ) -> Deployment {
        Deployment::builder()
            .status(status)
            .set_rollout_state(state)
            .running_count(running)
            .desired_count(desired)
            .task_definition("arn:aws:ecs:ca-central-1:1:task-definition/storefront:3")
            .build()
    }

    fn service(status: &str, deployments: Vec<Deployment>) -> Service {
        Service::builder()
            .status(status)
            .set_deployments(Some(deployments))
            .build()
    }

    #[test]
    fn only_a_complete_rollout_counts() {
        use DeploymentRolloutState::{Completed, Failed, InProgress};
        let complete = service("ACTIVE", vec![deployment("PRIMARY", Some(Completed), 2, 2)]);
        assert_eq!(
            rolled_out(&complete).unwrap(),
            "arn:aws:ecs:ca-central-1:1:task-definition/storefront:3"
        );
        for (status, deployments, words) in [
            (
                "DRAINING",
                vec![deployment("PRIMARY", Some(Completed), 2, 2)],
                "DRAINING",
            ),
            ("ACTIVE", vec![], "no primary"),
            (
                "ACTIVE",
                vec![deployment("ACTIVE", Some(Completed), 2, 2)],
                "no primary",
            ),
            (
                "ACTIVE",
                vec![deployment("PRIMARY", Some(InProgress), 2, 2)],
                "IN_PROGRESS",
            ),
            (
                "ACTIVE",
                vec![deployment("PRIMARY", Some(Failed), 2, 2)],
                "FAILED",
            ),
            ("ACTIVE", vec![deployment("PRIMARY", None, 2, 2)], "nothing"),
            (
                "ACTIVE",
                vec![deployment("PRIMARY", Some(Completed), 1, 2)],
                "1 of 2",
            ),
            (
                "ACTIVE",
                vec![deployment("PRIMARY", Some(Completed), 0, 0)],
                "0 of 0",
            ),
        ] {
            let why = rolled_out(&service(status, deployments)).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn only_the_digest_itself_in_the_named_container_counts() {
        let definition = TaskDefinition::builder()
            .container_definitions(
                ContainerDefinition::builder()
                    .name("app")
                    .image("1.dkr.ecr.ca-central-1.amazonaws.com/storefront@sha256:aa")
                    .build(),
            )
            .container_definitions(
                ContainerDefinition::builder()
                    .name("proxy")
                    .image("proxy:latest")
                    .build(),
            )
            .build();
        assert_eq!(runs(&definition, Some("app"), "sha256:aa"), Ok(()));
        assert_eq!(runs(&definition, None, "sha256:aa"), Ok(()));
        for (container, digest) in [
            ("app", "sha256:bb"),
            ("proxy", "sha256:aa"),
            ("x", "sha256:aa"),
        ] {
            runs(&definition, Some(container), digest).unwrap_err();
        }
    }
}
