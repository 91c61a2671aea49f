//! The repository: created on demand, never by the infrastructure stack, so that environments can be torn down while the
//! images stay; and brought to what is asked for, as a plan.

mod api;
mod guard;
mod lifecycle;
mod plan;
mod prepared;
mod preview;
pub(crate) mod report;
mod settings;

pub(crate) use plan::{Current, Plan};
pub(crate) use prepared::Prepared;
pub(crate) use settings::Wanted;

use crate::args;
use crate::ecr::Ecr;
use crate::primary::{LedgerTable, Primary};
use crate::{input, pull_policy};
use kit::aws::AccountId;
use kit::backoff::{attempts, doubling};
use kit::step::Cx;
use kit::{Error, Report, Result};
use net::Net;
use plan::Act;
use std::collections::BTreeSet;
use std::time::Duration;

/// `CreateRepository` returns before the repository can be used; ECR promises no time.
fn created_within() -> impl Iterator<Item = Duration> {
    doubling(Duration::from_millis(250), Duration::from_secs(15), 7)
}

/// How long a change is looked for after ECR took it.
fn changed_within() -> impl Iterator<Item = Duration> {
    attempts(4, Duration::from_millis(500))
}

/// The repository after what had to be done was done.
#[derive(Debug)]
pub(crate) struct Ready {
    /// By this run.
    pub(crate) created: bool,
    /// By this run or, a moment before it, by another: the registry may not know it yet.
    pub(crate) fresh: bool,
}

pub(crate) async fn run(args: args::Repository, cx: &Cx) -> Result<Report> {
    let primary = Primary::new(&args.repository, cx)?;
    let wanted = Wanted::new(args.settings, &primary, input::source(cx))?;
    let net = Net::new(cx)?;
    let ecr = Ecr::new(&net.account(&primary.target).await?, primary.repository);
    let prepared = prepare(cx, &net, &ecr, wanted, primary.ledger.as_ref(), true).await?;
    if args.dry_run {
        return Ok(report::report(&ecr, &prepared, None));
    }
    ensure(cx, &ecr, &prepared).await?;
    let registry = ecr.registry().await?;
    Ok(report::report(&ecr, &prepared, Some(&registry.host)))
}

/// Looks and decides; changes nothing. `scanning` asks how images are scanned, too.
///
/// # Errors
/// The repository cannot be changed to what is wanted, or must not be (exit 3).
pub(crate) async fn prepare(
    cx: &Cx,
    net: &Net,
    ecr: &Ecr,
    mut wanted: Wanted,
    ledger: Option<&LedgerTable>,
    scanning: bool,
) -> Result<Prepared> {
    // Its own account needs no policy to pull.
    wanted.pull.remove(&ecr.account);
    let seen = api::observe(ecr, &wanted, scanning).await?;
    let plan = plan::plan(&ecr.repository, ecr.partition, seen.as_ref(), &wanted)?;
    let policy = wanted.lifecycle.as_ref();
    let checked = guard::check(cx, net, ecr, seen.is_some(), policy, ledger).await?;
    Ok(Prepared {
        wanted,
        seen,
        plan,
        checked,
    })
}

/// Does what is planned and looks again: the repository is ready once nothing is left to plan.
pub(crate) async fn ensure(cx: &Cx, ecr: &Ecr, prepared: &Prepared) -> Result<Ready> {
    for warning in prepared.warnings() {
        cx.host
            .warn(format!("repository {}: {warning}", ecr.repository));
    }
    let wanted = &prepared.wanted;
    let mut created = false;
    let mut seen = prepared.seen.clone();
    let mut plan = prepared.plan.clone();
    if plan.creates() {
        created = api::create(ecr, wanted).await?;
        if created {
            cx.host.info(format!(
                "created repository {} in account {}, {}",
                ecr.repository, ecr.account, ecr.region
            ));
        }
        // Another run may have created it with other settings, so the remaining changes are decided anew.
        (seen, plan) = visible(ecr, wanted).await?;
    }
    let ready = Ready {
        created,
        fresh: prepared.plan.creates(),
    };
    if seen.is_some() && plan.changes.is_empty() {
        return Ok(ready);
    }
    let arn = seen.map(|seen| seen.arn).unwrap_or_default();
    for change in &plan.changes {
        match &change.act {
            Act::Create => continue,
            Act::Mutability(patterns) => api::set_mutability(ecr, patterns).await?,
            Act::Lifecycle(policy) => api::set_lifecycle(ecr, policy).await?,
            Act::Pull(accounts) => allow(ecr, accounts).await?,
            Act::Tag(key, value) => api::set_tag(ecr, &arn, key, value).await?,
        }
        cx.host.info(format!(
            "repository {}: {}: {}",
            ecr.repository, change.setting, change.to
        ));
    }
    verified(ecr, wanted).await?;
    Ok(ready)
}

/// Waits until a repository that was created can be seen, and decides what is left.
async fn visible(ecr: &Ecr, wanted: &Wanted) -> Result<(Option<Current>, Plan)> {
    for pause in created_within() {
        let seen = api::observe(ecr, wanted, false).await?;
        if seen.is_some() {
            let plan = plan::plan(&ecr.repository, ecr.partition, seen.as_ref(), wanted)?;
            return Ok((seen, plan));
        }
        tokio::time::sleep(pause).await;
    }
    Err(Error::failed(format!(
        "repository {} was created in account {} but cannot be described yet",
        ecr.repository, ecr.account
    ))
    .hint("run the step again; it goes on where it stopped"))
}

/// Reads the repository until no change remains.
async fn verified(ecr: &Ecr, wanted: &Wanted) -> Result<()> {
    let mut remaining = Plan::default();
    for pause in changed_within() {
        tokio::time::sleep(pause).await;
        let seen = api::observe(ecr, wanted, false).await?;
        remaining = plan::plan(&ecr.repository, ecr.partition, seen.as_ref(), wanted)?;
        if seen.is_some() && remaining.changes.is_empty() {
            return Ok(());
        }
    }
    let mut error = Error::failed(format!(
        "repository {} was changed, but is not as wanted when read back",
        ecr.repository
    ));
    for change in &remaining.changes {
        error = error.cause(format!(
            "{} is {}, not {}",
            change.setting,
            change.from.as_deref().unwrap_or("not there"),
            change.to
        ));
    }
    Err(error.hint("somebody else may have changed it at the same time; run the step again"))
}

/// Reads the policy again right before the write, so that there is little time in which a statement that somebody else
/// adds would be lost: ECR has no conditional write.
async fn allow(ecr: &Ecr, accounts: &BTreeSet<AccountId>) -> Result<()> {
    let seen = ecr.policy().await?;
    match pull_policy::policy(ecr.partition, accounts, seen.as_deref())? {
        Some(policy) => ecr.set_policy(&policy).await,
        None => Ok(()),
    }
}
