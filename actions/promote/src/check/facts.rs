//! The facts that the rules judge.

use super::Subject;
use super::policy::Policy;
use super::pushes::Pushes;
use super::range::{Base, Range};
use super::sides::Sides;
use github::{CheckRun, Pull, PullCommit, Run, User};
use kit::Failure;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A fact, or the reason why it is unknown.
pub(crate) type Fact<T> = Result<T, Unknown>;

/// Why a fact could not be determined. Refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unknown {
    pub(crate) why: String,
    /// The next step that would make it known.
    pub(crate) next: String,
    /// The permission the token lacks, if that is why.
    pub(crate) permission: Option<String>,
}

impl Unknown {
    pub(crate) fn new(why: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            next: next.into(),
            permission: None,
        }
    }
}

impl Unknown {
    /// What GitHub did not provide, with the next step for more than it lists, which the same call never answers.
    pub(crate) fn or_too_many(unknown: github::Unknown, next: impl Into<String>) -> Self {
        let too_many = matches!(unknown.why, github::Why::TooMany(_));
        let unknown = Self::from(unknown);
        match too_many {
            true => Self {
                next: next.into(),
                ..unknown
            },
            false => unknown,
        }
    }
}

impl From<github::Unknown> for Unknown {
    fn from(unknown: github::Unknown) -> Self {
        let next = match (&unknown.permission, &unknown.why) {
            (Some(permission), _) => format!("give the job `permissions: {{{permission}}}`"),
            (None, github::Why::TooMany(_)) => {
                "promote a smaller change: running this again gives the same answer".to_owned()
            }
            (None, _) => next(unknown.failure()).to_owned(),
        };
        Self {
            why: unknown.to_string(),
            next,
            permission: unknown.permission,
        }
    }
}

/// The next step after GitHub failed to provide a fact.
fn next(failure: Failure) -> &'static str {
    match failure {
        Failure::Throttled => {
            "wait until GitHub's rate limit is reset, an hour at most, and run this again"
        }
        Failure::Unavailable => "see www.githubstatus.com, and run this again",
        Failure::NoAnswer => "check the network between here and GitHub, and run this again",
        Failure::Expired => "give a token that is valid: the input `github-token`, or GITHUB_TOKEN",
        Failure::Denied | Failure::Missing => "give a token that may read it",
        Failure::Rejected => "run this again; GitHub may answer in full then",
    }
}

/// All facts that the rules judge.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Whether the branch contains the commit: GitHub's status for `commit...branch`.
    pub(crate) standing: Fact<String>,
    /// The repository on GitHub that was asked, OWNER/NAME.
    pub(crate) repository: Option<String>,
    /// The commits that the promotion brings.
    pub(crate) range: Fact<Range>,
    /// The pull requests that brought them into the branch.
    pub(crate) changes: Fact<Vec<Change>>,
    /// The commits that come with it although no review stands behind them, in full.
    pub(crate) accepted: Fact<Vec<PullCommit>>,
    /// The providers of the infrastructure code that are new, or others, each in words.
    pub(crate) providers: Fact<Vec<String>>,
    /// The accounts that promote.
    pub(crate) promoter: Fact<Promoter>,
    /// The kind of run this is.
    pub(crate) run: RunKind,
    /// Whether the rules that judge are the branch's own; `None` if the run is of no commit.
    pub(crate) policy: Option<Fact<Policy>>,
}

impl Facts {
    /// No facts, for an environment without a gate.
    pub(crate) fn none() -> Self {
        let unseen = || Unknown::new("not examined", "");
        Self {
            standing: Err(unseen()),
            repository: None,
            range: Err(unseen()),
            changes: Err(unseen()),
            accepted: Err(unseen()),
            providers: Err(unseen()),
            promoter: Err(unseen()),
            run: RunKind::Terminal,
            policy: Some(Err(unseen())),
        }
    }
}

impl Facts {
    /// Where the examined commits begin.
    pub(crate) fn base<'a>(&'a self, subject: &'a Subject) -> &'a Base {
        let examined = self.range.as_ref().map(|range| &range.base);
        examined.unwrap_or(&subject.base)
    }
}

/// One pull request with what is known of it elsewhere than in itself.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) pull: Pull,
    pub(crate) pushes: Fact<Pushes>,
    pub(crate) checks: Fact<Vec<CheckRun>>,
    /// Both sides of its merge, if the trees alone do not show that the result is its head.
    pub(crate) merge: Fact<Option<Sides>>,
    /// Both sides of the merges of the branch into it, by the commit that made each.
    pub(crate) updates: BTreeMap<String, Fact<Sides>>,
}

impl Change {
    /// The merges of the branch into the pull request that are proven to contain nothing else. Whoever
    /// made them contributed nothing.
    pub(crate) fn pure_updates(&self) -> BTreeSet<String> {
        let pure = |sides: &Fact<Sides>| sides.as_ref().is_ok_and(|one| one.handmade().is_empty());
        let updates = self.updates.iter().filter(|(_, sides)| pure(sides));
        updates.map(|(commit, _)| commit.clone()).collect()
    }
}

/// The accounts that promote. For a re-run: the account that started it and the one that re-ran it.
#[derive(Debug, Clone)]
pub(crate) struct Promoter {
    pub(crate) accounts: Vec<User>,
    /// The source of this fact, for the report.
    pub(crate) source: String,
}

impl Promoter {
    /// Nobody, before somebody promotes.
    pub(crate) fn nobody() -> Self {
        Self {
            accounts: Vec::new(),
            source: "nobody promotes it yet".to_owned(),
        }
    }
}

/// The kind of run that the check is part of.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub(crate) enum RunKind {
    GitHub(Fact<Run>),
    CodeBuild(String),
    Terminal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_that_github_fails_has_its_next_step() {
        let failures = [
            Failure::Throttled,
            Failure::Unavailable,
            Failure::NoAnswer,
            Failure::Expired,
            Failure::Denied,
            Failure::Rejected,
        ];
        let steps: std::collections::BTreeSet<&str> = failures.map(next).into();
        assert_eq!(steps.len(), failures.len());
        let unanswered = Unknown::from(github::Unknown {
            what: "read run 5".to_owned(),
            why: github::Why::Unanswered("GitHub cannot be reached at api.github.com".to_owned()),
            permission: None,
        });
        assert_eq!(unanswered.next, next(Failure::NoAnswer));
        assert!(
            unanswered.why.contains("api.github.com"),
            "{}",
            unanswered.why
        );
    }

    #[test]
    fn exceeding_githubs_list_limit_does_not_suggest_running_again() {
        let more = |why| github::Unknown {
            what: "read the files that a merge changed".to_owned(),
            why,
            permission: None,
        };
        let files = || "GitHub lists at most 300 files".to_owned();
        let own = "have it reviewed";
        let too_many = Unknown::or_too_many(more(github::Why::TooMany(files())), own);
        assert_eq!(too_many.next, own);
        let again = next(Failure::Rejected);
        assert_ne!(
            Unknown::from(more(github::Why::TooMany(files()))).next,
            again
        );
        let incomplete = Unknown::or_too_many(more(github::Why::Incomplete(files())), own);
        assert_eq!(incomplete.next, again);
    }
}
