//! Whether the digest that was asked for is what runs, and is healthy: what is still missing, as
//! sentences. Nothing missing is the proof.

use crate::seen::{Attachment, Rollout, Seen, Target, TargetGroup, Task, name_of_group, revision};
use kit::id::Digest;
use std::collections::BTreeSet;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) deployment: String,
    pub(crate) task_definition: String,
    pub(crate) container: String,
    pub(crate) digest: Digest,
    /// Containers that must report themselves healthy.
    pub(crate) health_checked: BTreeSet<String>,
}

/// What is missing to call it healthy.
pub(crate) fn missing(wanted: &Wanted, seen: &Seen) -> Vec<String> {
    let mut missing = Vec::new();
    let service = &seen.service;
    match service.deployment(&wanted.deployment) {
        None => missing.push(format!("deployment {} to appear", wanted.deployment)),
        Some(ours) => {
            if ours.task_definition != wanted.task_definition {
                missing.push(format!(
                    "deployment {} to use {}, it uses {}",
                    ours.id,
                    revision(&wanted.task_definition),
                    revision(&ours.task_definition)
                ));
            }
            if ours.rollout != Rollout::Completed {
                missing.push("ECS to complete the deployment".to_owned());
            }
        }
    }
    for other in &service.deployments {
        if other.id != wanted.deployment && other.running > 0 {
            missing.push(format!(
                "{} to stop, running: {}",
                revision(&other.task_definition),
                other.running
            ));
        }
    }
    let tasks: Vec<&Task> = seen
        .tasks
        .iter()
        .filter(|task| task.started_by == wanted.deployment)
        .collect();
    let running = tasks.iter().filter(|task| task.status == "RUNNING").count();
    let desired = usize::try_from(service.desired).unwrap_or_default();
    if running < desired || service.running < service.desired {
        missing.push(format!("{desired} running tasks, there are {running}"));
    }
    if desired == 0 {
        missing.push("a desired count above zero".to_owned());
    }
    for task in tasks {
        missing.extend(lacks(wanted, task));
        if task.status == "RUNNING" {
            for attachment in &service.attachments {
                missing.extend(unhealthy(task, attachment, &seen.groups));
            }
        }
    }
    missing
}

/// What one task lacks by itself.
fn lacks(wanted: &Wanted, task: &Task) -> Vec<String> {
    let mut lacks = Vec::new();
    if task.status != "RUNNING" {
        lacks.push(format!("task {} to run, it is {}", task.id, task.status));
        return lacks;
    }
    match task
        .containers
        .iter()
        .find(|container| container.name == wanted.container)
    {
        None => lacks.push(format!(
            "container {} in task {}",
            wanted.container, task.id
        )),
        Some(container) => match &container.digest {
            Some(digest) if digest == wanted.digest.as_str() => {}
            Some(digest) => lacks.push(format!(
                "task {} to run {}, it runs {digest}",
                task.id, wanted.digest
            )),
            None => lacks.push(format!("ECS to name the image digest of task {}", task.id)),
        },
    }
    for container in &task.containers {
        if wanted.health_checked.contains(&container.name) && container.health != "HEALTHY" {
            lacks.push(format!(
                "container {} of task {} to be HEALTHY, it is {}",
                container.name, task.id, container.health
            ));
        }
    }
    lacks
}

/// What one task lacks behind one load balancer.
fn unhealthy(task: &Task, attachment: &Attachment, groups: &[TargetGroup]) -> Option<String> {
    let mut worst = None;
    for arn in &attachment.groups {
        let target = groups
            .iter()
            .filter(|group| group.arn == *arn)
            .flat_map(|group| &group.targets)
            .find(|target| is_target(task, attachment, target));
        match target {
            Some(target) if target.state == "healthy" => return None,
            Some(target) => worst = Some((arn, Some(target))),
            None => worst = worst.or(Some((arn, None))),
        }
    }
    let (arn, target) = worst?;
    let group = name_of_group(arn);
    Some(match target {
        Some(target) => format!(
            "target {} of {group} to be healthy, it is {}",
            place(target),
            state(target)
        ),
        None => format!("task {} to be registered as a target of {group}", task.id),
    })
}

/// Whether a target is this task: its own address and container port, or its instance and the
/// port bound there (ELB, "Target type"; ECS, `networkBindings`).
pub(crate) fn is_target(task: &Task, attachment: &Attachment, target: &Target) -> bool {
    if task.addresses.contains(&target.id) {
        return target.port == attachment.port;
    }
    task.instance.as_deref() == Some(target.id.as_str())
        && task
            .containers
            .iter()
            .filter(|container| container.name == attachment.container)
            .flat_map(|container| &container.bindings)
            .any(|(port, bound)| *port == attachment.port && *bound == target.port)
}

pub(crate) fn place(target: &Target) -> String {
    format!("{}:{}", target.id, target.port)
}

/// A target's state with the load balancer's words for it.
pub(crate) fn state(target: &Target) -> String {
    let words: Vec<&str> = [target.reason.as_str(), target.description.as_str()]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        target.state.clone()
    } else {
        format!("{} ({})", target.state, words.join(": "))
    }
}
