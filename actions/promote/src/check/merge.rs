//! How a pull request came into the branch, and the proof that the result is what merging its
//! approved head gives. Pure.
//!
//! GitHub calls a pull request merged also when somebody pushed a merge commit that was made by hand,
//! which may hold anything. So the content is compared: either the head already contained the branch,
//! and both trees are equal; or the merge is what both sides give (`sides.rs`).

use super::sides::Sides;
use crate::values::short;
use github::{Pull, PullCommit, RangeCommit};
use std::collections::{BTreeMap, BTreeSet};

/// How a pull request came into the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Landing {
    pub(crate) number: u64,
    pub(crate) form: Form,
    /// The commit it ended in; of a rebase the last one.
    pub(crate) merge: String,
    /// The branch's commit before.
    pub(crate) parent: String,
    /// The approved head.
    pub(crate) head: String,
    /// The branch's commits that it explains.
    pub(crate) commits: Vec<String>,
    /// True if the head contains the branch's commit before, so that merging gives the head's tree.
    pub(crate) up_to_date: bool,
}

/// Why it cannot be told how a pull request came in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("its merge commit {} is not there", short(.merge))]
    NotThere { merge: String },
    #[error("{} merges {}, not its final head {}", short(.merge), short(.merged), short(.head))]
    OtherHead {
        merge: String,
        merged: String,
        head: String,
    },
    #[error("{} has no parent", short(.merge))]
    NoParent { merge: String },
}

/// Why the branch's content is not shown to be what merging the head of a pull request gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproven {
    #[error("#{number}: the content of {} is not that of its final head {}", short(.merge), short(.head))]
    OtherContent {
        number: u64,
        merge: String,
        head: String,
    },
    #[error("#{number}: {} was not compared with its head", short(.merge))]
    NotCompared { number: u64, merge: String },
    /// These paths are not what merging gives.
    #[error("#{number}: in {}, {} is not what merging its final head {} gives", short(.merge), some(.paths), short(.head))]
    Handmade {
        number: u64,
        merge: String,
        paths: Vec<String>,
        head: String,
    },
}

/// The first of the paths, and the number of the others.
fn some(paths: &[String]) -> String {
    let some: Vec<String> = paths.iter().take(3).map(|it| format!("`{it}`")).collect();
    match paths.len().saturating_sub(some.len()) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A commit with the head as its second parent.
    Merge,
    /// One commit, or the same commits made again on the branch.
    Linear,
    /// The branch was moved to the head itself.
    FastForward,
}

/// Reads from the commits how a pull request came in.
///
/// # Errors
/// It cannot be told.
pub(crate) fn landing(
    known: &BTreeMap<String, RangeCommit>,
    pull: &Pull,
) -> Result<Landing, Unreadable> {
    let merge = pull.merge_commit.as_ref().unwrap_or(&pull.head);
    let Some(commit) = known.get(merge) else {
        return Err(Unreadable::NotThere {
            merge: merge.clone(),
        });
    };
    let own: BTreeMap<&str, &PullCommit> = pull
        .commits
        .iter()
        .map(|commit| (commit.sha.as_str(), commit))
        .collect();
    let listed = || {
        let own = pull.commits.iter().map(|commit| commit.sha.clone());
        own.filter(|sha| known.contains_key(sha))
    };
    let (form, parent, commits) = match commit.parents.as_slice() {
        _ if *merge == pull.head => {
            let first = pull.commits.first().and_then(|first| first.parents.first());
            let parent = first.cloned().unwrap_or_default();
            (Form::FastForward, parent, listed().collect())
        }
        [one, other] if *other == pull.head || *one == pull.head => {
            let parent = if *other == pull.head { one } else { other };
            let commits = listed().chain([merge.clone()]).collect();
            (Form::Merge, parent.clone(), commits)
        }
        [_, other, ..] => {
            return Err(Unreadable::OtherHead {
                merge: merge.clone(),
                merged: other.clone(),
                head: pull.head.clone(),
            });
        }
        [_] => {
            let series = series(known, pull, commit);
            let first = series.last().unwrap_or(&commit);
            let parent = first.parents.first().cloned().unwrap_or_default();
            let commits = series.iter().map(|commit| commit.sha.clone()).collect();
            (Form::Linear, parent, commits)
        }
        _ => {
            return Err(Unreadable::NoParent {
                merge: merge.clone(),
            });
        }
    };
    // The pull request's commits are those that its head has and the branch did not have. So what
    // they follow was on the branch, and the branch's last commit is in the head if one follows it.
    let up_to_date = form == Form::FastForward
        || own
            .values()
            .any(|commit| commit.parents.contains(&parent) && !own.contains_key(parent.as_str()));
    Ok(Landing {
        number: pull.number,
        form,
        merge: merge.clone(),
        parent,
        head: pull.head.clone(),
        commits,
        up_to_date,
    })
}

/// The commits that a squash or a rebase made, newest first. A rebase keeps each commit's message and
/// author's time; a squash makes one commit of its own.
fn series<'a>(
    known: &'a BTreeMap<String, RangeCommit>,
    pull: &Pull,
    last: &'a RangeCommit,
) -> Vec<&'a RangeCommit> {
    let same = |made: &RangeCommit, own: &PullCommit| {
        made.message.trim_end() == own.message.trim_end() && made.authored_at == own.authored_at
    };
    let mut found = vec![last];
    let mut own = pull
        .commits
        .iter()
        .rev()
        .filter(|one| one.parents.len() == 1);
    let mut at = Some(last);
    while let (Some(made), Some(own)) = (at, own.next()) {
        if !same(made, own) {
            break;
        }
        if made.sha != last.sha {
            found.push(made);
        }
        at = made
            .parents
            .first()
            .filter(|_| made.parents.len() == 1)
            .and_then(|parent| known.get(parent));
    }
    found
}

/// Checks that the branch's content after the pull request is the result of merging its head.
///
/// # Errors
/// It is not shown to be.
pub(crate) fn proven(
    landing: &Landing,
    pull: &Pull,
    known: &BTreeMap<String, RangeCommit>,
    sides: Option<&Sides>,
) -> Result<(), Unproven> {
    if landing.form == Form::FastForward {
        return Ok(());
    }
    let (number, merge, head) = (pull.number, landing.merge.clone(), landing.head.clone());
    if landing.up_to_date {
        let own = pull.commits.iter().find(|one| one.sha == landing.head);
        let made = known.get(&landing.merge).map(|commit| &commit.tree);
        if own.map(|commit| &commit.tree) == made && made.is_some() {
            return Ok(());
        }
        return Err(Unproven::OtherContent {
            number,
            merge,
            head,
        });
    }
    let Some(sides) = sides else {
        return Err(Unproven::NotCompared { number, merge });
    };
    let paths = sides.handmade();
    match paths.is_empty() {
        true => Ok(()),
        false => Err(Unproven::Handmade {
            number,
            merge,
            paths,
            head,
        }),
    }
}

/// The merges of the branch into a pull request ("Update branch"): their second parent is not a commit
/// of the pull request, so it was on the branch.
pub(crate) fn updates(pull: &Pull) -> Vec<&PullCommit> {
    let own: BTreeSet<&str> = pull.commits.iter().map(|one| one.sha.as_str()).collect();
    let is_update = |commit: &&PullCommit| match commit.parents.as_slice() {
        [_, merged] => !own.contains(merged.as_str()),
        _ => false,
    };
    pull.commits.iter().filter(is_update).collect()
}

#[cfg(test)]
mod tests;
