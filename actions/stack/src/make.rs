//! Making a change set, and waiting until CloudFormation has computed it.

use crate::client::{Client, Creation};
use crate::prose;
use crate::seen::ChangeSet;
use kit::Cx;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long CloudFormation may compute a change set. Macros and hooks run meanwhile.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// For how long a change set that was just made may be unknown to CloudFormation.
const NEW: Duration = Duration::from_secs(10);
/// The longest pause between two looks at a change set.
const LONGEST: Duration = Duration::from_millis(1500);
/// How often a person hears that the step still waits.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// A change set that CloudFormation computed.
#[derive(Debug)]
pub(crate) enum Made {
    /// It changes something.
    Changes(Box<ChangeSet>),
    /// The stack is as the template says.
    Nothing,
}

/// Makes a change set. One that changes nothing, or that could not be made, is deleted.
///
/// # Errors
/// CloudFormation refuses it, with every reason that it gives, or did not answer in time.
pub(crate) async fn make(cx: &Cx, client: &Client, wanted: &Creation<'_>) -> Result<Made> {
    let id = client.create(wanted).await.map_err(refused)?;
    let start = Instant::now();
    let mut last_report = start;
    let mut pause = Duration::from_millis(200);
    let set = loop {
        let waited = start.elapsed();
        match client.change_set(&id).await? {
            Some(set) if set.status == "CREATE_COMPLETE" || set.status == "FAILED" => break set,
            Some(set) if set.status.starts_with("DELETE") => return Err(deleted(wanted)),
            None if waited > NEW => return Err(deleted(wanted)),
            _ if waited > TIMEOUT => {
                return Err(Error::failed(format!(
                    "CloudFormation did not compute the change set {} within {}",
                    wanted.name,
                    human(TIMEOUT)
                ))
                .hint(format!(
                    "see its status: aws cloudformation describe-change-set --change-set-name {id}"
                )));
            }
            _ => {}
        }
        if last_report.elapsed() > REPORT_EVERY {
            last_report = Instant::now();
            cx.host.info(format!(
                "waiting for CloudFormation to compute the change set {}",
                wanted.name
            ));
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST);
    };
    if set.status == "CREATE_COMPLETE" {
        return Ok(Made::Changes(Box::new(set)));
    }
    let reason = set.reason.as_deref().unwrap_or_default();
    let nothing = prose::changes_nothing(reason);
    let problems = match nothing {
        true => Vec::new(),
        false => client.problems(&id).await.unwrap_or_else(|error| {
            cx.host
                .info(format!("{}; further reasons are left out", error.line()));
            Vec::new()
        }),
    };
    if let Err(error) = client.delete(&id).await {
        cx.host.warn(format!(
            "the change set {} is left behind: {}",
            wanted.name,
            error.line()
        ));
    }
    match nothing {
        true => Ok(Made::Nothing),
        false => Err(Error::failed(format!(
            "CloudFormation could not compute the changes of the stack {}",
            wanted.stack
        ))
        .cause(reason)
        .with_causes(problems)),
    }
}

/// The error of a request that CloudFormation did not take, with what to change.
fn refused(error: Error) -> Error {
    let code = error.service().and_then(|answer| answer.code.clone());
    match code.as_deref() {
        Some("InsufficientCapabilitiesException" | "InsufficientCapabilities") => {
            let mut error = error;
            error.kind = ErrorKind::Usage;
            error.hint("acknowledge the capability that CloudFormation names: --capability NAME, or `capabilities` of the contract's `stack`")
        }
        Some("AlreadyExistsException") => error.hint(
            "another run made the stack or the change set at the same moment; run this again",
        ),
        _ => error,
    }
}

fn deleted(wanted: &Creation<'_>) -> Error {
    Error::failed(format!(
        "the change set {} was deleted while CloudFormation computed it",
        wanted.name
    ))
    .hint("find out who deleted it, and plan again")
}
