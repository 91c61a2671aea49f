//! The verb `recover`: lets a rollback that failed go on, past the resources that a person names.

use crate::apply::{refuse_no_time, refuse_pull_requests};
use crate::args::{self, names};
use crate::client::{Client, Resource};
use crate::follow::Verdict;
use crate::locate::{self, Found};
use crate::progress::Progress;
use crate::report::recover::{Recovered, report};
use crate::search::Execution;
use crate::seen::{DEPTH, Event, STACK, Stack};
use crate::standing::busy;
use crate::watch::Watch;
use kit::error::{Error, ErrorKind, Result};
use kit::{Cx, Report};
use net::Purpose;
use std::cell::RefCell;

/// The beginning of the tokens of these operations.
const PREFIX: &str = "slipway-recover-";

/// # Errors
/// The stack is not in the middle of a rollback that failed (exit 3), a resource cannot be skipped (exit 2), or the rollback fails again.
pub(crate) async fn recover(
    args: args::Recover,
    cx: &Cx,
    progress: &RefCell<Progress>,
) -> Result<Report> {
    refuse_no_time(args.wait.timeout)?;
    refuse_pull_requests(cx)?;
    let defaults = cx.defaults_stack()?;
    let found = locate::find(cx, &defaults, &args.stack, Purpose::Deploy).await?;
    let [found] = <[Found; 1]>::try_from(found).map_err(|several| {
        let regions: Vec<&str> = several
            .iter()
            .map(|it| it.account.region.as_str())
            .collect();
        Error::usage("a rollback goes on in one region at a time")
            .hint(format!("name it: --region, one of {}", regions.join(", ")))
    })?;
    let arguments = args.stack.arguments(cx);
    let stack = found.existing(&arguments).await?;
    let client = &found.client;
    let skip = names(&args.skip);
    let timeout = args.wait.timeout;
    let watch = match under_way(client, &stack).await? {
        Some(execution) => {
            same_skip(&execution.token, &skip, &arguments)?;
            cx.host
                .info("an earlier run let the rollback go on; this one follows it");
            progress.replace(Progress::Recovering);
            Watch::resume(cx, client, &stack.id, &arguments, execution, timeout)
        }
        None => {
            let failed = stuck(client, &stack).await?;
            decide(&stack, &failed, &skip, &arguments).map_err(|error| *error)?;
            let token = format!("{}{}", prefix(&skip), uuid::Uuid::new_v4());
            let watch = Watch::ahead(cx, client, &stack.id, &arguments, token.clone(), timeout);
            let watch = watch.await?;
            cx.host.info(match skip.is_empty() {
                true => format!("letting the rollback of the stack {} go on", stack.name),
                false => format!(
                    "letting the rollback of the stack {} go on, and leaving as it is: {}",
                    stack.name,
                    skip.join(", ")
                ),
            });
            progress.replace(Progress::Recovering);
            client.continue_rollback(&stack.id, &skip, &token).await?;
            watch
        }
    };
    let ended = watch.follow().await?;
    // Only for the hint: that the rollback failed again is known without it.
    let failed = match ended.verdict {
        Verdict::Failed => stuck(client, &stack).await.unwrap_or_default(),
        _ => Vec::new(),
    };
    report(
        &Recovered {
            account: &found.account,
            name: &found.name,
            arguments: &arguments,
            skipped: &skip,
            failed: &failed,
        },
        ended,
    )
}

/// The beginning of the tokens of these operations that skip these resources, so that a later run knows what one under way skips.
fn prefix(skip: &[String]) -> String {
    let mut skip = skip.to_vec();
    skip.sort();
    let hash = ledger::sha256(skip.join("\n").as_bytes());
    format!("{PREFIX}{}-", &hash[..16])
}

/// Refuses to follow an operation that skips other resources than these.
fn same_skip(token: &str, skip: &[String], arguments: &str) -> Result<()> {
    if token.starts_with(&prefix(skip)) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Busy,
        "an earlier run let the rollback go on, and skips other resources than --skip names",
    )
    .hint("follow it with the --skip that it had")
    .hint(format!(
        "or wait for its end: slipway-stack status {arguments}"
    )))
}

/// The resources that could not be rolled back, by the names that CloudFormation takes: those of a nested stack with the name of
/// that stack, which is not its logical ID (API Reference, ContinueUpdateRollback).
async fn stuck(client: &Client, stack: &Stack) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut pending = vec![(stack.id.clone(), String::new(), 0_usize)];
    while let Some((id, prefix, depth)) = pending.pop() {
        let resources = client.resources(&id).await?;
        for resource in resources.iter().filter(|it| it.status == "UPDATE_FAILED") {
            match nested(resource).filter(|_| depth < DEPTH) {
                Some((arn, name)) if has_failed(client, arn).await? => {
                    pending.push((arn.to_owned(), format!("{name}."), depth + 1));
                }
                // The embedded stack is gone or has nothing that failed, so that the resource itself is what is left.
                _ => found.push(format!("{prefix}{}", resource.logical_id)),
            }
        }
    }
    Ok(found)
}

/// The ARN and the name of a nested stack.
fn nested(resource: &Resource) -> Option<(&str, &str)> {
    let arn = resource.physical_id.as_deref()?;
    let name = arn.split('/').nth(1)?;
    (resource.kind == STACK && arn.starts_with("arn:")).then_some((arn, name))
}

/// Returns true if a nested stack has resources that could not be rolled back.
async fn has_failed(client: &Client, arn: &str) -> Result<bool> {
    let resources = client.resources(arn).await?;
    Ok(resources.iter().any(|it| it.status == "UPDATE_FAILED"))
}

/// The operation of an earlier run that is not over yet.
async fn under_way(client: &Client, stack: &Stack) -> Result<Option<Execution>> {
    if !stack.status.starts_with("UPDATE_ROLLBACK_") || !stack.status.ends_with("_IN_PROGRESS") {
        return Ok(None);
    }
    let newest = client.newest_event(&stack.id).await?;
    let ours = |token: &String| token.starts_with(PREFIX);
    let Some(token) = newest.and_then(|event| event.token).filter(ours) else {
        return Ok(None);
    };
    let boundary = RefCell::new(None);
    let before = |event: &Event| {
        let other = event.token.as_ref() != Some(&token);
        if other {
            boundary.replace(Some(event.id.clone()));
        }
        other
    };
    let events = client.events(&stack.id, before).await?;
    Ok(Some(Execution {
        token,
        made: None,
        events,
        boundary: boundary.into_inner(),
    }))
}

/// Refuses a stack that is not in the middle of a rollback that failed, and to skip anything but what could not be rolled back.
fn decide(
    stack: &Stack,
    failed: &[String],
    skip: &[String],
    arguments: &str,
) -> std::result::Result<(), Box<Error>> {
    match stack.status.as_str() {
        "UPDATE_ROLLBACK_FAILED" => {}
        status if status.ends_with("_IN_PROGRESS") => return Err(Box::new(busy(stack, arguments))),
        status => {
            return Err(Box::new(
                Error::refused(format!(
                    "the stack {} has no rollback that failed: {status}",
                    stack.name
                ))
                .hint(format!(
                    "see how it stands: slipway-stack status {arguments}"
                )),
            ));
        }
    }
    let unknown = |name: &&String| !failed.contains(name);
    let unknown: Vec<&str> = skip.iter().filter(unknown).map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Box::new(
        Error::usage(format!(
            "--skip names what could be rolled back, or is not there: {}",
            unknown.join(", ")
        ))
        .hint(match failed.is_empty() {
            true => "no resource is there that could not be rolled back".to_owned(),
            false => format!("only these could not be rolled back: {}", failed.join(", ")),
        })
        .hint("a resource of a nested stack is named STACK.LOGICAL-ID, with the name of that stack and not its logical ID"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    #[test]
    fn an_operation_under_way_is_followed_only_with_what_it_skips() {
        let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let token = format!("{}1", prefix(&names(&["A", "B"])));
        assert!(same_skip(&token, &names(&["B", "A"]), "").is_ok());
        for other in [&[][..], &["A"]] {
            let error = same_skip(&token, &names(other), "--name shop").unwrap_err();
            assert_eq!(error.exit(), Exit::Busy);
        }
    }

    #[test]
    fn only_what_could_not_be_rolled_back_is_skipped() {
        let failed = ["Queue", "Topic", "shop-Inner-1.Table"].map(str::to_owned);
        for (status, skip, exit, piece) in [
            ("UPDATE_ROLLBACK_FAILED", &[][..], None, ""),
            ("UPDATE_ROLLBACK_FAILED", &["Queue"], None, ""),
            ("UPDATE_ROLLBACK_FAILED", &["shop-Inner-1.Table"], None, ""),
            (
                "UPDATE_ROLLBACK_FAILED",
                &["Inner.Table"],
                Some(Exit::Usage),
                "only these could not be rolled back: Queue, Topic, shop-Inner-1.Table",
            ),
            (
                "UPDATE_ROLLBACK_FAILED",
                &["Queue", "Bucket"],
                Some(Exit::Usage),
                "Bucket",
            ),
            (
                "UPDATE_COMPLETE",
                &[],
                Some(Exit::Refused),
                "no rollback that failed",
            ),
            (
                "UPDATE_ROLLBACK_IN_PROGRESS",
                &[],
                Some(Exit::Busy),
                "under way",
            ),
        ] {
            let stack = Stack {
                name: "shop".to_owned(),
                status: status.to_owned(),
                ..Stack::default()
            };
            let skip: Vec<String> = skip.iter().map(|name| (*name).to_owned()).collect();
            match (decide(&stack, &failed, &skip, "--name shop"), exit) {
                (Ok(()), None) => {}
                (Err(error), Some(exit)) => {
                    assert_eq!(error.exit(), exit, "{error}");
                    assert!(error.to_string().contains(piece), "{error}");
                }
                (decided, _) => panic!("{status} {skip:?}: {decided:?}"),
            }
        }
    }
}
