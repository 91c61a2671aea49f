//! The contributors and the reviewers of a change. Pure.

use super::facts::{Change, Fact, Unknown};
use github::{Commit, Review, User};

/// Everybody who opened the pull request, or wrote, committed or pushed any part of it.
///
/// An unidentified author might be the approver, so one unknown account makes the whole answer
/// unknown. A co-author trailer is only text: an address without an account is ignored.
pub(super) fn contributors(change: &Change) -> Fact<Vec<User>> {
    let number = change.pull.number;
    let opener = change.pull.user.clone().ok_or_else(|| {
        Unknown::new(
            format!("the account that opened #{number} no longer exists"),
            "open a new pull request with the change",
        )
    })?;
    let mut people = vec![opener];
    let commits = change.commits.clone()?;
    for commit in &commits {
        people.push(account(commit, commit.author.as_ref(), "author")?);
        people.push(account(commit, commit.committer.as_ref(), "committer")?);
    }
    if commits.iter().any(names_co_authors) {
        people.extend(change.co_authors.clone()?);
    }
    people.extend(pushers(change, &commits)?);
    people.sort_by_key(|user| user.id);
    people.dedup_by_key(|user| user.id);
    Ok(people)
}

fn account(commit: &Commit, user: Option<&User>, role: &str) -> Fact<User> {
    user.cloned().ok_or_else(|| {
        Unknown::new(
            format!(
                "the e-mail address of the {role} of {} does not belong to a GitHub account",
                short(&commit.sha)
            ),
            "ask them to add the address to their GitHub account",
        )
    })
}

/// The accounts that pushed the merged commits. Anybody can write any name and e-mail address into
/// a commit, but GitHub records the account of each push.
fn pushers(change: &Change, commits: &[Commit]) -> Fact<Vec<User>> {
    let head = &change.pull.head;
    let pushes: Vec<_> = change
        .pushes
        .clone()?
        .into_iter()
        .filter(|activity| {
            matches!(
                activity.activity_type.as_str(),
                "push" | "force_push" | "branch_creation"
            ) && commits.iter().any(|commit| commit.sha == activity.after)
        })
        .collect();
    if !pushes.iter().any(|activity| activity.after == head.sha) {
        return Err(Unknown::new(
            format!(
                "GitHub has no record of who pushed {} to {}",
                short(&head.sha),
                head.branch
            ),
            "open a new pull request with the change",
        ));
    }
    pushes
        .into_iter()
        .map(|activity| {
            activity.actor.ok_or_else(|| {
                Unknown::new(
                    format!(
                        "the account that pushed {} no longer exists",
                        short(&activity.after)
                    ),
                    "open a new pull request with the change",
                )
            })
        })
        .collect()
}

/// Whether a commit message has a `Co-authored-by` trailer (docs.github.com, "Creating a commit
/// with multiple authors").
pub(super) fn names_co_authors(commit: &Commit) -> bool {
    commit.commit.message.lines().any(|line| {
        line.trim_start()
            .get(..15)
            .is_some_and(|start| start.eq_ignore_ascii_case("co-authored-by:"))
    })
}

/// Each person's latest opinion: the last review that approves, requests changes or was dismissed.
/// A comment is not an opinion.
pub(super) fn opinions(reviews: &[Review]) -> Vec<(&User, &Review)> {
    let mut latest: Vec<(&User, &Review)> = Vec::new();
    for review in reviews {
        let Some(user) = &review.user else {
            continue;
        };
        if !matches!(
            review.state.as_str(),
            "APPROVED" | "CHANGES_REQUESTED" | "DISMISSED"
        ) {
            continue;
        }
        latest.retain(|(other, _)| other.id != user.id);
        latest.push((user, review));
    }
    latest
}

/// The short form of a commit hash.
pub(super) fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

/// Logins, separated by commas.
pub(super) fn names<'a>(users: impl IntoIterator<Item = &'a User>) -> String {
    let logins: Vec<&str> = users.into_iter().map(|user| user.login.as_str()).collect();
    logins.join(", ")
}
