//! From the SDKs' types to what the rest of the library speaks of. ARNs are parsed here.

use crate::seen::{
    Alarms, Attachment, Breaker, Container, Deployment, Event, Hook, Record, Rollout, Service,
    Target, Task, Weights,
};
use crate::strategy::Strategy;
use aws_sdk_ecs::primitives::DateTimeFormat;
use aws_sdk_ecs::types as ecs;
use aws_sdk_elasticloadbalancingv2::types as elb;
use kit::error::{Context, Result};
use kit::id::Invalid;
use std::str::FromStr;

/// The ARN of `resource` from an answer.
pub(crate) fn arn<T: FromStr<Err = Invalid>>(named: Option<String>, resource: &str) -> Result<T> {
    let wrong = || format!("ECS returned {resource} in an undocumented format");
    named.unwrap_or_default().parse::<T>().context(wrong())
}

/// # Errors
/// An ARN is missing or malformed. Only a service that ECS does not deploy itself has no task definition of its own.
pub(crate) fn service_of(found: ecs::Service) -> Result<Service> {
    let configuration = found.deployment_configuration;
    let breaker = configuration
        .as_ref()
        .and_then(|found| found.deployment_circuit_breaker.as_ref());
    let alarms = configuration
        .as_ref()
        .and_then(|found| found.alarms.as_ref());
    let balancers = found.load_balancers.unwrap_or_default();
    let daemon = found.scheduling_strategy == Some(ecs::SchedulingStrategy::Daemon);
    Ok(Service {
        daemon,
        strategy: Strategy::of(configuration.as_ref()),
        rolls_back: breaker.is_some_and(|breaker| breaker.enable && breaker.rollback)
            || alarms.is_some_and(|alarms| alarms.enable && alarms.rollback),
        percent: configuration
            .as_ref()
            // A daemon stops a task on an instance before it starts another one there.
            .filter(|_| !daemon)
            .filter(|found| {
                found
                    .strategy
                    .as_ref()
                    .is_none_or(|strategy| *strategy == ecs::DeploymentStrategy::Rolling)
            })
            .map(|found| {
                (
                    found.minimum_healthy_percent.unwrap_or(100),
                    found.maximum_percent.unwrap_or(200),
                )
            }),
        arn: arn(found.service_arn, "a service")?,
        name: found.service_name.unwrap_or_default(),
        cluster_arn: arn(found.cluster_arn, "a cluster")?,
        status: found.status.unwrap_or_default(),
        // Absent means ECS (API reference, `DeploymentController`).
        controller: found.deployment_controller.map_or_else(
            || "ECS".to_owned(),
            |controller| controller.r#type.as_str().to_owned(),
        ),
        task_definition: arn(found.task_definition, "the task definition of a service")?,
        desired: found.desired_count,
        running: found.running_count,
        pending: found.pending_count,
        deployments: found
            .deployments
            .unwrap_or_default()
            .into_iter()
            .map(deployment_of)
            .collect::<Result<_>>()?,
        current: found
            .current_service_deployment
            .map(|current| arn(Some(current), "a service deployment"))
            .transpose()?,
        classic: balancers
            .iter()
            .find_map(|found| found.load_balancer_name.clone()),
        attachments: balancers
            .into_iter()
            .filter_map(attachment_of)
            .collect::<Result<_>>()?,
        events: found
            .events
            .unwrap_or_default()
            .into_iter()
            .map(|event| Event {
                id: event.id.unwrap_or_default(),
                message: event.message.unwrap_or_default(),
            })
            .collect(),
    })
}

/// The target groups of a load balancer; `None` for a classic one, which has none.
fn attachment_of(found: ecs::LoadBalancer) -> Option<Result<Attachment>> {
    let alternate = found
        .advanced_configuration
        .and_then(|found| found.alternate_target_group_arn);
    let groups = [Some(found.target_group_arn?), alternate];
    let groups = groups.into_iter().flatten();
    let groups = groups.map(|group| arn(Some(group), "a target group"));
    Some(groups.collect::<Result<_>>().map(|groups| Attachment {
        groups,
        container: found.container_name.unwrap_or_default(),
        port: found.container_port.unwrap_or_default(),
    }))
}

fn deployment_of(found: ecs::Deployment) -> Result<Deployment> {
    Ok(Deployment {
        id: found.id.unwrap_or_default(),
        primary: found.status.as_deref() == Some("PRIMARY"),
        task_definition: arn(found.task_definition, "the task definition of a deployment")?,
        desired: found.desired_count,
        running: found.running_count,
        pending: found.pending_count,
        failed: found.failed_tasks,
        rollout: match found.rollout_state {
            Some(ecs::DeploymentRolloutState::InProgress) => Rollout::InProgress,
            Some(ecs::DeploymentRolloutState::Completed) => Rollout::Completed,
            Some(ecs::DeploymentRolloutState::Failed) => Rollout::Failed,
            _ => Rollout::Unknown,
        },
        created_at: found.created_at.map(|at| at.secs()),
        reason: found.rollout_state_reason.unwrap_or_default(),
    })
}

/// # Errors
/// An ARN is missing or malformed.
pub(crate) fn task_of(found: ecs::Task) -> Result<Task> {
    let attached = found
        .attachments
        .unwrap_or_default()
        .into_iter()
        .filter(|attachment| attachment.r#type() == Some("ElasticNetworkInterface"))
        .flat_map(|attachment| attachment.details.unwrap_or_default())
        .filter(|detail| matches!(detail.name(), Some("privateIPv4Address" | "ipv6Address")))
        .filter_map(|detail| detail.value);
    let containers = found.containers.unwrap_or_default();
    let interfaces = containers
        .iter()
        .flat_map(|container| container.network_interfaces())
        .flat_map(|interface| [interface.private_ipv4_address(), interface.ipv6_address()])
        .flatten()
        .map(str::to_owned);
    let instance = found.container_instance_arn;
    Ok(Task {
        addresses: attached.chain(interfaces).collect(),
        id: found
            .task_arn
            .as_deref()
            .and_then(|arn| arn.rsplit('/').next())
            .unwrap_or_default()
            .to_owned(),
        started_by: found.started_by.unwrap_or_default(),
        task_definition: arn(found.task_definition_arn, "the task definition of a task")?,
        status: found.last_status.unwrap_or_default(),
        desired: found.desired_status.unwrap_or_default(),
        instance: None,
        instance_arn: instance
            .map(|instance| arn(Some(instance), "a container instance"))
            .transpose()?,
        stop_code: found
            .stop_code
            .map(|code| code.as_str().to_owned())
            .unwrap_or_default(),
        stopped_reason: found.stopped_reason.unwrap_or_default(),
        containers: containers
            .into_iter()
            .map(|container| Container {
                name: container.name.unwrap_or_default(),
                status: container.last_status.unwrap_or_default(),
                digest: container.image_digest,
                health: container
                    .health_status
                    .map_or_else(|| "UNKNOWN".to_owned(), |health| health.as_str().to_owned()),
                exit_code: container.exit_code,
                reason: container.reason,
                bindings: container
                    .network_bindings
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|binding| Some((binding.container_port?, binding.host_port?)))
                    .collect(),
            })
            .collect(),
    })
}

pub(crate) fn target_of(found: elb::TargetHealthDescription) -> Target {
    let (target, health) = (found.target, found.target_health);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let health = health.as_ref();
    Target {
        id: text(target.as_ref().and_then(|target| target.id())),
        port: target.and_then(|target| target.port).unwrap_or_default(),
        state: text(health.and_then(|health| Some(health.state()?.as_str()))),
        reason: text(health.and_then(|health| Some(health.reason()?.as_str()))),
        description: text(health.and_then(|health| health.description())),
    }
}

pub(crate) fn record_of(found: ecs::ServiceDeployment) -> Record {
    let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
    let target = found.target_service_revision.as_ref();
    let weights = target.and_then(|target| {
        Some(Weights {
            production: target.requested_production_traffic_weight?,
            test: target.requested_test_traffic_weight,
        })
    });
    let watched = found.deployment_configuration.as_ref();
    let watched = watched.and_then(|found| found.alarms.as_ref());
    let wanted = watched.is_some_and(|alarms| alarms.enable && !alarms.alarm_names.is_empty());
    Record {
        status: word(found.status.as_ref().map(|status| status.as_str())),
        reason: found
            .rollback
            .and_then(|rollback| rollback.reason)
            .or(found.status_reason)
            .unwrap_or_default(),
        arn: arn(found.service_deployment_arn, "a service deployment").ok(),
        stage: word(found.lifecycle_stage.as_ref().map(|stage| stage.as_str())),
        weights,
        sources: found.source_service_revisions.map_or(0, |all| all.len()),
        hooks: found
            .lifecycle_hook_details
            .unwrap_or_default()
            .into_iter()
            .map(hook_of)
            .collect(),
        alarms: found.alarms.map(|alarms| Alarms {
            status: word(alarms.status.as_ref().map(|status| status.as_str())),
            names: alarms.alarm_names.unwrap_or_default(),
            triggered: alarms.triggered_alarm_names.unwrap_or_default(),
            wanted,
        }),
        breaker: found.deployment_circuit_breaker.map(|breaker| Breaker {
            status: word(breaker.status.as_ref().map(|status| status.as_str())),
            failures: breaker.failure_count,
            threshold: breaker.threshold,
        }),
        rollback: None,
    }
}

fn hook_of(found: ecs::DeploymentLifecycleHookDetail) -> Hook {
    let action = found.timeout_action;
    Hook {
        id: found.hook_id.unwrap_or_default(),
        is_pause: found.target_type == Some(ecs::DeploymentLifecycleHookTargetType::Pause),
        status: found
            .status
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
        expires_at: found
            .expires_at
            .and_then(|at| at.fmt(DateTimeFormat::DateTime).ok()),
        timeout_action: action
            .map(|action| action.as_str().to_owned())
            .unwrap_or_default(),
    }
}
