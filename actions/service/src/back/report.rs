//! The outcome of a rollback, for people and machines.

use super::decide::Action;
use super::observe::{Deploying, Observed};
use crate::locate::status_hint;
use crate::progress::{first_few, shift};
use ecs::{Client, Record, Seen};
use kit::Report;
use kit::aws::Arn;
use kit::clock::human;
use kit::error::{Error, ErrorKind};
use kit::markdown;
use kit::report::{markdown_table, text_table};
use net::Account;
use std::time::Duration;

/// The version that a verdict is of, and the verdict if all goes well, as `slipway-promote record` takes them.
pub(super) struct Ending {
    digest: Option<String>,
    verdict: &'static str,
}

impl Ending {
    fn of(version: Option<&str>, verdict: &'static str) -> Self {
        let digest = version.filter(|version| version.starts_with("sha256:"));
        Self {
            digest: digest.map(str::to_owned),
            verdict,
        }
    }

    /// The service left this version.
    pub(super) fn left(version: Option<&str>) -> Self {
        Self::of(version, "rolled-back")
    }

    /// The service is at this version.
    pub(super) fn at(version: Option<&str>) -> Self {
        Self::of(version, "healthy")
    }
}

/// What is about to be done, in a line.
pub(super) fn line(observed: &Observed, action: &Action) -> String {
    let current = observed.current.as_ref();
    let current = current.map_or_else(String::new, |it| format!("the deployment of {}", it.name()));
    match action {
        Action::Stop => format!("stop {current}, and have ECS go back"),
        Action::Follow(reason) => format!("follow {current}: {reason}"),
        Action::Deploy(digest) => format!("deploy {digest}, which was healthy last"),
        Action::Verify(reason) => format!("verify what runs: {reason}"),
        Action::Refuse(reason) => format!("nothing to go back to: {reason}"),
    }
}

pub(super) fn planned(client: &Client, observed: &Observed, action: &Action) -> Report {
    let line = line(observed, action);
    let (word, digest) = match action {
        Action::Stop => ("stop", None),
        Action::Follow(_) => ("follow", None),
        Action::Deploy(digest) => ("deploy", Some(digest)),
        Action::Verify(_) => ("verify", None),
        Action::Refuse(_) => ("refuse", None),
    };
    let title = format!("would roll back service {}", client.service);
    Report {
        summary: format!("### Dry run: {title}\n\n- {line}\n"),
        text: format!("{title}:\n  {line}"),
        json: serde_json::json!({
            "dry_run": true, "service": client.service, "cluster": client.cluster,
            "action": word, "digest": digest, "reason": line,
        }),
        ..Report::default()
    }
}

pub(super) fn refused(client: &Client, reason: &str, current: Option<&Deploying>) -> Error {
    let (cluster, service) = (&client.cluster, &client.service);
    let error = Error::refused(format!(
        "service {service} cannot be rolled back, and nothing was changed"
    ))
    .cause(reason);
    let deploy =
        format!("slipway-service deploy --cluster {cluster} --service {service} --digest DIGEST");
    match current.map(|current| current.view().replaces) {
        // Nothing served before it, so a deployment may take its place.
        Some(false) => error.hint(format!(
            "deploy a version that works in its place: {deploy}"
        )),
        _ => error.hint(format!("deploy the version that should run: {deploy}")),
    }
}

/// The deployment is not over in time.
pub(super) fn goes_on(client: &Client, arn: &Arn, shown: &str, time: Duration) -> Error {
    let (cluster, service) = (&client.cluster, &client.service);
    Error::new(
        ErrorKind::TimedOut,
        format!("the deployment was not over within {}", human(time)),
    )
    .cause(format!("ECS's record of it is {shown}, and goes on"))
    .hint(status_hint(client))
    .hint(format!(
        "if it hangs, deploy a version that works in its place: slipway-service deploy --cluster {cluster} --service {service} --digest DIGEST --replace {arn}"
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

pub(super) fn failed(client: &Client, record: &Record, current: &Deploying) -> Error {
    let name = current.name();
    let status = record.status.to_lowercase().replace('_', " ");
    let error = Error::failed(format!("the deployment of {name} ended as {status}"));
    let error = match record.reason.as_str() {
        "" => error,
        reason => error.cause(reason),
    };
    let error = error
        .hint(status_hint(client))
        .hint("deploy the version that should run; running this again goes back to the one that was healthy last, not to the one before it")
        .output("verdict", "failed");
    with_digest(error, &Ending::left(current.view().deploys))
}

/// The error where ECS says that it went back, and shows neither to which revision nor from which.
pub(super) fn unnamed(client: &Client, current: &Deploying) -> Error {
    let error = Error::failed(format!(
        "the deployment of {} is over, and ECS does not name the revision that has to run",
        current.name()
    ))
    .hint(status_hint(client))
    .output("verdict", "failed");
    with_digest(error, &Ending::left(current.view().deploys))
}

fn with_digest(error: Error, ending: &Ending) -> Error {
    match &ending.digest {
        Some(digest) => error.output("digest", digest),
        None => error,
    }
}

pub(super) fn unhealthy(
    client: &Client,
    seen: &Seen,
    missing: &[String],
    ending: &Ending,
    time: Duration,
) -> Error {
    let service = &seen.service;
    let error = Error::new(
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
    .output("verdict", "failed");
    let error = with_digest(error, ending);
    match service.desired {
        0 => error.hint("accept that nothing runs which could be verified: --allow-zero-tasks"),
        _ => error,
    }
}

pub(super) fn back(
    client: &Client,
    account: &Account,
    seen: &Seen,
    ending: &Ending,
    reason: &str,
) -> Report {
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
            "### Service {}: rolled back\n\n{} {}.\n\n{}",
            client.service,
            markdown::code(runs),
            match service.desired {
                0 => "is deployed, and nothing runs that could be verified",
                _ => "runs and is healthy",
            },
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
            "digest": ending.digest,
            "recorded_as": ending.verdict,
        }),
        ..Report::default()
    }
    .output("task-definition-arn", &service.task_definition)
    .output("service-arn", &service.arn)
    .output("verdict", ending.verdict);
    if let Some(digest) = &ending.digest {
        report = report.output("digest", digest);
    }
    if let Some(primary) = service.primary() {
        report = report.output("deployment-id", &primary.id);
    }
    report
}
