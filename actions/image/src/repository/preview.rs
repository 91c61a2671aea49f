//! ECR's own preview of a lifecycle policy: what it would take of the images that are there now.
//!
//! A preview is named by its repository alone, and ECR makes one of a repository at a time (Amazon ECR API Reference,
//! `StartLifecyclePolicyPreview`, `GetLifecyclePolicyPreview`). So what is read counts only if it is of this very policy: another run may
//! have asked about another one meanwhile.

use super::lifecycle::{PROPERTIES, Policy};
use crate::ecr::Ecr;
use aws_sdk_ecr::types::LifecyclePolicyPreviewStatus as Status;
use kit::backoff::doubling;
use kit::step::Cx;
use kit::{Error, ErrorKind, Failure, Result};
use net::{AwsContext, code};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often a preview that is not there yet is logged.
const EVERY: Duration = Duration::from_secs(10);

/// An image that a rule takes now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) rule: i32,
    /// `expire` or `transition`.
    pub(super) action: String,
}

/// What a look at the preview found.
enum Look {
    InProgress,
    /// It is of another policy, or its result is gone.
    Other,
    Done(HashMap<String, Taken>),
}

/// The looks at a preview, in minutes together. ECR names no time; AWS's own waiter gives up after 100 seconds.
fn looks() -> impl Iterator<Item = Duration> {
    doubling(Duration::from_millis(500), Duration::from_secs(5), 40)
}

/// Asks ECR which images the policy takes now, by their digests.
///
/// # Errors
/// ECR does not take the policy (exit 2), or does not say what it would do (exit 3).
pub(super) async fn preview(cx: &Cx, ecr: &Ecr, policy: &Policy) -> Result<HashMap<String, Taken>> {
    let what = format!(
        "ECR's preview of the lifecycle policy of {}",
        ecr.repository
    );
    let mut started = false;
    let mut said: Option<Instant> = None;
    for pause in looks() {
        started = started || start(ecr, policy).await?;
        if started {
            match look(ecr, policy).await? {
                Look::Done(taken) => return Ok(taken),
                Look::Other => started = false,
                Look::InProgress => {}
            }
        }
        if said.is_none_or(|at| at.elapsed() >= EVERY) {
            let which = if started { "" } else { ", behind another one" };
            cx.host.info(format!("waiting for {what}{which}"));
            said = Some(Instant::now());
        }
        tokio::time::sleep(pause).await;
    }
    Err(Error::refused(format!("{UNKNOWN}: {what} is not done"))
        .hint("run the step again; if other runs ask for previews of the repository, let them end first"))
}

const UNKNOWN: &str = "the lifecycle policy is not set, as nobody knows what it would take";

/// `false`: ECR is still making another preview of the repository.
async fn start(ecr: &Ecr, policy: &Policy) -> Result<bool> {
    let answer = ecr
        .client
        .start_lifecycle_policy_preview()
        .repository_name(&ecr.repository)
        .lifecycle_policy_text(&policy.text)
        .send()
        .await;
    if answer.as_ref().err().and_then(code) == Some("LifecyclePolicyPreviewInProgressException") {
        return Ok(false);
    }
    let asked = answer.cannot("ask ECR for a preview of the lifecycle policy");
    asked.map(|_| true).map_err(|error| match error.kind {
        ErrorKind::Service(Failure::Rejected) => {
            let mut error = error.under("ECR does not take the lifecycle policy");
            error.kind = ErrorKind::Usage;
            error.hint(PROPERTIES)
        }
        _ => unknown(error, "ecr:StartLifecyclePolicyPreview"),
    })
}

/// Reads all pages of the preview.
async fn look(ecr: &Ecr, policy: &Policy) -> Result<Look> {
    let (mut taken, mut next) = (HashMap::new(), None);
    loop {
        let answer = ecr
            .client
            .get_lifecycle_policy_preview()
            .repository_name(&ecr.repository)
            .set_next_token(next)
            .send()
            .await;
        let page = match answer {
            Err(error) if code(&error) == Some("LifecyclePolicyPreviewNotFoundException") => {
                return Ok(Look::Other);
            }
            answer => answer
                .cannot("read ECR's preview of the lifecycle policy")
                .map_err(|error| unknown(error, "ecr:GetLifecyclePolicyPreview"))?,
        };
        let same = page
            .lifecycle_policy_text()
            .is_some_and(|text| policy.says_the_same(text));
        match page.status() {
            Some(Status::Expired) => return Ok(Look::Other),
            _ if !same => return Ok(Look::Other),
            Some(Status::InProgress) => return Ok(Look::InProgress),
            Some(Status::Complete) => {}
            _ => {
                return Err(Error::refused(UNKNOWN)
                    .cause("ECR's preview of it failed")
                    .hint(
                        "run the step again; if it fails again, try the rules in the ECR console",
                    ));
            }
        }
        for one in page.preview_results() {
            let action = one.action().and_then(|action| action.r#type());
            let result = Taken {
                rule: one.applied_rule_priority().unwrap_or_default(),
                action: action
                    .map_or("take", |action| action.as_str())
                    .to_lowercase(),
            };
            taken.insert(one.image_digest().unwrap_or_default().to_owned(), result);
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(Look::Done(taken));
        }
    }
}

fn unknown(error: Error, action: &str) -> Error {
    let mut error = error.under(UNKNOWN);
    error.kind = ErrorKind::Refused;
    error.hint(format!("the publish role needs {action}"))
}
