//! The report of a publication, for people and machines.

use super::act::{Outcome, Proof, Published};
use super::decide::Work;
use super::observe::Observed;
use super::order::Order;
use crate::ecr::Ecr;
use crate::key::Content;
use crate::push;
use crate::registry::{self, Registry};
use crate::replicas;
use crate::report::{Row, delivered, moved, report, row, seconds_text, thousandths};
use crate::repository;
use crate::request::{Origin, Request};
use kit::id::CommitId;
use kit::{Lenient, Report, Result};
use serde_json::json;

pub(super) fn published(
    ecr: &Ecr,
    registry: &Registry,
    request: &Request,
    published: &Published,
) -> Report {
    let digest = &published.image.digest;
    let reference = format!("{}/{}@{digest}", registry.host, ecr.repository);
    let account = outcome(&published.outcome);
    let rows = rows(ecr, request, published, &account);
    let destinations: Vec<_> = published
        .delivered
        .iter()
        .map(|(name, done)| delivered(name, done))
        .collect();
    let json = json!({
        "outcome": account.name,
        "repository": ecr.repository,
        "registry": registry.host,
        "digest": digest,
        "reference": reference,
        "tags": request.tags(),
        "commit": request.commit,
        "origin": origin(request),
        "built_for": account.built_for,
        "size": registry::size(published.image.manifest.as_bytes()),
        "repository_created": published.created,
        "pull_accounts": published.pull_accounts,
        "builder": account.builder,
        "content_key": content_key(published.content.as_ref()),
        "provenance": published.provenance.as_ref().map(|proof| json!({"key": proof.key, "tag": proof.tag})),
        "build_seconds": account.seconds,
        "to": destinations,
    });
    let sum = |count: fn(&push::Counts) -> u64| -> String {
        let bytes = published
            .delivered
            .iter()
            .map(|(_, done)| count(&done.counts));
        bytes.sum::<u64>().to_string()
    };
    let took = published.delivered.iter().map(|(_, done)| done.took);
    let seconds = thousandths(took.max().unwrap_or_default().as_secs_f64());
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
        .output("tags", request.tags().join("\n"))
        .output("platforms", platforms.join("\n"))
        .output("bytes-pushed", sum(|counts| counts.pushed))
        .output("bytes-skipped", sum(|counts| counts.skipped))
        .output("bytes-mounted", sum(|counts| counts.mounted))
        .output("seconds", seconds.to_string())
}

/// The table of a publication, as a person reads it.
fn rows(ecr: &Ecr, request: &Request, published: &Published, account: &Account<'_>) -> Vec<Row> {
    let mut rows = vec![
        row("repository", &ecr.repository),
        row("digest", &published.image.digest),
        row("tags", request.tags().join(" ")),
        row("commit", &request.commit),
    ];
    rows.extend(origin_row(request));
    if let Some(size) = registry::size(published.image.manifest.as_bytes()) {
        rows.push(row("size", format!("{} compressed", push::size(size))));
    }
    let created = if published.created { "yes" } else { "no" };
    rows.push(row("repository created", created));
    if !published.pulled_by.is_empty() {
        rows.push(row("pulled by", &published.pulled_by));
    }
    rows.extend(account.rows.iter().cloned());
    for (name, done) in &published.delivered {
        rows.push(row(&format!("to {name}"), moved(done)));
    }
    if published.platforms.len() > 1 {
        for (platform, digest) in &published.platforms {
            rows.push(row(platform, digest.as_str()));
        }
    }
    rows.extend(content_row(published.content.as_ref()));
    rows.extend(published.provenance.as_ref().map(provenance_row));
    rows.push(row("outcome", account.name));
    rows
}

/// The parts of a report that depend on how the image came to be.
struct Account<'a> {
    name: &'static str,
    rows: Vec<Row>,
    built_for: Option<&'a Lenient<CommitId>>,
    builder: Option<&'a str>,
    seconds: Option<f64>,
}

fn outcome(outcome: &Outcome) -> Account<'_> {
    let mut account = Account {
        name: "already published",
        rows: Vec::new(),
        built_for: None,
        builder: None,
        seconds: None,
    };
    match outcome {
        Outcome::Already {
            built_for: Some(commit),
            ..
        } => {
            account.name = "same content";
            account.rows.push(row(
                "built for",
                format!("{commit}, of the same content; nothing was built"),
            ));
            account.built_for = Some(commit);
        }
        Outcome::Already { added, .. } if added.is_empty() => {}
        Outcome::Already { .. } => account.name = "tags added",
        Outcome::Built {
            builder,
            build,
            repeatable,
        } => {
            account.name = "built";
            account.rows.push(row("built by", builder));
            account.rows.push(row("build", seconds_text(*build)));
            if !repeatable {
                account
                    .rows
                    .push(row("repeatable", "no: the builder writes its own times"));
            }
            account.builder = Some(builder);
            account.seconds = Some(thousandths(build.as_secs_f64()));
        }
        Outcome::Given => account.name = "pushed",
    }
    account
}

/// The origin of the image, if it was not compared with the commit.
fn origin_row(request: &Request) -> Option<Row> {
    match &request.origin {
        Origin::Commit => None,
        Origin::Prebuilt => Some(row(
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
        Origin::Prebuilt => "built elsewhere",
        Origin::Unverified(_) => "unverified",
    }
}

/// The note about the content key: why there is none, or why no other commit will have it.
fn content_row(content: Option<&Content>) -> Option<Row> {
    match content? {
        Content::Known(key) => key
            .note
            .as_ref()
            .map(|note| row("content key", note.as_str())),
        Content::Unknown(why) => Some(row("content key", format!("none: {}", why.join("; ")))),
    }
}

/// Where the image's provenance is.
fn provenance_row(proof: &Proof) -> Row {
    let value = match &proof.tag {
        Some(tag) => format!("signed by {}, tag {tag}", proof.key),
        None => "none: the image is not shown to be a commit's".to_owned(),
    };
    row("provenance", value)
}

fn content_key(content: Option<&Content>) -> Option<&str> {
    match content? {
        Content::Known(key) => Some(&key.hex),
        Content::Unknown(_) => None,
    }
}

/// The report of a dry run.
///
/// # Errors
/// A replica could not be observed.
pub(super) fn plan(order: &Order, seen: Observed, work: &Work) -> Result<Report> {
    let (request, ecr, repository) = (&order.request, &seen.ecr, &seen.prepared);
    let content = seen.content.as_ref();
    let replicas = replicas::planned(seen.replicas)?;
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
    rows.extend(replicas.iter().map(|replica| row("replica", replica)));
    rows.extend(content_row(content));
    let signs = seen
        .signing
        .as_ref()
        .map(|signing| match (request.is_commits(), &seen.shown) {
            (false, _) => "nothing: the image is not shown to be a commit's".to_owned(),
            (true, Some(_)) => "nothing: it is there".to_owned(),
            (true, None) => format!("sign with {}", signing.key),
        });
    rows.extend(signs.as_ref().map(|signs| row("provenance: would", signs)));
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
        "provenance_plan": signs,
        "to": replicas,
        "digest": digest,
    });
    Ok(report("Image: planned", &rows, json))
}
