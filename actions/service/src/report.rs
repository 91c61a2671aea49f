//! What a deploy leaves behind: progress lines, the report of a success, the error of anything
//! else with everything that was seen of it.

use crate::deploy::look_hint;
use crate::evidence::Evidence;
use crate::follow::Verdict;
use crate::observe::World;
use crate::plan::Plan;
use crate::proof::Wanted;
use crate::seen::{Deployment, Seen, revision};
use kit::clock::human;
use kit::error::{Error, Result};
use kit::report::{markdown_table, text_table};
use kit::{Exit, Report};
use net::Account;
use std::time::Duration;

/// A deploy that came to a verdict.
pub(crate) struct Ended<'a> {
    pub(crate) world: &'a World,
    pub(crate) account: &'a Account,
    pub(crate) plan: &'a Plan,
    pub(crate) wanted: &'a Wanted,
    pub(crate) seen: &'a Seen,
    pub(crate) evidence: &'a Evidence,
    pub(crate) took: Duration,
    pub(crate) timeout: Duration,
    pub(crate) address: Option<String>,
    pub(crate) verdict: Verdict,
}

/// One line on where the deployments stand.
pub(crate) fn progress(ours: &str, seen: &Seen) -> String {
    let one = |deployment: &Deployment| {
        let mut line = format!(
            "{}{}: {} of {} running",
            revision(&deployment.task_definition),
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
    let mut parts: Vec<String> = seen.service.deployments.iter().map(one).collect();
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
    parts.join(" · ")
}

/// The first few, and how many more there are.
pub(crate) fn some(all: &[String], few: usize) -> Vec<String> {
    let mut some: Vec<String> = all.iter().take(few).cloned().collect();
    if all.len() > few {
        some.push(format!("{} more", all.len() - few));
    }
    some
}

/// The report of a dry run.
pub(crate) fn planned(world: &World, plan: &Plan) -> Report {
    let lines = plan.lines();
    let title = format!(
        "would deploy to service {} in cluster {}",
        world.service, world.cluster
    );
    let mut json = plan.json();
    if let Some(object) = json.as_object_mut() {
        object.insert("cluster".to_owned(), world.cluster.clone().into());
        object.insert("service".to_owned(), world.service.clone().into());
    }
    Report {
        summary: format!("### Dry run: {title}\n\n- {}\n", lines.join("\n- ")),
        text: format!("{title}:\n  {}", lines.join("\n  ")),
        json,
        ..Report::default()
    }
}

/// The report of a success, or the error of any other end.
///
/// # Errors
/// Every verdict but success.
pub(crate) fn ended(ended: Ended<'_>) -> Result<Report> {
    let facts = facts(&ended);
    let json = json(&ended);
    let error = match &ended.verdict {
        Verdict::Succeeded => return Ok(succeeded(&ended, &facts, json)),
        Verdict::RolledBack { to, reason } => Error::new(
            Exit::RolledBack,
            format!(
                "{} did not become healthy and was rolled back: {} runs again",
                revision(&ended.wanted.task_definition),
                revision(to)
            ),
        )
        .cause(reason.clone()),
        Verdict::Superseded {
            by,
            task_definition,
        } => Error::failed(format!(
            "another deployment took the service over: {by} of {}",
            revision(task_definition)
        ))
        .hint("what this one would have run may never have become healthy; follow the other one"),
        Verdict::Failed { reason } => Error::failed(format!(
            "the deployment of {} failed",
            revision(&ended.wanted.task_definition)
        ))
        .cause(reason.clone()),
        Verdict::TimedOut { waited_for } => {
            let mut error = Error::failed(format!(
                "{} did not become healthy within {}",
                revision(&ended.wanted.task_definition),
                human(ended.timeout)
            ));
            error.causes = some(waited_for, 10)
                .iter()
                .map(|what| format!("still waiting for {what}"))
                .collect();
            error.hint(format!(
                "deployment {} goes on in ECS; a longer --timeout follows it longer",
                ended.wanted.deployment
            ))
        }
    };
    let why = ended.evidence.lines();
    let mut error = error.hint(look_hint(ended.world));
    error.details = why.join("\n");
    let mut summary = format!(
        "### Service {}: {}\n\n{}\n\n{}",
        ended.world.service,
        ended.verdict.word().replace('_', " "),
        code(&error.message),
        markdown_table(&["what", "value"], &facts)
    );
    if !why.is_empty() {
        summary.push_str(&format!("\n**Why**\n\n{}\n", block(&why)));
    }
    error.json = Some(json);
    Err(error.summary(summary))
}

fn succeeded(ended: &Ended<'_>, facts: &[Vec<String>], json: serde_json::Value) -> Report {
    let mut report = Report {
        summary: format!(
            "### Service {}: deployed\n\n{}",
            ended.world.service,
            markdown_table(&["what", "value"], facts)
        ),
        text: text_table(&["service", &ended.world.service], facts),
        json,
        ..Report::default()
    }
    .output("task-definition-arn", &ended.wanted.task_definition)
    .output("deployment-id", &ended.wanted.deployment)
    .output("service-arn", &ended.seen.service.arn);
    if let Some(address) = &ended.address {
        report = report.output("address", address);
    }
    report
}

fn facts(ended: &Ended<'_>) -> Vec<Vec<String>> {
    let mut facts = vec![
        ("verdict", ended.verdict.word().replace('_', " ")),
        ("image", ended.plan.image.clone()),
        (
            "task definition",
            revision(&ended.wanted.task_definition).to_owned(),
        ),
        ("deployment", ended.wanted.deployment.clone()),
        ("cluster", ended.world.cluster.clone()),
        (
            "account",
            format!("{} in {}", ended.account.id, ended.account.region),
        ),
        (
            "tasks",
            format!(
                "{} of {} running",
                ended.seen.service.running, ended.seen.service.desired
            ),
        ),
        ("took", human(ended.took)),
    ];
    if let Some(address) = &ended.address {
        facts.push(("address", address.clone()));
    }
    facts
        .into_iter()
        .map(|(what, value)| vec![what.to_owned(), value])
        .collect()
}

fn json(ended: &Ended<'_>) -> serde_json::Value {
    let mut json = serde_json::json!({
        "verdict": ended.verdict.word(),
        "service": ended.world.service,
        "service_arn": ended.seen.service.arn,
        "cluster": ended.world.cluster,
        "account": ended.account.id,
        "region": ended.account.region,
        "task_definition": ended.wanted.task_definition,
        "task_definition_before": ended.plan.base,
        "deployment": ended.wanted.deployment,
        "image": ended.plan.image,
        "digest": ended.wanted.digest.as_str(),
        "desired": ended.seen.service.desired,
        "running": ended.seen.service.running,
        "seconds": ended.took.as_secs(),
        "address": ended.address,
    });
    let more = match &ended.verdict {
        Verdict::Succeeded => return json,
        Verdict::RolledBack { to, reason } => {
            serde_json::json!({"rolled_back_to": to, "reason": reason})
        }
        Verdict::Superseded {
            by,
            task_definition,
        } => {
            serde_json::json!({"by": by, "by_task_definition": task_definition})
        }
        Verdict::Failed { reason } => serde_json::json!({"reason": reason}),
        Verdict::TimedOut { waited_for } => serde_json::json!({"waited_for": waited_for}),
    };
    for part in [more, serde_json::json!({"why": ended.evidence.json()})] {
        if let (Some(json), serde_json::Value::Object(part)) = (json.as_object_mut(), part) {
            json.extend(part);
        }
    }
    json
}

/// Words of others on the summary page, so that they cannot become Markdown.
pub(crate) fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'").replace(['\r', '\n'], " "))
}

fn block(lines: &[String]) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|line| line.replace("```", "'''"))
        .collect();
    format!("```text\n{}\n```", lines.join("\n"))
}
