//! Why no deployment may begin under a permit, and what to do then.

use super::{Attempt, FRESH, Use, VALID_SECONDS, has_attempts};
use crate::chain::Chain;
use crate::record::{Record, Verdict};
use kit::aws::AccountId;
use kit::error::Error;
use kit::id::{CommitId, Digest};

/// Why no deployment may begin under a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The chain has no record of that number since its newest deployment, which is this one.
    Unknown(Option<Box<Record>>),
    /// The record of that number is something else.
    NotAPermit(Verdict),
    /// It is for another digest.
    Digest(Digest),
    /// It is for another plan, or names none.
    Plan(Option<String>),
    /// It is for another commit than the plan.
    Commit(CommitId),
    /// It is for another account, or names none.
    Account(Option<AccountId>),
    /// It was judged by the contract at another path, which is this.
    ContractPath(String),
    /// The gate had other rules.
    Policy,
    /// It expired at this time.
    Expired(String),
    /// It was granted at this time, which has not come or cannot be read.
    Ahead(String),
    /// It is for a promotion, and was granted too long ago for that to begin.
    Stale(Box<Record>),
    /// This run began a deployment under it at this time, and that is too long ago to go on without another judgment.
    Over(String),
    /// A request that it rests on was rejected or withdrawn since, by this record.
    Objection(Box<Record>),
    /// It was judged against another deployment than the newest one, which is this.
    Newer(Option<Box<Record>>),
    /// Another run began a deployment under it, with this record.
    Started(Box<Record>),
    /// A deployment under another permit began with this record, and is not recorded yet.
    Underway(Box<Record>),
}

/// The person who began a deployment and the time, for people: `ada at 2026-11-21T18:00:00Z in https://…`.
pub fn began(started: &Record) -> String {
    let run = started.run.as_ref();
    let run = run.map_or_else(String::new, |run| format!(" in {run}"));
    format!("{} at {}{run}", started.actor.login, started.at)
}

/// Adds what to do about a deployment that began and is not recorded yet: what may still record it, what
/// need not wait for it, and what puts an end to it; `then` follows once it is ended.
#[must_use]
pub fn unfinished(error: Error, started: &Record, then: &str) -> Error {
    let Record {
        environment,
        digest,
        commit,
        ..
    } = started;
    let closing = format!(
        "slipway-promote record --environment {environment} --digest {digest} --commit {commit} --verdict failed{then}"
    );
    match started.run.as_deref() {
        Some(run) if has_attempts(run) => error
            .hint("wait for that run to record how it ended; if it died, run its failed jobs again")
            .hint(rollback_hint(started))
            .hint(format!("if it never will: {closing}")),
        // A build that is started once more is another build, which cannot go on.
        Some(_) => error
            .hint("wait for that run to record how it ended")
            .hint(format!("if it died: {closing}"))
            .hint(rollback_hint(started)),
        None => error
            .hint(format!(
                "it began outside of a run; if nobody records how it ended: {closing}"
            ))
            .hint(rollback_hint(started)),
    }
}

/// The hint for a rollback, which need not wait for a deployment that is under way. A rollback from a promotion goes to the
/// digest that was healthy when the promotion was permitted.
fn rollback_hint(started: &Record) -> String {
    let healthy = started
        .previous
        .as_ref()
        .filter(|digest| started.rollback.is_none() && **digest != started.digest);
    let digest = healthy.map_or_else(String::new, |digest| format!(" --digest {digest}"));
    format!(
        "a rollback need not wait: slipway-promote grant --environment {} --rollback{digest}",
        started.environment
    )
}

/// The use that the attempt makes of the permit, and the arguments that name it.
fn requested_use(attempt: &Attempt<'_>, environment: &str) -> (String, String) {
    match attempt.of {
        Use::Deploy(digest) | Use::Judge(digest) => (
            format!("{digest} be deployed to {environment}"),
            format!("--digest {digest}"),
        ),
        Use::Continue(digest) => (
            format!("the deployment of {digest} to {environment} go on"),
            format!("--digest {digest}"),
        ),
        Use::Task { digest, .. } => (
            format!("a task of {digest} run in {environment}"),
            format!("--digest {digest}"),
        ),
        Use::Apply { plan, .. } => (
            format!("plan {plan} be applied to {environment}"),
            format!("--digest DIGEST --plan {plan}"),
        ),
    }
}

/// The environment's newest deployment.
fn newest(record: Option<&Record>, environment: &str) -> String {
    match record {
        None => format!("nothing was deployed to {environment} yet"),
        Some(record) => format!(
            "the newest deployment is record {}: {} {}, by {} at {}",
            record.seq, record.digest, record.verdict, record.actor.login, record.at
        ),
    }
}

/// The account that the permit is for, if any, and that of the credentials.
fn other_account(permitted: Option<&AccountId>, attempt: &Attempt<'_>) -> String {
    match permitted {
        Some(permitted) => format!(
            "it permits account {permitted}, and the credentials are for {}",
            attempt.account
        ),
        None => "it names no account".to_owned(),
    }
}

/// Adds which contract judged, and which one is at hand.
fn other_contract(error: Error, path: &str, attempt: &Attempt<'_>) -> Error {
    error
        .cause(format!(
            "it was judged by the contract {path}, and this one is {}",
            attempt.contract_path
        ))
        .hint(format!("give the contract that judged: --contract {path}"))
}

/// Adds why a promotion has to be judged once more, and which command does so.
fn stale(error: Error, record: &Record, of: Use<'_>) -> Error {
    let Record {
        seq,
        environment,
        digest,
        ..
    } = record;
    let plan = record.permit.as_ref().and_then(|it| it.plan.as_ref());
    let plan = plan.map_or_else(String::new, |plan| format!(" --plan {plan}"));
    error
        .cause(format!(
            "it was granted at {}, and a promotion must be judged at most {} minutes before its deployment begins, or a task before it, or its plan is applied",
            record.at,
            FRESH / 60
        ))
        .hint(format!(
            "judge it once more: slipway-promote grant --environment {environment} --digest {digest}{plan} --permit {seq}"
        ))
        .hint(match of {
            Use::Apply { .. } => {
                "then apply under the new permit, its output `permit`; in a workflow, run all of its jobs again"
            }
            Use::Deploy(_) | Use::Continue(_) | Use::Judge(_) | Use::Task { .. } => {
                "then deploy under the new permit, its output `permit`"
            }
        })
}

/// Adds when this run began it, and why that is too long ago.
fn over(error: Error, began: &str) -> Error {
    error.cause(format!(
        "this run began it at {began}, and what began more than {} minutes ago is judged anew before it goes on",
        VALID_SECONDS / 60
    ))
}

/// Adds who rejected or withdrew a request.
fn objected(error: Error, end: &Record) -> Error {
    error.cause(format!(
        "request {} was {} by {} at {} (record {}), after the permit was granted",
        end.answers.unwrap_or_default(),
        end.verdict,
        end.actor.login,
        end.at,
        end.seq
    ))
}

impl Reason {
    /// The refusal for people (exit 3).
    pub fn refusal(&self, chain: &Chain, attempt: &Attempt<'_>) -> Error {
        let (permit, environment) = (attempt.permit, chain.environment());
        let (done, with) = requested_use(attempt, environment);
        let grant = format!(
            "ask for a new permit: slipway-promote grant --environment {environment} {with}"
        );
        let then = format!("; then {grant}");
        let error = Error::refused(format!("permit {permit} does not let {done}"));
        match self {
            Reason::Unknown(record) => error
                .cause(format!(
                    "chain {chain} has no record {permit} since its newest deployment"
                ))
                .cause(newest(record.as_deref(), environment))
                .hint(grant),
            Reason::NotAPermit(verdict) => error
                .cause(format!("record {permit} is not a permit: {verdict}"))
                .hint("give the `permit` output of `slipway-promote grant`")
                .hint(grant),
            Reason::Digest(permitted) => error.cause(format!("it permits {permitted}")).hint(grant),
            Reason::Plan(permitted) => error
                .cause(match permitted {
                    Some(permitted) => format!("it permits plan {permitted}"),
                    None => "it names no plan".to_owned(),
                })
                .hint(grant),
            Reason::Commit(permitted) => error
                .cause(format!("it permits commit {permitted}"))
                .hint("plan the commit that is promoted: slipway-state plan --commit SHA")
                .hint(grant),
            Reason::Account(permitted) => error
                .cause(other_account(permitted.as_ref(), attempt))
                .hint("deploy with credentials for the environment's account"),
            Reason::ContractPath(path) => other_contract(error, path, attempt).hint(grant),
            Reason::Policy => error
                .cause(format!(
                    "the contract's gate of {environment} has changed since it was granted"
                ))
                .hint(grant),
            Reason::Expired(at) => error.cause(format!("it expired at {at}")).hint(grant),
            Reason::Ahead(at) => error
                .cause(format!(
                    "it was granted at {at}, which AWS's clock has not reached"
                ))
                .hint("set the clock of the machine that granted it")
                .hint(grant),
            Reason::Stale(record) => stale(error, record, attempt.of),
            Reason::Over(began) => over(error, began).hint(grant),
            Reason::Objection(end) => objected(error, end)
                .hint(format!(
                    "ask again: slipway-promote request --environment {environment} {with} --reason TEXT"
                )),
            Reason::Newer(record) => error
                .cause("another deployment was recorded since it was granted")
                .cause(newest(record.as_deref(), environment))
                .hint(grant),
            Reason::Started(started) => {
                let revision = started.task_definition.as_deref();
                let revision = revision.map_or_else(String::new, |it| format!(", of {it}"));
                let cause = format!("{} began a deployment under it{revision}", began(started));
                let error = error.cause(cause);
                unfinished(error, started, &then)
            }
            Reason::Underway(started) => {
                let error = error.cause(format!(
                    "{} began a deployment of {} under permit {}, which is not recorded yet",
                    began(started),
                    started.digest,
                    started.under.unwrap_or_default()
                ));
                unfinished(error, started, &then)
            }
        }
    }
}
