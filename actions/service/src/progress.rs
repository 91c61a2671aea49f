//! The log of a deploy while it follows its deployment.

use ecs::{Deployment, Record, Seen};
use kit::Cx;
use std::time::Duration;

/// The least time between two lines that say what is still missing.
const REMIND: Duration = Duration::from_secs(10);

/// The lines of progress, logged only when something changed.
pub(crate) struct ProgressLog<'a> {
    cx: &'a Cx,
    deployment: String,
    table: String,
    missing: Vec<String>,
    reminded: Option<(Duration, String)>,
    /// True if it was said that ECS watches no alarm.
    warned: bool,
}

impl<'a> ProgressLog<'a> {
    pub(crate) fn new(cx: &'a Cx, deployment: &str) -> Self {
        Self {
            cx,
            deployment: deployment.to_owned(),
            table: String::new(),
            missing: Vec::new(),
            reminded: None,
            warned: false,
        }
    }

    /// Logs one look; returns whether anything moved since the last.
    pub(crate) fn look(
        &mut self,
        seen: &Seen,
        events: &[String],
        missing: &[String],
        now: Duration,
    ) -> bool {
        self.warn_of_alarms(seen);
        for event in events {
            self.cx.host.info(format!("  event: {event}"));
        }
        let table = progress(&self.deployment, seen);
        let moved = table != self.table || !events.is_empty() || missing != self.missing;
        if table != self.table {
            self.cx
                .host
                .info(format!("{:>5} s  {table}", now.as_secs()));
            self.table = table;
        }
        self.missing = missing.to_vec();
        let waiting = first_few(missing, 3).join("; ");
        let due = match &self.reminded {
            Some((at, logged)) => now >= *at + REMIND && *logged != waiting,
            None => true,
        };
        if due && !waiting.is_empty() {
            self.cx
                .host
                .info(format!("{:>5} s  waiting: {waiting}", now.as_secs()));
            self.reminded = Some((now, waiting));
        }
        moved
    }
}

impl ProgressLog<'_> {
    /// Says once that no alarm will stop the deployment: ECS does not.
    fn warn_of_alarms(&mut self, seen: &Seen) {
        let alarms = seen.record.as_ref().and_then(|it| it.alarms.as_ref());
        let Some(alarms) = alarms.filter(|alarms| alarms.are_ignored() && !self.warned) else {
            return;
        };
        self.warned = true;
        self.cx.host.warn(format!(
            "ECS watches none of the service's alarms during this deployment, because one of them rang already when it began: {}",
            alarms.names.join(", ")
        ));
    }
}

/// The progress of all deployments, in one line.
fn progress(ours: &str, seen: &Seen) -> String {
    let describe = |deployment: &Deployment| {
        let mut line = format!(
            "{}{}: {} of {} running",
            deployment.task_definition.name(),
            if deployment.id == ours { " (this)" } else { "" },
            deployment.running,
            deployment.desired
        );
        for (number, word) in [
            (deployment.pending, "pending"),
            (deployment.failed, "failed"),
        ] {
            if number > 0 {
                line.push_str(&format!(", {number} {word}"));
            }
        }
        line
    };
    let mut parts: Vec<String> = seen.service.deployments.iter().map(describe).collect();
    let targets: Vec<_> = seen
        .groups
        .iter()
        .flat_map(|group| &group.targets)
        .collect();
    if !targets.is_empty() {
        let healthy = targets
            .iter()
            .filter(|target| target.state == "healthy")
            .count();
        parts.push(format!("{healthy} of {} targets healthy", targets.len()));
    }
    if let Some(breaker) = seen
        .record
        .as_ref()
        .and_then(|record| record.breaker.as_ref())
        && breaker.failures > 0
    {
        parts.push(format!(
            "circuit breaker {} of {}",
            breaker.failures, breaker.threshold
        ));
    }
    if let Some(record) = &seen.record
        && seen.service.strategy.shifts()
    {
        parts.extend(shift(record));
    }
    parts.join(" · ")
}

/// The stage of a deployment that shifts traffic, in a few phrases.
pub(crate) fn shift(record: &Record) -> Vec<String> {
    let mut parts = Vec::new();
    if !record.stage.is_empty() {
        parts.push(record.stage.to_lowercase().replace('_', " "));
    }
    if let Some(weights) = record.weights {
        parts.push(format!("{}% of production traffic", weights.production));
        if let Some(test) = weights.test.filter(|test| *test > 0.0) {
            parts.push(format!("{test}% of test traffic"));
        }
    }
    if let Some(alarms) = &record.alarms {
        match (alarms.triggered.as_slice(), alarms.status.as_str()) {
            _ if alarms.are_ignored() => parts.push("alarms not watched".to_owned()),
            ([], "MONITORING") => parts.push(format!("alarms watched: {}", alarms.names.len())),
            ([], _) => {}
            (triggered, _) => parts.push(format!("alarms that went off: {}", triggered.join(", "))),
        }
    }
    parts
}

/// The first few, and how many more there are.
pub(crate) fn first_few(all: &[String], few: usize) -> Vec<String> {
    let mut shown: Vec<String> = all.iter().take(few).cloned().collect();
    if all.len() > few {
        shown.push(format!("{} more", all.len() - few));
    }
    shown
}
