//! The plan as a person and a machine get to see it.

use super::guard::Checked;
use super::plan::Scanning;
use super::prepared::Prepared;
use crate::ecr::Ecr;
use kit::Report;
use kit::report::{count, markdown_table, text_table};
use serde_json::{Value, json};

const HEADER: [&str; 3] = ["setting", "from", "to"];

/// `host` is there once it was done; without it the report is a plan.
pub(crate) fn report(ecr: &Ecr, prepared: &Prepared, host: Option<&str>) -> Report {
    let changes = rows(prepared);
    let outcome = match (host, changes.len()) {
        (_, 0) => "nothing to change".to_owned(),
        (Some(_), number) => format!("{} made", count(number, "change")),
        (None, number) => format!("{} to make", count(number, "change")),
    };
    let title = format!(
        "Repository {} in account {}, {}: {outcome}",
        ecr.repository, ecr.account, ecr.region
    );
    let mut notes: Vec<String> = prepared.warnings().cloned().collect();
    notes.extend(checked(&prepared.checked));
    let mut text = format!("{title}\n");
    let mut summary = format!("### {title}\n");
    if !changes.is_empty() {
        text.push_str(&text_table(&HEADER, &changes));
        summary.push_str(&format!("\n{}", markdown_table(&HEADER, &changes)));
    }
    for note in &notes {
        text.push_str(&format!("note: {note}\n"));
        summary.push_str(&format!("\n- {}\n", kit::markdown::text(note)));
    }
    let report = Report {
        text,
        summary,
        json: json!({
            "dry_run": host.is_none(),
            "repository": ecr.repository,
            "registry": host,
            "account": ecr.account,
            "region": ecr.region,
            "created": host.is_some() && prepared.plan.creates(),
            "changes": json_changes(prepared),
            "pull_accounts": prepared.wanted.pull,
            "scanning": scanning(prepared),
            "lifecycle_checked": matches!(prepared.checked, Checked::Safe { .. }),
            "notes": notes,
        }),
        ..Report::default()
    };
    match host {
        Some(host) => report
            .output("repository", &ecr.repository)
            .output("registry", host),
        None => report,
    }
}

/// The changes in one line, for reports that are about more.
pub(crate) fn line(prepared: &Prepared) -> String {
    let changes: Vec<String> = rows(prepared)
        .into_iter()
        .map(|row| format!("{}: {} → {}", row[0], row[1], row[2]))
        .collect();
    if changes.is_empty() {
        "nothing: it is as wanted".to_owned()
    } else {
        changes.join("; ")
    }
}

/// The changes for machines.
pub(crate) fn json_changes(prepared: &Prepared) -> Vec<Value> {
    prepared
        .plan
        .changes
        .iter()
        .map(|change| json!({"setting": change.setting, "from": change.from, "to": change.to}))
        .collect()
}

fn rows(prepared: &Prepared) -> Vec<Vec<String>> {
    prepared
        .plan
        .changes
        .iter()
        .map(|change| {
            vec![
                change.setting.clone(),
                change.from.clone().unwrap_or_else(|| "none".to_owned()),
                change.to.clone(),
            ]
        })
        .collect()
}

fn checked(checked: &Checked) -> Option<String> {
    match checked {
        Checked::NotAsked => None,
        Checked::NoLedger => Some(
            "the lifecycle policy was not checked against what is live: no contract names a ledger"
                .to_owned(),
        ),
        Checked::Safe { live, .. } => Some(format!(
            "the lifecycle policy takes none of the {} the ledger calls live",
            count(*live, "image")
        )),
    }
}

fn scanning(prepared: &Prepared) -> Option<&str> {
    match prepared.seen.as_ref()?.scanning.as_ref()? {
        Scanning::By(frequency) => Some(frequency),
        Scanning::Never => Some("MANUAL"),
        Scanning::Unknown(_) => None,
    }
}
