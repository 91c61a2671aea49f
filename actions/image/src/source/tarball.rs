//! A tar file whose members are found by name and read from any place, several at a time.
//!
//! Names in an archive are keys here and never paths: nothing is unpacked, and a link leads to another member or nowhere.

use kit::{Context, Error, Result};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An image has two members for each of at most a few hundred layers; more is not an image but an attempt to exhaust memory.
const MOST_MEMBERS: usize = 100_000;

/// How many links lead from a name to its bytes at most; a circle has no end.
const MOST_LINKS: usize = 8;

/// The members of a tar.
pub(super) struct Tarball {
    path: PathBuf,
    file: Arc<File>,
    members: Members,
}

/// Members by name.
#[derive(Default)]
pub(super) struct Members {
    spans: HashMap<String, (u64, u64)>,
    links: Links,
}

/// Links from member to member.
#[derive(Default)]
pub(super) struct Links(HashMap<String, String>);

impl Tarball {
    /// Reads the headers of all members. `path` is what messages call the file.
    ///
    /// # Errors
    /// It is not a tar, or is cut short.
    pub(super) fn read(path: &Path, file: File) -> Result<Self> {
        let display = path.display();
        let length = file
            .metadata()
            .context(format!("cannot read {display}"))?
            .len();
        let file = Arc::new(file);
        let mut members = Members::default();
        let mut archive = tar::Archive::new(Section::new(Arc::clone(&file), 0, length));
        let damaged = |error: io::Error| {
            let damaged = Error::usage(format!("{display} is not a tar, or a damaged one"))
                .hint("--layout takes an OCI layout or the output of `docker save`");
            // The tar reader's own words quote the file, which may have been given by mistake and hold a secret.
            match error.raw_os_error() {
                Some(_) => damaged.because(error),
                None => damaged,
            }
        };
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let (offset, size) = (entry.raw_file_position(), entry.size());
            let name = name(&entry);
            if entry.header().entry_type().is_file()
                && offset.checked_add(size).is_none_or(|end| end > length)
            {
                return Err(Error::usage(format!(
                    "{display} is cut short: it ends within {name:?}"
                ))
                .hint("write it again, and check whether the disk was full"));
            }
            members.add(&entry, name, offset, size);
            if members.spans.len() + members.links.0.len() > MOST_MEMBERS {
                return Err(Error::usage(format!(
                    "{display} has more than {MOST_MEMBERS} members, so it is not an image"
                )));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            members,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.spans.contains_key(name)
    }

    /// The member that `name` leads to, which is itself unless it is a link, and where its bytes begin.
    ///
    /// # Errors
    /// A link that leads nowhere.
    pub(super) fn resolve(&self, name: &str) -> Result<Option<(String, u64)>> {
        let target = self.members.links.follow(name)?;
        Ok(self
            .members
            .spans
            .get(&target)
            .map(|(offset, _)| (target.clone(), *offset)))
    }

    /// The bytes of `name`; `None` where there is no such member.
    ///
    /// # Errors
    /// A link that leads nowhere.
    pub(super) fn open_member(&self, name: &str) -> Result<Option<Section>> {
        let target = self.members.links.follow(name)?;
        Ok(self
            .members
            .spans
            .get(&target)
            .map(|(offset, size)| Section::new(Arc::clone(&self.file), *offset, *size)))
    }
}

impl Members {
    fn add<R: Read>(&mut self, entry: &tar::Entry<'_, R>, name: String, offset: u64, size: u64) {
        if entry.header().entry_type().is_file() {
            // The last member of a name counts, as when the archive is unpacked.
            self.links.0.remove(&name);
            self.spans.insert(name, (offset, size));
        } else {
            self.links.add(entry, name);
        }
    }
}

impl Links {
    /// Takes note of `entry` where it is a link.
    pub(super) fn add<R: Read>(&mut self, entry: &tar::Entry<'_, R>, name: String) {
        let kind = entry.header().entry_type();
        let Some(target) = entry.link_name_bytes() else {
            return;
        };
        let target = String::from_utf8_lossy(&target).into_owned();
        let folder = if kind.is_symlink() {
            name.rsplit_once('/').map_or("", |(folder, _)| folder)
        } else if kind.is_hard_link() {
            ""
        } else {
            return;
        };
        // A link that leads out of the archive gets a name that no member has.
        let target = join(folder, &target).unwrap_or_default();
        self.0.insert(name, target);
    }

    /// Where `name` leads in the end: itself, if it is not a link.
    ///
    /// # Errors
    /// Out of the archive, or in a circle.
    pub(super) fn follow(&self, name: &str) -> Result<String> {
        let mut at = name;
        for _ in 0..MOST_LINKS {
            match self.0.get(at) {
                None => return Ok(at.to_owned()),
                Some(target) => at = target,
            }
            if at.is_empty() {
                return Err(Error::usage(format!(
                    "{name:?} is a link that leads out of the archive"
                ))
                .hint("no builder writes such an archive; check its origin"));
            }
        }
        Err(Error::usage(format!(
            "{name:?} is a link that leads in a circle"
        )))
    }
}

/// A member's name in the one form in which it is looked up.
pub(super) fn name<R: Read>(entry: &tar::Entry<'_, R>) -> String {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    join("", &name).unwrap_or(name)
}

/// `path` seen from `folder`, without `.` and `..`; `None` where it leads out of the archive.
fn join(folder: &str, path: &str) -> Option<String> {
    // From the root of the archive.
    let folder = if path.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The compression that a file's first bytes tell, and the command that undoes it.
pub(super) fn compressed(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const KNOWN: [(&[u8], &str, &str); 4] = [
        (&[0x1f, 0x8b], "gzip", "gzip"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "zstd"),
        (b"BZh", "bzip2", "bzip2"),
        (&[0xfd, b'7', b'z', b'X', b'Z'], "xz", "xz"),
    ];
    KNOWN
        .into_iter()
        .find(|(magic, _, _)| start.starts_with(magic))
        .map(|(_, format, tool)| (format, tool))
}

/// A part of a file. It has a place of its own in it, so that several are read at once.
pub(super) struct Section {
    file: Arc<File>,
    start: u64,
    size: u64,
    at: u64,
}

impl Section {
    pub(super) fn new(file: Arc<File>, start: u64, size: u64) -> Self {
        Self {
            file,
            start,
            size,
            at: 0,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let remaining = self.size.saturating_sub(self.at);
        let wanted = usize::try_from(remaining)
            .map_or(buffer.len(), |remaining| remaining.min(buffer.len()));
        let read = self
            .file
            .read_at(&mut buffer[..wanted], self.start + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl io::Seek for Section {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let at = match to {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
            io::SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
