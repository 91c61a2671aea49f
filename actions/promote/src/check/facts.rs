//! What was seen, before anything is made of it.

use github::{Activity, CheckRun, Commit, Permission, Pull, Review, Run, User};
use std::collections::BTreeMap;

/// Something that was asked for and seen, or not.
pub(crate) type Fact<T> = Result<T, Unknown>;

/// Why something could not be seen. Denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) why: String,
    /// What would make it known.
    pub(crate) next: String,
    /// The token's permission that is missing, where that is why.
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

impl From<github::Unknown> for Unknown {
    fn from(unknown: github::Unknown) -> Self {
        let next = match &unknown.permission {
            Some(permission) => format!("give the job `permissions: {{{permission}}}`"),
            None => "try again when GitHub answers".to_owned(),
        };
        Self {
            why: unknown.to_string(),
            next,
            permission: unknown.permission,
        }
    }
}

/// Everything the rules look at.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Whether the branch holds the commit, in GitHub's words for `commit...branch`.
    pub(crate) standing: Fact<String>,
    /// The pull requests GitHub connects with the commit, merged or not.
    pub(crate) pulls: Fact<Vec<Pull>>,
    /// Those that brought it in, looked at closely.
    pub(crate) changes: Vec<Change>,
    /// Whose decision this is.
    pub(crate) promoter: Fact<Promoter>,
    /// What run this is.
    pub(crate) place: RunPlace,
}

impl Facts {
    /// Nothing was looked at.
    pub(crate) fn none() -> Self {
        let unseen = || Unknown::new("not looked at", "");
        Self {
            standing: Err(unseen()),
            pulls: Err(unseen()),
            changes: Vec::new(),
            promoter: Err(unseen()),
            place: RunPlace::Terminal,
        }
    }
}

/// One pull request and what happened in it.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) pull: Pull,
    pub(crate) commits: Fact<Vec<Commit>>,
    /// Accounts of all authors, co-authors included; asked for only where a commit names some.
    pub(crate) co_authors: Fact<Vec<User>>,
    pub(crate) pushes: Fact<Vec<Activity>>,
    pub(crate) reviews: Fact<Vec<Review>>,
    pub(crate) checks: Fact<Vec<CheckRun>>,
    /// By account, what those who reviewed may do.
    pub(crate) permissions: BTreeMap<u64, Fact<Permission>>,
}

/// The accounts that stand behind this promotion: of a re-run, both who started it first and who
/// started it again.
#[derive(Debug, Clone)]
pub(crate) struct Promoter {
    pub(crate) accounts: Vec<User>,
    /// What says so.
    pub(crate) source: String,
}

/// Where the check runs.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub(crate) enum RunPlace {
    GitHub(Fact<Run>),
    CodeBuild(String),
    Terminal,
}
