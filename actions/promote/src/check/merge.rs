//! How a pull request came into the branch, and the proof that the result is what merging its
//! approved head gives. Pure.
//!
//! GitHub calls a pull request merged also when somebody pushed a merge commit that was made by hand,
//! which may hold anything. So the content is compared: either the head already contained the branch,
//! and both trees are equal; or the files that differ from the branch are those that the head changed,
//! each with the same content. A file that both sides changed is merged again, line by line, also
//! where the merge has one side's version whole: that drops what the other side did.

use super::people::short;
use super::three_way::{Merge, three_way};
use github::{Content, FileChange, Pull, PullCommit, RangeCommit};
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
    /// Whether the head contains the branch's commit before, so that merging gives the head's tree.
    pub(crate) up_to_date: bool,
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
/// Why that cannot be told.
pub(crate) fn landing(
    known: &BTreeMap<String, RangeCommit>,
    pull: &Pull,
) -> Result<Landing, String> {
    let merge = pull.merge_commit.as_ref().unwrap_or(&pull.head);
    let Some(commit) = known.get(merge) else {
        return Err(format!("its merge commit {} is not there", short(merge)));
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
        [_, ..] if commit.parents.len() > 1 => {
            return Err(format!(
                "{} merges {}, not its final head {}",
                short(merge),
                short(&commit.parents[1]),
                short(&pull.head)
            ));
        }
        [_] => {
            let series = series(known, pull, commit);
            let first = series.last().unwrap_or(&commit);
            let parent = first.parents.first().cloned().unwrap_or_default();
            let commits = series.iter().map(|commit| commit.sha.clone()).collect();
            (Form::Linear, parent, commits)
        }
        _ => return Err(format!("{} has no parent", short(merge))),
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

/// Both sides of a merge, file by file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sides {
    /// The files that the merged side changed.
    pub(crate) wanted: Vec<FileChange>,
    /// The files that the merge changed.
    pub(crate) made: Vec<FileChange>,
    /// The paths that the branch changed as well, under their names before and after.
    pub(crate) own: BTreeSet<String>,
    /// The content of the files in question.
    pub(crate) contents: BTreeMap<String, Versions>,
}

/// A file in the commits of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versions {
    /// In the merge base.
    pub(crate) base: Content,
    /// In the branch before.
    pub(crate) ours: Content,
    /// In the merged head.
    pub(crate) theirs: Content,
    /// In the merge.
    pub(crate) made: Content,
}

impl Sides {
    /// The paths whose content decides: those that the lists tell different things of, and those that
    /// both sides changed.
    pub(crate) fn in_question(&self) -> BTreeSet<&str> {
        let by_path = |files: &'_ [FileChange]| -> BTreeMap<String, FileChange> {
            let entry = |file: &FileChange| (file.path.clone(), file.clone());
            files.iter().map(entry).collect()
        };
        let (wanted, made) = (by_path(&self.wanted), by_path(&self.made));
        let mut out = BTreeSet::new();
        for file in self.wanted.iter().chain(&self.made) {
            let by_both = names([file]).any(|name| self.own.contains(name));
            if by_both || wanted.get(&file.path) != made.get(&file.path) {
                out.extend(names([file]));
            }
        }
        out
    }

    /// A path in question that GitHub lists as there but does not show: a submodule, or a file whose
    /// name is not UTF-8. Nothing can be said of its content.
    pub(crate) fn unseen(&self) -> Option<&str> {
        let before = |files: &[FileChange], path: &str| {
            files.iter().any(|file| {
                let new = matches!(file.status.as_str(), "added" | "renamed" | "copied");
                file.path == path && !new || file.previous.as_deref() == Some(path)
            })
        };
        let after = |files: &[FileChange], path: &str| {
            let mut files = files.iter();
            files.any(|file| file.path == path && file.status != "removed")
        };
        let hidden = |path: &&str| {
            let Some(versions) = self.contents.get(*path) else {
                return false;
            };
            let absent = |content: &Content| *content == Content::Absent;
            let [base, ours] = [&versions.base, &versions.ours].map(absent);
            let [theirs, made] = [&versions.theirs, &versions.made].map(absent);
            // It is in question because something happened to it, so it is not nowhere.
            base && ours && theirs && made
                || base && before(&self.wanted, path)
                || theirs && after(&self.wanted, path)
                || ours && before(&self.made, path)
                || made && after(&self.made, path)
        };
        self.in_question().into_iter().find(hidden)
    }

    /// The paths whose content in the merge is not what merging gives.
    pub(crate) fn handmade(&self) -> Vec<&str> {
        let is_wrong = |path: &&str| match self.contents.get(*path) {
            None => true,
            Some(versions) => !versions.is_merged(),
        };
        self.in_question().into_iter().filter(is_wrong).collect()
    }
}

/// The names of files, before and after.
pub(crate) fn names<'a>(
    files: impl IntoIterator<Item = &'a FileChange>,
) -> impl Iterator<Item = &'a str> {
    let both = |file: &'a FileChange| [Some(file.path.as_str()), file.previous.as_deref()];
    files.into_iter().flat_map(both).flatten()
}

impl Versions {
    /// Whether the merge has what merging gives: the side that changed the file, or both changes.
    fn is_merged(&self) -> bool {
        let (base, ours) = (self.base.oid(), self.ours.oid());
        let (theirs, made) = (self.theirs.oid(), self.made.oid());
        if ours == theirs || base == theirs {
            return made == ours;
        }
        if base == ours {
            return made == theirs;
        }
        let text = |content: &'_ Content| match content {
            Content::Text { text, .. } => Some(text.clone()),
            Content::Absent | Content::Opaque(_) => None,
        };
        let texts = [&self.base, &self.ours, &self.theirs, &self.made].map(text);
        match texts {
            [Some(base), Some(ours), Some(theirs), Some(made)] => {
                matches!(three_way(&base, &ours, &theirs), Merge::Clean(text) if text == made)
            }
            _ => false,
        }
    }
}

/// Whether the branch's content after the pull request is what merging its head gives; if not, why.
pub(crate) fn proven(
    landing: &Landing,
    pull: &Pull,
    known: &BTreeMap<String, RangeCommit>,
    sides: Option<&Sides>,
) -> Result<(), String> {
    if landing.form == Form::FastForward {
        return Ok(());
    }
    let (number, merge) = (pull.number, short(&landing.merge));
    if landing.up_to_date {
        let head = pull.commits.iter().find(|one| one.sha == landing.head);
        let made = known.get(&landing.merge).map(|commit| &commit.tree);
        if head.map(|commit| &commit.tree) == made && made.is_some() {
            return Ok(());
        }
        return Err(format!(
            "#{number}: the content of {merge} is not that of its final head {}",
            short(&landing.head)
        ));
    }
    let Some(sides) = sides else {
        return Err(format!("#{number}: {merge} was not compared with its head"));
    };
    let handmade = sides.handmade();
    if handmade.is_empty() {
        return Ok(());
    }
    let some: Vec<String> = handmade
        .iter()
        .take(3)
        .map(|path| format!("`{path}`"))
        .collect();
    let more = match handmade.len().saturating_sub(some.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(format!(
        "#{number}: in {merge}, {}{more} is not what merging its final head {} gives",
        some.join(", "),
        short(&landing.head)
    ))
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
