//! Opening files of a folder that another program fills, without following links.
//!
//! One step for each part of a path. `openat2` takes them all in one call, but needs Linux 5.6, which CodeBuild's hosts do not
//! all have.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// A folder, and the one below it that was looked into last: neighbours are asked for one after another.
pub(super) struct Folder {
    root: OwnedFd,
    last: Option<(PathBuf, OwnedFd)>,
}

impl Folder {
    /// The folder at an absolute path.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !path.is_absolute() {
            return Err(io::Error::other(format!(
                "{} is not absolute",
                path.display()
            )));
        }
        let root = openat(rustix::fs::CWD, "/", FOLDER, Mode::empty())?;
        Ok(Self {
            root: down(root, path)?,
            last: None,
        })
    }

    /// A regular file in it or below it, and its size.
    pub(super) fn file(&mut self, path: &Path) -> io::Result<(File, u64)> {
        let name = path.file_name().ok_or_else(|| odd(path))?;
        let parent = path.parent().unwrap_or(Path::new(""));
        let folder = match &mut self.last {
            Some((last, folder)) if last == parent => folder,
            last => {
                let start = self.root.try_clone()?;
                let folder = down(start, parent)?;
                &mut last.insert((parent.to_owned(), folder)).1
            }
        };
        // Other kinds of files are not opened, because opening a device can have an effect.
        regular(statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&*folder, name, flags, Mode::empty())?);
        let there = rustix::fs::fstat(&file)?;
        regular(there.st_mode)?;
        Ok((file, u64::try_from(there.st_size).unwrap_or_default()))
    }
}

/// Enough to go on from, and not to read.
const FOLDER: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

fn down(mut folder: OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    for part in path.components() {
        match part {
            Component::Normal(name) => folder = step(&folder, name)?,
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(odd(path)),
        }
    }
    Ok(folder)
}

fn step(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(openat(folder, name, FOLDER, Mode::empty())?)
}

fn regular(mode: rustix::fs::RawMode) -> io::Result<()> {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Ok(()),
        kind => Err(io::Error::other(format!(
            "it is not a file, but a {kind:?}"
        ))),
    }
}

fn odd(path: &Path) -> io::Error {
    io::Error::other(format!("{} leads out of its folder", path.display()))
}
