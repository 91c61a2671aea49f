//! A folder that only this user can enter, removed when its owner is dropped.

use kit::env::Env;
use kit::{Context, Result};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A fresh folder with mode 0700.
#[derive(Debug)]
pub(crate) struct PrivateDir(PathBuf);

impl PrivateDir {
    /// Creates the folder in the runner's own temporary folder, if there is one: an image's layout can be large, and `/tmp`
    /// may be in memory.
    ///
    /// # Errors
    /// A temporary folder that cannot be written.
    pub(crate) fn create(env: &Env) -> Result<Self> {
        let parent = env
            .get("RUNNER_TEMP")
            .map_or_else(std::env::temp_dir, PathBuf::from);
        let path = parent.join(format!("slipway-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .context(format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // It holds names, symbolic links and the image; whatever cannot be removed is not secret.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_else_can_enter_and_links_are_not_followed_on_removal() {
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("kept"), "x").unwrap();
        let dir = PrivateDir::create(&Env::default()).unwrap();
        let path = dir.path().to_owned();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        std::os::unix::fs::symlink(other.path(), path.join("link")).unwrap();
        drop(dir);
        assert!(!path.exists());
        assert!(other.path().join("kept").exists());
    }
}
