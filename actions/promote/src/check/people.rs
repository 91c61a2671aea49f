//! Who had a hand in a change, and who judged it. Pure.

use super::facts::{Change, Fact, Unknown};
use github::{Commit, Review, User};

/// Everybody who wrote, committed or pushed any of it, or opened the pull request.
///
/// An author nobody can name might be the approver, so an unknown account makes the whole answer
/// unknown. A co-author trailer is only text: one whose e-mail belongs to no account names nobody.
pub(super) fn contributors(change: &Change) -> Fact<Vec<User>> {
    let number = change.pull.number;
    let opener = change.pull.user.clone().ok_or_else(|| {
        Unknown::new(
            format!("the account that opened #{number} is gone"),
            "bring the change in by a new pull request",
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
                "the e-mail of the {role} of {} belongs to no GitHub account",
                short(&commit.sha)
            ),
            "let them add that e-mail to their GitHub account",
        )
    })
}

/// Who pushed the commits that were merged. Name and e-mail in a commit are anybody's to write;
/// the push is on record with the account that made it.
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
            "bring the change in by a new pull request",
        ));
    }
    pushes
        .into_iter()
        .map(|activity| {
            activity.actor.ok_or_else(|| {
                Unknown::new(
                    format!("the account that pushed {} is gone", short(&activity.after)),
                    "bring the change in by a new pull request",
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

/// The review that counts of each person: the last that approves, asks for changes or was
/// dismissed. A comment changes no opinion.
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

/// A commit as people name it.
pub(super) fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

/// Logins in a row.
pub(super) fn names<'a>(users: impl IntoIterator<Item = &'a User>) -> String {
    let logins: Vec<&str> = users.into_iter().map(|user| user.login.as_str()).collect();
    logins.join(", ")
}
