//! The accounts that pushed to a pull request's branch, including what was replaced before the merge. Pure.

use super::fact::{Fact, Unknown};
use crate::values::short;
use github::{Activity, Pull, User};
use std::collections::BTreeSet;

/// The pushes to a pull request's branch, as far as GitHub shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pushes {
    /// Newest first.
    Seen(Vec<Activity>),
    /// The fork was deleted, or the token may not see it.
    Unseen(String),
}

/// The accounts that pushed to the branch until its final head. Anybody can write any name and
/// address into a commit, but GitHub records the account of each push.
///
/// Pushes that were replaced count too: their author may have written what somebody else pushed again.
/// Only those before the branch last stood at a commit that was merged already do not, so that a
/// branch which is merged again and again does not make contributors of all who ever pushed to it.
/// A branch that was deleted and made again before the pull request was opened is another branch; one
/// that was deleted and restored since is not.
///
/// # Errors
/// GitHub has no record of the push of the final head, or of an account.
pub(super) fn pushers(
    pull: &Pull,
    activity: &[Activity],
    pure: &BTreeSet<String>,
) -> Fact<Vec<User>> {
    let reopen = "open a new pull request with the change";
    let commits: BTreeSet<&str> = pull.commits.iter().map(|one| one.sha.as_str()).collect();
    let is_last = |one: &Activity| one.after == pull.head && one.activity_type != "branch_deletion";
    let Some(last) = activity.iter().position(is_last) else {
        return Err(Unknown::new(
            format!(
                "GitHub has no record of who pushed {} to {}",
                short(&pull.head),
                pull.head_branch
            ),
            reopen,
        ));
    };
    // A time that GitHub leaves out is not an earlier one.
    let before = |one: &Activity| !one.timestamp.is_empty() && one.timestamp < pull.created_at;
    let mut found = Vec::new();
    let mut rest = activity.get(last..).unwrap_or_default().iter().peekable();
    while let Some(push) = rest.next() {
        if push.activity_type == "branch_deletion" {
            // An account that deletes the branch does not contribute to it.
            match before(push) {
                true => break,
                false => continue,
            }
        }
        if !is_pure(pull, push, pure) {
            let actor = push.actor.clone().ok_or_else(|| {
                Unknown::new(
                    format!(
                        "the account that pushed {} no longer exists",
                        short(&push.after)
                    ),
                    reopen,
                )
            })?;
            found.push(actor);
        }
        if push.activity_type == "branch_creation" && before(push) {
            break;
        }
        let begins =
            commits.contains(push.after.as_str()) && !commits.contains(push.before.as_str());
        let older = rest.peek();
        let reset = push.activity_type == "force_push"
            || older.is_some_and(|older| older.activity_type == "force_push");
        let while_open = older.is_some_and(|older| !before(older));
        if begins && !reset && !while_open {
            break;
        }
    }
    Ok(found)
}

/// Returns true if a push added nothing but a proven merge of the branch.
fn is_pure(pull: &Pull, push: &Activity, pure: &BTreeSet<String>) -> bool {
    pure.contains(&push.after)
        && pull
            .commits
            .iter()
            .any(|one| one.sha == push.after && one.parents.first() == Some(&push.before))
}

#[cfg(test)]
mod tests;
