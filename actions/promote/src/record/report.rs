//! The reports of `record`.

use super::Written;
use crate::setting::Setting;
use kit::Report;
use kit::id::Digest;
use kit::report::markdown_table;
use serde_json::json;

/// The record that would be written.
pub(super) fn dry_run(written: &Written) -> Report {
    let record = json!(written.record);
    Report {
        text: format!(
            "{}\n{record:#}\n",
            if written.already {
                "already recorded:"
            } else {
                "would record:"
            }
        ),
        json: json!({ "dry_run": true, "already": written.already, "record": record }),
        ..Report::default()
    }
}

/// Where no deployment began under the permit, so that none failed.
pub(super) fn nothing_recorded(setting: &Setting, permit: u64) -> Report {
    let line = format!(
        "no deployment to {} began under permit {permit}, so nothing was recorded",
        setting.environment
    );
    Report {
        text: format!("{line}\n"),
        summary: format!("{line}\n"),
        json: json!({ "record": null, "permit": permit }),
        ..Report::default()
    }
}

/// The record that was written.
pub(super) fn report(setting: &Setting, written: &Written, deployment: Option<u64>) -> Report {
    let record = &written.record;
    let hash = written.hash.clone().unwrap_or_default();
    let deployment = deployment.map(|id| id.to_string()).unwrap_or_default();
    let outcome = if written.already {
        "was already written"
    } else {
        "written"
    };
    let rows: Vec<Vec<String>> = [
        ("digest", record.digest.to_string()),
        ("commit", record.commit.to_string()),
        ("verdict", record.verdict.to_string()),
        ("by", record.actor.login.clone()),
        (
            "previous",
            record
                .previous
                .as_ref()
                .map_or_else(|| "none".to_owned(), Digest::to_string),
        ),
        ("hash", hash.clone()),
        (
            "GitHub Deployment",
            if deployment.is_empty() {
                "none".to_owned()
            } else {
                deployment.clone()
            },
        ),
    ]
    .into_iter()
    .chain(super::marks::rows(record))
    .map(|(name, value)| vec![name.to_owned(), value])
    .collect();
    let marks: String = super::marks::rows(record)
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    Report {
        text: format!(
            "record {} of {} in {} {outcome}: {} {}\n{marks}hash {hash}\n",
            record.seq, record.service, setting.environment, record.digest, record.verdict
        ),
        summary: format!(
            "### {}: record {} {outcome}\n\n{}",
            setting.environment,
            record.seq,
            markdown_table(&["", ""], &rows)
        ),
        json: json!({
            "record": record,
            "hash": hash,
            "already": written.already,
            "deployment": deployment,
        }),
        ..Report::default()
    }
    .output("record", record.seq.to_string())
    .output("hash", hash)
    .output("deployment", deployment)
}
