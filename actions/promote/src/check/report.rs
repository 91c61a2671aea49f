//! The report of a decision, for people and machines.

use super::Subject;
use super::answer::Decision;
use super::facts::Facts;
use super::rules::approvers;
use crate::setting::Setting;
use kit::error::{Error, Result};
use kit::id::CommitId;
use kit::markdown;
use kit::report::{Report, markdown_table, text_table};
use serde_json::{Value, json};

const HEADER: [&str; 3] = ["rule", "answer", "fact"];

/// A report if the gate allows the promotion, a refusal (exit 3) if it does not.
pub(super) fn report(
    setting: &Setting,
    subject: &Subject,
    facts: &Facts,
    decision: &Decision,
) -> Result<Report> {
    let rows = rows(decision);
    let digest = &subject.digest;
    let commit = subject
        .commit
        .as_ref()
        .map(CommitId::as_str)
        .unwrap_or_default();
    let environment = &setting.environment;
    let verdict = if decision.allowed() {
        "allows"
    } else {
        "refuses"
    };
    let obstacle = decision.obstacle();
    let next = match obstacle {
        None => format!("deploy {digest} to {environment}, then record it"),
        Some(_) => decision
            .next()
            .unwrap_or_else(|| "see the table".to_owned()),
    };
    let changes = changes(facts);
    let lines = lines(&changes);
    // An image is built once, for the first commit with its content.
    let (built, built_markdown) = match &subject.built_for {
        Some(first) => (
            format!("built for commit {first}, which has the same content\n"),
            format!(" (built for `{first}`, which has the same content)"),
        ),
        None => Default::default(),
    };
    let text = format!(
        "{environment} {verdict} {digest}\ncommit {commit}\n{built}{lines}\n{}\nnext: {next}\n",
        text_table(&HEADER, &rows)
    );
    let summary = format!(
        "### {environment} {verdict} `{digest}`\n\nCommit `{commit}`{built_markdown}\n\n{}\n{}\n**Next:** {}\n",
        markdown_changes(&changes),
        markdown_table(&HEADER, &rows),
        markdown::text(&next),
    );
    let json = json!({
        "allowed": decision.allowed(),
        "environment": environment,
        "service": setting.service,
        "digest": digest,
        "commit": subject.commit,
        "built_for": subject.built_for,
        "from": setting.follows,
        "rules": decision.rules,
        "changes": changes,
        "next": next,
    });
    if let Some(rule) = obstacle {
        let mut error = Error::refused(format!(
            "{environment} refuses {digest}: {}: {}",
            rule.rule, rule.fact
        ));
        error.details = text;
        error.json = Some(json);
        return Err(error.summary(summary));
    }
    Ok(Report {
        summary,
        text,
        json,
        ..Report::default()
    }
    .output("digest", digest)
    .output("commit", commit)
    .output(
        "repository",
        setting.image_repository.clone().unwrap_or_default(),
    )
    .output("from", setting.follows.clone().unwrap_or_default()))
}

fn rows(decision: &Decision) -> Vec<Vec<String>> {
    decision
        .rules
        .iter()
        .map(|rule| {
            vec![
                rule.rule.to_owned(),
                rule.answer.as_str().to_owned(),
                rule.fact.clone(),
            ]
        })
        .collect()
}

/// A line for each pull request.
fn lines(changes: &[Value]) -> String {
    changes
        .iter()
        .map(|change| {
            format!(
                "#{} {}, opened by {}, approved by {}\n",
                plain(&change["number"]),
                plain(&change["title"]),
                plain(&change["author"]),
                plain(&change["approvers"]),
            )
        })
        .collect()
}

/// The pull requests being promoted.
fn changes(facts: &Facts) -> Vec<Value> {
    facts
        .changes
        .iter()
        .map(|change| {
            json!({
                "number": change.pull.number,
                "title": change.pull.title,
                "url": change.pull.html_url,
                "author": change.pull.user.as_ref().map(|user| &user.login),
                "approvers": approvers(change).ok(),
            })
        })
        .collect()
}

fn markdown_changes(changes: &[Value]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = changes
        .iter()
        .map(|change| {
            ["number", "title", "author", "approvers"]
                .map(|name| plain(&change[name]))
                .into()
        })
        .collect();
    markdown_table(
        &["pull request", "title", "opened by", "approved by"],
        &rows,
    )
}

/// A JSON value as plain text.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "unknown".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "nobody".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
