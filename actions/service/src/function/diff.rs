//! `diff` of a function: what a deployment would change in what its alias serves.

use super::observe::observe;
use super::plan::{Gate, Plan, decide};
use super::{Found, find, gated};
use crate::args::{Diff, Version};
use crate::time::USUAL;
use kit::error::{Error, ErrorKind, Result};
use kit::{Cx, Report, markdown};
use lambda::Client;
use net::{Net, Purpose, RetryPolicy};
use tokio::time::Instant;

/// Compares, and reports.
///
/// # Errors
/// With `--exit-code`, there is a difference (exit 6). Otherwise bad input, or Lambda does not answer.
pub(super) async fn diff(args: Diff, cx: &Cx) -> Result<Report> {
    let defaults = cx.defaults()?;
    let net = Net::new(cx)?;
    let policy = RetryPolicy::within(USUAL);
    let found = find(cx, &net, &defaults, &args.selector, Purpose::Read, policy).await?;
    let Found { account, client } = &found;
    let digest = match args.digest {
        Some(digest) => digest,
        // What is served, so that only what the infrastructure changed since is a difference.
        None => client.look().await?.serving.digest().ok_or_else(|| {
            Error::failed("Lambda does not name the digest of the version that the alias serves")
        })?,
    };
    let version = Version {
        selector: args.selector,
        origin: args.origin,
        permit: None,
        timeout: None,
        dry_run: true,
        digest,
    };
    let until = Instant::now() + USUAL;
    let observed = observe(client, &version, defaults.contract(), account, until).await?;
    let gate = Gate {
        environment: gated(&defaults),
        rollback: false,
    };
    let plan = decide(client, &observed, &version.digest, gate)?;
    let report = report(client, &plan);
    if plan.keeps() || !args.exit_code {
        return Ok(report);
    }
    let mut error = Error::new(
        ErrorKind::Drifted,
        format!(
            "alias {} of function {} does not serve this",
            client.alias, client.function
        ),
    );
    error.details = report.text;
    error.json = Some(report.json);
    Err(error.summary(report.summary))
}

fn report(client: &Client, plan: &Plan) -> Report {
    let named = format!("alias {} of function {}", client.alias, client.function);
    let title = match plan.keeps() {
        true => format!("{named} serves this: no difference"),
        false => format!("{named} would change"),
    };
    let lines = match plan.keeps() {
        true => Vec::new(),
        false => plan.lines(),
    };
    let mut json = plan.json();
    json["function"] = client.function.clone().into();
    json["alias"] = client.alias.clone().into();
    json["differs"] = (!plan.keeps()).into();
    let mut summary = format!("### Difference: {}\n", markdown::code(&title));
    let mut text = title;
    if !lines.is_empty() {
        summary.push_str(&format!(
            "\n{}\n",
            markdown::block("text", &lines.join("\n"))
        ));
        text.push_str(&format!(":\n  {}", lines.join("\n  ")));
    }
    Report {
        summary,
        text,
        json,
        ..Report::default()
    }
}
