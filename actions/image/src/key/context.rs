//! The files a build can see, hashed. Memory does not grow with them: folders are read one at a
//! time and files in pieces.

use crate::dockerfile::Ignore;
use crate::hash::Hash;
use kit::{Error, Result};
use std::fs::{DirEntry, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

/// How much of a file is read at a time.
const PIECE: usize = 1 << 18;

/// Facts about the files that were hashed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// True if git's own folder is in the context, which is another at every commit.
    pub(super) git: bool,
}

/// Adds every path under `root` that is not left out: its name, type and permissions, and a file's
/// content or a link's target. Owners and times are not looked at, because the builder does not
/// take them over, or only as dates.
///
/// # Errors
/// An entry cannot be read, or is not a file, folder or link.
pub(super) fn add(hash: &mut Hash, root: &Path, ignore: &Ignore) -> Result<Hashed> {
    let mut walk = Walk {
        hash,
        ignore,
        waiting: Vec::new(),
        buffer: vec![0; PIECE],
        seen: Hashed::default(),
    };
    walk.folder(root, "", b"")?;
    Ok(walk.seen)
}

struct Walk<'a> {
    hash: &'a mut Hash,
    ignore: &'a Ignore,
    /// Folders that are left out, but come along if something in them does not.
    waiting: Vec<Folder>,
    buffer: Vec<u8>,
    seen: Hashed,
}

struct Folder {
    name: Vec<u8>,
    mode: u32,
}

impl Walk<'_> {
    fn folder(&mut self, path: &Path, within: &str, raw: &[u8]) -> Result<()> {
        let mut entries = std::fs::read_dir(path)
            .and_then(Iterator::collect::<std::io::Result<Vec<DirEntry>>>)
            .map_err(|error| unreadable(path, error))?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            self.entry(&entry, within, raw)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &DirEntry, within: &str, raw: &[u8]) -> Result<()> {
        let path = entry.path();
        let name = entry.file_name();
        // The rules are about text; a name that is none is matched as people see it.
        let shown = name.to_string_lossy();
        let relative = match within {
            "" => shown.into_owned(),
            within => format!("{within}/{shown}"),
        };
        let own = [raw, b"/", name.as_bytes()].concat();
        let about = std::fs::symlink_metadata(&path).map_err(|error| unreadable(&path, error))?;
        let out = self.ignore.leaves_out(&relative);
        if about.is_dir() {
            if out && !self.ignore.keeps_some() {
                return Ok(());
            }
            self.seen.git |= !out && relative == ".git";
            let folder = Folder {
                name: own.clone(),
                mode: about.permissions().mode(),
            };
            let depth = self.waiting.len();
            self.waiting.push(folder);
            if !out {
                self.flush();
            }
            self.folder(&path, &relative, &own)?;
            self.waiting.truncate(depth);
            return Ok(());
        }
        // A builder passes a socket over: it is nothing without who listens.
        if out || about.file_type().is_socket() {
            return Ok(());
        }
        self.flush();
        self.leaf(&path, &own, &about)
    }

    fn leaf(&mut self, path: &Path, name: &[u8], about: &Metadata) -> Result<()> {
        self.seen.entries += 1;
        if about.is_symlink() {
            let target = std::fs::read_link(path).map_err(|error| unreadable(path, error))?;
            self.hash.part(b"link").part(name);
            self.hash.part(target.as_os_str().as_bytes());
            return Ok(());
        }
        if !about.is_file() {
            return Err(Error::failed(format!(
                "{} in the build context is not a file, folder or link",
                path.display()
            ))
            .hint("remove it, or leave it out with .dockerignore"));
        }
        let mut file = std::fs::File::open(path).map_err(|error| unreadable(path, error))?;
        let mut content = Hash::new();
        loop {
            let read = file
                .read(&mut self.buffer)
                .map_err(|error| unreadable(path, error))?;
            if read == 0 {
                break;
            }
            self.seen.bytes += read as u64;
            content.raw(&self.buffer[..read]);
        }
        self.hash
            .part(b"file")
            .part(name)
            .part(&mode(about.permissions().mode()))
            .part(content.end().as_bytes());
        Ok(())
    }

    fn flush(&mut self) {
        for folder in &mut self.waiting {
            // Those that came along already have lost their names.
            if !folder.name.is_empty() {
                self.seen.entries += 1;
                self.hash
                    .part(b"folder")
                    .part(&folder.name)
                    .part(&mode(folder.mode));
                folder.name.clear();
            }
        }
    }
}

/// All permission bits: `COPY` takes them over as they are.
fn mode(mode: u32) -> [u8; 2] {
    let bytes = (mode & 0o7777).to_be_bytes();
    [bytes[2], bytes[3]]
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::failed(format!(
        "cannot read {} of the build context",
        path.display()
    ))
    .because(error)
    .hint("make it readable for this user, or leave it out with .dockerignore")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("src/deep")).unwrap();
        std::fs::write(at("a"), "1").unwrap();
        std::fs::write(at("src/b"), vec![7; PIECE * 2 + 1]).unwrap();
        std::fs::write(at("src/deep/c"), "3").unwrap();
        symlink("a", at("link")).unwrap();
        std::fs::set_permissions(at("a"), Permissions::from_mode(0o644)).unwrap();
        dir
    }

    fn hash(dir: &Path, ignore: &str) -> (String, Hashed) {
        let mut hash = Hash::new();
        let seen = add(&mut hash, dir, &Ignore::parse(ignore).unwrap()).unwrap();
        (hash.end(), seen)
    }

    #[test]
    fn the_same_files_are_the_same_wherever_and_whenever() {
        let (one, two) = (tree(), tree());
        let past = std::time::UNIX_EPOCH;
        std::fs::File::open(two.path().join("a"))
            .unwrap()
            .set_modified(past)
            .unwrap();
        let (hash_one, seen) = hash(one.path(), "");
        assert_eq!(hash_one, hash(two.path(), "").0);
        assert_eq!(seen.entries, 6);
        assert_eq!(seen.bytes, (PIECE * 2 + 1 + 2) as u64);
    }

    #[test]
    fn whatever_the_image_could_see_changes_the_hash() {
        type Change = fn(&Path);
        let before = hash(tree().path(), "").0;
        let changes: [(&str, Change); 9] = [
            ("content", |dir| std::fs::write(dir.join("a"), "2").unwrap()),
            ("the last byte of a large file", |dir| {
                let mut bytes = vec![7; PIECE * 2 + 1];
                bytes[PIECE * 2] = 8;
                std::fs::write(dir.join("src/b"), bytes).unwrap();
            }),
            ("a name", |dir| {
                std::fs::rename(dir.join("a"), dir.join("A")).unwrap()
            }),
            ("a place", |dir| {
                std::fs::rename(dir.join("src/deep/c"), dir.join("src/c")).unwrap();
            }),
            ("an executable bit", |dir| {
                std::fs::set_permissions(dir.join("a"), Permissions::from_mode(0o755)).unwrap();
            }),
            ("who may read", |dir| {
                std::fs::set_permissions(dir.join("a"), Permissions::from_mode(0o640)).unwrap();
            }),
            ("a link's target", |dir| {
                std::fs::remove_file(dir.join("link")).unwrap();
                symlink("src", dir.join("link")).unwrap();
            }),
            ("a link that becomes a file", |dir| {
                std::fs::remove_file(dir.join("link")).unwrap();
                std::fs::write(dir.join("link"), "a").unwrap();
            }),
            ("an empty folder", |dir| {
                std::fs::create_dir(dir.join("new")).unwrap()
            }),
        ];
        for (name, change) in changes {
            let dir = tree();
            change(dir.path());
            assert_ne!(hash(dir.path(), "").0, before, "{name}");
        }
    }

    #[test]
    fn ignored_files_do_not_change_the_hash_and_kept_files_include_their_folders() {
        let dir = tree();
        let before = hash(dir.path(), "src\n.git");
        std::fs::write(dir.path().join("src/new"), "x").unwrap();
        assert_eq!(hash(dir.path(), "src\n.git"), before);
        assert_eq!(before.1.entries, 2);

        // a, link, src, src/deep, src/deep/c
        let kept = hash(dir.path(), "src\n!src/deep");
        assert_eq!(kept.1.entries, 5);
        std::fs::write(dir.path().join("src/new"), "y").unwrap();
        assert_eq!(hash(dir.path(), "src\n!src/deep"), kept);
        std::fs::write(dir.path().join("src/deep/c"), "y").unwrap();
        assert_ne!(hash(dir.path(), "src\n!src/deep").0, kept.0);
        // Nothing in src is kept, so the folder does not come along either.
        assert_eq!(hash(dir.path(), "src\n!gone").1.entries, 2);
    }

    #[test]
    fn git_s_folder_is_noticed_and_odd_files_are_named() {
        let dir = tree();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        assert!(hash(dir.path(), "").1.git);
        assert!(!hash(dir.path(), ".git").1.git);
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
        hash(dir.path(), "");
        let made = std::process::Command::new("mkfifo")
            .arg(dir.path().join("fifo"))
            .status()
            .unwrap();
        assert!(made.success());
        let error = add(&mut Hash::new(), dir.path(), &Ignore::default()).unwrap_err();
        assert!(
            error
                .message
                .ends_with("fifo in the build context is not a file, folder or link")
        );
        assert!(
            add(
                &mut Hash::new(),
                &dir.path().join("gone"),
                &Ignore::default()
            )
            .is_err()
        );
    }
}
