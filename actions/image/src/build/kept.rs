//! What a build leaves in the engine or in buildah's storage, gone when its owner is dropped.

use std::process::{Command, Stdio};

/// Runs its command when it is dropped.
pub(super) struct Kept(Command);

impl Kept {
    pub(super) fn new(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command)
    }
}

impl Drop for Kept {
    /// It blocks for the moment a name takes to be removed. What cannot be removed is a name that
    /// nobody uses, and no reason to fail a step that did its work.
    fn drop(&mut self) {
        let _ = self.0.status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_removed_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kept");
        std::fs::write(&file, "").unwrap();
        let mut command = Command::new("rm");
        command.arg(&file);
        let kept = Kept::new(command);
        assert!(file.exists());
        drop(kept);
        assert!(!file.exists());
    }
}
