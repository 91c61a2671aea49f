//! The verb `drift`: what of the stack is not as its template says.

use crate::args::{self, names};
use crate::client::{Client, Detection};
use crate::locate::{self, Found};
use crate::report::drift::{Compared, report};
use crate::report::regions;
use crate::standing::{busy, is_terminal};
use crate::unchecked::unchecked;
use crate::watch::unseen;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use kit::{Cx, Report};
use net::Purpose;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a person hears that the step still waits.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// # Errors
/// The stack has drifted (exit 6), or something of it was not compared (exit 3).
pub(crate) async fn drift(args: args::Drift, cx: &Cx) -> Result<Report> {
    let defaults = cx.defaults_stack()?;
    let arguments = args.stack.arguments(cx);
    let timeout = args.wait.timeout;
    let allowed = names(&args.unchecked);
    let mut all = Vec::new();
    for found in locate::find(cx, &defaults, &args.stack, Purpose::Read).await? {
        let region = found.account.region.clone();
        all.push((
            region,
            in_region(found, &arguments, &allowed, timeout, cx).await,
        ));
    }
    regions::each(all)
}

async fn in_region(
    found: Found,
    arguments: &str,
    allowed: &[String],
    timeout: Duration,
    cx: &Cx,
) -> Result<Report> {
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
    let detection = detected(&client, &id, &name, arguments, timeout, cx).await?;
    let drifted = client.drifted(&stack.id).await?;
    let unchecked = unchecked(&client.resources(&stack.id).await?, allowed);
    for name in allowed {
        if !unchecked.iter().any(|it| it.logical_id == *name) {
            cx.host.warn(format!(
                "--unchecked {name} allows nothing: there is no such resource, or it was compared"
            ));
        }
    }
    report(&Compared {
        account: &account,
        name: &name,
        stack: &stack.id,
        detection,
        drifted,
        unchecked,
    })
}

/// Waits for the end of a detection.
async fn detected(
    client: &Client,
    id: &str,
    name: &str,
    arguments: &str,
    timeout: Duration,
    cx: &Cx,
) -> Result<Detection> {
    let start = Instant::now();
    client.retry_until(start + timeout);
    cx.host
        .info(format!("CloudFormation compares the stack {name}"));
    let (mut last_report, mut pause) = (start, Duration::from_millis(300));
    loop {
        let seen = client.detection(id).await;
        let seen = seen.map_err(|error| unseen(error, timeout, arguments))?;
        if seen.status != "DETECTION_IN_PROGRESS" {
            client.retry_as_usual();
            return Ok(seen);
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
    }
}
