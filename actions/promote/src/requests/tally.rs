//! Whose approvals of a request count, and who may still approve. Pure.

use super::{Approvers, Asked};
use crate::check::{Key, Persons};
use kit::contract::Approve;
use kit::report::count;
use ledger::Actor;
use std::collections::BTreeMap;

/// Why a person's approval of a promotion does not count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Barred(BTreeMap<Key, String>);

impl Barred {
    /// Whoever asked, and whoever wrote what is promoted, as the request has them.
    pub(crate) fn by(asked: &Asked, persons: &Persons<'_>) -> Self {
        let mut barred = Self::default();
        barred.add(persons, [&asked.record().actor], "asked for it");
        barred.add(persons, &asked.request.contributors, "wrote part of it");
        barred
    }

    /// Bars people as well. The first reason of each is kept.
    pub(crate) fn add<'a>(
        &mut self,
        persons: &Persons<'_>,
        actors: impl IntoIterator<Item = &'a Actor>,
        why: &str,
    ) {
        let keys = actors.into_iter().map(|actor| persons.of(actor));
        for key in keys {
            self.0.entry(key).or_insert_with(|| why.to_owned());
        }
    }

    /// Why this person's approval does not count.
    pub(crate) fn why(&self, person: &Key) -> Option<&str> {
        self.0.get(person).map(String::as_str)
    }
}

/// The approvals of a request, counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The people whose approval counts, by their names in the contract, each once.
    pub(crate) approved: Vec<String>,
    /// The people who may still approve.
    pub(crate) may: Vec<String>,
    /// Approvals that do not count, with the reason.
    pub(crate) ignored: Vec<String>,
    /// Listed people who may not approve this one, with the reason.
    pub(crate) barred: Vec<String>,
}

impl Tally {
    /// Counts persons, not accounts and not records.
    pub(crate) fn of(
        approvers: &Approvers,
        persons: &Persons<'_>,
        asked: Option<&Asked>,
        barred: &Barred,
    ) -> Self {
        let approvals = asked.map_or(&[][..], |asked| &asked.approvals);
        let approved: Vec<(Key, &Actor)> = approvals
            .iter()
            .map(|approval| &approval.record.actor)
            .map(|actor| (persons.of(actor), actor))
            .collect();
        let mut tally = Self::default();
        for (person, name) in approvers.iter() {
            let has_approved = approved.iter().any(|(key, _)| key == person);
            match (barred.why(person), has_approved) {
                (None, true) => tally.approved.push(name.to_owned()),
                (None, false) => tally.may.push(name.to_owned()),
                (Some(why), true) => tally.ignored.push(format!("{name} {why}")),
                (Some(why), false) => tally.barred.push(format!("{name} {why}")),
            }
        }
        for (key, actor) in approved {
            if approvers.name(&key).is_none() {
                let why = format!("the contract does not list {}", actor.login);
                tally.ignored.push(why);
            }
        }
        tally
    }

    /// How many approvals are missing.
    pub(crate) fn missing(&self, approve: &Approve) -> usize {
        let needed = usize::try_from(approve.count).unwrap_or(usize::MAX);
        needed.saturating_sub(self.approved.len())
    }

    /// `1 of 2 approvals (ada); grace wrote part of it`, for people.
    pub(crate) fn shown(&self, approve: &Approve) -> String {
        let mut shown = format!("{} of {} approvals", self.approved.len(), approve.count);
        if !self.approved.is_empty() {
            shown.push_str(&format!(" ({})", self.approved.join(", ")));
        }
        if !self.ignored.is_empty() {
            shown.push_str(&format!("; not counted: {}", self.ignored.join(", ")));
        }
        shown
    }
}

/// What a request waits for, for people. Too few may be left to give what is missing.
pub(crate) fn wanted(missing: usize, may: &[String], until: &str) -> String {
    let approvals = count(missing, "more approval");
    match may {
        _ if may.len() >= missing => {
            format!(
                "waits for {missing} more of {} until {until}",
                may.join(", ")
            )
        }
        [] => format!("needs {approvals}, and nobody is left who may give any"),
        _ => format!(
            "needs {approvals}, and only {} may still give one",
            may.join(", ")
        ),
    }
}
