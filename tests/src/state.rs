//! The sandbox's state between two runs of the command: the process of each part, under a lock.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fault::{Context, Result};
use crate::process::Process;
use crate::say::note;

/// The content of `target/sandbox/state.json`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The parts that this sandbox started, by name.
    #[serde(default)]
    pub parts: BTreeMap<String, Started>,
}

/// A part that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its process.
    #[serde(flatten)]
    pub process: Process,
    /// The part's fingerprint when it was started; if it differs now, the part must be restarted.
    pub fingerprint: String,
}

impl State {
    /// Reads the state. A file that cannot be understood counts as empty: what it named is then found by its mark.
    pub fn read(dir: &Path) -> Self {
        fs::read(file(dir))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// Writes the state so that a reader sees the old one or the new one, never half.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let file = file(dir);
        let text = serde_json::to_vec_pretty(self).context("writing the sandbox's state")?;
        let draft = file.with_extension("json.new");
        fs::write(&draft, text).context(format!("writing {}", draft.display()))?;
        fs::rename(&draft, &file).context(format!("writing {}", file.display()))
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("state.json")
}

/// Waits for the lock `file`, which is held until the returned value is dropped or the program ends.
pub fn lock(file: &Path) -> Result<File> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).context(format!("creating {}", folder.display()))?;
    }
    let handle = File::create(file).context(format!("opening {}", file.display()))?;
    match handle.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            note(&format!(
                "waiting for another command that holds {}",
                file.display()
            ));
            handle
                .lock()
                .context(format!("locking {}", file.display()))?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).context(format!("locking {}", file.display()));
        }
    }
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_being_written_and_an_unreadable_one_counts_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::read(folder.path()), State::default());
        let mut state = State::default();
        let started = Started {
            process: Process { pid: 7, start: 42 },
            fingerprint: "f".to_owned(),
        };
        state.parts.insert("moto".to_owned(), started);
        state.write(folder.path()).unwrap();
        assert_eq!(State::read(folder.path()), state);
        fs::write(folder.path().join("state.json"), "{ half").unwrap();
        assert_eq!(State::read(folder.path()), State::default());
    }

    #[test]
    fn a_second_holder_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = lock(&path).unwrap();
        assert!(matches!(
            File::create(&path).unwrap().try_lock(),
            Err(TryLockError::WouldBlock)
        ));
        drop(first);
        lock(&path).unwrap();
    }
}
