//! The observations and the plan, before anything is changed.

use super::guard::Checked;
use super::plan::{Current, Plan, list};
use super::settings::Wanted;
use crate::decide::Mutability;

/// The plan for a repository, before anything is changed.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) wanted: Wanted,
    pub(crate) seen: Option<Current>,
    pub(crate) plan: Plan,
    pub(super) checked: Checked,
}

impl Prepared {
    pub(crate) fn mutability(&self) -> Option<&Mutability> {
        self.seen.as_ref().map(|seen| &seen.mutability)
    }

    /// The tags that will move, once what is planned is done.
    pub(crate) fn mutability_to_be(&self) -> Mutability {
        match &self.seen {
            Some(seen) if self.wanted.mutable_tags.is_empty() => seen.mutability.clone(),
            _ => Mutability {
                mutable: false,
                exceptions: self.wanted.mutable_tags.clone(),
            },
        }
    }

    /// The accounts that are to pull, in a sentence.
    pub(crate) fn pulled_by(&self) -> String {
        list(&self.wanted.pull)
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = &String> {
        let later: &[String] = match &self.checked {
            Checked::Safe { later, .. } => later,
            Checked::NotAsked | Checked::NoLedger => &[],
        };
        self.plan.warnings.iter().chain(later)
    }
}
