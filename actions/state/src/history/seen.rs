//! The observed history of a state: its versions, how its digest compares with it, and what a rollback replaces.

use crate::object::{Found, StateFile, StateVersion, Stored};
use aws_sdk_s3::primitives::DateTime;

/// One version, or the mark of a deletion.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) when: Option<DateTime>,
    pub(super) latest: bool,
    pub(super) deleted: bool,
}

/// A version with what stood in it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) version: Version,
    /// Nothing for a deletion, and for something that is not a state.
    pub(super) state: Option<StateFile>,
}

/// How state and digest stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Neither is there.
    Nothing,
    /// The digest is the state's.
    Same,
    /// There is a state and no digest: Terraform skips its check.
    Missing,
    /// The digest is another state's: the version that is, if one is found.
    Other(Option<(String, StateVersion)>),
    /// There is a digest and no state, or an empty object, which Terraform takes for none.
    NoState(Option<(String, StateVersion)>),
    /// Something is there that is not a state, and why.
    NotAState(String, Option<(String, StateVersion)>),
}

/// The state and its digest as they were read, and how they compare.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) found: Found,
    pub(super) kept: Option<String>,
    pub(super) verdict: Verdict,
}

/// A rollback that is to be written.
pub(super) struct StateRollback {
    /// The object that is there now, and is replaced.
    pub(super) current: Found,
    /// The state that replaces it.
    pub(super) next: StateFile,
    /// The differences between the two.
    pub(super) lines: Vec<String>,
    pub(super) version: String,
}

impl StateRollback {
    /// The replaced object, with the version under which the bucket keeps it.
    pub(super) fn replaced(&self) -> Option<String> {
        let version = |stored: &Stored| stored.version.clone().unwrap_or_default();
        match &self.current {
            Found::Nothing => None,
            Found::State(state, stored) => Some(format!(
                "version {}, serial {} of {}",
                version(stored),
                state.serial,
                match state.lineage == self.next.lineage {
                    true => "the same lineage".to_owned(),
                    false => format!("lineage {}, which is another state", state.lineage),
                }
            )),
            Found::Other(stored, why) => Some(format!(
                "version {}, which is not a state: {why}",
                version(stored)
            )),
        }
    }
}
