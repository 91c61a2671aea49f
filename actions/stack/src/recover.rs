//! The verb `recover`: lets a rollback that failed go on, past the resources that a person names.

use crate::apply::{refuse_no_time, refuse_pull_requests};
use crate::args::{self, names};
use crate::client::Client;
use crate::locate::{self, Found};
use crate::progress::Progress;
use crate::report::recover::{Recovered, report};
use crate::search::Execution;
use crate::seen::{Event, Stack};
use crate::standing::busy;
use crate::watch::Watch;
use kit::error::{Error, Result};
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
    let watch = match under_way(client, &stack).await? {
        Some(execution) => {
            cx.host
                .info("an earlier run let the rollback go on; this one follows it");
            progress.replace(Progress::Recovering);
            Watch::resume(cx, client, &stack.id, execution, args.wait.timeout)
        }
        None => {
            let failed = client.resources_in(&stack.id, "UPDATE_FAILED").await?;
            decide(&stack, &failed, &skip, &arguments).map_err(|error| *error)?;
            let token = format!("{PREFIX}{}", uuid::Uuid::new_v4());
            let timeout = args.wait.timeout;
            let watch = Watch::ahead(cx, client, &stack.id, token.clone(), timeout).await?;
            progress.replace(Progress::Recovering);
            client.continue_rollback(&stack.id, &skip, &token).await?;
            watch
        }
    };
    let ended = watch.follow().await?;
    report(
        &Recovered {
            account: &found.account,
            name: &found.name,
            arguments: &arguments,
            skipped: &skip,
        },
        ended,
    )
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
    // A resource of a nested stack is named with its stack, and CloudFormation knows whether it can be skipped.
    let unknown = |name: &&String| !name.contains('.') && !failed.contains(name);
    let unknown: Vec<&str> = skip.iter().filter(unknown).map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Box::new(
        Error::usage(format!(
            "--skip names what could be rolled back, or is not there: {}",
            unknown.join(", ")
        ))
        .hint(format!(
            "only these could not be rolled back: {}",
            failed.join(", ")
        )),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    #[test]
    fn only_what_could_not_be_rolled_back_is_skipped() {
        let failed = ["Queue".to_owned(), "Topic".to_owned()];
        for (status, skip, exit, piece) in [
            ("UPDATE_ROLLBACK_FAILED", &[][..], None, ""),
            ("UPDATE_ROLLBACK_FAILED", &["Queue"], None, ""),
            ("UPDATE_ROLLBACK_FAILED", &["shop-nested.Table"], None, ""),
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
