//! Permits, each of which lets one digest be deployed, once and until a time. Decides from the records of a chain whether a
//! deployment may begin under one, or its infrastructure plan be applied. Pure.
//!
//! A permit lives until it expires, or until the next deployment is recorded, however that ended. So
//! every deployment record closes what began before it.

mod path;
mod reason;
mod start;

pub use path::{contract_path, judging};
pub use reason::{Reason, began, unfinished};
pub use start::Started;

use crate::chain::Chain;
use crate::entry::Recorded;
use crate::entry::{GENESIS, sha256};
use crate::record::{Permit, Record, Verdict};
use kit::aws::AccountId;
use kit::clock::{instant, seconds_after};
use kit::contract::Gate;
use kit::error::{Context, Error, Result};
use kit::id::{CommitId, Digest};
use time::OffsetDateTime;

/// For how long, in seconds, a deployment can begin under a permit: migrations and infrastructure come
/// between. One that began counts as under way for as long again, unless it is recorded before.
pub const VALID_SECONDS: u64 = 3600;

/// For how long, in seconds, the deployment of a promotion can begin, or its plan be applied, after it was judged. An approval can
/// be dismissed, a check fail and a freeze begin at any time, and only GitHub and AWS know; so it is judged once more right before.
/// The time left is for a job between the two that waits for its runner, not for a migration.
pub const FRESH: u64 = 600;

/// How far, in seconds, the time of a permit may be ahead of AWS's: `grant` refuses to write one by a clock that is off by more.
/// AWS itself refuses no request for that, since the SDK signs with AWS's time.
const AHEAD: u64 = 300;

/// The text before the number of the attempt in the address of a run's page.
const ATTEMPTS: &str = "/attempts/";

/// The hash by which a record names the gate in force: SHA-256 over its rules as JSON.
///
/// # Errors
/// The rules cannot be written as JSON.
pub fn policy(gate: &Gate) -> Result<String> {
    let bytes = serde_json::to_vec(gate).context("cannot write the gate as JSON")?;
    Ok(format!("sha256:{}", sha256(&bytes)))
}

/// The use that is to be made of a permit.
#[derive(Debug, Clone, Copy)]
pub enum Use<'a> {
    /// The deployment of this digest begins, which uses the permit up.
    Deploy(&'a Digest),
    /// A one-off task of this digest begins, such as a migration before the deployment. It uses the permit up for other runs.
    Task {
        /// The image's digest.
        digest: &'a Digest,
        /// The command, as [`command`] says it.
        command: &'a str,
    },
    /// The deployment of this digest, which waits for an answer, goes on, whoever began it. Nothing may have withdrawn its
    /// permit meanwhile, and a permit that is over is replaced by a new one.
    Continue(&'a Digest),
    /// The promotion of this digest is judged once more, so that its deployment can begin.
    Judge(&'a Digest),
    /// An infrastructure plan is applied, which uses the plan up and leaves the permit to the deployment.
    Apply {
        /// The plan's ID.
        plan: &'a str,
        /// The commit that it was made from.
        commit: &'a CommitId,
    },
}

/// The hash by which a record names the command of a one-off task: SHA-256 over its words as JSON.
///
/// # Errors
/// The words cannot be written as JSON.
pub fn command(words: &[String]) -> Result<String> {
    let bytes = serde_json::to_vec(words).context("cannot write the command as JSON")?;
    Ok(format!("sha256:{}", sha256(&bytes)))
}

/// The number of a permit, as it is given to a step. Where a gate granted none, a workflow passes an empty text on.
///
/// # Errors
/// It is not a number (exit 2).
pub fn number(given: Option<&str>) -> Result<Option<u64>> {
    let text = given.map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(
            Error::usage(format!("`{text}` is not the number of a permit"))
                .hint("give the `permit` output of `slipway-promote grant`"),
        ),
    }
}

/// A deployment that is about to begin, or a plan that is about to be applied.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The number of the permit's record.
    pub permit: u64,
    /// The use of the permit.
    pub of: Use<'a>,
    /// The account it is done in: that of the credentials that do it.
    pub account: &'a AccountId,
    /// The gate in force now, as [`policy`] says it.
    pub policy: &'a str,
    /// The path of the contract that it is of, in its repository.
    pub contract_path: &'a str,
    /// The page of the run, which tells its attempts apart. Without one, nobody is the same run.
    pub run: Option<&'a str>,
}

impl Attempt<'_> {
    /// The command of the task that begins, if one does.
    fn command(&self) -> Option<&str> {
        match self.of {
            Use::Task { command, .. } => Some(command),
            Use::Deploy(_) | Use::Continue(_) | Use::Judge(_) | Use::Apply { .. } => None,
        }
    }

    fn continues(&self) -> bool {
        matches!(self.of, Use::Continue(_))
    }
}

/// A permit under which a deployment may begin, or go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// The permit's record.
    pub permit: Recorded,
    /// The record with which this same run began it before. A task's record is not a deployment's: what was judged for the one
    /// may have changed until the other begins.
    pub started: Option<Recorded>,
    /// When this same run first began it, by the record of that.
    pub began: Option<String>,
    /// It began longer ago than a permit lasts, so it may be followed, but nothing of it be begun or changed: for that it has to be
    /// judged anew.
    pub over: bool,
    /// The record with which this same run ended it before. Then nothing may be changed any more, only verified.
    pub recorded: Option<u64>,
}

/// A deployment that began under a permit and is not recorded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Underway<'r> {
    /// The `started` record.
    pub started: &'r Recorded,
    /// From when on it no longer counts; `None` if its time cannot be read.
    pub until: Option<OffsetDateTime>,
}

/// Decides whether the deployment may begin or the plan be applied, from the chain's records since its newest deployment,
/// newest first and with that one.
///
/// # Errors
/// It may not.
pub fn usable(
    records: &[Recorded],
    attempt: &Attempt<'_>,
    now: OffsetDateTime,
) -> Result<Usable, Reason> {
    let newest = records.iter().find(|it| it.record.is_deployment());
    let deployed = || newest.map(|it| Box::new(it.record.clone()));
    let found = records.iter().find(|it| it.record.seq == attempt.permit);
    let found = found.ok_or_else(|| Reason::Unknown(deployed()))?;
    let record = &found.record;
    let (Verdict::Permitted, Some(permit)) = (record.verdict, &record.permit) else {
        return Err(Reason::NotAPermit(record.verdict));
    };
    fits(record, permit, attempt.of)?;
    if record.account.as_ref() != Some(attempt.account) {
        return Err(Reason::Account(record.account.clone()));
    }
    if let Some(path) = contract_path(record).filter(|path| *path != attempt.contract_path) {
        return Err(Reason::ContractPath(path.to_owned()));
    }
    if permit.head != newest.map_or(GENESIS, |it| &it.hash) {
        return Err(Reason::Newer(deployed()));
    }
    let mut begun = records
        .iter()
        .take_while(|it| !it.record.is_deployment())
        .filter(|it| it.record.verdict == Verdict::Started)
        .peekable();
    let last = begun.peek().copied();
    let mut used = begun.filter(|it| it.record.under == Some(attempt.permit));
    if let (Some(newest), Some(last)) = (used.next(), last) {
        // A deployment that waits for an answer is taken over by whoever may give it.
        if !attempt.continues() && !continues_run(attempt.run, newest.record.run.as_deref()) {
            return Err(Reason::Started(Box::new(newest.record.clone())));
        }
        // It was taken for dead, and another deployment began.
        if last.record.seq != newest.record.seq {
            return Err(Reason::Underway(Box::new(last.record.clone())));
        }
        // Its answer is judged anew: what was permitted when it began may have been withdrawn while it waited.
        if attempt.continues() {
            same_policy(record, attempt)?;
            in_force(records, record, now)?;
        }
        // The run may finish its own deployment, even after the time by which it had to begin, but not for ever.
        let all = std::iter::once(newest).chain(used);
        let own: Vec<&Recorded> = match attempt.of {
            Use::Deploy(_) | Use::Continue(_) | Use::Judge(_) => {
                all.filter(|it| it.record.command.is_none()).collect()
            }
            Use::Task { .. } => all.collect(),
            Use::Apply { .. } => Vec::new(),
        };
        if let (Some(last), Some(first)) = (own.first(), own.last()) {
            let over = !goes_on(&first.record, now);
            if !over || matches!(attempt.of, Use::Deploy(_)) {
                return Ok(Usable {
                    permit: found.clone(),
                    started: Some((*last).clone()),
                    began: Some(first.record.at.clone()),
                    over,
                    recorded: None,
                });
            }
        }
    }
    if let Some(underway) = underway(records, now)
        && !supersedes(record, attempt.run, &underway.started.record)
    {
        return Err(Reason::Underway(Box::new(underway.started.record.clone())));
    }
    same_policy(record, attempt)?;
    in_force(records, record, now)?;
    timely(record, attempt.of, now)?;
    Ok(Usable {
        permit: found.clone(),
        started: None,
        began: None,
        over: false,
        recorded: None,
    })
}

/// Returns true if what first began with this record may go on without another judgment: for as long as a permit lasts. A time that cannot
/// be read is long ago.
pub fn goes_on(began: &Record, now: OffsetDateTime) -> bool {
    let until = instant(&began.at).and_then(|at| seconds_after(at, VALID_SECONDS));
    until.is_some_and(|until| now < until)
}

/// Refuses a permit that was judged by other rules than those in force.
fn same_policy(permit: &Record, attempt: &Attempt<'_>) -> Result<(), Reason> {
    match permit.policy.as_deref() == Some(attempt.policy) {
        true => Ok(()),
        false => Err(Reason::Policy),
    }
}

/// The record of a healthy deployment under the permit by this same run, if it is the newest one: the run was stopped
/// right after it and runs again. From the chain's records since its newest deployment, newest first and with that one.
pub fn recorded<'r>(records: &'r [Recorded], attempt: &Attempt<'_>) -> Option<&'r Record> {
    let (Use::Deploy(digest) | Use::Continue(digest) | Use::Task { digest, .. }) = attempt.of
    else {
        return None;
    };
    let newest = records.iter().map(|it| &it.record);
    let mut newest = newest.filter(|record| record.is_deployment());
    newest.next().filter(|record| {
        record.verdict == Verdict::Healthy
            && record.under == Some(attempt.permit)
            && record.digest == *digest
            && record.account.as_ref() == Some(attempt.account)
            && continues_run(attempt.run, record.run.as_deref())
    })
}

/// Refuses what the permit does not name.
fn fits(record: &Record, permit: &Permit, of: Use<'_>) -> Result<(), Reason> {
    match of {
        Use::Deploy(digest)
        | Use::Continue(digest)
        | Use::Judge(digest)
        | Use::Task { digest, .. }
            if record.digest != *digest =>
        {
            Err(Reason::Digest(record.digest.clone()))
        }
        Use::Apply { plan, .. } if permit.plan.as_deref() != Some(plan) => {
            Err(Reason::Plan(permit.plan.clone()))
        }
        Use::Apply { commit, .. } if record.commit != *commit => {
            Err(Reason::Commit(record.commit.clone()))
        }
        Use::Deploy(_)
        | Use::Continue(_)
        | Use::Judge(_)
        | Use::Task { .. }
        | Use::Apply { .. } => Ok(()),
    }
}

/// Refuses a permit from the future, which would last longer than any, and to begin the deployment of a promotion, or to apply its
/// plan, if it was not judged lately. A time that cannot be read is neither.
fn timely(record: &Record, of: Use<'_>, now: OffsetDateTime) -> Result<(), Reason> {
    let soon = seconds_after(now, AHEAD).unwrap_or(now);
    if instant(&record.at).is_none_or(|at| at > soon) {
        return Err(Reason::Ahead(record.at.clone()));
    }
    match of {
        Use::Deploy(_) | Use::Continue(_) | Use::Task { .. } | Use::Apply { .. }
            if begins_by(record).is_none_or(|until| until < now) =>
        {
            Err(Reason::Stale(Box::new(record.clone())))
        }
        Use::Deploy(_)
        | Use::Continue(_)
        | Use::Judge(_)
        | Use::Task { .. }
        | Use::Apply { .. } => Ok(()),
    }
}

/// The time until which a deployment can begin under a permit, or its plan be applied; nothing if that cannot be read. A promotion
/// has to be judged once more after that. A rollback and a break-glass wait for nobody, so they have until it expires.
pub fn begins_by(permit: &Record) -> Option<OffsetDateTime> {
    let expires = instant(&permit.permit.as_ref()?.expires)?;
    match permit.rollback.is_some() || permit.break_glass.is_some() {
        true => Some(expires),
        false => Some(seconds_after(instant(&permit.at)?, FRESH)?.min(expires)),
    }
}

/// Refuses to begin anything under a permit that is over, or whose request was rejected or withdrawn.
pub(crate) fn in_force(
    records: &[Recorded],
    record: &Record,
    now: OffsetDateTime,
) -> Result<(), Reason> {
    if let Some(permit) = record.permit.as_ref().filter(|it| expired(it, now)) {
        return Err(Reason::Expired(permit.expires.clone()));
    }
    match objection(records, record) {
        Some(end) => Err(Reason::Objection(Box::new(end.clone()))),
        None => Ok(()),
    }
}

/// Refuses the newest records of a chain that do not reach back to its newest deployment, although there
/// are older ones: what is read of them would be taken for a chain without a deployment.
///
/// # Errors
/// They do not (exit 3).
pub fn require_deployment(chain: &Chain, records: &[Recorded]) -> Result<()> {
    let reaches = records.iter().any(|it| it.record.is_deployment());
    let environment = chain.environment();
    match records.last() {
        Some(oldest) if !reaches && oldest.record.seq > 1 => Err(Error::refused(format!(
            "{environment} has too many records since its newest deployment: none of the newest {} is one",
            records.len()
        ))
        .hint(format!(
            "deploy what runs there once more, or record a failure of it: slipway-promote record --environment {environment} --digest DIGEST --commit COMMIT --verdict failed"
        ))),
        _ => Ok(()),
    }
}

/// Returns true if the permit allows a deployment without waiting for the one that is under way, which then is over:
/// a rollback, which must always be possible, and the run that began it, in a later attempt.
pub fn supersedes(permit: &Record, run: Option<&str>, underway: &Record) -> bool {
    permit.rollback.is_some() || continues_run(run, underway.run.as_deref())
}

/// The record that overtook a deployment, which began with a record of this number: a deployment that
/// began later, also another attempt of the same run under the same permit, or one that was recorded
/// later. From the chain's records since its newest deployment.
///
/// A run records its deployment's end after it has asked this, so an end under its own permit is by
/// another attempt too.
pub fn overtaken(records: &[Recorded], started: u64) -> Option<&Record> {
    let mut records = records.iter().map(|it| &it.record);
    records.find(|record| {
        let deploys = record.is_deployment() || record.verdict == Verdict::Started;
        deploys && record.seq > started
    })
}

/// Returns true if a page is of the run that began something, in the same attempt or in a later one. The
/// attempts of a run on GitHub follow each other, so that every earlier one is over, also where it is
/// still at work. Without a page, nobody is the same run.
pub fn continues_run(run: Option<&str>, began: Option<&str>) -> bool {
    let (Some(run), Some(began)) = (run, began) else {
        return false;
    };
    if run == began {
        return true;
    }
    match (numbered(run), numbered(began)) {
        (Some((run, attempt)), Some((began, earlier))) => run == began && attempt > earlier,
        _ => false,
    }
}

/// A run's page and the number of its attempt, where the page has one.
fn numbered(page: &str) -> Option<(&str, u64)> {
    let (run, attempt) = page.rsplit_once(ATTEMPTS)?;
    Some((run, attempt.parse().ok()?))
}

/// Returns true if a run can be run again, so that its next attempt goes on: GitHub's can.
fn has_attempts(page: &str) -> bool {
    page.contains(ATTEMPTS)
}

/// The rejection or withdrawal of a request that the permit rests on, if one came after the permit,
/// from the chain's records since its newest deployment.
pub fn objection<'r>(records: &'r [Recorded], permit: &Record) -> Option<&'r Record> {
    let requests = permit.permit.as_ref().map(|it| &it.requests)?;
    let ends = |record: &Record| matches!(record.verdict, Verdict::Rejected | Verdict::Withdrawn);
    let about = |record: &Record| record.answers.is_some_and(|it| requests.contains(&it));
    let mut later = records.iter().map(|it| &it.record);
    later.find(|record| record.seq > permit.seq && ends(record) && about(record))
}

/// Returns true if no deployment can begin under the permit any more, or if its time cannot be read.
pub fn expired(permit: &Permit, now: OffsetDateTime) -> bool {
    instant(&permit.expires).is_none_or(|expires| expires <= now)
}

/// The deployment that began and is not recorded yet, from the chain's records since its newest
/// deployment, newest first.
pub fn underway(records: &[Recorded], now: OffsetDateTime) -> Option<Underway<'_>> {
    let life = time::Duration::seconds(VALID_SECONDS.cast_signed());
    let since = records.iter().take_while(|it| !it.record.is_deployment());
    let started = since.filter(|it| it.record.verdict == Verdict::Started);
    let underway = started.map(|started| Underway {
        started,
        until: instant(&started.record.at).map(|at| at + life),
    });
    // A deployment whose time cannot be read counts as under way until a deployment is recorded.
    let mut open = underway.filter(|it| it.until.is_none_or(|until| now < until));
    open.next()
}

#[cfg(test)]
mod tests;
