//! The outcome of a rollback, for people and machines.

use super::decide::Way;
use super::observe::Observed;
use crate::locate::status_hint;
use crate::progress::{first_few, shift};
use ecs::{Client, Record, Seen};
use kit::Report;
use kit::clock::human;
use kit::error::{Error, ErrorKind};
use kit::markdown;
use kit::report::{markdown_table, text_table};
use net::Account;
use std::time::Duration;

/// What is about to be done, in a line.
pub(super) fn line(observed: &Observed, way: &Way) -> String {
    let current = observed.current.as_ref();
    let current = current.map_or_else(String::new, |it| format!("the deployment of {}", it.name()));
    match way {
        Way::Stop => format!("stop {current}, and have ECS go back"),
        Way::Follow(reason) => format!("follow {current}: {reason}"),
        Way::Deploy(digest) => format!("deploy {digest}, which was healthy last"),
        Way::Verify(reason) => format!("verify what runs: {reason}"),
        Way::No(reason) => format!("nothing to go back to: {reason}"),
    }
}

pub(super) fn planned(client: &Client, observed: &Observed, way: &Way) -> Report {
    let line = line(observed, way);
    let (word, digest) = match way {
        Way::Stop => ("stop", None),
        Way::Follow(_) => ("follow", None),
        Way::Deploy(digest) => ("deploy", Some(digest)),
        Way::Verify(_) => ("verify", None),
        Way::No(_) => ("refuse", None),
    };
    let title = format!("would roll back service {}", client.service);
    Report {
        summary: format!("### Dry run: {title}\n\n- {line}\n"),
        text: format!("{title}:\n  {line}"),
        json: serde_json::json!({
            "dry_run": true, "service": client.service, "cluster": client.cluster,
            "way": word, "digest": digest, "reason": line,
        }),
        ..Report::default()
    }
}

pub(super) fn refused(client: &Client, reason: &str) -> Error {
    Error::refused(format!(
        "service {} cannot be rolled back, and nothing was changed",
        client.service
    ))
    .cause(reason)
    .hint(format!(
        "deploy the version that should run: slipway-service deploy --cluster {} --service {} --digest DIGEST",
        client.cluster, client.service
    ))
}

/// The refusal to deploy without a permit. The one for a rollback waits for nobody.
pub(super) fn needs_permit(environment: &str, digest: &str) -> Error {
    Error::refused(format!(
        "{environment} has a gate, so the version that was healthy last needs a permit to run there"
    ))
    .cause(format!("it is {digest}, and no deployment is in progress that could be stopped"))
    .hint(format!(
        "ask for one: slipway-promote grant --environment {environment} --rollback --digest {digest}"
    ))
    .hint(format!(
        "then deploy under it: slipway-service deploy --environment {environment} --digest {digest} --permit NUMBER"
    ))
}

/// ECS's record of the deployment, in a line.
pub(super) fn progress(record: &Record) -> String {
    let mut parts = vec![record.status.to_lowercase().replace('_', " ")];
    if record.weights.is_some() {
        parts.extend(shift(record));
    }
    parts.join(" · ")
}

pub(super) fn failed(client: &Client, record: &Record, name: &str) -> Error {
    let status = record.status.to_lowercase().replace('_', " ");
    let error = Error::failed(format!("the deployment of {name} ended as {status}"));
    let error = match record.reason.as_str() {
        "" => error,
        reason => error.cause(reason),
    };
    error
        .hint(status_hint(client))
        .hint("deploy the version that should run; running this again goes back to the one that was healthy last, not to the one before it")
        .output("verdict", "failed")
}

pub(super) fn unhealthy(client: &Client, seen: &Seen, missing: &[String], time: Duration) -> Error {
    let service = &seen.service;
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "{} is not healthy within {}",
            service.task_definition.name(),
            human(time)
        ),
    )
    .with_causes(first_few(missing, 10))
    .hint(status_hint(client))
    .output("task-definition-arn", &service.task_definition)
    .output("service-arn", &service.arn)
    .output("verdict", "failed")
}

pub(super) fn back(client: &Client, account: &Account, seen: &Seen, reason: &str) -> Report {
    let service = &seen.service;
    let runs = service.task_definition.name();
    let facts: Vec<Vec<String>> = [
        ("verdict", "rolled back".to_owned()),
        ("task definition", runs.to_owned()),
        ("reason", reason.to_owned()),
        ("cluster", client.cluster.clone()),
        ("account", format!("{} in {}", account.id, account.region)),
        (
            "tasks",
            format!("{} of {} running", service.running, service.desired),
        ),
    ]
    .into_iter()
    .map(|(name, value)| vec![name.to_owned(), value])
    .collect();
    let mut report = Report {
        summary: format!(
            "### Service {}: rolled back\n\n{} runs and is healthy.\n\n{}",
            client.service,
            markdown::code(runs),
            markdown_table(&["what", "value"], &facts)
        ),
        text: text_table(&["service", &client.service], &facts),
        json: serde_json::json!({
            "verdict": "rolled_back",
            "service": client.service,
            "service_arn": service.arn,
            "cluster": client.cluster,
            "account": account.id,
            "region": account.region,
            "task_definition": service.task_definition,
            "desired": service.desired,
            "running": service.running,
            "reason": reason,
        }),
        ..Report::default()
    }
    .output("task-definition-arn", &service.task_definition)
    .output("service-arn", &service.arn)
    .output("verdict", "rolled-back");
    if let Some(primary) = service.primary() {
        report = report.output("deployment-id", &primary.id);
    }
    report
}
