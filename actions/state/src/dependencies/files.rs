//! Where code is read: a disk, or a commit.

use super::unreadable::Unreadable;
use std::path::{Path, PathBuf};

/// Where code is read: a disk, or a commit.
pub(super) trait Files {
    /// The files of a folder.
    ///
    /// # Errors
    /// It cannot be read, or is not there.
    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, Unreadable>;

    /// A file's text; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, file: &Path) -> Result<Option<String>, Unreadable>;
}

/// The files as they lie on disk.
pub(super) struct Disk;

impl Files for Disk {
    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
        let cannot = |source| Unreadable::Files {
            path: folder.to_owned(),
            source,
        };
        let entries = std::fs::read_dir(folder).map_err(cannot)?;
        entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(cannot))
            .collect()
    }

    fn read(&self, file: &Path) -> Result<Option<String>, Unreadable> {
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Unreadable::Files {
                path: file.to_owned(),
                source,
            }),
        }
    }
}
