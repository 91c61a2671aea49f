//! Commits and how they descend from each other.

use std::sync::PoisonError;

use super::{Commit, Git, GitError, Signature};

/// Fields are divided by a character no commit message carries.
const FORMAT: &str = "--format=%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%at%x1f%cn%x1f%ce%x1f%ct%x1f%B";

impl Git {
    pub(crate) fn commit(&self, sha: &str) -> Result<Commit, GitError> {
        let mut commits = self.kept(sha, &["--no-walk", sha])?;
        commits.pop().ok_or_else(|| GitError {
            command: "log".into(),
            message: format!("no commit {sha}"),
        })
    }

    /// Commits of `base..head`, oldest first.
    pub(crate) fn range(&self, base: &str, head: &str) -> Result<Vec<Commit>, GitError> {
        let range = format!("{base}..{head}");
        self.kept(&range, &["--reverse", &range])
    }

    /// A commit and its ancestors, newest first.
    pub(crate) fn ancestry(&self, sha: &str) -> Result<Vec<Commit>, GitError> {
        self.log(&[sha])
    }

    /// As [`Git::log`], kept under `key` where that consists of full hashes.
    fn kept(&self, key: &str, args: &[&str]) -> Result<Vec<Commit>, GitError> {
        let full = |part: &str| part.len() == 40 && part.bytes().all(|c| c.is_ascii_hexdigit());
        let fixed = key.split("..").all(full);
        let ranges = || self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ranges().get(key).filter(|_| fixed) {
            return Ok(known.clone());
        }
        let found = self.log(args)?;
        if fixed {
            ranges().insert(key.to_owned(), found.clone());
        }
        Ok(found)
    }

    fn log(&self, args: &[&str]) -> Result<Vec<Commit>, GitError> {
        let mut all = vec!["log", "-z", "--no-show-signature", FORMAT];
        all.extend(args);
        let out = self.run(&all, None, &[])?;
        String::from_utf8_lossy(&out)
            .split('\0')
            .filter(|record| !record.is_empty())
            .map(parse_commit)
            .collect()
    }

    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Option<String> {
        self.text(&["merge-base", one, other])
            .ok()
            .filter(|sha| !sha.is_empty())
    }

    pub(crate) fn is_ancestor(&self, ancestor: &str, of: &str) -> bool {
        self.text(&["merge-base", "--is-ancestor", ancestor, of])
            .is_ok()
    }

    /// How many commits of `head` are not in `base`.
    pub(crate) fn count(&self, base: &str, head: &str) -> Result<u64, GitError> {
        let text = self.text(&["rev-list", "--count", &format!("{base}..{head}")])?;
        text.parse().map_err(|_| GitError {
            command: "rev-list".into(),
            message: format!("not a number: {text}"),
        })
    }
}

fn parse_commit(record: &str) -> Result<Commit, GitError> {
    let fields: Vec<&str> = record.splitn(10, '\u{1f}').collect();
    let [sha, tree, parents, an, ae, at, cn, ce, ct, message] = fields[..] else {
        return Err(GitError {
            command: "log".into(),
            message: "unexpected format".into(),
        });
    };
    let signature = |name: &str, email: &str, time: &str| Signature {
        name: name.to_owned(),
        email: email.to_owned(),
        time: time.parse().unwrap_or_default(),
    };
    Ok(Commit {
        sha: sha.trim_start().to_owned(),
        tree: tree.to_owned(),
        parents: parents.split_whitespace().map(str::to_owned).collect(),
        author: signature(an, ae, at),
        committer: signature(cn, ce, ct),
        message: message.trim_end().to_owned(),
    })
}
