//! The image that a build leaves in the engine or in buildah's storage, gone when its owner is dropped.

use std::process::{Child, Command, Stdio};

/// Runs its command when it is dropped, or sees it end where it runs already.
pub(crate) struct Kept {
    command: Command,
    running: Option<Child>,
}

impl Kept {
    pub(super) fn new(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self {
            command,
            running: None,
        }
    }

    /// Starts its command in the background.
    pub(crate) fn begin(mut self) -> Self {
        self.running = self.command.spawn().ok();
        self
    }
}

impl Drop for Kept {
    /// Blocks for the moment that removing the name takes. A name that cannot be removed is unused, and not a reason to fail a
    /// step that did its work.
    fn drop(&mut self) {
        let _ = match &mut self.running {
            Some(running) => running.wait(),
            None => self.command.status(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_a_kept_item_runs_its_removal_command() {
        let dir = tempfile::tempdir().unwrap();
        for early in [false, true] {
            let file = dir.path().join("kept");
            std::fs::write(&file, "").unwrap();
            let mut command = Command::new("sh");
            command.arg("-c").arg("sleep 0.2; rm \"$0\"").arg(&file);
            let mut kept = Kept::new(command);
            if early {
                kept = kept.begin();
            }
            assert!(file.exists());
            drop(kept);
            assert!(!file.exists());
        }
    }
}
