//! `rollback`: has ECS go back from the deployment in progress, or deploys the version that was healthy last. It ends where the
//! version that runs afterwards is the one that it names.

mod decide;
mod observe;
mod report;

use crate::args::{Deploy, RollBack, Version};
use crate::deploy;
use crate::interrupt::Progress;
use crate::locate::{Found, find, status_hint};
use crate::stage::Stage;
use crate::status::lacking;
use crate::time::{self, USUAL};
use decide::{Way, from_rest, from_running};
use ecs::{Client, PollInterval, Record, RetryPolicy};
use kit::aws::{Arn, TaskDefinitionArn};
use kit::error::{Error, ErrorKind, Result};
use kit::id::Digest;
use kit::{Cx, Report};
use net::{Account, Net, Purpose};
use observe::{Observed, observe};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Goes back.
///
/// # Errors
/// There is nothing to go back to (exit 3), or the end is another one.
pub(crate) async fn roll_back(args: RollBack, cx: &Cx) -> Result<Report> {
    let arguments = args.selector.arguments(cx);
    let progress = Progress::default();
    progress.run(steps(args, cx, &progress), &arguments).await
}

async fn steps(args: RollBack, cx: &Cx, progress: &Progress<Stage>) -> Result<Report> {
    time::refuse_none(args.timeout.unwrap_or(USUAL))?;
    let defaults = cx.defaults()?;
    let net = Net::new(cx)?;
    let time = args.timeout.unwrap_or(USUAL);
    let policy = || RetryPolicy::within(time);
    let purpose = match args.dry_run {
        true => Purpose::Read,
        false => Purpose::Deploy,
    };
    let found = find(cx, &net, &defaults, &args.selector, purpose, policy).await?;
    let Found { account, client } = &found;
    let contract = defaults.contract();
    let observed = observe(&net, client, &args.selector, contract).await?;
    let way = match &observed.current {
        Some(current) => from_running(&current.view(), &observed.successes),
        None => from_rest(observed.runs.as_deref(), observed.ended, &observed.healthy),
    };
    if args.dry_run {
        return Ok(report::planned(client, &observed, &way));
    }
    cx.host.info(report::line(&observed, &way));
    let going = Going {
        cx,
        client,
        account,
        observed: &observed,
        progress,
        until: Instant::now() + time,
        time,
    };
    match way {
        Way::No(reason) => Err(report::refused(client, reason)),
        Way::Deploy(digest) => {
            if let Some(gated) = contract.filter(|contract| contract.gate.required) {
                return Err(report::needs_permit(&gated.environment, &digest));
            }
            drop(found);
            let digest = Digest::parse(&digest)?;
            deploy::steps(deployment(args, digest), cx, progress).await
        }
        Way::Verify(reason) => going.verify(None, reason).await,
        Way::Follow(reason) => going.follow(reason, false).await,
        Way::Stop => going.stop().await,
    }
}

/// The deployment of the version that was healthy. One that is cancelled goes on: rolling it back would end at the version
/// that is to go.
fn deployment(args: RollBack, digest: Digest) -> Deploy {
    Deploy {
        version: Version {
            selector: args.selector,
            digest,
            repository: None,
            registry: None,
            permit: None,
            timeout: args.timeout,
            dry_run: false,
        },
        no_rollback: true,
        allow_zero_tasks: false,
    }
}

/// A service that goes back.
struct Going<'a> {
    cx: &'a Cx,
    client: &'a Client,
    account: &'a Account,
    observed: &'a Observed,
    progress: &'a Progress<Stage>,
    until: Instant,
    time: Duration,
}

impl Going<'_> {
    /// Has ECS stop the deployment in progress.
    async fn stop(&self) -> Result<Report> {
        let Some(current) = &self.observed.current else {
            return Err(Error::failed("no deployment is in progress"));
        };
        if let Err(error) = self.client.roll_back(&current.arn).await {
            // A conflict says only that the state of the deployment does not allow it: it may go back already, or be over.
            if error.code() != Some("ConflictException") {
                return Err(error.hint(status_hint(self.client)).into());
            }
        }
        self.progress.at(Stage::RollingBack {
            deployment: current.arn.to_string(),
            revision: current.name(),
        });
        self.follow("ECS was asked to roll it back", true).await
    }

    /// Follows the deployment in progress to its end.
    async fn follow(&self, reason: &str, stopped: bool) -> Result<Report> {
        let Some(current) = &self.observed.current else {
            return Err(Error::failed("no deployment is in progress"));
        };
        let record = self.ended(&current.arn).await?;
        match (record.status.as_str(), stopped) {
            ("ROLLBACK_SUCCESSFUL", _) => {
                let to = self.client.went_back_to(&current.arn).await?;
                let why = match record.reason.as_str() {
                    "" => reason,
                    why => why,
                };
                self.verify(to.as_ref(), why).await
            }
            // It went back itself, and nobody stopped it.
            ("SUCCESSFUL", false) => {
                let to = current.task_definition.as_ref();
                self.verify(to, reason).await
            }
            ("SUCCESSFUL", true) => Err(Error::failed(format!(
                "the deployment of {} completed before ECS could stop it",
                current.name()
            ))
            .hint("run this again: it deploys the version before it")),
            _ => Err(report::failed(self.client, &record, &current.name())),
        }
    }

    /// Waits until ECS's record of the deployment is over.
    async fn ended(&self, arn: &Arn) -> Result<Record> {
        let mut interval = PollInterval::new();
        let mut shown = String::new();
        self.client.retry_by(RetryPolicy::following(self.time));
        loop {
            let found = self.client.record_at(arn).await?;
            let Some((record, _)) = found else {
                return Err(Error::failed(format!("ECS no longer shows {arn}"))
                    .hint(status_hint(self.client)));
            };
            let line = report::progress(&record);
            let changed = line != shown;
            if changed {
                self.cx.host.info(format!("  {line}"));
                shown = line;
            }
            if ecs::is_over(&record.status) {
                return Ok(record);
            }
            if Instant::now() >= self.until {
                return Err(Error::new(
                    ErrorKind::TimedOut,
                    format!(
                        "the deployment was not over within {}",
                        kit::clock::human(self.time)
                    ),
                )
                .cause(format!("ECS's record of it is {shown}, and goes on"))
                .hint(status_hint(self.client)));
            }
            sleep(interval.next(changed)).await;
        }
    }

    /// Waits until what runs is the revision that it should be, completely and healthy.
    async fn verify(&self, to: Option<&TaskDefinitionArn>, reason: &str) -> Result<Report> {
        let mut interval = PollInterval::new();
        loop {
            let seen = self.client.look().await?;
            let runs = &seen.service.task_definition;
            let mut missing = Vec::new();
            if let Some(to) = to.filter(|to| *to != runs) {
                missing.push(format!(
                    "the service to run {}: it has {}",
                    to.name(),
                    runs.name()
                ));
            }
            let definition = self.client.definition(runs.as_str()).await?;
            missing.extend(lacking(&seen, &definition, &self.observed.containers));
            if missing.is_empty() {
                return Ok(report::back(self.client, self.account, &seen, reason));
            }
            if Instant::now() >= self.until {
                return Err(report::unhealthy(self.client, &seen, &missing, self.time));
            }
            sleep(interval.next(false)).await;
        }
    }
}
