//! How the deployment of a function ended.

use crate::verdict::Why;

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The alias serves the version alone, healthy.
    Succeeded,
    /// It went wrong, and the alias serves the version before again.
    RolledBack { reason: String },
    /// Somebody else had the alias serve something else.
    Superseded { serves: String },
    /// It went wrong, and the alias does not serve the version before for certain.
    Failed { reason: String, causes: Vec<String> },
    /// This run gave it up.
    GivenUp { why: Why, back: Back },
}

/// The outcome of going back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Back {
    /// Nothing was undone, because `--no-rollback` says so.
    Unwanted,
    /// Nothing was undone, because this run did not change the alias.
    NotOurs,
    /// The alias serves the version before again.
    Completed,
    /// It does not, or that was not seen.
    Failed(Vec<String>),
}

impl Verdict {
    /// The verdict in one word, as JSON names it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::RolledBack { .. } => "rolled_back",
            Self::Superseded { .. } => "superseded",
            Self::Failed { .. } => "failed",
            Self::GivenUp { why, .. } => why.word(),
        }
    }

    /// The verdict as `slipway-promote record --verdict` takes it; `None` where a run that was cancelled did not see the end.
    pub(super) fn recorded(&self) -> Option<&'static str> {
        match self {
            Self::Succeeded => Some("healthy"),
            Self::RolledBack { .. }
            | Self::GivenUp {
                back: Back::Completed,
                ..
            } => Some("rolled-back"),
            Self::GivenUp {
                why: Why::Cancelled { .. },
                back: Back::Unwanted | Back::NotOurs,
            } => None,
            Self::Superseded { .. } | Self::Failed { .. } | Self::GivenUp { .. } => Some("failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_that_was_given_up_is_recorded_by_what_became_of_it() {
        let timed_out = || Why::TimedOut {
            waited_for: Vec::new(),
        };
        let cancelled = || Why::Cancelled { signal: "SIGTERM" };
        for (why, back, word, recorded) in [
            (
                timed_out(),
                Back::Completed,
                "timed_out",
                Some("rolled-back"),
            ),
            (timed_out(), Back::Unwanted, "timed_out", Some("failed")),
            (
                timed_out(),
                Back::Failed(Vec::new()),
                "timed_out",
                Some("failed"),
            ),
            (
                cancelled(),
                Back::Completed,
                "interrupted",
                Some("rolled-back"),
            ),
            (
                cancelled(),
                Back::Failed(Vec::new()),
                "interrupted",
                Some("failed"),
            ),
            (cancelled(), Back::Unwanted, "interrupted", None),
            (cancelled(), Back::NotOurs, "interrupted", None),
        ] {
            let verdict = Verdict::GivenUp { why, back };
            assert_eq!(
                (verdict.word(), verdict.recorded()),
                (word, recorded),
                "{verdict:?}"
            );
        }
    }
}
