//! The verdict as a person and a machine get to see it.

use super::judge::{Judged, Judgement, Verdict};
use super::scanned::Severities;
use crate::ecr::Ecr;
use crate::scan::Severity;
use kit::id::Digest;
use kit::markdown;
use kit::report::{count, markdown_table, text_table};
use kit::{Error, Report, Result};
use serde_json::{Value, json};

const HEADER: [&str; 6] = [
    "finding", "severity", "package", "version", "fixed in", "passes",
];

/// # Errors
/// The verdict is not clean (exit 3).
pub(super) fn report(
    ecr: &Ecr,
    digest: &Digest,
    fail_on: Severity,
    judgement: &Judgement,
) -> Result<Report> {
    let counts = counts(&judgement.counts);
    let json = json!({
        "verdict": judgement.verdict.word(),
        "repository": ecr.repository,
        "digest": digest.as_str(),
        "fail_on": fail_on.name(),
        "counts": json_counts(&judgement.counts),
        "findings": judgement.findings.iter().map(json_finding).collect::<Vec<_>>(),
        "not_performed": judgement.not_performed.iter().map(|(image, why)| {
            json!({"image": image, "status": why.status, "why": why.why})
        }).collect::<Vec<_>>(),
        "notes": judgement.notes,
    });
    let rows: Vec<Vec<String>> = judgement.findings.iter().map(row).collect();
    let table = |render: &dyn Fn() -> String| match rows.is_empty() {
        true => String::new(),
        false => render(),
    };
    let title = title(digest, fail_on, judgement);
    let text = format!("{}{counts}\n", table(&|| text_table(&HEADER, &rows)));
    let mut summary = format!(
        "### Scan: {title}\n\n{}\n{counts}\n",
        table(&|| markdown_table(&HEADER, &rows))
    );
    for (image, why) in &judgement.not_performed {
        let line = format!("{image}: {}: {}", why.status, why.why);
        summary.push_str(&format!("\n- {}\n", markdown::text(&line)));
    }
    for note in &judgement.notes {
        summary.push_str(&format!("\n- {}\n", markdown::text(note)));
    }
    if judgement.verdict == Verdict::Clean {
        return Ok(Report {
            text: format!("{title}\n{text}"),
            summary,
            json,
            ..Report::default()
        }
        .output("verdict", judgement.verdict.word())
        .output("counts", counts));
    }
    let mut error = Error::refused(title).summary(summary);
    error.json = Some(json);
    for (image, why) in &judgement.not_performed {
        error = error.cause(format!("{image}: {}: {}", why.status, why.why));
    }
    if judgement.verdict == Verdict::Findings {
        error.details = text;
        error = error
            .hint(
                "update the base image or the package to a version with the fix, and publish again",
            )
            .hint("to let a finding pass for a time: --waive ID=DAY");
    } else {
        let mut hints: Vec<&str> = judgement
            .not_performed
            .iter()
            .map(|(_, why)| why.hint.as_str())
            .collect();
        hints.dedup();
        for hint in hints {
            error = error.hint(hint);
        }
    }
    Err(error)
}

fn title(digest: &Digest, fail_on: Severity, judgement: &Judgement) -> String {
    let refused = judgement.findings.iter().filter(|one| one.refused).count();
    match judgement.verdict {
        Verdict::Clean if judgement.findings.is_empty() => {
            format!("{digest} is clean: nothing was found")
        }
        Verdict::Clean => format!(
            "{digest} is clean: nothing of severity {} or above that is not waived",
            fail_on.name()
        ),
        Verdict::Findings => format!(
            "{digest} has {} of severity {} or above",
            count(refused, "finding"),
            fail_on.name()
        ),
        Verdict::NotPerformed => {
            format!("{digest} was not scanned; it is not known whether it is clean")
        }
    }
}

fn row(judged: &Judged) -> Vec<String> {
    let finding = &judged.finding;
    let cell = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        match &judged.platform {
            Some(platform) => format!("{} ({platform})", finding.id),
            None => finding.id.clone(),
        },
        finding.severity.name().to_owned(),
        cell(&finding.package),
        cell(&finding.version),
        cell(&finding.fixed),
        match (judged.refused, judged.waived) {
            (_, Some(day)) => format!("waived until {day}"),
            (true, None) => "no".to_owned(),
            (false, None) => "yes".to_owned(),
        },
    ]
}

fn json_finding(judged: &Judged) -> Value {
    let finding = &judged.finding;
    json!({
        "id": finding.id,
        "severity": finding.severity.name(),
        "platform": judged.platform,
        "package": finding.package,
        "version": finding.version,
        "fixed_in": finding.fixed,
        "uri": finding.uri,
        "waived_until": judged.waived.map(|day| day.to_string()),
        "refused": judged.refused,
    })
}

fn counts(counts: &Severities) -> String {
    let each: Vec<String> = Severity::ALL
        .iter()
        .map(|severity| format!("{}={}", severity.name(), counts.of(*severity)))
        .collect();
    each.join(" ")
}

fn json_counts(counts: &Severities) -> Value {
    Severity::ALL
        .iter()
        .map(|severity| (severity.name().to_owned(), json!(counts.of(*severity))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
