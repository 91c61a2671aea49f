//! The conditions and their answers, in one table.

use super::decide::{Answer, Finding};
use crate::observe::Observed;
use ecs::Client;
use kit::error::{Error, Result};
use kit::report::{markdown_table, text_table};
use kit::{Report, markdown};

const HEADS: [&str; 3] = ["condition", "result", "reason"];

/// The report, or the refusal if a condition is not met or could not be seen.
///
/// # Errors
/// One is not (exit 3).
pub(super) fn verified(
    client: &Client,
    observed: &Observed,
    findings: &[Finding],
) -> Result<Report> {
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|finding| {
            let (word, reason) = finding.words();
            vec![
                finding.condition.clone(),
                word.to_owned(),
                reason.to_owned(),
            ]
        })
        .collect();
    let met = findings
        .iter()
        .filter(|it| it.answer == Answer::Met)
        .count();
    let all = findings.len();
    let title = format!(
        "service {} could run this version: {met} of {all} conditions are met",
        client.service
    );
    let json = serde_json::json!({
        "verified": met == all,
        "service": client.service,
        "cluster": client.cluster,
        "image": observed.image,
        "task_definition_base": observed.base().arn,
        "findings": findings.iter().map(|finding| {
            let (word, reason) = finding.words();
            serde_json::json!({"condition": finding.condition, "result": word.replace(' ', "_"), "reason": reason})
        }).collect::<Vec<_>>(),
    });
    let summary = format!(
        "### Verify: {}\n\n{}",
        markdown::code(&client.service),
        markdown_table(&HEADS, &rows)
    );
    let text = text_table(&HEADS, &rows);
    if met == all {
        return Ok(Report {
            summary,
            text: format!("{title}\n\n{text}"),
            json,
            ..Report::default()
        });
    }
    let unmet = findings.iter().filter(|it| it.answer != Answer::Met);
    let causes = unmet.map(|finding| {
        let (word, reason) = finding.words();
        format!("{}: {word}: {reason}", finding.condition)
    });
    let mut error = Error::refused(format!(
        "a deployment to service {} would not become healthy, or that cannot be seen: {met} of {all} conditions are met",
        client.service
    ))
    .with_causes(causes);
    error.details = text;
    error.json = Some(json);
    Err(error.summary(summary))
}
