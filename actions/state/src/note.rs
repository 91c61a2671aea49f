//! The note to the post step that lets it find the lock again.

use crate::backend::{Backend, Hold};
use crate::locate::LocatedState;
use crate::rescue::{self, ErroredState};
use crate::shim;
use kit::aws::{AccountId, Region, RoleArn};
use kit::error::{Error, Result};
use kit::group::Group;
use kit::step::Cx;
use net::Target;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The note to the post step. Holds names only.
#[derive(Serialize, Deserialize)]
struct Note {
    lock_id: String,
    backend: Backend,
    role: Option<RoleArn>,
    account: Option<AccountId>,
    region: Option<Region>,
    allow_long_lived_keys: Vec<String>,
    hold: Hold,
    work: Option<Work>,
}

/// A command that is started under a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// The folder in which it works, and leaves a state that it cannot write.
    directory: PathBuf,
    /// States that were there before, which are not its own.
    before: Vec<ErroredState>,
    /// Folders in which it called Terraform, with what had been left there before.
    #[serde(default)]
    called: BTreeMap<PathBuf, Option<ErroredState>>,
    /// `None` until it has started: then it is found by its mark.
    pub(crate) command: Option<Group>,
}

impl Work {
    /// A command that starts now.
    pub(crate) fn new(directory: &Path) -> Self {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        Self {
            before: rescue::find(&directory),
            directory,
            called: BTreeMap::new(),
            command: None,
        }
    }

    /// It called Terraform in these folders, with what had been left there before.
    pub(crate) fn called(&mut self, folders: BTreeMap<PathBuf, Option<ErroredState>>) {
        self.called = folders;
    }

    /// States that it left behind.
    pub(crate) fn errored_states(&self) -> Vec<PathBuf> {
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut states = rescue::find(&self.directory);
        let found: Vec<PathBuf> = states.iter().map(|state| real(&state.path)).collect();
        states.retain(|state| !self.before.contains(state));
        let in_called_folders = self.called.iter().filter_map(|(folder, before)| {
            let now = rescue::look(folder)?;
            let new = before.as_ref() != Some(&now) && !found.contains(&real(&now.path));
            new.then_some(now)
        });
        states.extend(in_called_folders);
        states.into_iter().map(|state| state.path).collect()
    }
}

/// A lock that a step took, as the post step finds it.
pub(crate) struct Remembered {
    pub(crate) located: LocatedState,
    pub(crate) lock_id: String,
    pub(crate) hold: Hold,
    /// The command it was held around, if there was one.
    pub(crate) work: Option<Work>,
}

/// Writes the note, in place of an earlier one.
///
/// # Errors
/// The runner's file cannot be written, or the path of a folder is not UTF-8.
pub(crate) fn remember(
    located: &LocatedState,
    lock_id: &str,
    hold: Hold,
    work: Option<&Work>,
    cx: &Cx,
) -> Result<()> {
    let note = Note {
        lock_id: lock_id.to_owned(),
        backend: located.backend.clone(),
        role: located.target.role.clone(),
        account: located.target.account.clone(),
        region: located.target.region.clone(),
        allow_long_lived_keys: located.target.allow_long_lived_keys.clone(),
        hold,
        work: work.cloned(),
    };
    let text = serde_json::to_string(&note).map_err(|error| {
        Error::failed("the note of the lock cannot be written for the post step")
            .because(error)
            .hint("give the folders that the command works in names in UTF-8")
    })?;
    cx.host.remember("lock", &text)
}

/// # Errors
/// A note that is not ours.
pub(crate) fn remembered(cx: &Cx) -> Result<Option<Remembered>> {
    let Some(text) = cx.host.remembered("lock")? else {
        return Ok(None);
    };
    let note: Note = serde_json::from_str(&text)
        .map_err(|error| Error::failed("the note of the lock cannot be read").because(error))?;
    let mut work = note.work;
    if let Some(work) = &mut work {
        work.called(shim::folders(cx)?);
    }
    Ok(Some(Remembered {
        lock_id: note.lock_id,
        hold: note.hold,
        work,
        located: LocatedState {
            backend: note.backend,
            target: Target {
                account: note.account,
                role: note.role,
                region: note.region,
                allow_long_lived_keys: note.allow_long_lived_keys,
            },
            directory: None,
            resolved: None,
            overrides: false,
        },
    }))
}
