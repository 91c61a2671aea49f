//! A folder only this user can enter, for a plan, which holds secrets: gone when its owner is
//! dropped, and in memory rather than on disk where the machine has such a place.

use kit::{Context, Result};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Memory that looks like a folder (Filesystem Hierarchy Standard of Linux distributions with
/// glibc; shm_overview(7)).
const MEMORY: &str = "/dev/shm";

/// A fresh folder with mode 0700.
#[derive(Debug)]
pub(crate) struct Private(PathBuf);

impl Private {
    /// # Errors
    /// No temporary folder can be written.
    pub(crate) fn new() -> Result<Self> {
        let name = format!("slipway-{}", uuid::Uuid::new_v4().simple());
        let make = |below: &Path| {
            let path = below.join(&name);
            std::fs::DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map(|()| path)
        };
        let path = make(Path::new(MEMORY))
            .or_else(|_| make(&std::env::temp_dir()))
            .context("cannot make a folder for the plan")?;
        Ok(Self(path))
    }

    /// Where the plan goes.
    pub(crate) fn plan(&self) -> PathBuf {
        self.0.join("plan")
    }

    /// Puts the plan there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, plan: &[u8]) -> Result<()> {
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.plan())
            .and_then(|mut file| file.write_all(plan))
            .context("cannot write the plan for the tool")
    }

    /// # Errors
    /// The tool left no plan.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        std::fs::read(self.plan()).context("the tool left no plan")
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_else_can_enter_and_nothing_is_left() {
        let private = Private::new().unwrap();
        private.write(b"plan").unwrap();
        assert_eq!(private.read().unwrap(), b"plan");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let plan = private.plan();
        let folder = plan.parent().unwrap().to_owned();
        assert_eq!((mode(&folder), mode(&plan)), (0o700, 0o600));
        drop(private);
        assert!(!folder.exists());
    }
}
