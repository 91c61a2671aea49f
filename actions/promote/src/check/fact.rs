//! One fact: known, or unknown with the reason. And the run that asks for it.

use github::{Run, User};
use kit::Failure;
use serde::{Deserialize, Serialize};

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
    /// A fact that GitHub did not provide. `next` is the next step if there is more than GitHub lists: the same call never lists it.
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
        // GitHub takes no signatures.
        Failure::Rejected | Failure::Skewed => "run this again; GitHub may answer in full then",
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
            action: "read run 5".to_owned(),
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
            action: "read the files that a merge changed".to_owned(),
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
