//! ECR's own preview of a lifecycle policy: what it would take of the images that are there now.
//!
//! A preview is named by its repository alone, and ECR makes one of a repository at a time (Amazon ECR API Reference,
//! `StartLifecyclePolicyPreview`, `GetLifecyclePolicyPreview`). So what is read counts only if it is of this very policy: another run may
//! have asked about another one meanwhile.

use super::lifecycle::{Policy, rejected};
use crate::ecr::Ecr;
use aws_sdk_ecr::types::{LifecyclePolicyPreviewResult, LifecyclePolicyPreviewStatus as Status};
use kit::backoff::doubling;
use kit::id::Digest;
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

/// The result of one look at the preview.
enum Look {
    InProgress,
    /// It is of another policy, which is this one.
    Another(String),
    /// There is none, or its result is gone.
    Gone,
    Done(HashMap<Digest, Taken>),
}

/// The looks at a preview, in minutes together. ECR names no time; AWS's own waiter gives up after 100 seconds.
fn looks() -> impl Iterator<Item = Duration> {
    doubling(Duration::from_millis(500), Duration::from_secs(5), 40)
}

/// Asks ECR which images the policy takes now, by their digests.
///
/// # Errors
/// ECR does not take the policy (exit 2), does not say what it would do or denies it (exit 3), or a call failed (exit 1).
pub(super) async fn preview(cx: &Cx, ecr: &Ecr, policy: &Policy) -> Result<HashMap<Digest, Taken>> {
    let what = format!(
        "ECR's preview of the lifecycle policy of {}",
        ecr.repository
    );
    let mut started = false;
    let mut another = false;
    let mut reported: Option<Instant> = None;
    for pause in looks() {
        if started {
            match look(ecr, policy).await? {
                Look::Done(taken) => return Ok(taken),
                Look::Another(text) if another => return Err(of_another(policy, &text)),
                Look::Another(_) => (started, another) = (false, true),
                Look::Gone => started = false,
                Look::InProgress => {}
            }
        } else {
            // The first look comes a pause later: until ECR shows the new preview, it may show an earlier one of the same policy, which
            // does not know the images pushed since.
            started = start(ecr, policy).await?;
        }
        if reported.is_none_or(|at| at.elapsed() >= EVERY) {
            let which = if started { "" } else { ", behind another one" };
            cx.host.info(format!("waiting for {what}{which}"));
            reported = Some(Instant::now());
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
        ErrorKind::Service(Failure::Rejected) => rejected(error),
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
                return Ok(Look::Gone);
            }
            answer => answer
                .cannot("read ECR's preview of the lifecycle policy")
                .map_err(|error| unknown(error, "ecr:GetLifecyclePolicyPreview"))?,
        };
        let text = page.lifecycle_policy_text().unwrap_or("no policy");
        match page.status() {
            Some(Status::Expired) => return Ok(Look::Gone),
            _ if !policy.says_the_same(text) => return Ok(Look::Another(text.to_owned())),
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
            let (digest, result) = read(one)?;
            taken.insert(digest, result);
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(Look::Done(taken));
        }
    }
}

/// Twice ECR took this policy and then showed another one. That is another run's, or ECR's own way to write this one.
fn of_another(policy: &Policy, shown: &str) -> Error {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    Error::refused(UNKNOWN)
        .cause("ECR twice started a preview of this policy and then showed one of another policy")
        .cause(format!("asked for: {}", line(&policy.text)))
        .cause(format!("shown: {}", line(shown)))
        .hint("if both mean the same, write the policy as ECR shows it; else let the run that asks for the other one end, and run the step again")
}

/// One image of the preview, and the rule that takes it. A result without an image or a rule takes something unknown.
fn read(one: &LifecyclePolicyPreviewResult) -> Result<(Digest, Taken)> {
    let digest = one.image_digest().and_then(|digest| digest.parse().ok());
    let (Some(digest), Some(rule)) = (digest, one.applied_rule_priority()) else {
        return Err(Error::refused(UNKNOWN)
            .cause("a result of ECR's preview lacks the image's digest or the rule")
            .hint(
                "run the step again; check that AWS_ENDPOINT_URL, where it is set, leads to ECR",
            ));
    };
    let action = one.action().and_then(|action| action.r#type());
    let action = action
        .map_or("take", |action| action.as_str())
        .to_lowercase();
    Ok((digest, Taken { rule, action }))
}

/// Says what cannot be known. Only a denial refuses: whatever else failed keeps its kind and its hint, and may work later.
fn unknown(error: Error, action: &str) -> Error {
    let denied = error.kind == ErrorKind::Service(Failure::Denied);
    let mut error = error.under(UNKNOWN);
    if denied {
        error.kind = ErrorKind::Refused;
        error = error.hint(format!("the publish role needs {action}"));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    #[test]
    fn only_a_denial_is_refused_and_names_the_permission() {
        let of = |failure| {
            let error = Error::new(ErrorKind::Service(failure), "cannot read");
            unknown(error, "ecr:GetLifecyclePolicyPreview")
        };
        let denied = of(Failure::Denied);
        assert_eq!(denied.exit(), Exit::Refused);
        assert_eq!(
            denied.hints,
            ["the publish role needs ecr:GetLifecyclePolicyPreview"]
        );
        for failure in [
            Failure::Throttled,
            Failure::Unavailable,
            Failure::NoAnswer,
            Failure::Expired,
        ] {
            let error = of(failure);
            assert_eq!(error.kind, ErrorKind::Service(failure));
            assert!(error.hints.is_empty(), "{error}");
            assert_eq!(error.message, UNKNOWN);
            assert_eq!(error.causes(), ["cannot read"]);
        }
    }

    #[test]
    fn a_preview_of_another_policy_is_refused_with_both() {
        let text = |number: u32| {
            format!(
                r#"{{"rules": [{{"rulePriority": 1, "action": {{"type": "expire"}},
                "selection": {{"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": {number}}}}}]}}"#
            )
        };
        let error = of_another(&Policy::parse(&text(4), "it").unwrap(), &text(5));
        assert_eq!(error.exit(), Exit::Refused);
        let causes = error.causes();
        assert!(causes[1].ends_with(r#""countNumber": 4}}]}"#), "{error}");
        assert!(causes[2].ends_with(r#""countNumber": 5}}]}"#), "{error}");
        assert!(causes.iter().all(|cause| !cause.contains('\n')), "{error}");
        assert!(!error.hints.is_empty(), "{error}");
    }

    #[test]
    fn a_result_without_its_image_or_its_rule_is_refused() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let result = LifecyclePolicyPreviewResult::builder;
        let whole = result().image_digest(&digest).applied_rule_priority(7);
        let (image, taken) = read(&whole.build()).unwrap();
        assert_eq!((image.as_str(), taken.rule), (digest.as_str(), 7));
        for part in [
            result().applied_rule_priority(7),
            result().applied_rule_priority(7).image_digest(""),
            result().applied_rule_priority(7).image_digest("latest"),
            result().image_digest(&digest),
        ] {
            let error = read(&part.build()).unwrap_err();
            assert_eq!(error.exit(), Exit::Refused);
            assert!(!error.hints.is_empty(), "{error}");
        }
    }
}
