//! Everybody who had a hand in what is promoted. Pure.

use crate::check::facts::{Fact, Facts};
use crate::check::people::contributors;
use crate::check::persons::Key;
use crate::check::range::pulls;
use crate::setting::Setting;
use ledger::Actor;
use std::collections::BTreeMap;

/// Everybody who wrote, committed or pushed what is promoted.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    /// People of the contract by their name there, others by their account.
    pub(crate) authors: Vec<Actor>,
    /// Hands that belong to nobody known; with any, one more person must approve.
    pub(crate) unlisted: Vec<String>,
}

/// Whose hands there are.
///
/// # Errors
/// The commits, the pull requests or the contributors are unknown.
pub(crate) fn hands(setting: &Setting, facts: &Facts) -> Fact<Hands> {
    let persons = setting.persons();
    let range = facts.range.as_ref().map_err(Clone::clone)?;
    let changes = facts.changes.as_ref().map_err(Clone::clone)?;
    let mut all: BTreeMap<Key, String> = BTreeMap::new();
    let mut unlisted: Vec<String> = Vec::new();
    for change in changes {
        let contributors = contributors(change, &persons)?;
        for (key, name) in contributors.persons {
            all.entry(key).or_insert(name);
        }
        unlisted.extend(contributors.unlisted);
    }
    // Of a commit that came another way, only the author's login is known, or a name.
    for commit in range.unexplained(&range.brought(pulls(changes))) {
        let is_theirs = |login: &String| login.eq_ignore_ascii_case(&commit.author);
        let mut people = setting.people.iter();
        let found = people
            .find(|(login, person)| is_theirs(login) || person.accounts.keys().any(is_theirs));
        if let Some((login, _)) = found {
            all.entry(Key::Listed(login.clone()))
                .or_insert_with(|| login.clone());
        }
    }
    let actor = |(key, name)| match key {
        Key::Listed(login) | Key::Name(login) => Actor { login, id: None },
        Key::Account(id) => Actor {
            login: name,
            id: Some(id),
        },
    };
    unlisted.sort_unstable();
    unlisted.dedup();
    Ok(Hands {
        authors: all.into_iter().map(actor).collect(),
        unlisted,
    })
}
