//! The scan gate: what ECR found in an image, and whether that may pass. Not scanned is not clean.

mod api;
mod follow;
mod judge;
mod report;
mod scanned;
mod severity;
mod waiver;

pub(crate) use severity::Severity;

use crate::args;
use crate::ecr::Ecr;
use crate::input::{self, given};
use crate::primary::Primary;
use follow::{Step, Watch};
use kit::backoff::spread;
use kit::step::Cx;
use kit::{Error, ErrorKind, Report, Result};
use net::Net;
use scanned::{Part, Scanned};
use std::time::{Duration, Instant};
use waiver::Waivers;

/// The pauses between looks, in seconds; the last one repeats.
const PAUSES: [u64; 5] = [1, 2, 3, 5, 10];

pub(crate) async fn run(args: args::Scan, cx: &Cx) -> Result<Report> {
    let digest = input::digest(args.digest)?;
    let waivers = Waivers::parse(&given(args.waive), cx.clock.now().date())?;
    let primary = Primary::new(&args.repository, cx)?;
    let net = Net::new(cx)?;
    let ecr = Ecr::new(&net.account(&primary.target).await?, primary.repository);
    let parts = api::parts(&ecr, &digest).await?;
    let scanned = follow(cx, &ecr, parts, args.wait).await?;
    let judgement = judge::judge(scanned, args.fail_on, &waivers);
    for note in &judgement.notes {
        cx.host.warn(note);
    }
    report::report(&ecr, &digest, args.fail_on, &judgement)
}

/// Looks at all images in turn until each scan has ended.
///
/// # Errors
/// Some scan is not over in time (exit 9), or ECR cannot be asked.
async fn follow(cx: &Cx, ecr: &Ecr, parts: Vec<Part>, timeout: Duration) -> Result<Vec<Scanned>> {
    let started = Instant::now();
    let mut watches: Vec<(Part, Watch)> = parts
        .into_iter()
        .map(|part| (part, Watch::default()))
        .collect();
    let mut scanned = Vec::new();
    let mut pauses = PAUSES.iter().copied().chain(std::iter::repeat(10));
    let mut announced = String::new();
    loop {
        let mut waiting = Vec::new();
        for (part, mut watch) in watches {
            let look = api::look(ecr, &part.digest).await?;
            let outcome = match watch.step(look, cx.clock.now()) {
                Step::Done(outcome) => Some(outcome),
                Step::Start => {
                    cx.host.info(format!(
                        "{} was never scanned; a scan is started",
                        part.name()
                    ));
                    watch.started(api::start(ecr, &part.digest).await?)
                }
                Step::Wait => None,
            };
            match outcome {
                Some(outcome) => scanned.push(Scanned { part, outcome }),
                None => waiting.push((part, watch)),
            }
        }
        watches = waiting;
        let Some((part, watch)) = watches.first() else {
            return Ok(scanned);
        };
        let state = format!("the scan of {}: {}", part.name(), watch.state());
        if started.elapsed() >= timeout {
            return Err(timed_out(ecr, timeout, &state));
        }
        if state != announced {
            cx.host.info(&state);
            announced = state;
        }
        let pause = Duration::from_secs(pauses.next().unwrap_or(10));
        let remaining = timeout.saturating_sub(started.elapsed());
        tokio::time::sleep(spread(pause).min(remaining)).await;
    }
}

fn timed_out(ecr: &Ecr, timeout: Duration, state: &str) -> Error {
    let mut error = Error::new(
        ErrorKind::TimedOut,
        format!(
            "the scan is not over after {}; it is not known whether the image is clean",
            kit::clock::human(timeout)
        ),
    )
    .cause(state)
    .hint("run the step again, or give it more time with --wait, such as --wait 30m")
    .hint(format!(
        "if no scan ever begins, see how the registry scans {}: aws ecr get-registry-scanning-configuration",
        ecr.repository
    ));
    error.json = Some(serde_json::json!({"verdict": "waiting"}));
    error
}
