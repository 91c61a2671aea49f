//! Why a deployment failed: what was seen of it while it was followed, grouped so that ten tasks
//! that died of the same cause are one line. Gathered on the way, because ECS and the load
//! balancer forget it as soon as a rollback is done.

mod report;
#[cfg(test)]
mod tests;

use crate::logs::TaskLog;
use ecs::{Breaker, Seen, Target, Task, endpoint, is_target, name_of_group, prose};
use kit::aws::Arn;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(crate) struct Evidence {
    deployment: String,
    /// Events that were there before the deployment began.
    old: BTreeSet<String>,
    /// New events in the order they came.
    events: Vec<String>,
    /// Our tasks as they ran, by their ID: a target is unhealthy for some time after its task has
    /// gone.
    tasks: BTreeMap<String, Task>,
    /// Our stopped tasks by their ID.
    stopped: BTreeMap<String, Task>,
    /// The load balancer's last reason and description for each of our unhealthy targets, by target group and `ID:PORT`.
    targets: BTreeMap<(Arn, String), (String, String)>,
    breaker: Option<Breaker>,
    /// The alarms that went off.
    alarms: Vec<String>,
    /// The ends of the logs of some of our tasks, where they were read.
    pub(crate) logs: Vec<TaskLog>,
}

impl Evidence {
    /// Begins with what was there before.
    pub(crate) fn new(deployment: &str, before: &Seen) -> Self {
        Self {
            deployment: deployment.to_owned(),
            old: before
                .service
                .events
                .iter()
                .map(|event| event.id.clone())
                .collect(),
            ..Self::default()
        }
    }

    /// Takes in one look; returns the events that are new since the last, oldest first.
    pub(crate) fn add(&mut self, seen: &Seen) -> Vec<String> {
        if let Some(breaker) = seen
            .record
            .as_ref()
            .and_then(|record| record.breaker.as_ref())
        {
            self.breaker = Some(breaker.clone());
        }
        if let Some(alarms) = seen
            .record
            .as_ref()
            .and_then(|record| record.alarms.as_ref())
        {
            for name in &alarms.triggered {
                if !self.alarms.contains(name) {
                    self.alarms.push(name.clone());
                }
            }
        }
        for task in &seen.tasks {
            if task.started_by == self.deployment {
                self.tasks.insert(task.id.clone(), task.clone());
            }
        }
        for attachment in &seen.service.attachments {
            for group in seen
                .groups
                .iter()
                .filter(|group| attachment.groups.contains(&group.arn))
            {
                for target in &group.targets {
                    if self
                        .tasks
                        .values()
                        .any(|task| is_target(task, attachment, target))
                    {
                        self.update_target(&group.arn, target);
                    }
                }
            }
        }
        let mut fresh = Vec::new();
        for event in seen.service.events.iter().rev() {
            if self.old.insert(event.id.clone()) {
                fresh.push(shortened(&event.message));
            }
        }
        self.events.extend(fresh.iter().cloned());
        fresh
    }

    fn update_target(&mut self, group: &Arn, target: &Target) {
        let key = (group.clone(), endpoint(target));
        match target.state.as_str() {
            "unhealthy" | "unavailable" => {
                let words = (target.reason.clone(), target.description.clone());
                self.targets.insert(key, words);
            }
            "healthy" => drop(self.targets.remove(&key)),
            _ => {}
        }
    }

    /// Our tasks that failed.
    pub(crate) fn stopped_tasks(&self) -> impl Iterator<Item = &Task> {
        self.stopped.values()
    }

    /// Our tasks that were seen to run.
    pub(crate) fn seen_tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// Takes in our tasks among those that stopped.
    pub(crate) fn stopped(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            // Tasks that the scheduler stopped itself, in a rollback, failed of nothing.
            if task.started_by == self.deployment && prose::stopped_by_failure(&task) {
                self.stopped.insert(task.id.clone(), task);
            }
        }
    }
}

/// A message of ECS with the ARNs of target groups shortened to their names.
fn shortened(message: &str) -> String {
    message
        .split(' ')
        .map(|word| {
            let inner = word.trim_end_matches([')', '.', ',']);
            match inner.parse::<Arn>() {
                Ok(arn) if arn.resource.starts_with("targetgroup/") => {
                    word.replacen(inner, name_of_group(&arn), 1)
                }
                _ => word.to_owned(),
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}
