//! Why a deployment failed: what was seen of it while it was followed, grouped so that ten tasks
//! that died of the same cause are one line. Gathered on the way, because ECS and the load
//! balancer forget it as soon as a rollback is done.

use ecs::{Breaker, Seen, Target, Task, is_target, name_of_group, place, prose};
use std::collections::{BTreeMap, BTreeSet};

/// How many of the service's last events are reported.
const EVENTS: usize = 5;

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
    /// What each of our targets last complained of, by group and place.
    targets: BTreeMap<(String, String), (String, String)>,
    breaker: Option<Breaker>,
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
                        self.complaint(&group.arn, target);
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

    fn complaint(&mut self, group: &str, target: &Target) {
        let key = (group.to_owned(), place(target));
        match target.state.as_str() {
            "unhealthy" | "unavailable" => {
                let words = (target.reason.clone(), target.description.clone());
                self.targets.insert(key, words);
            }
            "healthy" => drop(self.targets.remove(&key)),
            _ => {}
        }
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

    /// Lines for people, nothing when nothing is known.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (stop, tasks) in self.grouped() {
            lines.push(format!("{} stopped: {stop}", count(tasks.len(), "task")));
            for (container, ids) in containers(&tasks) {
                lines.push(format!("  container {container} ({})", ids.join(", ")));
            }
        }
        for ((group, reason, description), places) in self.complaints() {
            let words = [reason.as_str(), description.as_str()];
            let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
            lines.push(format!(
                "{} of {} unhealthy: {} ({})",
                count(places.len(), "target"),
                name_of_group(group),
                words.join(": "),
                places.join(", ")
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
        // An event that quotes what a task stopped of says nothing more.
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
            .map(|((group, place), (reason, description))| {
                serde_json::json!({
                    "target_group": group, "target": place,
                    "reason": reason, "description": description,
                })
            })
            .collect();
        serde_json::json!({
            "stopped_tasks": stopped,
            "unhealthy_targets": targets,
            "circuit_breaker": self.breaker.as_ref().map(|breaker| serde_json::json!({
                "status": breaker.status,
                "failures": breaker.failures,
                "threshold": breaker.threshold,
            })),
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

    fn complaints(&self) -> BTreeMap<(&String, &String, &String), Vec<&str>> {
        let mut groups: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for ((group, place), (reason, description)) in &self.targets {
            groups
                .entry((group, reason, description))
                .or_default()
                .push(place);
        }
        groups
    }

    /// The last events up to the failure: what comes after it tells of the rollback.
    fn last_events(&self) -> &[String] {
        let failure = self
            .events
            .iter()
            .position(|event| prose::fails_deployment(event, &self.deployment));
        let until = failure.map_or(self.events.len(), |at| at + 1);
        &self.events[until.saturating_sub(EVENTS)..until]
    }
}

/// A message of ECS with the ARNs of target groups shortened to their names.
fn shortened(message: &str) -> String {
    message
        .split(' ')
        .map(|word| {
            let inner = word.trim_end_matches([')', '.', ',']);
            if inner.starts_with("arn:") && inner.contains(":targetgroup/") {
                word.replacen(inner, name_of_group(inner), 1)
            } else {
                word.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;
    use ecs::{Attachment, Container, Event, Record, Service, TargetGroup};
    use expect_test::expect;

    fn stopped(id: &str, code: &str, reason: &str, exit: Option<i32>, why: Option<&str>) -> Task {
        Task {
            id: id.to_owned(),
            started_by: "ecs-svc/2".to_owned(),
            stop_code: code.to_owned(),
            stopped_reason: reason.to_owned(),
            containers: vec![Container {
                name: "web".to_owned(),
                exit_code: exit,
                reason: why.map(str::to_owned),
                ..Container::default()
            }],
            ..Task::default()
        }
    }

    fn target(number: u8, state: &str) -> Target {
        Target {
            id: format!("10.0.0.{number}"),
            port: 3000,
            state: state.to_owned(),
            reason: "Target.ResponseCodeMismatch".to_owned(),
            description: "Health checks failed with these codes: [500]".to_owned(),
        }
    }

    fn look(targets: Vec<Target>, events: &[&str]) -> Seen {
        Seen {
            service: Service {
                attachments: vec![Attachment {
                    groups: vec!["arn:x:targetgroup/web/1".to_owned()],
                    container: "web".to_owned(),
                    port: 3000,
                }],
                events: events
                    .iter()
                    .map(|event| Event {
                        id: (*event).to_owned(),
                        message: format!("event {event}"),
                    })
                    .collect(),
                ..Service::default()
            },
            tasks: (1..=2)
                .map(|number| Task {
                    id: number.to_string(),
                    started_by: "ecs-svc/2".to_owned(),
                    addresses: BTreeSet::from([format!("10.0.0.{number}")]),
                    ..Task::default()
                })
                .collect(),
            groups: vec![TargetGroup {
                arn: "arn:x:targetgroup/web/1".to_owned(),
                targets,
            }],
            record: Some(Record {
                breaker: Some(Breaker {
                    status: "TRIGGERED".to_owned(),
                    failures: 3,
                    threshold: 3,
                }),
                ..Record::default()
            }),
        }
    }

    #[test]
    fn the_same_cause_is_told_once() {
        let mut evidence = Evidence::new("ecs-svc/2", &look(Vec::new(), &["old"]));
        let first = look(
            vec![
                target(1, "unhealthy"),
                target(2, "unhealthy"),
                target(9, "unhealthy"),
            ],
            &["b", "a", "old"],
        );
        assert_eq!(evidence.add(&first), ["event a", "event b"]);
        // The rollback is done and the targets are gone, the evidence is not.
        assert!(
            evidence
                .add(&look(Vec::new(), &["b", "a", "old"]))
                .is_empty()
        );
        evidence.stopped(vec![
            stopped(
                "1111111111",
                "EssentialContainerExited",
                "Essential container in task exited",
                Some(1),
                None,
            ),
            stopped(
                "2222222222",
                "EssentialContainerExited",
                "Essential container in task exited",
                Some(1),
                None,
            ),
            stopped(
                "3333333333",
                "EssentialContainerExited",
                "Essential container in task exited",
                Some(137),
                Some("OutOfMemoryError: killed"),
            ),
            stopped(
                "4444444444",
                "TaskFailedToStart",
                "CannotPullContainerError: not found",
                None,
                Some("CannotPullContainerError"),
            ),
            stopped(
                "5555555555",
                "ServiceSchedulerInitiated",
                "Scaling activity initiated by (deployment ecs-svc/2)",
                Some(0),
                None,
            ),
            stopped(
                "6666666666",
                "ServiceSchedulerInitiated",
                "Task failed ELB health checks in (target-group x)",
                Some(0),
                None,
            ),
            Task {
                started_by: "ecs-svc/1".to_owned(),
                ..stopped("7", "UserInitiated", "x", None, None)
            },
        ]);
        expect![[r#"
            3 tasks stopped: EssentialContainerExited: Essential container in task exited
              container web: exit 1 (11111111, 22222222)
              container web: exit 137, OutOfMemoryError: killed (33333333)
            1 task stopped: ServiceSchedulerInitiated: Task failed ELB health checks in (target-group x)
              container web: exit 0 (66666666)
            1 task stopped: TaskFailedToStart: CannotPullContainerError: not found
              container web (44444444)
            2 targets of web unhealthy: Target.ResponseCodeMismatch: Health checks failed with these codes: [500] (10.0.0.1:3000, 10.0.0.2:3000)
            circuit breaker triggered: 3 of 3 failures
            last events:
              event a
              event b"#]]
        .assert_eq(&evidence.lines().join("\n"));
        assert_eq!(
            evidence.json()["stopped_tasks"].as_array().unwrap().len(),
            5
        );
    }

    #[test]
    fn a_pull_error_is_told_once() {
        let mut evidence = Evidence::new("ecs-svc/2", &Seen::default());
        let why = "CannotPullContainerError: failed to resolve ref web@sha256:ab: not found";
        let mut seen = look(Vec::new(), &[]);
        for message in [
            format!("(service web) (task 1) failed to start: {why}."),
            "(service web) is unable to consistently start tasks successfully.".to_owned(),
        ] {
            let id = message.clone();
            seen.service.events.push(Event { id, message });
        }
        evidence.add(&seen);
        evidence.stopped(vec![
            stopped("1111111111", "TaskFailedToStart", why, None, Some(why)),
            stopped("2222222222", "TaskFailedToStart", why, None, Some(why)),
        ]);
        let text = evidence.lines().join("\n");
        assert_eq!(text.matches("CannotPull").count(), 1, "{text}");
        assert!(
            text.contains("container web (11111111, 22222222)"),
            "{text}"
        );
        assert!(text.contains("is unable to consistently"), "{text}");
    }

    #[test]
    fn a_target_outlives_its_task() {
        let mut evidence = Evidence::new("ecs-svc/2", &Seen::default());
        evidence.add(&look(Vec::new(), &[]));
        let mut gone = look(vec![target(1, "unhealthy")], &[]);
        gone.tasks.clear();
        evidence.add(&gone);
        assert!(evidence.lines()[0].starts_with("1 target of web unhealthy"));
    }

    #[test]
    fn a_target_that_became_healthy_is_no_reason() {
        let mut evidence = Evidence::new("ecs-svc/2", &Seen::default());
        evidence.add(&look(vec![target(1, "unhealthy")], &[]));
        evidence.add(&look(vec![target(1, "healthy")], &[]));
        assert!(!evidence.lines().join("\n").contains("unhealthy"));
    }

    #[test]
    fn events_end_with_the_failure_and_name_groups_shortly() {
        let mut evidence = Evidence::new("ecs-svc/2", &Seen::default());
        let mut seen = look(Vec::new(), &[]);
        let messages = [
            "(service web) registered 1 targets in (target-group arn:aws:x:1:targetgroup/web/12ab)",
            "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.",
            "(service web) rolling back to deployment ecs-svc/1.",
            "(service web) (deployment ecs-svc/3) deployment completed.",
        ];
        seen.service.events = messages
            .iter()
            .rev()
            .map(|message| Event {
                id: (*message).to_owned(),
                message: (*message).to_owned(),
            })
            .collect();
        evidence.add(&seen);
        assert_eq!(
            evidence.json()["events"],
            serde_json::json!([
                "(service web) registered 1 targets in (target-group web)",
                messages[1]
            ])
        );
    }
}
