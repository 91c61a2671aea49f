//! `rollback`: has ECS go back from the deployment in progress, or deploys the version that was healthy last. It ends where the
//! version that runs afterwards is the one that it names.

mod decide;
mod observe;
mod report;
mod served;

use crate::args::{Deploy, Origin, RollBack, Traffic, Version};
use crate::deploy;
use crate::interrupt::Progress;
use crate::locate::{Found, find, status_hint};
use crate::stage::Stage;
use crate::status::lacking;
use crate::time::{self, USUAL};
use decide::{Action, Wanted, at_rest, in_progress};
use ecs::{Client, PollInterval, Record, RetryPolicy};
use kit::aws::Arn;
use kit::error::{Error, Result};
use kit::id::Digest;
use kit::{Cx, Report};
use net::{Account, Net, Purpose};
use observe::{Deploying, observe};
use report::Ending;
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
    let policy = || RetryPolicy::within(args.timeout.unwrap_or(USUAL));
    let purpose = match args.dry_run {
        true => Purpose::Read,
        false => Purpose::Deploy,
    };
    let found = find(cx, &net, &defaults, &args.selector, purpose, policy).await?;
    let Found { account, client } = &found;
    let contract = defaults.contract();
    let observed = observe(&net, client, &args.selector, contract).await?;
    let action = match &observed.current {
        Some(current) => in_progress(&current.view(), &observed.past),
        None => at_rest(observed.runs.as_deref(), &observed.past),
    };
    if args.dry_run {
        return Ok(report::planned(client, &observed, &action));
    }
    cx.host.info(report::line(&observed, &action));
    // A deployment that goes back itself waits as its service is configured to.
    let usual = USUAL + observed.seen.service.strategy.waits;
    let time = args.timeout.unwrap_or(usual);
    let going_back = GoingBack {
        cx,
        client,
        account,
        containers: &observed.containers,
        allow_zero_tasks: args.allow_zero_tasks,
        progress,
        until: Instant::now() + time,
        time,
    };
    match (action, &observed.current) {
        (Action::Refuse(reason), current) => {
            Err(report::refused(client, &reason, current.as_ref()))
        }
        (Action::Deploy(digest), _) => {
            if let Some(gated) = contract.filter(|contract| contract.gate.required) {
                return Err(report::needs_permit(&gated.environment, &digest));
            }
            drop(found);
            let digest = Digest::parse(&digest)?;
            deploy::steps(deployment(args, digest), cx, progress).await
        }
        (Action::Verify(reason), _) => {
            let runs = observed.runs.as_deref();
            going_back
                .verify(&Wanted::Any, &Ending::at(runs), reason)
                .await
        }
        (Action::Follow(reason), Some(current)) => going_back.follow(current, reason).await,
        (Action::Stop, Some(current)) => going_back.stop(current).await,
        (Action::Follow(_) | Action::Stop, None) => {
            Err(Error::failed("no deployment is in progress"))
        }
    }
}

/// The deployment of the version that was healthy. One that is cancelled goes on: rolling it back would end at the version
/// that is to go.
fn deployment(args: RollBack, digest: Digest) -> Deploy {
    Deploy {
        version: Version {
            selector: args.selector,
            digest,
            origin: Origin {
                repository: None,
                registry: None,
            },
            permit: None,
            timeout: args.timeout,
            dry_run: false,
        },
        no_rollback: true,
        allow_zero_tasks: args.allow_zero_tasks,
        replace: None,
        traffic: Traffic::default(),
    }
}

/// A service that goes back.
struct GoingBack<'a> {
    cx: &'a Cx,
    client: &'a Client,
    account: &'a Account,
    containers: &'a [String],
    allow_zero_tasks: bool,
    progress: &'a Progress<Stage>,
    until: Instant,
    time: Duration,
}

impl GoingBack<'_> {
    /// Has ECS stop the deployment in progress, and follows it.
    async fn stop(&self, current: &Deploying) -> Result<Report> {
        let arn = &current.found.arn;
        let at = |asked| Stage::GoingBack {
            deployment: arn.to_string(),
            revision: current.name(),
            asked,
        };
        self.progress.at(at(Some(false)));
        if let Err(error) = self.client.roll_back(arn).await {
            // A conflict says only that the state of the deployment does not allow it: it may go back already, or be over.
            if error.code() != Some("ConflictException") {
                return Err(error.hint(status_hint(self.client)).into());
            }
        }
        self.progress.at(at(Some(true)));
        let record = self.ended(arn).await?;
        if record.status == "SUCCESSFUL" {
            return Err(Error::failed(format!(
                "the deployment of {} completed before ECS could stop it",
                current.name()
            ))
            .hint("run this again: it deploys the version before it"));
        }
        self.ended_at(current, &record, "ECS was asked to roll it back")
            .await
    }

    /// Follows the deployment in progress, which goes back itself.
    async fn follow(&self, current: &Deploying, reason: &str) -> Result<Report> {
        self.progress.at(Stage::GoingBack {
            deployment: current.found.arn.to_string(),
            revision: current.name(),
            asked: None,
        });
        let record = self.ended(&current.found.arn).await?;
        self.ended_at(current, &record, reason).await
    }

    /// Verifies what runs after the deployment is over.
    async fn ended_at(&self, current: &Deploying, record: &Record, reason: &str) -> Result<Report> {
        let deployed = current.view().deploys;
        match record.status.as_str() {
            "ROLLBACK_SUCCESSFUL" => {
                let to = self.client.went_back_to(&current.found.arn).await?;
                let why = match record.reason.as_str() {
                    "" => reason,
                    why => why,
                };
                let wanted = Wanted::after(to, current.found.deploys.clone());
                let wanted = wanted.ok_or_else(|| report::unnamed(self.client, current))?;
                self.verify(&wanted, &Ending::left(deployed), why).await
            }
            // It went back itself.
            "SUCCESSFUL" => {
                let to = current.found.deploys.clone().map(Wanted::Is);
                let wanted = to.ok_or_else(|| report::unnamed(self.client, current))?;
                self.verify(&wanted, &Ending::at(deployed), reason).await
            }
            _ => Err(report::failed(self.client, record, current)),
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
                return Err(report::goes_on(self.client, arn, &shown, self.time));
            }
            sleep(interval.next(changed)).await;
        }
    }

    /// Waits until what runs is the revision that it should be, completely and healthy.
    async fn verify(&self, wanted: &Wanted, ending: &Ending, reason: &str) -> Result<Report> {
        let mut interval = PollInterval::new();
        loop {
            let seen = self.client.look().await?;
            let runs = &seen.service.task_definition;
            let mut missing: Vec<String> = wanted.missing(runs).into_iter().collect();
            let definition = self.client.definition(runs.as_str()).await?;
            let zero = self.allow_zero_tasks;
            missing.extend(lacking(&seen, &definition, self.containers, zero));
            if missing.is_empty() {
                return Ok(report::back(
                    self.client,
                    self.account,
                    &seen,
                    ending,
                    reason,
                ));
            }
            let none = seen.service.desired == 0 && !zero;
            if none || Instant::now() >= self.until {
                return Err(report::unhealthy(
                    self.client,
                    &seen,
                    &missing,
                    ending,
                    self.time,
                ));
            }
            sleep(interval.next(false)).await;
        }
    }
}
