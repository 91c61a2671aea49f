//! The contributors and the reviewers of a change. Pure.

use super::change::Change;
use super::fact::{Fact, Unknown};
use super::persons::{AccountOwner, Key, Persons, app_of};
use super::pushes::{Pushes, pushers};
pub(super) use crate::values::short;
use github::{Event, PullCommit, Review, Signer, User};
use std::collections::BTreeMap;

/// Everybody who contributed to a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contributors {
    /// The persons, with a name to print.
    pub(crate) persons: BTreeMap<Key, String>,
    /// Contributors of whom no person is known: apps that the contract does not list, and whoever pushed to
    /// a fork that cannot be seen. With one of them, one more person must approve.
    pub(crate) unattributed: Vec<String>,
}

impl Contributors {
    fn add(&mut self, persons: &Persons<'_>, user: &User) {
        match persons.owner(user) {
            AccountOwner::Person(key) => {
                self.persons
                    .entry(key)
                    .or_insert_with(|| user.login.clone());
            }
            AccountOwner::Nobody => {}
            AccountOwner::Unattributed => self.unattributed(&user.login),
        }
    }

    fn unattributed(&mut self, name: &str) {
        if !self.unattributed.iter().any(|known| known == name) {
            self.unattributed.push(name.to_owned());
        }
    }

    /// Adds everybody of another change.
    pub(super) fn add_all(&mut self, other: Self) {
        for (key, name) in other.persons {
            self.persons.entry(key).or_insert(name);
        }
        for name in &other.unattributed {
            self.unattributed(name);
        }
    }

    /// Adds whom a commit names.
    fn add_signer(
        &mut self,
        persons: &Persons<'_>,
        signer: &Signer,
        unresolved: impl FnOnce() -> Unknown,
    ) -> Fact<()> {
        let email = signer.email.as_deref().unwrap_or_default();
        if let Some(user) = &signer.account {
            self.add(persons, user);
        } else if let Some((key, login)) = persons.by_email(email) {
            self.persons.entry(key).or_insert(login);
        } else if let Some(app) = app_of(email) {
            self.add(persons, &app);
        } else {
            return Err(unresolved());
        }
        Ok(())
    }

    /// Adds everybody whom a commit names. A co-author trailer is only text: an address without an account
    /// is ignored.
    ///
    /// # Errors
    /// The author or the committer is unknown, who might be the approver.
    pub(super) fn add_commit(&mut self, persons: &Persons<'_>, commit: &PullCommit) -> Fact<()> {
        self.add_signer(persons, &commit.author, || unknown_person(commit, "author"))?;
        if !commit.by_github {
            self.add_signer(persons, &commit.committer, || {
                unknown_person(commit, "committer")
            })?;
        }
        for co_author in &commit.co_authors {
            // An address that belongs to nobody proves nothing.
            let _ = self.add_signer(persons, co_author, || unknown_person(commit, "co-author"));
        }
        Ok(())
    }

    /// The names, for people.
    pub(crate) fn names(&self) -> Vec<&str> {
        let persons = self.persons.values().map(String::as_str);
        persons
            .chain(self.unattributed.iter().map(String::as_str))
            .collect()
    }
}

/// Everybody who opened the pull request, or wrote, committed or pushed any part of it, including what
/// was replaced before the merge. Merges of the branch that contain nothing else do not count.
///
/// An unidentified author might be the approver, so one unknown account makes the whole answer
/// unknown.
pub(crate) fn contributors(change: &Change, persons: &Persons<'_>) -> Fact<Contributors> {
    let pull = &change.pull;
    let opener = pull.author.as_ref().ok_or_else(|| {
        Unknown::new(
            format!("the account that opened #{} no longer exists", pull.number),
            "open a new pull request with the change",
        )
    })?;
    let mut all = Contributors::default();
    all.add(persons, opener);
    let pure = change.pure_updates();
    for commit in pull.commits.iter().filter(|one| !pure.contains(&one.sha)) {
        all.add_commit(persons, commit)?;
    }
    match change.pushes.as_ref().map_err(Clone::clone)? {
        Pushes::Unseen(why) => all.unattributed(why),
        Pushes::Seen(activity) => {
            for user in pushers(pull, activity, &pure)? {
                all.add(persons, &user);
            }
        }
    }
    for event in &pull.events {
        if let Event::ForcePushed { actor, replaced } = event {
            if let Some(user) = actor {
                all.add(persons, user);
            }
            for signer in replaced {
                let _ = all.add_signer(persons, signer, || Unknown::new("", ""));
            }
        }
    }
    Ok(all)
}

fn unknown_person(commit: &PullCommit, role: &str) -> Unknown {
    let signer = match role {
        "author" => &commit.author,
        _ => &commit.committer,
    };
    let address = signer.email.as_deref().unwrap_or("nothing");
    Unknown::new(
        format!(
            "the e-mail address of the {role} of {}, {address}, does not belong to a GitHub account",
            short(&commit.sha)
        ),
        format!("list {address} under `people` in the contract, as one of the person's `emails`"),
    )
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

/// Logins, separated by commas.
pub(super) fn names<'a>(users: impl IntoIterator<Item = &'a User>) -> String {
    let logins: Vec<&str> = users.into_iter().map(|user| user.login.as_str()).collect();
    logins.join(", ")
}
