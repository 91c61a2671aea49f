//! The one definition of a healthy service.

use crate::seen::{Attachment, Rollout, Seen, Target, TargetGroup, Task, name_of_group};
use kit::aws::TaskDefinitionArn;
use kit::id::Digest;
use std::collections::BTreeSet;

/// The conditions for a service to be called healthy.
#[derive(Debug, Clone)]
pub struct Expected {
    /// ID of the deployment.
    pub deployment: String,
    /// Its task definition.
    pub task_definition: TaskDefinitionArn,
    /// The image's digest.
    pub digest: Digest,
    /// The containers that run it.
    pub containers: Vec<String>,
    /// Containers that must report themselves healthy.
    pub health_checked: BTreeSet<String>,
    /// Accepts a service that wants no tasks, where nothing runs that could be healthy.
    pub allow_zero_tasks: bool,
    /// How many tasks were wanted when the deployment began. As many have to be well; those that an automatic scaling wants since may
    /// still be on their way. `None`: as many as are wanted now.
    pub wanted: Option<i32>,
}

/// Why the service cannot be called healthy, each reason as a phrase. Nothing missing is the proof: the deployment is complete
/// and alone, as many tasks run as are wanted, each reports the digest in every container that must run it, each health
/// check of a container is passed, and every task is a healthy target of every load balancer.
pub fn missing(expected: &Expected, seen: &Seen) -> Vec<String> {
    let mut missing = Vec::new();
    let service = &seen.service;
    if service.status != "ACTIVE" {
        missing.push(format!(
            "service status is {}, expected ACTIVE",
            service.status
        ));
    }
    if let Some(balancer) = &service.classic {
        missing.push(format!(
            "the targets of the classic load balancer {balancer} cannot be seen"
        ));
    }
    match service.deployment(&expected.deployment) {
        None => missing.push(format!(
            "deployment {} has not appeared",
            expected.deployment
        )),
        Some(ours) => {
            if ours.task_definition != expected.task_definition {
                missing.push(format!(
                    "deployment {} uses {}, expected {}",
                    ours.id,
                    ours.task_definition.name(),
                    expected.task_definition.name()
                ));
            }
            if !ours.primary {
                missing.push(format!("deployment {} is not the primary one", ours.id));
            }
            if ours.rollout != Rollout::Completed {
                missing.push("ECS has not completed the deployment".to_owned());
            }
        }
    }
    for other in &service.deployments {
        if other.id != expected.deployment && other.running > 0 {
            missing.push(format!(
                "{} still runs, tasks: {}",
                other.task_definition.name(),
                other.running
            ));
        }
    }
    let tasks: Vec<&Task> = seen
        .tasks
        .iter()
        .filter(|task| task.started_by == expected.deployment)
        .collect();
    let running = tasks.iter().filter(|task| task.status == "RUNNING").count();
    let desired = usize::try_from(service.desired).unwrap_or_default();
    let counted = usize::try_from(service.running).unwrap_or_default();
    let least = least(expected, service.desired);
    if running < least || counted < least {
        let running = running.min(counted);
        missing.push(format!("{running} of {least} tasks running"));
    }
    if desired == 0 && !expected.allow_zero_tasks {
        missing.push("the desired count is 0".to_owned());
    }
    let (mut well, mut unwell) = (0, Vec::new());
    for task in tasks {
        missing.extend(wrong_images(expected, task));
        match unwell_of(expected, task, seen) {
            lines if lines.is_empty() => well += 1,
            lines => unwell.push(lines),
        }
    }
    if well < least || unwell.len() > desired.saturating_sub(least) {
        missing.extend(unwell.into_iter().flatten());
    }
    missing
}

/// How many tasks have to be well, of those that are wanted now.
fn least(expected: &Expected, desired: i32) -> usize {
    // Nothing runs that could be verified where none was wanted.
    let before = expected.wanted.filter(|before| *before > 0);
    let least = before.map_or(desired, |before| before.min(desired));
    usize::try_from(least).unwrap_or_default()
}

/// The containers of a running task that do not run the image.
fn wrong_images(expected: &Expected, task: &Task) -> Vec<String> {
    let mut missing = Vec::new();
    if task.status != "RUNNING" {
        return missing;
    }
    for name in &expected.containers {
        let found = task.containers.iter().find(|found| found.name == *name);
        // The container is named only where there is a choice.
        let label = match expected.containers.len() {
            1 => format!("task {}", task.id),
            _ => format!("container {name} of task {}", task.id),
        };
        match found.map(|container| container.digest.as_deref()) {
            None => missing.push(format!("task {} has no container {name}", task.id)),
            Some(Some(digest)) if digest == expected.digest.as_str() => {}
            Some(Some(digest)) => missing.push(format!(
                "{label} runs {digest}, expected {}",
                expected.digest
            )),
            Some(None) => missing.push(format!("ECS does not name the image digest of {label}")),
        }
    }
    missing
}

/// The conditions that a task may not meet yet while it starts.
fn unwell_of(expected: &Expected, task: &Task, seen: &Seen) -> Vec<String> {
    let mut missing = Vec::new();
    if task.status != "RUNNING" {
        missing.push(format!(
            "task {} is {}, expected RUNNING",
            task.id, task.status
        ));
        return missing;
    }
    for name in &expected.health_checked {
        let found = task.containers.iter().find(|found| found.name == *name);
        match found.map(|container| container.health.as_str()) {
            Some("HEALTHY") => {}
            Some(health) => missing.push(format!(
                "container {name} of task {} is {health}, expected HEALTHY",
                task.id
            )),
            // It is named above already.
            None if expected.containers.contains(name) => {}
            None => missing.push(format!("task {} has no container {name}", task.id)),
        }
    }
    for attachment in &seen.service.attachments {
        missing.extend(unhealthy(task, attachment, &seen.groups));
    }
    missing
}

/// The reason why one task is not healthy behind one load balancer, if it is not.
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
            "target {} of {group} is {}, expected healthy",
            endpoint(target),
            state(target)
        ),
        None => format!("task {} is not registered as a target of {group}", task.id),
    })
}

/// Returns true if a target is this task: its own address and container port, or its instance and the
/// port bound there (ELB, "Target type"; ECS, `networkBindings`).
pub fn is_target(task: &Task, attachment: &Attachment, target: &Target) -> bool {
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

/// A target as `ID:PORT`.
pub fn endpoint(target: &Target) -> String {
    format!("{}:{}", target.id, target.port)
}

/// A target's state with the load balancer's reason for it.
pub fn state(target: &Target) -> String {
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
