//! The rules on the commit's history: it is on the branch, by a pull request. Pure.

use super::Context;
use crate::check::answer::{Finding, fail, not_examined, pass, unknown};
use crate::check::people::short;
use github::Pull;

impl Context<'_> {
    pub(super) fn branch(&self) -> Finding {
        let branch = &self.setting.gate.branch;
        let Some(commit) = &self.subject.commit else {
            return not_examined("no commit is known for this digest");
        };
        match &self.facts.standing {
            Err(reason) => unknown(reason),
            Ok(standing) if matches!(standing.as_str(), "ahead" | "identical") => {
                pass(format!("{} is on {branch}", short(commit.as_str())))
            }
            Ok(standing) => fail(
                format!("{} is not on {branch} ({standing})", short(commit.as_str())),
                format!("merge it into {branch}"),
            ),
        }
    }

    pub(super) fn pull_request(&self) -> Finding {
        let branch = &self.setting.gate.branch;
        let Some(commit) = &self.subject.commit else {
            return not_examined("no commit is known for this digest");
        };
        if let Err(reason) = &self.facts.pulls {
            return unknown(reason);
        }
        if self.facts.changes.is_empty() {
            return fail(
                format!(
                    "no pull request merged into {branch} ended in {}",
                    short(commit.as_str())
                ),
                format!("merge the change into {branch} with a pull request"),
            );
        }
        let merged: Vec<String> = self
            .facts
            .changes
            .iter()
            .map(|change| format!("#{} merged into {branch}", change.pull.number))
            .collect();
        pass(merged.join("; "))
    }
}

/// The pull requests that brought `commit` into the branch: they were merged there, and the commit
/// is their merge commit or their final head. A commit in the middle was never approved as such.
pub(in crate::check) fn brought_in<'a>(
    pulls: &'a [Pull],
    repository: &str,
    branch: &str,
    commit: &str,
) -> Vec<&'a Pull> {
    pulls
        .iter()
        .filter(|pull| {
            pull.merged_at.is_some()
                && pull.base.branch == branch
                && pull.base.repo.full_name.eq_ignore_ascii_case(repository)
                && (pull.merge_commit_sha.as_deref() == Some(commit) || pull.head.sha == commit)
        })
        .collect()
}
