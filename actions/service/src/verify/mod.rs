//! `verify`: says before a deployment whether a version could run in the service: its image, what its tasks need, and whether
//! the service can be deployed to now. It changes nothing.

mod decide;
mod look;
mod report;

use crate::args::{Verify, Version};
use crate::decide::{can_roll, deployable};
use crate::free::describe;
use crate::locate::{Found, find};
use crate::observe::observe;
use crate::time::USUAL;
use decide::{Answer, Finding, needed};
use ecs::{Client, RetryPolicy, Service};
use kit::error::Result;
use kit::{Cx, Report};
use net::{Net, Purpose};

/// Looks, and reports each condition.
///
/// # Errors
/// One of them is not met, or could not be seen (exit 3).
pub(crate) async fn verify(args: Verify, cx: &Cx) -> Result<Report> {
    let defaults = cx.defaults()?;
    let contract = defaults.contract();
    let net = Net::new(cx)?;
    let policy = || RetryPolicy::within(USUAL);
    let found = find(cx, &net, &defaults, &args.selector, Purpose::Read, policy).await?;
    let Found { account, client } = found;
    let version = Version {
        selector: args.selector,
        origin: args.origin,
        permit: None,
        timeout: None,
        dry_run: true,
        digest: args.digest,
    };
    let observed = observe(&client, &version, contract, &account, &version.digest).await?;
    let service = &observed.seen.service;
    let mut findings = vec![
        Finding::new(
            "the service can be deployed to",
            judged(deployable(service, false)),
        ),
        Finding::new("a rolling update can begin", judged(can_roll(service))),
        Finding::new(
            "no other deployment is in progress",
            alone(&client, service).await,
        ),
    ];
    let image = look::image(&net, &account, contract, &observed.image).await;
    findings.push(Finding::new(format!("image {}", observed.image), image));
    for needed in needed(observed.base()) {
        let answer = look::ask(&net, &account, &needed).await;
        findings.push(Finding::new(needed.label(), answer));
    }
    report::verified(&client, &observed, &findings)
}

/// The answer of a check that refuses with an error.
fn judged(result: Result<()>) -> Answer {
    match result {
        Ok(()) => Answer::Met,
        Err(error) => Answer::Unmet(error.message),
    }
}

/// Whether ECS works on no deployment: one that shifts traffic or is paused is waited for or refused, and any other one replaced.
async fn alone(client: &Client, service: &Service) -> Answer {
    match client.in_progress(service).await {
        Ok(None) => Answer::Met,
        Ok(Some(other)) => Answer::Unmet(describe(&other)),
        Err(error) => Answer::Unknown(format!("{error}; the role needs {}", error.permission)),
    }
}
