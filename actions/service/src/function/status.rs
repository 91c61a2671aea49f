//! `status` of a function: what its alias serves, and whether that is healthy.

use super::{Found, find};
use crate::args::ServiceSelector;
use crate::progress::first_few;
use kit::error::{Error, Result};
use kit::id::Digest;
use kit::markdown;
use kit::report::{markdown_table, text_table};
use kit::{Cx, Report};
use lambda::{Client, Expected, Function, Look, missing};
use net::{Net, Purpose, RetryPolicy};
use std::time::Duration;

/// How long a call that AWS throttles is made again.
const RETRY: Duration = Duration::from_secs(60);

const HEADS: [&str; 4] = ["version", "traffic", "state", "digest"];

/// Looks once and reports.
///
/// # Errors
/// Bad input, no such function or alias, or Lambda does not answer.
pub(super) async fn status(args: &ServiceSelector, cx: &Cx) -> Result<Report> {
    let defaults = cx.defaults()?;
    let net = Net::new(cx)?;
    let policy = RetryPolicy::within(RETRY);
    let Found { client, .. } = find(cx, &net, &defaults, args, Purpose::Read, policy).await?;
    let look = client.look().await?;
    let second = match look.alias.weight() {
        Some((version, _)) => Some(client.function(Some(version)).await?),
        None => None,
    };
    Ok(report(&client, &look, second.as_ref()))
}

/// The conditions that are missing for the alias to be healthy with what it serves now.
pub(super) fn lacking(look: &Look) -> Vec<String> {
    let Some(digest) = look.serving.digest() else {
        return vec![
            "Lambda to name the digest of the version: its code may not be an image".to_owned(),
        ];
    };
    let expected = Expected {
        version: None,
        digest,
    };
    missing(&expected, look)
}

fn report(client: &Client, look: &Look, second: Option<&Function>) -> Report {
    let lacking = lacking(look);
    let health = match lacking.as_slice() {
        [] => "healthy".to_owned(),
        missing => format!("not healthy: {}", first_few(missing, 5).join("; ")),
    };
    let weight = look.alias.weight();
    let share = weight.map_or(0.0, |(_, weight)| weight);
    let row = |function: &Function, share: f64| {
        let digest = function.digest();
        vec![
            function.configuration.version.clone(),
            format!("{:.0}%", share * 100.0),
            function.configuration.state.clone().unwrap_or_default(),
            digest.map_or_else(String::new, |digest| digest.to_string()),
        ]
    };
    let mut rows = vec![row(&look.serving, 1.0 - share)];
    rows.extend(second.map(|second| row(second, share)));
    let (function, alias) = (&client.function, &client.alias);
    let title = format!(
        "alias {alias} of function {function} serves {}",
        look.alias.line()
    );
    let json = serde_json::json!({
        "function": function,
        "alias": alias,
        "alias_arn": look.alias.alias_arn,
        "version": look.alias.function_version,
        "digest": look.serving.digest().as_ref().map(Digest::as_str),
        "second_version": weight.map(|(version, _)| version),
        "second_digest": second.and_then(Function::digest).as_ref().map(Digest::as_str),
        "second_weight": weight.map(|(_, weight)| weight),
        "state": look.serving.configuration.state,
        "provisioned_concurrency": look.provisioned.as_ref().map(|it| serde_json::json!({
            "status": it.status,
            "requested": it.requested_provisioned_concurrent_executions,
            "available": it.available_provisioned_concurrent_executions,
        })),
        "healthy": lacking.is_empty(),
        "missing": lacking,
    });
    Report {
        summary: format!(
            "### Function {function}\n\n{}\n\n{}",
            markdown::code(&health),
            markdown_table(&HEADS, &rows)
        ),
        text: format!("{title}: {health}\n\n{}", text_table(&HEADS, &rows)),
        json,
        ..Report::default()
    }
    .output(
        "function-version-arn",
        &look.serving.configuration.function_arn,
    )
}

/// The error of an alias that does not serve what it should, completely.
pub(super) fn unhealthy(client: &Client, missing: &[String]) -> Error {
    Error::failed(format!(
        "alias {} of function {} is not healthy",
        client.alias, client.function
    ))
    .with_causes(first_few(missing, 10))
}
