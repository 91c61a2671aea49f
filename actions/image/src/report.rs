//! Reports for people and machines: of `copy` and `retag`, and what all reports are made of.

use crate::push::{self, Delivered, Target};
use kit::Report;
use kit::id::Digest;
use kit::report::{markdown_table, text_table};
use serde_json::json;
use std::time::Duration;

pub(crate) type Row = [String; 2];

/// A copy, as both its reports tell it.
pub(crate) struct Copy<'a> {
    pub(crate) from: &'a str,
    pub(crate) digest: &'a Digest,
    pub(crate) tags: &'a [String],
    pub(crate) targets: &'a [Target],
    /// The repositories that were missing.
    pub(crate) created: &'a [String],
}

impl Copy<'_> {
    fn rows(&self) -> Vec<Row> {
        vec![
            row("from", self.from),
            row("digest", self.digest.as_str()),
            row("tags", self.tags.join(" ")),
        ]
    }

    fn created(&self, name: &str) -> impl Iterator<Item = Row> {
        self.created
            .iter()
            .map(move |repository| row(name, repository))
    }
}

/// The report of a planned copy.
pub(crate) fn copy_plan(copy: &Copy<'_>) -> Report {
    let mut rows = copy.rows();
    rows.extend(copy.created("would create"));
    let targets = copy.targets.iter();
    rows.extend(targets.map(|target| row("would copy to", target.name())));
    let json = json!({
        "dry_run": true,
        "from": copy.from,
        "digest": copy.digest.as_str(),
        "to": copy.targets.iter().map(Target::name).collect::<Vec<_>>(),
        "tags": copy.tags,
        "created": copy.created,
    });
    report("Copy: planned", &rows, json)
}

/// The report of a copy, for each target.
pub(crate) fn copy(copy: &Copy<'_>, copied: &[Delivered]) -> Report {
    let mut rows = copy.rows();
    rows.extend(copy.created("created"));
    let each = || copy.targets.iter().zip(copied);
    for (target, done) in each() {
        rows.push(row(&format!("to {}", target.name()), moved(done)));
    }
    let to: Vec<_> = each()
        .map(|(target, done)| delivered(target.name(), done))
        .collect();
    let json = json!({
        "dry_run": false,
        "from": copy.from,
        "digest": copy.digest.as_str(),
        "tags": copy.tags,
        "created": copy.created,
        "to": to,
    });
    report("Image copied", &rows, json)
        .output("digest", copy.digest.as_str())
        .output("tags", copy.tags.join("\n"))
}

/// Tags that were put, or would be.
pub(crate) fn retag(target: &Target, digest: &Digest, tags: &[String], dry_run: bool) -> Report {
    let (title, put) = match dry_run {
        true => ("Tags: planned", "would put"),
        false => ("Image tagged", "put"),
    };
    let added = match target.tags.as_slice() {
        [] => "nothing: all are there".to_owned(),
        added => added.join(" "),
    };
    let rows = [
        row("repository", target.name()),
        row("digest", digest.as_str()),
        row("tags", tags.join(" ")),
        row(put, added),
    ];
    let json = json!({
        "dry_run": dry_run,
        "repository": target.repo.name,
        "registry": target.repo.client.host(),
        "digest": digest.as_str(),
        "tags": tags,
        "added": target.tags,
    });
    let report = report(title, &rows, json);
    match dry_run {
        true => report,
        false => report
            .output("digest", digest.as_str())
            .output("repository", &target.repo.name)
            .output("registry", target.repo.client.host())
            .output("tags", tags.join("\n")),
    }
}

/// One target's part of a push, for machines.
pub(crate) fn delivered(name: &str, done: &Delivered) -> serde_json::Value {
    let platforms: serde_json::Map<String, serde_json::Value> = done
        .platforms
        .iter()
        .map(|(platform, digest)| (platform.clone(), json!(digest.as_str())))
        .collect();
    json!({
        "name": name,
        "digest": done.manifest.digest.as_str(),
        "platforms": platforms,
        "bytes": {
            "pushed": done.counts.pushed,
            "skipped": done.counts.skipped,
            "mounted": done.counts.mounted,
        },
        "seconds": thousandths(done.took.as_secs_f64()),
    })
}

/// The same for people.
pub(crate) fn moved(done: &Delivered) -> String {
    let counts = done.counts;
    format!(
        "{} pushed, {} there already, {} mounted, {}",
        push::size(counts.pushed),
        push::size(counts.skipped),
        push::size(counts.mounted),
        seconds_text(done.took)
    )
}

pub(crate) fn report(title: &str, rows: &[Row], json: serde_json::Value) -> Report {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
    Report {
        summary: format!("### {title}\n\n{}", markdown_table(&["", ""], &rows)),
        text: text_table(&[title, ""], &rows),
        json,
        ..Report::default()
    }
}

pub(crate) fn row(name: &str, value: impl Into<String>) -> Row {
    [name.to_owned(), value.into()]
}

pub(crate) fn thousandths(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

pub(crate) fn seconds_text(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
