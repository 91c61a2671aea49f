//! `rollback` of a function: ends a deployment whose traffic moves. Lambda keeps no record of what an alias served, so where no
//! traffic moves there is nothing to go back to that would be proven to have been healthy.

use super::act::{Set, set};
use super::stage::Stage;
use super::status::{lacking, unhealthy};
use super::{find, status_hint};
use crate::args::RollBack;
use crate::interrupt::Progress;
use crate::time::{USUAL, refuse_none};
use kit::error::{Error, ErrorKind, Result};
use kit::markdown;
use kit::{Cx, Report};
use lambda::{Client, Look, Moved};
use net::{Net, PollInterval, Purpose, RetryPolicy};
use tokio::time::{Instant, sleep};

/// Has the alias serve the version alone from which traffic moves away.
///
/// # Errors
/// No traffic moves (exit 3), or the end is another one.
pub(super) async fn roll_back(args: RollBack, cx: &Cx) -> Result<Report> {
    let arguments = args.selector.arguments(cx);
    let progress = Progress::default();
    progress.run(steps(args, cx, &progress), &arguments).await
}

async fn steps(args: RollBack, cx: &Cx, progress: &Progress<Stage>) -> Result<Report> {
    let time = args.timeout.unwrap_or(USUAL);
    refuse_none(time)?;
    let defaults = cx.defaults()?;
    let net = Net::new(cx)?;
    let (until, policy) = (Instant::now() + time, RetryPolicy::within(time));
    let purpose = match args.dry_run {
        true => Purpose::Read,
        false => Purpose::Deploy,
    };
    let found = find(cx, &net, &defaults, &args.selector, purpose, policy).await?;
    let client = &found.client;
    let look = client.look().await?;
    let Some((second, weight)) = look.alias.weight().filter(|_| look.provisioned.is_none()) else {
        return Err(nothing(client, &look));
    };
    let home = &look.alias.function_version;
    let line = format!(
        "version {home} gets all of the traffic back; version {second} had {:.0}% of it",
        weight * 100.0
    );
    if args.dry_run {
        return Ok(told(client, &look, &format!("would do: {line}"), true));
    }
    if let Some(gated) = defaults
        .contract()
        .filter(|contract| contract.gate.required)
    {
        let environment = &gated.environment;
        return Err(Error::refused(format!(
            "{environment} has a gate, so the alias changes only under a permit"
        ))
        .hint(format!("ask for one: slipway-promote grant --environment {environment} --rollback"))
        .hint("then deploy its digest under it: slipway-service deploy --permit NUMBER --digest DIGEST"));
    }
    cx.host.info(line);
    progress.at(Stage::GoingBack {
        version: home.clone(),
    });
    let from = Moved {
        version: home.clone(),
        weight: Some((second.to_owned(), weight)),
    };
    let to = Moved {
        version: home.clone(),
        weight: None,
    };
    if let Set::Taken(alias) = set(client, std::slice::from_ref(&from), &to).await? {
        return Err(Error::new(
            ErrorKind::Superseded,
            format!(
                "somebody else changed the alias meanwhile: it serves {}",
                alias.line()
            ),
        )
        .hint(status_hint(client)));
    }
    verified(client, home, until).await
}

/// Waits until the alias serves the version alone, healthy.
async fn verified(client: &Client, home: &str, until: Instant) -> Result<Report> {
    let mut interval = PollInterval::new();
    loop {
        let look = client.look().await?;
        let mut missing = lacking(&look);
        if look.alias.function_version != home {
            missing.push(format!(
                "the alias to serve version {home}: it serves {}",
                look.alias.line()
            ));
        }
        if missing.is_empty() {
            let line = format!("it serves version {home} alone again");
            return Ok(told(client, &look, &line, false).output("verdict", "rolled-back"));
        }
        if Instant::now() >= until {
            return Err(unhealthy(client, &missing).hint(status_hint(client)));
        }
        sleep(interval.next(false)).await;
    }
}

fn nothing(client: &Client, look: &Look) -> Error {
    let (function, alias) = (&client.function, &client.alias);
    Error::refused(format!(
        "no traffic of alias {alias} of function {function} moves, so there is nothing to end"
    ))
    .cause(format!("it serves {}; Lambda keeps no record of what it served before", look.alias.line()))
    .hint(format!(
        "deploy the digest that should run: slipway-service deploy --function {function} --alias {alias} --digest DIGEST"
    ))
}

fn told(client: &Client, look: &Look, line: &str, dry_run: bool) -> Report {
    let title = format!("alias {} of function {}", client.alias, client.function);
    Report {
        summary: format!("### Rollback of {title}\n\n{}\n", markdown::code(line)),
        text: format!("{title}: {line}"),
        json: serde_json::json!({
            "dry_run": dry_run,
            "function": client.function,
            "alias": client.alias,
            "version": look.alias.function_version,
            "digest": look.serving.digest().as_ref().map(kit::id::Digest::as_str),
        }),
        ..Report::default()
    }
    .output(
        "function-version-arn",
        &look.serving.configuration.function_arn,
    )
}
