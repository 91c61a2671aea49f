//! A file or a folder that a step made and a later process is to remove: the very one, and not what has its
//! name by then.

use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Something that this process made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// When it was made, in nanoseconds: the numbers of removed files are given away again.
    made: Option<u64>,
    owner: u32,
}

impl Own {
    /// The file or folder that was made at `path`.
    pub fn new(path: &Path, made: &Metadata) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let since = |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).ok();
        let nanos = made
            .created()
            .ok()
            .and_then(since)
            .map(|time| time.as_nanos());
        Self {
            path,
            device: made.dev(),
            inode: made.ino(),
            made: nanos.and_then(|nanos| u64::try_from(nanos).ok()),
            owner: made.uid(),
        }
    }

    /// Where it was made.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if this path still leads to it. A link to it does not count.
    ///
    /// # Errors
    /// That cannot be seen.
    pub fn is_there(&self) -> std::io::Result<bool> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(found) => Ok(Self::new(&self.path, &found) == *self),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As a note to a later process.
    pub fn note(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The file or folder that a note describes; `None` if the text is not such a note.
    pub fn noted(note: &str) -> Option<Self> {
        serde_json::from_str(note).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_the_same_name_is_another() {
        let path = std::env::temp_dir().join(format!("kit-own-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, "a").unwrap();
        let own = Own::new(&path, &std::fs::metadata(&path).unwrap());
        let own = Own::noted(&own.note()).unwrap();
        // Its content is its user's to change.
        std::fs::write(&path, "b").unwrap();
        assert!(own.is_there().unwrap());
        let kept = path.with_extension("kept");
        std::fs::rename(&path, &kept).unwrap();
        assert!(!own.is_there().unwrap());
        std::os::unix::fs::symlink(&kept, &path).unwrap();
        assert!(!own.is_there().unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a").unwrap();
        assert!(!own.is_there().unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&kept).unwrap();
        assert_eq!(Own::noted("/victim"), None);
    }
}
