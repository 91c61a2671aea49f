//! The decision about a call.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The decision about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// It runs as it is, and locks for itself; the note is for the user.
    Unchanged(Option<String>),
    /// It is told not to lock, since its lock is held; or it locks for itself, if another call is
    /// told so and does not end in time.
    Unlocked {
        /// How long it would wait for a lock.
        timeout: Duration,
        /// Its own words switch its lock off, so it must not run before its turn.
        off: bool,
    },
    /// These arguments go after its subcommand.
    With(Vec<String>),
    Refused {
        why: String,
        hint: String,
    },
}

pub(super) fn refused(why: impl Into<String>, hint: impl Into<String>) -> Verdict {
    Verdict::Refused {
        why: why.into(),
        hint: hint.into(),
    }
}
