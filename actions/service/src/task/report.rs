//! The outcome of a one-off task.

use super::decide::End;
use super::follow::{Ended, Stopped};
use crate::decide::Plan;
use crate::under::UsedPermit;
use ecs::{Client, OneOff};
use kit::Report;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use kit::report::{markdown_table, text_table};
use net::Account;
use serde_json::{Value, json};
use std::time::Duration;

/// A task, and everything there is to say of it.
pub(crate) struct Outcome<'a> {
    pub(crate) client: &'a Client,
    pub(crate) account: &'a Account,
    pub(crate) plan: &'a Plan,
    pub(crate) work: &'a OneOff,
    pub(crate) under: Option<&'a UsedPermit>,
    pub(crate) arn: &'a str,
    pub(crate) timeout: Duration,
    pub(crate) took: Duration,
}

impl Outcome<'_> {
    /// The report of a command that ended with 0, or the error of any other end. A command's own code is the step's.
    ///
    /// # Errors
    /// Every end but that.
    pub(crate) fn report(&self, ended: &Ended) -> Result<Report> {
        let facts = self.facts(ended);
        let summary = |title: &str| {
            let table = markdown_table(&["what", "value"], &facts);
            format!(
                "### Task of service {}: {title}\n\n{table}",
                self.client.service
            )
        };
        let task = short(self.arn);
        let error = match (&ended.stopped, &ended.end) {
            (None, End::Exited { code: 0, .. }) => {
                return Ok(Report {
                    summary: summary("done"),
                    text: text_table(&["service", &self.client.service], &facts),
                    json: self.json(ended),
                    ..Report::default()
                }
                .output("task-arn", self.arn)
                .output("task-definition-arn", &self.work.task_definition));
            }
            (None, End::Exited { code, reason }) => Error::new(
                ErrorKind::Command(u8::try_from(*code).unwrap_or(1)),
                format!("the command failed with exit code {code} in task {task}"),
            )
            .cause(reason.clone()),
            (None, End::Stopped { code, reason }) => Error::failed(format!(
                "task {task} was stopped, and not by this run, so the command may not have been over"
            ))
            .cause(reason.clone())
            .cause(format!("the command ended with exit code {code}")),
            (None, End::Unknown { reason }) => Error::failed(format!(
                "task {task} stopped and ECS names no exit code of the command"
            ))
            .cause(reason.clone()),
            (Some(Stopped::TimedOut), end) => Error::new(
                ErrorKind::TimedOut,
                format!(
                    "task {task} was not over within {} and was stopped",
                    human(self.timeout)
                ),
            )
            .cause(phrase(end)),
            (Some(Stopped::Cancelled(signal)), end) => {
                Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"))
                    .cause(format!("task {task} was stopped"))
                    .cause(phrase(end))
            }
        };
        let mut error = error
            .summary(summary("failed"))
            .output("task-arn", self.arn);
        error.json = Some(self.json(ended));
        Err(error)
    }

    fn facts(&self, ended: &Ended) -> Vec<Vec<String>> {
        let mut facts = vec![
            ("end", phrase(&ended.end)),
            ("container", self.work.container.clone()),
            ("image", self.plan.image.clone()),
            ("task", self.arn.to_owned()),
            (
                "task definition",
                self.work.task_definition.name().to_owned(),
            ),
            ("cluster", self.client.cluster.clone()),
            (
                "account",
                format!("{} in {}", self.account.id, self.account.region),
            ),
            ("took", human(self.took)),
        ];
        if let Some(under) = self.under {
            facts.insert(1, ("permit", under.line()));
        }
        facts
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect()
    }

    fn json(&self, ended: &Ended) -> Value {
        let (code, reason) = match &ended.end {
            End::Exited { code, reason } | End::Stopped { code, reason } => {
                (Some(code), Some(reason))
            }
            End::Unknown { reason } => (None, Some(reason)),
        };
        json!({
            "task": self.arn,
            "exit_code": code,
            "reason": reason,
            "stopped": match (&ended.stopped, &ended.end) {
                (Some(Stopped::TimedOut), _) => Some("timed_out"),
                (Some(Stopped::Cancelled(_)), _) => Some("interrupted"),
                (None, End::Stopped { .. }) => Some("elsewhere"),
                (None, _) => None,
            },
            "container": self.work.container,
            "image": self.plan.image,
            "task_definition": self.work.task_definition,
            "service": self.client.service,
            "cluster": self.client.cluster,
            "account": self.account.id,
            "region": self.account.region,
            "seconds": self.took.as_secs(),
            "permit": self.under.map(UsedPermit::json),
        })
    }
}

/// The report of a dry run.
pub(crate) fn planned(
    client: &Client,
    plan: &Plan,
    container: &str,
    under: Option<&UsedPermit>,
    missing: Option<Error>,
) -> Report {
    let refused = missing.iter().flat_map(|refusal| {
        let message = format!("refused: {}", refusal.message);
        std::iter::once(message).chain(refusal.hints.iter().cloned())
    });
    let run = format!("run a task of it, with the command in container {container}");
    let lines: Vec<String> = refused
        .chain(under.iter().map(|under| under.start_line()))
        .chain(plan.revision_lines())
        .chain([run])
        .collect();
    let title = format!(
        "would run a task with the network of service {} in cluster {}",
        client.service, client.cluster
    );
    Report {
        summary: format!("### Dry run: {title}\n\n- {}\n", lines.join("\n- ")),
        text: format!("{title}:\n  {}", lines.join("\n  ")),
        json: json!({
            "cluster": client.cluster, "service": client.service, "image": plan.image, "container": container,
            "permit": under.map(UsedPermit::json), "refused": missing.map(|refusal| refusal.message),
        }),
        ..Report::default()
    }
}

fn phrase(end: &End) -> String {
    match end {
        End::Exited { code, .. } | End::Stopped { code, .. } => format!("exit code {code}"),
        End::Unknown { reason } => format!("no exit code: {reason}"),
    }
}

fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
