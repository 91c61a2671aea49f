//! One pull request of a promotion.

use super::fact::Fact;
use super::pushes::Pushes;
use super::sides::Sides;
use github::{CheckRun, Pull, User};
use std::collections::{BTreeMap, BTreeSet};

/// One pull request with what is known of it elsewhere than in itself.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) pull: Pull,
    pub(crate) pushes: Fact<Pushes>,
    pub(crate) checks: Fact<Vec<CheckRun>>,
    /// The members of the teams that the gate's `reviewers` names; nobody where it names none.
    pub(crate) team_reviewers: Fact<Vec<User>>,
    /// Both sides of its merge, if the trees alone do not show that the result is its head.
    pub(crate) merge: Fact<Option<Sides>>,
    /// Both sides of the merges of the branch into it, by the commit that made each.
    pub(crate) updates: BTreeMap<String, Fact<Sides>>,
}

impl Change {
    /// The merges of the branch into the pull request that are proven to contain nothing else. Whoever
    /// made them contributed nothing.
    pub(crate) fn pure_updates(&self) -> BTreeSet<String> {
        let pure = |sides: &Fact<Sides>| sides.as_ref().is_ok_and(|one| one.handmade().is_empty());
        let updates = self.updates.iter().filter(|(_, sides)| pure(sides));
        updates.map(|(commit, _)| commit.clone()).collect()
    }
}
