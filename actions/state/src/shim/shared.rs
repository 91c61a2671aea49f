//! The data that the calls of one command share, with the questions and answers so far.

use super::call::Call;
use super::ours::Ours;
use crate::backend::StateObject;
use crate::guard::Guard;
use crate::process::Process;
use crate::rescue::ErroredState;
use kit::host::Host;
use kit::lockfile::Lock;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The name of the note on the folders in which calls worked.
pub(super) const FOLDERS: &str = "folders";

/// A folder in which calls worked.
#[derive(Debug, Clone)]
pub(crate) struct Worked {
    /// The state of the last call; `None` where that could not be seen.
    pub(crate) state: Option<StateObject>,
    /// The `errored.tfstate` that was there before the first call.
    pub(crate) before: Option<ErroredState>,
    /// True if some call could create something that only the state knows of.
    pub(crate) creates: bool,
}

/// The refusal of a call that changes something without a permit.
#[derive(Debug, Clone)]
pub(crate) struct Forbidden {
    pub(crate) why: String,
    pub(crate) hint: String,
}

/// A call that is told not to lock.
#[derive(Debug)]
pub(super) struct Unlocked {
    pub(super) process: Process,
    /// The same call made again below it.
    pub(super) again: Vec<Process>,
    pub(super) folder: PathBuf,
    pub(super) call: Call,
}

impl Unlocked {
    /// The process at work for this call: its own, or one that a wrapper started.
    pub(super) fn at_work(&self) -> Option<Process> {
        let mut known = [self.process].into_iter().chain(self.again.iter().copied());
        known.find(Process::runs).or_else(|| self.process.at_work())
    }
}

/// The data that the calls of one command share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ours: Ours,
    pub(super) state: Mutex<State>,
    /// Ends a call that runs without a lock of its own, if this process no longer can.
    pub(super) guard: Guard,
    pub(super) host: Host,
}

/// The questions and answers so far.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Why no call begins any more.
    pub(super) closed: Option<&'static str>,
    /// The call that runs without a lock of its own.
    pub(super) unlocked: Option<Unlocked>,
    /// True if any call asked.
    pub(super) asked: bool,
    /// The first call that was refused because only a permitted plan may change anything.
    pub(super) forbidden: Option<Forbidden>,
    /// When the lock's lease ends ([`uptime`]), unless it is renewed.
    pub(super) end: Duration,
    pub(super) worked: BTreeMap<PathBuf, Worked>,
    /// The lock file of each folder with code, as it was seen first.
    pub(super) locks: BTreeMap<PathBuf, Lock>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
