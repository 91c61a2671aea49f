//! The commits that a promotion brings, and the pull requests that brought them. Pure.

use super::change::Change;
use super::merge::{Landing, Unreadable, landing};
use github::{Pull, RangeCommit};
use std::collections::{BTreeMap, BTreeSet};

/// Where the examined commits begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Base {
    /// The commit of the newest version that a regular promotion brought to the environment, according to this record of its chain. The
    /// commits of a break-glass were not examined, so the next promotion brings them too.
    Record {
        commit: String,
        seq: u64,
        /// True if the environment runs it, so that no rollback and no break-glass followed.
        runs: bool,
    },
    /// The commit that the contract's `since` names, because nothing was healthy in the environment yet.
    Since(String),
    /// The branch's first commit, which has nothing before it that could be examined.
    First(String),
    /// Nothing was healthy in the environment yet, and the contract names no commit.
    Nothing,
}

impl Base {
    pub(crate) fn commit(&self) -> Option<&str> {
        match self {
            Self::Record { commit, .. } | Self::Since(commit) | Self::First(commit) => Some(commit),
            Self::Nothing => None,
        }
    }
}

/// The commits of a promotion.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) base: Base,
    /// How the promoted commit stands to the base: `identical`, `ahead`, `behind`, `diverged`.
    pub(crate) status: String,
    /// The commits that must have come through pull requests, oldest first. The promoted one is
    /// always among them.
    pub(crate) commits: Vec<RangeCommit>,
    /// These and some of the commits before them, by hash.
    pub(crate) known: BTreeMap<String, RangeCommit>,
}

impl Range {
    pub(crate) fn new(
        base: Base,
        status: &str,
        commits: Vec<RangeCommit>,
        before: Vec<RangeCommit>,
    ) -> Self {
        let known = before.into_iter().chain(commits.iter().cloned());
        Self {
            base,
            status: status.to_owned(),
            known: known.map(|one| (one.sha.clone(), one)).collect(),
            commits,
        }
    }

    /// The commits from a branch's first one on, given all ancestors of `tip`, newest first. The first one
    /// counts as what the promotion begins from, unless it is promoted itself.
    pub(crate) fn from_the_first(mut all: Vec<RangeCommit>, tip: &str) -> Option<Self> {
        let parents: BTreeMap<&str, Option<&str>> = all
            .iter()
            .map(|one| (one.sha.as_str(), one.parents.first().map(String::as_str)))
            .collect();
        let mut first = tip;
        while let Some(parent) = *parents.get(first)? {
            first = parent;
        }
        let first = first.to_owned();
        all.reverse();
        let (commits, before) = all
            .into_iter()
            .partition(|one| one.sha != first || first == tip);
        Some(Self::new(Base::First(first), "ahead", commits, before))
    }

    /// The commits on the first-parent path from the promoted commit back; each should be where a
    /// pull request ended.
    pub(crate) fn first_parents(&self, tip: &str) -> Vec<String> {
        let listed: BTreeSet<&str> = self.commits.iter().map(|one| one.sha.as_str()).collect();
        let mut path = Vec::new();
        let mut at = Some(tip);
        while let Some(sha) = at.filter(|sha| listed.contains(sha)) {
            path.push(sha.to_owned());
            let parents = self.known.get(sha).map(|commit| &commit.parents);
            at = parents
                .and_then(|parents| parents.first())
                .map(String::as_str);
        }
        path
    }

    /// The pull request that brought each commit, and why the others brought none.
    pub(crate) fn brought<'a>(
        &self,
        pulls: impl Iterator<Item = &'a Pull>,
    ) -> PullRequestsOfCommits {
        let mut brought = PullRequestsOfCommits::default();
        for pull in pulls {
            match landing(&self.known, pull) {
                Err(why) => brought.refused.push((pull.number, why)),
                Ok(landing) => {
                    for sha in &landing.commits {
                        brought.by.entry(sha.clone()).or_insert(pull.number);
                    }
                    brought.landings.insert(pull.number, landing);
                }
            }
        }
        brought
    }

    /// The commits that no pull request brought.
    pub(crate) fn unexplained(&self, brought: &PullRequestsOfCommits) -> Vec<&RangeCommit> {
        let commits = self.commits.iter();
        commits
            .filter(|commit| !brought.by.contains_key(&commit.sha))
            .collect()
    }
}

/// The pull requests that brought commits.
#[derive(Debug, Default)]
pub(crate) struct PullRequestsOfCommits {
    /// The pull request of each commit.
    pub(crate) by: BTreeMap<String, u64>,
    /// How each pull request came into the branch.
    pub(crate) landings: BTreeMap<u64, Landing>,
    /// Pull requests whose merge cannot be told from the commits.
    pub(crate) refused: Vec<(u64, Unreadable)>,
}

impl PullRequestsOfCommits {
    /// The pull requests that ended in this commit: it is their merge commit or their final head.
    pub(crate) fn ended_in(&self, commit: &str) -> Vec<u64> {
        let ends = |landing: &&Landing| landing.merge == commit || landing.head == commit;
        let landings = self.landings.values().filter(ends);
        landings.map(|landing| landing.number).collect()
    }
}

/// The pull requests of `changes`.
pub(crate) fn pulls(changes: &[Change]) -> impl Iterator<Item = &Pull> {
    changes.iter().map(|change| &change.pull)
}

#[cfg(test)]
mod tests;
