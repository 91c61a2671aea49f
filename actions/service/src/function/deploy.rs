//! `deploy` of a function: observe, decide, publish, move the alias, report.

use super::alarms::Watched;
use super::drive::Driver;
use super::observe::observe;
use super::plan::{Gate, Observed, Plan, Version as Planned, decide};
use super::set::Replaced;
use super::shift::{Step, allowed, left, steps as shift_steps};
use super::stage::Stage;
use super::verdict::{Back, Verdict};
use super::{Found, act, find, gated, report};
use crate::args::Deploy;
use crate::interrupt::Progress;
use crate::opening::{Permission, permission};
use crate::overtaken::{self, Finding};
use crate::permit::{Permit, Work};
use crate::under::UsedPermit;
use kit::error::{Error, Result};
use kit::{Cx, Report};
use lambda::{Client, Configuration, Expected, Moved, alarms};
use net::{Account, Net, Purpose, RetryPolicy};
use std::time::Duration;
use tokio::time::Instant;

/// Publishes a version with the digest and has the alias serve it.
///
/// # Errors
/// Bad input, or any verdict but success.
pub(super) async fn deploy(args: Deploy, cx: &Cx) -> Result<Report> {
    let arguments = args.version.selector.arguments(cx);
    let progress = Progress::default();
    progress.run(steps(args, cx, &progress), &arguments).await
}

async fn steps(args: Deploy, cx: &Cx, progress: &Progress<Stage>) -> Result<Report> {
    refuse_of_ecs(&args)?;
    let version = &args.version;
    let began = Instant::now();
    let steps = shift_steps(args.traffic.shift);
    let timeout = allowed(
        version.timeout,
        &steps,
        args.traffic.bake.unwrap_or_default(),
    )?;
    let (until, policy) = (began + timeout, RetryPolicy::within(timeout));
    let defaults = cx.defaults()?;
    let net = Net::new(cx)?;
    let asked = permission(version, &defaults, &version.digest)?;
    let purpose = match version.dry_run {
        true => Purpose::Read,
        false => Purpose::Deploy,
    };
    let found = find(cx, &net, &defaults, &version.selector, purpose, policy).await?;
    let asked = asked.open(cx, &net, &version.digest, Work::Deploy, version.dry_run);
    let Permission {
        permit,
        under,
        missing,
    } = asked.await?;
    let Found { account, client } = &found;
    let observed = observe(client, version, defaults.contract(), account, until).await?;
    let gate = Gate {
        environment: gated(&defaults),
        rollback: under.as_ref().is_some_and(|under| under.rollback),
    };
    let plan = decide(client, &observed, &version.digest, gate)?;
    let seen = alarms(&net, account, policy, &cx.host, &args.traffic.alarms()).await?;
    refuse_steps(client, &observed, &plan, &steps)?;
    let watched = Watched::begin(&plan.version, &seen)?;
    if version.dry_run {
        return Ok(report::planned(client, &plan, under.as_ref(), missing));
    }
    refuse_closed(under.as_ref(), &plan, gated(&defaults))?;
    for line in under.iter().map(UsedPermit::start_line).chain(plan.lines()) {
        cx.host.info(line);
    }
    for name in watched.in_alarm_before() {
        cx.host.warn(format!(
            "alarm {name} is in ALARM already, so it is not watched until it has left that state"
        ));
    }
    progress.at(Stage::Revising);
    let target = act::revise(cx, client, &plan, until).await?;
    let run = Run {
        cx,
        net: &net,
        found: &found,
        permit: permit.as_ref(),
        observed: &observed,
        plan: &plan,
        target: &target,
        progress,
        until,
    };
    let Served {
        under,
        verdict,
        not_watched,
        overtaken,
    } = run.serve(&args, &steps, under, watched).await?;
    let report = report::ended(&report::Outcome {
        client,
        account,
        plan: &plan,
        target: &target,
        under: under.as_ref(),
        verdict,
        not_watched,
        took: began.elapsed(),
        timeout,
    });
    overtaken::found(cx, report, overtaken)
}

/// A deployment whose version is published.
struct Run<'a> {
    cx: &'a Cx,
    net: &'a Net,
    found: &'a Found,
    permit: Option<&'a Permit<'a>>,
    observed: &'a Observed,
    plan: &'a Plan,
    target: &'a Configuration,
    progress: &'a Progress<Stage>,
    until: Instant,
}

/// The end of a deployment, and what was found beside it.
struct Served {
    under: Option<UsedPermit>,
    verdict: Verdict,
    /// The alarms that rang from before the beginning to the end.
    not_watched: Vec<String>,
    /// Another deployment, which may have superseded this one before the alias was changed.
    overtaken: Option<Finding>,
}

impl Run<'_> {
    /// Has the alias serve the version, under the permit if there is one, and comes to a verdict.
    ///
    /// # Errors
    /// The permit is not good any more, or a call is refused.
    async fn serve(
        &self,
        args: &Deploy,
        steps: &[Step],
        under: Option<UsedPermit>,
        watched: Watched,
    ) -> Result<Served> {
        let (plan, target) = (self.plan, self.target);
        let closed = under.as_ref().and_then(UsedPermit::closed).is_some();
        let (under, session) = match self.permit.filter(|_| !closed) {
            Some(permit) => {
                let record = under.map(|under| under.record_failed).unwrap_or_default();
                let begun = begin(self.cx, permit, plan, target, record, self.progress);
                let (under, session) = begun.await?;
                (Some(under), session)
            }
            None => (under, None),
        };
        let session = session.map(|account| self.in_session(&account));
        let mover = session.as_ref().unwrap_or(&self.found.client);
        let left = self.until.saturating_duration_since(Instant::now());
        mover.retry_by(RetryPolicy::following(left));
        let mut driver = self.driver(args, steps, mover, watched);
        let verdict = driver.drive().await;
        let verdict = verdict.map_err(|error| match &under {
            Some(under) if under.started.is_some() => error.cause(under.used_up()),
            _ => error,
        })?;
        // A rollback that began meanwhile has made its own; so has a later attempt of this run, if this one was taken for dead.
        let changed = under.as_ref().filter(|_| !plan.keeps());
        let overtaken = match (self.permit, changed) {
            (Some(permit), Some(under)) => permit.overtaken(under, &target.function_arn).await,
            _ => None,
        };
        Ok(Served {
            under,
            verdict,
            not_watched: driver.watched.in_alarm_before(),
            overtaken,
        })
    }

    /// The same calls by the session of a permit.
    fn in_session(&self, account: &Account) -> Client {
        let Found { client, .. } = self.found;
        let (function, alias) = (client.function.clone(), client.alias.clone());
        let policy = client.policy();
        Client::new(self.net, account, &self.cx.host, policy, function, alias)
    }

    fn driver<'a>(
        &'a self,
        args: &Deploy,
        steps: &[Step],
        mover: &'a Client,
        watched: Watched,
    ) -> Driver<'a> {
        let (plan, version) = (self.plan, self.target.version.clone());
        let unmoved = plan.keeps().then_some(Back::NotOurs);
        // Going back from the end of a deployment would begin it again.
        let ends = matches!(plan.version, Planned::End(_));
        let stays = args.no_rollback || ends;
        let left_alone = unmoved.or_else(|| stays.then_some(Back::Unwanted));
        self.progress.at(Stage::Moving {
            version: version.clone(),
            goes_back: left_alone.is_none(),
        });
        let weight = match &plan.version {
            Planned::GoOn(_) | Planned::End(_) => self.observed.look.alias.weight(),
            Planned::Keep | Planned::Publish { .. } => None,
        };
        let weight = weight.map(|(version, weight)| (version.to_owned(), weight));
        let reached = weight.as_ref().map_or(0.0, |(_, weight)| *weight);
        let (steps, bake) = match plan.keeps() || ends {
            true => (Vec::new(), Duration::ZERO),
            false => (left(steps, reached), args.traffic.bake.unwrap_or_default()),
        };
        // The alarms of the version that leaves say nothing about the one that stays.
        let alarms = match ends {
            true => Vec::new(),
            false => args.traffic.alarms(),
        };
        Driver {
            cx: self.cx,
            net: self.net,
            account: &self.found.account,
            client: mover,
            progress: self.progress,
            alarms,
            watched,
            replaced: Replaced::default(),
            before: Moved {
                version: plan.before.clone(),
                weight,
            },
            expected_before: plan.before_digest.clone().map(|digest| Expected {
                version: Some(plan.before.clone()),
                digest,
            }),
            expected: Expected {
                version: Some(version.clone()),
                digest: plan.digest.clone(),
            },
            version,
            steps,
            bake,
            until: self.until,
            left: left_alone,
        }
    }
}

/// Refuses arguments that only the deployment of an ECS service has.
fn refuse_of_ecs(args: &Deploy) -> Result<()> {
    if !args.allow_zero_tasks && args.replace.is_none() {
        return Ok(());
    }
    Err(
        Error::usage("--allow-zero-tasks and --replace are for the deployment of an ECS service")
            .hint("omit them: a function has no tasks, and `rollback` ends a deployment of one"),
    )
}

/// Refuses to change the alias under a permit that this same run closed, or took up too long ago.
fn refuse_closed(under: Option<&UsedPermit>, plan: &Plan, environment: Option<&str>) -> Result<()> {
    let why = under.and_then(UsedPermit::closed).filter(|_| !plan.keeps());
    let Some(why) = why else {
        return Ok(());
    };
    let error = Error::refused(format!(
        "{why}, and a deployment now would change the alias"
    ))
    .with_causes(plan.lines());
    Err(environment.into_iter().fold(error, |error, environment| {
        error.hint(format!(
            "deploy under a new permit: slipway-promote grant --environment {environment} --digest {}",
            plan.digest
        ))
    }))
}

/// Refuses to move traffic in steps where Lambda takes no weights.
fn refuse_steps(client: &Client, observed: &Observed, plan: &Plan, steps: &[Step]) -> Result<()> {
    let moves = matches!(plan.version, Planned::Publish { .. } | Planned::GoOn(_));
    if steps.is_empty() || !moves || observed.look.provisioned.is_none() {
        return Ok(());
    }
    Err(Error::refused(format!(
        "alias {} has provisioned concurrency, so its traffic cannot move in steps",
        client.alias
    ))
    .cause("Lambda takes no weights for such an alias")
    .hint("omit --shift; Lambda keeps the version before until the new one is provisioned"))
}

/// Uses the permit up, after the session that it opens is there, so that a refused session does not cost it. Without a change
/// of the alias there is no session.
async fn begin(
    cx: &Cx,
    permit: &Permit<'_>,
    plan: &Plan,
    target: &Configuration,
    record: String,
    progress: &Progress<Stage>,
) -> Result<(UsedPermit, Option<Account>)> {
    let version = &target.function_arn;
    let session = match plan.keeps() {
        true => None,
        false => Some(permit.session(version).await?),
    };
    progress.at(Stage::Beginning {
        permit: permit.number(),
        version: target.version.clone(),
        record,
    });
    let under = permit.start(version).await?;
    cx.host.info(under.used_up());
    Ok((under, session))
}
