//! Everybody who contributed to what is promoted. Pure.

use crate::check::fact::Fact;
use crate::check::facts::Facts;
use crate::check::people::{Contributors, contributors};
use crate::check::persons::Key;
use crate::setting::Setting;
use ledger::Actor;

/// Everybody who wrote, committed or pushed what is promoted.
#[derive(Debug, Default)]
pub(crate) struct NamedContributors {
    /// People of the contract by their name there, others by their account.
    pub(crate) people: Vec<Actor>,
    /// Contributors of whom no person is known; with any, one more person must approve.
    pub(crate) unattributed: Vec<String>,
}

impl NamedContributors {
    pub(in crate::check) fn of(all: Contributors) -> Self {
        let actor = |(key, name)| match key {
            Key::Listed(login) | Key::Name(login) => Actor { login, id: None },
            Key::Account(id) => Actor {
                login: name,
                id: Some(id),
            },
        };
        Self {
            people: all.persons.into_iter().map(actor).collect(),
            unattributed: all.unattributed,
        }
    }
}

/// Everybody who contributed to the pull requests, and to the commits that came without one.
///
/// # Errors
/// The commits, the pull requests or the contributors are unknown.
pub(crate) fn contributors_to_promotion(
    setting: &Setting,
    facts: &Facts,
) -> Fact<NamedContributors> {
    let persons = setting.persons();
    let changes = facts.changes.as_ref().map_err(Clone::clone)?;
    let accepted = facts.accepted.as_ref().map_err(Clone::clone)?;
    let mut all = Contributors::default();
    for change in changes {
        all.add_all(contributors(change, &persons)?);
    }
    for commit in accepted {
        all.add_commit(&persons, commit)?;
    }
    Ok(NamedContributors::of(all))
}
