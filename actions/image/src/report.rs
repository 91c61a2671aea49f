//! What a person and a machine get to see.

use crate::ecr::Ecr;
use crate::key::Content;
use crate::publish::{Outcome, Published, Work};
use crate::push::{self, Delivered, Target};
use crate::registry::{self, Registry};
use crate::repository::{self, Prepared};
use crate::request::{Origin, Request};
use kit::Report;
use kit::id::Digest;
use kit::report::{markdown_table, text_table};
use serde_json::json;
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
    rows.extend(origin_row(request));
    if let Some(size) = size {
        rows.push(row("size", format!("{} compressed", push::size(size))));
    }
    rows.push(row(
        "repository created",
        if published.created { "yes" } else { "no" },
    ));
    if !published.pulled_by.is_empty() {
        rows.push(row("pulled by", &published.pulled_by));
    }
    let mut seconds = json!(null);
    let mut builder = None;
    let mut first = None;
    let outcome = match &published.outcome {
        Outcome::Already {
            built_for: Some(commit),
            ..
        } => {
            rows.push(row(
                "built for",
                format!("{commit}, of the same content; nothing was built"),
            ));
            first = Some(commit);
            "same content"
        }
        Outcome::Already { added, .. } if added.is_empty() => "already published",
        Outcome::Already { .. } => "tags added",
        Outcome::Built {
            builder: name,
            build,
            repeatable,
        } => {
            rows.push(row("built by", name));
            rows.push(row("build", seconds_text(*build)));
            if !repeatable {
                rows.push(row("repeatable", "no: the builder writes its own times"));
            }
            seconds = json!(thousandths(build.as_secs_f64()));
            builder = Some(name);
            "built"
        }
        Outcome::Given => "pushed",
    };
    for (name, done) in &published.delivered {
        rows.push(row(&format!("to {name}"), moved(done)));
    }
    if published.platforms.len() > 1 {
        for (platform, digest) in &published.platforms {
            rows.push(row(platform, digest.as_str()));
        }
    }
    rows.extend(content_row(published.content.as_ref()));
    rows.push(row("outcome", outcome));
    let places: Vec<_> = published
        .delivered
        .iter()
        .map(|(name, done)| delivered(name, done))
        .collect();
    let json = json!({
        "outcome": outcome,
        "repository": ecr.repository,
        "registry": registry.host,
        "digest": digest,
        "reference": reference,
        "tags": tags,
        "commit": request.commit,
        "origin": origin(request),
        "built_for": first,
        "size": size,
        "repository_created": published.created,
        "pull_accounts": published.pull_accounts,
        "builder": builder,
        "content_key": content_key(published.content.as_ref()),
        "build_seconds": seconds,
        "to": places,
    });
    let sum = |count: fn(&push::Counts) -> u64| -> String {
        let bytes = published
            .delivered
            .iter()
            .map(|(_, done)| count(&done.counts));
        bytes.sum::<u64>().to_string()
    };
    let took = published.delivered.iter().map(|(_, done)| done.took);
    let platforms: Vec<String> = published
        .platforms
        .iter()
        .map(|(platform, digest)| format!("{platform}={digest}"))
        .collect();
    report("Image published", &rows, json)
        .output("digest", digest)
        .output("reference", reference)
        .output("repository", &ecr.repository)
        .output("registry", &registry.host)
        .output("tags", tags.join("\n"))
        .output("platforms", platforms.join("\n"))
        .output("bytes-pushed", sum(|counts| counts.pushed))
        .output("bytes-skipped", sum(|counts| counts.skipped))
        .output("bytes-mounted", sum(|counts| counts.mounted))
        .output(
            "seconds",
            thousandths(took.max().unwrap_or_default().as_secs_f64()).to_string(),
        )
}

/// How it is known that the image is the commit's, where nothing compared them.
fn origin_row(request: &Request) -> Option<Row> {
    match &request.origin {
        Origin::Commit => None,
        Origin::BuiltElsewhere => Some(row(
            "origin",
            "built elsewhere; not compared with the commit",
        )),
        Origin::Unverified(reason) => Some(row(
            "origin",
            format!("not shown to be the commit: {reason}"),
        )),
    }
}

fn origin(request: &Request) -> &'static str {
    match request.origin {
        Origin::Commit => "commit",
        Origin::BuiltElsewhere => "built elsewhere",
        Origin::Unverified(_) => "unverified",
    }
}

/// What is to be known of the content key: why there is none, or why it will not be met again.
fn content_row(content: Option<&Content>) -> Option<Row> {
    match content? {
        Content::Known(key) => key
            .note
            .as_ref()
            .map(|note| row("content key", note.as_str())),
        Content::Unknown(why) => Some(row("content key", format!("none: {}", why.join("; ")))),
    }
}

fn content_key(content: Option<&Content>) -> Option<&str> {
    match content? {
        Content::Known(key) => Some(&key.hex),
        Content::Unknown(_) => None,
    }
}

pub(crate) fn publish_plan(
    ecr: &Ecr,
    request: &Request,
    repository: &Prepared,
    work: &Work,
    content: Option<&Content>,
    elsewhere: &[String],
) -> Report {
    let (image, digest) = match work {
        Work::Build(builder, _) => (format!("build with {} and push", builder.name()), None),
        Work::Push(_) => ("push what --layout names".to_owned(), None),
        Work::Tag { digest, add } if add.is_empty() => {
            ("nothing: the commit is published".to_owned(), Some(digest))
        }
        Work::Tag { digest, add } => (format!("put tags {}", add.join(" ")), Some(digest)),
    };
    let plan = repository::report::line(repository);
    let mut rows = vec![
        row("repository", &ecr.repository),
        row("account", &ecr.account),
        row("region", &ecr.region),
        row("commit", &request.commit),
        row("tags", request.tags().join(" ")),
        row("repository: would", &plan),
        row("image: would", &image),
    ];
    rows.extend(origin_row(request));
    rows.extend(elsewhere.iter().map(|place| row("also to", place)));
    rows.extend(content_row(content));
    if let Some(digest) = digest {
        rows.push(row("digest", digest));
    }
    let json = json!({
        "dry_run": true,
        "repository": ecr.repository,
        "account": ecr.account,
        "region": ecr.region,
        "commit": request.commit,
        "origin": origin(request),
        "tags": request.tags(),
        "repository_changes": repository::report::json_changes(repository),
        "pull_accounts": repository.wanted.pull,
        "image_plan": image,
        "content_key": content_key(content),
        "to": elsewhere,
        "digest": digest,
    });
    report("Image: what would be done", &rows, json)
}

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
        self.created.iter().map(move |place| row(name, place))
    }
}

/// What a copy would do.
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
    report("Copy: what would be done", &rows, json)
}

/// What a copy did, for each target.
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
        true => ("Tags: what would be done", "would put"),
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
fn moved(done: &Delivered) -> String {
    let counts = done.counts;
    format!(
        "{} pushed, {} there already, {} mounted, {}",
        push::size(counts.pushed),
        push::size(counts.skipped),
        push::size(counts.mounted),
        seconds_text(done.took)
    )
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

fn thousandths(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn seconds_text(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
