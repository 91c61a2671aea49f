//! The evidence as people and machines read it.

use super::{Evidence, shortened};
use crate::logs::TaskLog;
use ecs::{Task, name_of_group, prose};
use kit::aws::Arn;
use std::collections::BTreeMap;

/// How many of the service's last events are reported.
const EVENTS: usize = 5;

impl Evidence {
    /// The evidence as lines of text; empty if there is none.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (stop, tasks) in self.grouped() {
            lines.push(format!("{} stopped: {stop}", count(tasks.len(), "task")));
            for (container, ids) in containers(&tasks) {
                lines.push(format!("  container {container} ({})", ids.join(", ")));
            }
        }
        lines.extend(self.logs.iter().flat_map(TaskLog::text));
        for ((group, reason, description), targets) in self.unhealthy_targets() {
            let words = [reason.as_str(), description.as_str()];
            let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
            lines.push(format!(
                "{} of {} unhealthy: {} ({})",
                count(targets.len(), "target"),
                name_of_group(group),
                words.join(": "),
                targets.join(", ")
            ));
        }
        if let Some(breaker) = &self.breaker
            && breaker.status != "DISABLED"
        {
            lines.push(format!(
                "circuit breaker {}: {} of {} failures",
                breaker.status.to_lowercase(),
                breaker.failures,
                breaker.threshold
            ));
        }
        if !self.alarms.is_empty() {
            lines.push(format!("alarms that went off: {}", self.alarms.join(", ")));
        }
        // An event that quotes the reason of a stopped task adds nothing.
        let reported: Vec<String> = self
            .stopped
            .values()
            .map(|task| shortened(&task.stopped_reason))
            .filter(|reason| !reason.is_empty())
            .collect();
        let events: Vec<&String> = self
            .last_events()
            .iter()
            .filter(|event| !reported.iter().any(|reason| event.contains(reason)))
            .collect();
        if !events.is_empty() {
            lines.push("last events:".to_owned());
            lines.extend(events.iter().map(|event| format!("  {event}")));
        }
        lines
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let stopped: Vec<_> = self
            .stopped
            .values()
            .map(|task| {
                let containers: Vec<_> = task
                    .containers
                    .iter()
                    .map(|container| {
                        serde_json::json!({
                            "name": container.name,
                            "exit_code": container.exit_code,
                            "reason": container.reason,
                        })
                    })
                    .collect();
                serde_json::json!({
                    "task": task.id,
                    "stop_code": task.stop_code,
                    "reason": task.stopped_reason,
                    "containers": containers,
                })
            })
            .collect();
        let targets: Vec<_> = self
            .targets
            .iter()
            .map(|((group, target), (reason, description))| {
                serde_json::json!({
                    "target_group": group, "target": target,
                    "reason": reason, "description": description,
                })
            })
            .collect();
        serde_json::json!({
            "stopped_tasks": stopped,
            "logs": self.logs.iter().map(TaskLog::json).collect::<Vec<_>>(),
            "unhealthy_targets": targets,
            "circuit_breaker": self.breaker.as_ref().map(|breaker| serde_json::json!({
                "status": breaker.status,
                "failures": breaker.failures,
                "threshold": breaker.threshold,
            })),
            "alarms": self.alarms,
            "events": self.last_events(),
        })
    }

    fn grouped(&self) -> BTreeMap<String, Vec<&Task>> {
        let mut groups: BTreeMap<String, Vec<&Task>> = BTreeMap::new();
        for task in self.stopped.values() {
            let stop = match (task.stop_code.as_str(), task.stopped_reason.as_str()) {
                ("", "") => "ECS gives no reason".to_owned(),
                ("", reason) => shortened(reason),
                (code, "") => code.to_owned(),
                (code, reason) => format!("{code}: {}", shortened(reason)),
            };
            groups.entry(stop).or_default().push(task);
        }
        groups
    }

    fn unhealthy_targets(&self) -> BTreeMap<(&Arn, &String, &String), Vec<&str>> {
        let mut groups: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for ((group, target), (reason, description)) in &self.targets {
            groups
                .entry((group, reason, description))
                .or_default()
                .push(target);
        }
        groups
    }

    /// The last events up to the failure; later ones are about the rollback.
    fn last_events(&self) -> &[String] {
        let failure = self
            .events
            .iter()
            .position(|event| prose::fails_deployment(event, &self.deployment));
        let until = failure.map_or(self.events.len(), |at| at + 1);
        &self.events[until.saturating_sub(EVENTS)..until]
    }
}

/// How the containers of tasks that stopped alike ended, and in which tasks.
fn containers(tasks: &[&Task]) -> BTreeMap<String, Vec<String>> {
    let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for task in tasks {
        for container in &task.containers {
            // A container that could not be pulled is why its task stopped, in the same words.
            let reason = container
                .reason
                .as_ref()
                .filter(|reason| !task.stopped_reason.contains(*reason));
            let end = match (container.exit_code, reason) {
                (None, None) if container.reason.is_some() => container.name.clone(),
                (None, None) => continue,
                (Some(code), None) => format!("{}: exit {code}", container.name),
                (None, Some(reason)) => format!("{}: {reason}", container.name),
                (Some(code), Some(reason)) => format!("{}: exit {code}, {reason}", container.name),
            };
            ends.entry(end)
                .or_default()
                .push(task.id.chars().take(8).collect());
        }
    }
    ends
}

fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}
