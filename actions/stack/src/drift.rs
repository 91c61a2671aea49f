//! The verb `drift`: what of the stack is not as its template says.

use crate::args;
use crate::client::Detection;
use crate::locate::{self, Found};
use crate::report::drift::{Compared, report};
use crate::report::regions;
use crate::standing::{busy, is_terminal};
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use kit::{Cx, Report};
use net::Purpose;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a person hears that the step still waits.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// # Errors
/// The stack has drifted (exit 6), or CloudFormation could not compare it.
pub(crate) async fn drift(args: args::Drift, cx: &Cx) -> Result<Report> {
    let defaults = cx.defaults_stack()?;
    let arguments = args.stack.arguments(cx);
    let timeout = args.wait.timeout;
    let mut all = Vec::new();
    for found in locate::find(cx, &defaults, &args.stack, Purpose::Read).await? {
        let region = found.account.region.clone();
        all.push((region, in_region(found, &arguments, timeout, cx).await));
    }
    regions::each(all)
}

async fn in_region(found: Found, arguments: &str, timeout: Duration, cx: &Cx) -> Result<Report> {
    let stack = found.existing(arguments).await?;
    let Found {
        account,
        client,
        name,
    } = found;
    if !is_terminal(&stack.status) {
        return Err(busy(&stack, arguments));
    }
    let id = client.detect_drift(&stack.id).await?;
    let start = Instant::now();
    let (mut last_report, mut pause) = (start, Duration::from_millis(300));
    let detection = loop {
        let seen = client.detection(&id).await?;
        if seen.status != "DETECTION_IN_PROGRESS" {
            break seen;
        }
        if start.elapsed() > timeout {
            return Err(Error::new(
                ErrorKind::TimedOut,
                format!(
                    "CloudFormation did not compare the stack {name} within {}",
                    human(timeout)
                ),
            )
            .hint("give it longer: --timeout 1h"));
        }
        if last_report.elapsed() > REPORT_EVERY {
            last_report = Instant::now();
            cx.host.info(format!(
                "CloudFormation compares the stack {name}, for {}",
                human(start.elapsed())
            ));
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(5));
    };
    let drifted = client.drifted(&stack.id).await?;
    if drifted.is_empty() {
        check_detection(&name, &detection)?;
    }
    let not_compared = client.not_compared(&stack.id).await?;
    report(&Compared {
        account: &account,
        name: &name,
        stack: &stack.id,
        detection,
        drifted,
        not_compared,
    })
}

/// Refuses to call a stack unchanged that CloudFormation does not call so.
fn check_detection(name: &str, detection: &Detection) -> Result<()> {
    match (detection.status.as_str(), detection.drift.as_deref()) {
        ("DETECTION_COMPLETE", Some("IN_SYNC")) => Ok(()),
        (status, drift) => Err(Error::failed(format!(
            "CloudFormation could not tell whether the stack {name} has drifted: {status}, {}",
            drift.unwrap_or("no result")
        ))
        .with_causes(detection.reason.clone())
        .hint("the role that asks needs the permissions to read the stack's resources")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_comparison_without_differences_is_a_stack_in_sync() {
        let detection = |status: &str, drift: Option<&str>| Detection {
            status: status.to_owned(),
            reason: Some("because".to_owned()),
            drift: drift.map(str::to_owned),
        };
        assert!(check_detection("shop", &detection("DETECTION_COMPLETE", Some("IN_SYNC"))).is_ok());
        for (status, drift) in [
            ("DETECTION_FAILED", Some("IN_SYNC")),
            ("DETECTION_COMPLETE", Some("UNKNOWN")),
            ("DETECTION_COMPLETE", Some("NOT_CHECKED")),
            ("DETECTION_COMPLETE", Some("DRIFTED")),
            ("DETECTION_COMPLETE", None),
        ] {
            let error = check_detection("shop", &detection(status, drift)).unwrap_err();
            assert!(error.to_string().contains("because"), "{status} {drift:?}");
        }
    }
}
