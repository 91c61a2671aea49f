//! How a deployment ended, in the words of people, of machines and of the ledger.

use kit::aws::{Arn, TaskDefinitionArn};

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Our digest runs everywhere and is healthy.
    Succeeded,
    /// ECS went back; `to` is the task definition that runs and is complete again.
    RolledBack {
        to: TaskDefinitionArn,
        reason: String,
    },
    /// Another deployment took the service over.
    Superseded {
        by: String,
        task_definition: TaskDefinitionArn,
    },
    /// It ended without success, and what ran before did not come back by itself.
    Failed { reason: String },
    /// It waits at a hook until somebody answers.
    Paused(Box<Pause>),
    /// It neither succeeded nor failed before this run gave it up.
    GivenUp { why: Why, rollback: Rollback },
}

/// A deployment that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    /// The hook's ID.
    pub(crate) hook: String,
    /// The stage of the deployment.
    pub(crate) stage: String,
    /// ECS's record of the deployment.
    pub(crate) record: Option<Arn>,
    /// When ECS acts by itself.
    pub(crate) until: Option<String>,
    /// What it does then: `CONTINUE` or `ROLLBACK`.
    pub(crate) then: String,
}

/// Why a run gives its deployment up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// The time is over; this was missing.
    TimedOut { waited_for: Vec<String> },
    /// This signal reached the run.
    Cancelled { signal: &'static str },
}

impl Why {
    /// The verdict on what was given up in one word, as JSON names it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Why::TimedOut { .. } => "timed_out",
            Why::Cancelled { .. } => "interrupted",
        }
    }
}

/// The outcome of a deployment that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rollback {
    /// It goes on in ECS, because `--no-rollback` says so.
    Unwanted,
    /// It goes on in ECS, because another run began it.
    NotOurs,
    /// ECS did not take the request to roll it back.
    Refused { error: String, hints: Vec<String> },
    /// ECS has it no longer in progress, and nothing else was seen of its end.
    TooLate { waited_for: Vec<String> },
    /// The version before it runs and is complete again.
    Completed { to: TaskDefinitionArn },
    /// ECS could not go back.
    Failed { reason: String },
    /// ECS is still going back.
    Unfinished { waited_for: Vec<String> },
    /// Another deployment runs, and ECS's record, which says whether it is the rollback, cannot be read.
    Unknown {
        by: String,
        task_definition: TaskDefinitionArn,
    },
}

impl Rollback {
    /// The rollback in one word, as JSON names it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Rollback::Unwanted => "unwanted",
            Rollback::NotOurs => "not_ours",
            Rollback::Refused { .. } => "refused",
            Rollback::TooLate { .. } => "too_late",
            Rollback::Completed { .. } => "completed",
            Rollback::Failed { .. } => "failed",
            Rollback::Unfinished { .. } => "unfinished",
            Rollback::Unknown { .. } => "unknown",
        }
    }
}

impl Verdict {
    /// The verdict in one word, as JSON names it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Verdict::Succeeded => "succeeded",
            Verdict::RolledBack { .. } => "rolled_back",
            Verdict::Superseded { .. } => "superseded",
            Verdict::Failed { .. } => "failed",
            Verdict::Paused(_) => "paused",
            Verdict::GivenUp { why, .. } => why.word(),
        }
    }

    /// The verdict as `slipway-promote record --verdict` takes it; `None` where a run that was cancelled did not see the end.
    /// Where our digest does not run for certain and what ran before is not certainly back, the deployment failed. One that
    /// is paused has no end that could be recorded, and says so.
    pub(crate) fn recorded(&self) -> Option<&'static str> {
        match self {
            Verdict::Succeeded => Some("healthy"),
            Verdict::Paused(_) => Some("paused"),
            Verdict::RolledBack { .. }
            | Verdict::GivenUp {
                rollback: Rollback::Completed { .. },
                ..
            } => Some("rolled-back"),
            Verdict::GivenUp {
                why: Why::Cancelled { .. },
                rollback,
            } if !matches!(rollback, Rollback::Failed { .. }) => None,
            Verdict::Superseded { .. } | Verdict::Failed { .. } | Verdict::GivenUp { .. } => {
                Some("failed")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_deployment_that_was_given_up_is_recorded_by_what_became_of_it() {
        let timed_out = || Why::TimedOut {
            waited_for: Vec::new(),
        };
        let cancelled = || Why::Cancelled { signal: "SIGINT" };
        let back = || Rollback::Completed {
            to: samples::revision(7),
        };
        let failed = || Rollback::Failed {
            reason: String::new(),
        };
        let unfinished = || Rollback::Unfinished {
            waited_for: Vec::new(),
        };
        for (why, rollback, word, recorded) in [
            (timed_out(), back(), "timed_out", Some("rolled-back")),
            (timed_out(), failed(), "timed_out", Some("failed")),
            (timed_out(), unfinished(), "timed_out", Some("failed")),
            (timed_out(), Rollback::Unwanted, "timed_out", Some("failed")),
            (cancelled(), back(), "interrupted", Some("rolled-back")),
            (cancelled(), failed(), "interrupted", Some("failed")),
            (cancelled(), unfinished(), "interrupted", None),
            (cancelled(), Rollback::NotOurs, "interrupted", None),
        ] {
            let verdict = Verdict::GivenUp { why, rollback };
            assert_eq!(
                (verdict.word(), verdict.recorded()),
                (word, recorded),
                "{verdict:?}"
            );
        }
    }
}
