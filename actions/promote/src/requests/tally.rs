//! Whose approvals of a request count, and who may still approve. Pure.

use super::{Approvers, Asked};
use crate::check::approved::NamedContributors;
use crate::check::{Key, Persons};
use kit::contract::Approve;
use kit::report::count;
use ledger::Actor;
use std::collections::BTreeMap;

/// Why an author's approval does not count.
const WROTE: &str = "wrote part of it";

/// Why a person's approval of a promotion does not count, and why more are needed than the gate says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Barred {
    persons: BTreeMap<Key, String>,
    /// Contributors of whom no person is known. One of them may act for an approver.
    unattributed: Vec<String>,
}

/// How many approvals a promotion needs: one more than the gate says if somebody unknown contributed to
/// it, as a change needs one more of its own.
pub(crate) fn needed(approve: &Approve, unattributed: &[String]) -> usize {
    let more = usize::from(!unattributed.is_empty());
    let count = usize::try_from(approve.count).unwrap_or(usize::MAX);
    count.saturating_add(more)
}

impl Barred {
    /// Bars the requester and the authors of what is promoted, as the request lists them.
    pub(crate) fn by(asked: &Asked, persons: &Persons<'_>) -> Self {
        let mut barred = Self::default();
        barred.add(persons, [&asked.record().actor], "asked for it");
        barred.add(persons, &asked.request.contributors, WROTE);
        barred.unattributed.clone_from(&asked.request.unattributed);
        barred
    }

    /// Bars whoever contributed to what is promoted.
    pub(crate) fn add_contributors(
        &mut self,
        persons: &Persons<'_>,
        contributors: &NamedContributors,
    ) {
        self.add(persons, &contributors.people, WROTE);
        for name in &contributors.unattributed {
            if !self.unattributed.contains(name) {
                self.unattributed.push(name.clone());
            }
        }
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
            self.persons.entry(key).or_insert_with(|| why.to_owned());
        }
    }

    /// Why this person's approval does not count.
    pub(crate) fn why(&self, person: &Key) -> Option<&str> {
        self.persons.get(person).map(String::as_str)
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
    /// Contributors to what is promoted of whom no person is known.
    pub(crate) unattributed: Vec<String>,
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
        let mut tally = Self {
            unattributed: barred.unattributed.clone(),
            ..Self::default()
        };
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
        needed(approve, &self.unattributed).saturating_sub(self.approved.len())
    }

    /// Why one approval more is needed than the gate says.
    pub(crate) fn one_more(&self) -> Option<String> {
        let names = self.unattributed.join(", ");
        (!names.is_empty()).then(|| format!("one of them because no person is known for {names}"))
    }

    /// `1 of 2 approvals (ada); grace wrote part of it`, for people.
    pub(crate) fn shown(&self, approve: &Approve) -> String {
        let needed = needed(approve, &self.unattributed);
        let mut shown = format!("{} of {needed} approvals", self.approved.len());
        if !self.approved.is_empty() {
            shown.push_str(&format!(" ({})", self.approved.join(", ")));
        }
        if let Some(why) = self.one_more() {
            shown.push_str(&format!(", {why}"));
        }
        if !self.ignored.is_empty() {
            shown.push_str(&format!("; not counted: {}", self.ignored.join(", ")));
        }
        shown
    }
}

/// Describes the approvals that a request waits for. Too few people may be left to give them.
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
