//! What a person and a machine get to see.

use crate::decide::{Mutability, RepositoryPlan};
use crate::ecr::Ecr;
use crate::publish::{Outcome, Published, Work};
use crate::pull::Pull;
use crate::registry::{self, Registry};
use crate::request::Request;
use kit::Report;
use kit::report::{markdown_table, text_table};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

type Row = [String; 2];

pub(crate) fn publish(
    ecr: &Ecr,
    registry: &Registry,
    request: &Request,
    published: &Published,
) -> Report {
    let digest = &published.image.digest;
    let reference = format!("{}/{}@{digest}", registry.host, ecr.repository);
    let tags = request.tags();
    let size = registry::size(published.image.manifest.as_bytes());
    let mut rows = vec![
        row("repository", &ecr.repository),
        row("digest", digest),
        row("tags", tags.join(" ")),
        row("commit", &request.commit),
    ];
    if let Some(size) = size {
        rows.push(row("size", mebibytes(size)));
    }
    rows.push(row(
        "repository created",
        if published.created { "yes" } else { "no" },
    ));
    if !published.pull.accounts.is_empty() {
        rows.push(row("pulled by", list(&published.pull.accounts)));
    }
    let (outcome, seconds) = match &published.outcome {
        Outcome::Already { added } if added.is_empty() => {
            ("already published", serde_json::Value::Null)
        }
        Outcome::Already { .. } => ("tags added", serde_json::Value::Null),
        Outcome::Built {
            builder,
            build,
            push,
        } => {
            rows.push(row("built by", builder));
            match push {
                Some(push) => {
                    rows.push(row("build", seconds_text(*build)));
                    rows.push(row("push", seconds_text(*push)));
                }
                None => rows.push(row("build and push", seconds_text(*build))),
            }
            let push = push.map(|push| tenths(push.as_secs_f64()));
            (
                "built",
                json!({"build": tenths(build.as_secs_f64()), "push": push}),
            )
        }
    };
    rows.push(row("outcome", outcome));
    let json = json!({
        "outcome": outcome,
        "repository": ecr.repository,
        "registry": registry.host,
        "digest": digest,
        "reference": reference,
        "tags": tags,
        "commit": request.commit,
        "size": size,
        "repository_created": published.created,
        "pull_accounts": published.pull.accounts,
        "builder": match &published.outcome {
            Outcome::Built { builder, .. } => Some(builder),
            Outcome::Already { .. } => None,
        },
        "seconds": seconds,
    });
    report("Image published", &rows, json)
        .output("digest", digest)
        .output("reference", reference)
        .output("repository", &ecr.repository)
        .output("registry", &registry.host)
        .output("tags", tags.join("\n"))
}

pub(crate) fn publish_plan(
    ecr: &Ecr,
    request: &Request,
    seen: Option<&Mutability>,
    pull: &Pull,
    work: &Work,
) -> Report {
    let (image, digest) = match work {
        Work::Build(client) => (format!("build with {} and push", client.name()), None),
        Work::Tag { digest, add } if add.is_empty() => {
            ("nothing: the commit is published".to_owned(), Some(digest))
        }
        Work::Tag { digest, add } => (format!("put tags {}", add.join(" ")), Some(digest)),
    };
    let repository = plan_text(&crate::decide::repository(seen));
    let mut rows = vec![
        row("repository", &ecr.repository),
        row("account", &ecr.account),
        row("region", &ecr.region),
        row("commit", &request.commit),
        row("tags", request.tags().join(" ")),
        row("repository: would", &repository),
        row("pull: would", pull_text(pull)),
        row("image: would", &image),
    ];
    if let Some(digest) = digest {
        rows.push(row("digest", digest));
    }
    let json = json!({
        "dry_run": true,
        "repository": ecr.repository,
        "account": ecr.account,
        "region": ecr.region,
        "commit": request.commit,
        "tags": request.tags(),
        "repository_plan": repository,
        "pull_accounts": pull.accounts,
        "pull_plan": pull_text(pull),
        "image_plan": image,
        "digest": digest,
    });
    report("Image: what would be done", &rows, json)
}

/// `host` is there once it was done; without it the report is a plan.
pub(crate) fn repository(
    ecr: &Ecr,
    plan: &RepositoryPlan,
    pull: &Pull,
    host: Option<&str>,
) -> Report {
    let what = plan_text(plan);
    let (title, verb) = match host {
        Some(_) => ("Repository", "done"),
        None => ("Repository: what would be done", "would"),
    };
    let mut rows = vec![
        row("repository", &ecr.repository),
        row("account", &ecr.account),
        row("region", &ecr.region),
    ];
    if let Some(host) = host {
        rows.push(row("registry", host));
    }
    rows.push(row(&format!("repository: {verb}"), &what));
    rows.push(row(&format!("pull: {verb}"), pull_text(pull)));
    let json = json!({
        "dry_run": host.is_none(),
        "repository": ecr.repository,
        "registry": host,
        "account": ecr.account,
        "region": ecr.region,
        "plan": what,
        "pull_accounts": pull.accounts,
        "pull_plan": pull_text(pull),
    });
    let report = report(title, &rows, json);
    match host {
        Some(host) => report
            .output("repository", &ecr.repository)
            .output("registry", host),
        None => report,
    }
}

fn plan_text(plan: &RepositoryPlan) -> String {
    match plan {
        RepositoryPlan::Create => "create it, with immutable tags".to_owned(),
        RepositoryPlan::Keep { drift } if drift.is_empty() => "nothing: it is there".to_owned(),
        RepositoryPlan::Keep { drift } => format!("nothing, but: {}", drift.join("; ")),
    }
}

fn pull_text(pull: &Pull) -> String {
    match (pull.accounts.is_empty(), pull.write) {
        (true, _) => "nothing: no other account is named".to_owned(),
        (false, true) => format!("let {} pull", list(&pull.accounts)),
        (false, false) => format!("nothing: {} may pull", list(&pull.accounts)),
    }
}

/// Account IDs, in a sentence.
pub(crate) fn list(accounts: &BTreeSet<String>) -> String {
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    accounts.join(", ")
}

fn report(title: &str, rows: &[Row], json: serde_json::Value) -> Report {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
    Report {
        summary: format!("### {title}\n\n{}", markdown_table(&["", ""], &rows)),
        text: text_table(&[title, ""], &rows),
        json,
        ..Report::default()
    }
}

fn row(name: &str, value: impl Into<String>) -> Row {
    [name.to_owned(), value.into()]
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).div_ceil(1 << 20);
    format!("{}.{} MiB compressed", tenths / 10, tenths % 10)
}

fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

fn seconds_text(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_up() {
        for (bytes, text) in [
            (0, "0.0 MiB compressed"),
            (1, "0.1 MiB compressed"),
            (1 << 20, "1.0 MiB compressed"),
            (1_100_000, "1.1 MiB compressed"),
        ] {
            assert_eq!(mebibytes(bytes), text);
        }
    }
}
