//! `rollback` of a function: ends a deployment whose traffic moves. Lambda keeps no record of what an alias served, so where no
//! traffic moves there is nothing to go back to that would be proven to have been healthy.

use super::plan::{end_hints, provisioning};
use super::set::{Replaced, Set, set};
use super::stage::Stage;
use super::status::{lacking, unhealthy};
use super::{find, gated, status_hint};
use crate::args::RollBack;
use crate::interrupt::Progress;
use crate::time::{USUAL, refuse_none};
use kit::error::{Error, ErrorKind, Result};
use kit::id::Digest;
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
    if look.provisions() {
        return Err(provisioning((&client.function, &client.alias), &look));
    }
    let Some((second, weight)) = look.alias.weight() else {
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
    if let Some(environment) = gated(&defaults) {
        let refused = Error::refused(format!(
            "{environment} has a gate, so the alias changes only under a permit"
        ));
        return Err(end_hints(environment, &look)
            .into_iter()
            .fold(refused, Error::hint));
    }
    let left = client.function(Some(second)).await?.digest();
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
    let from = std::slice::from_ref(&from);
    match set(client, &Replaced::default(), from, &to, until).await? {
        Set::Done => {}
        Set::Taken(alias) => {
            return Err(Error::new(
                ErrorKind::Superseded,
                format!(
                    "somebody else changed the alias meanwhile: it serves {}",
                    alias.line()
                ),
            )
            .hint(status_hint(client)));
        }
        Set::Late(serves) => {
            return Err(Error::new(
                ErrorKind::TimedOut,
                format!("the alias did not go back in time: it serves {serves}"),
            )
            .hint(status_hint(client)));
        }
    }
    verified(client, home, left, until).await
}

/// Waits until the alias serves the version alone, healthy.
async fn verified(
    client: &Client,
    home: &str,
    left: Option<Digest>,
    until: Instant,
) -> Result<Report> {
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
            let report = told(client, &look, &line, false).output("verdict", "rolled-back");
            // The digest that was left, as of an ECS service: the verdict is that of its deployment.
            return Ok(match left {
                Some(digest) => report.output("digest", digest.as_str()),
                None => report,
            });
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
            "digest": look.serving.digest().as_ref().map(Digest::as_str),
        }),
        ..Report::default()
    }
    .output(
        "function-version-arn",
        &look.serving.configuration.function_arn,
    )
}
