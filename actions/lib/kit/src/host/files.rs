//! The files of one step through which a runner learns what the steps after it get. A runner makes them anew
//! for each step, and the step writes to them only at its end. So what appears there before was written by a
//! program that the step ran, to steer later steps.

use crate::error::{Error, Result};
use crate::own::Own;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The variables that name them. A note to a post step has a proof, and the summary is for people.
pub(super) const ALL: &[&str] = &["GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT"];
/// Those to which nothing but a program of the step can have written where a script runs the step: other commands of
/// the script may write outputs at the same time.
pub(super) const IN_A_SCRIPT: &[&str] = &["GITHUB_ENV", "GITHUB_PATH"];

/// The files, and what is to be in them.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<&'static str, (PathBuf, Option<Content>)>);

/// A regular file and its bytes; a link to one is not the same, since it need not lead the runner to where it leads
/// this process.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    file: Own,
    bytes: Vec<u8>,
}

impl Content {
    /// The content of the regular file at `path`; `None` if there is none that can be read.
    fn of(path: &Path) -> Option<Self> {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let mut opened = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(flags.bits()).ok()?)
            .open(path)
            .ok()?;
        let metadata = opened.metadata().ok()?;
        let mut bytes = Vec::new();
        if !metadata.is_file() || opened.read_to_end(&mut bytes).is_err() {
            return None;
        }
        Some(Self {
            file: Own::new(path, &metadata),
            bytes,
        })
    }
}

impl Files {
    /// The files of these variables as they are now.
    pub(super) fn seen<'a>(names: &[&'static str], path: impl Fn(&str) -> Option<&'a str>) -> Self {
        let seen = names.iter().filter_map(|name| {
            let path = PathBuf::from(path(name)?);
            let there = Content::of(&path);
            Some((*name, (path, there)))
        });
        Self(seen.collect())
    }

    /// Puts back what was there in each file that somebody else wrote to.
    ///
    /// # Errors
    /// There is such a file (exit 3).
    pub(super) fn restore_changed(&self) -> Result<()> {
        let mut error: Option<Error> = None;
        for (name, (path, wanted)) in &self.0 {
            if Content::of(path) == *wanted {
                continue;
            }
            let file = format!("{} ({name})", path.display());
            let cause = match restore(path, wanted.as_ref()) {
                Ok(()) => format!("{file} was restored"),
                Err(failed) => format!("{file} cannot be restored: {failed}"),
            };
            let so_far = error.take().unwrap_or_else(|| {
                Error::refused(format!(
                    "a program that this step ran wrote to {file}, which later steps read"
                ))
            });
            error = Some(so_far.cause(cause));
        }
        error.map_or(Ok(()), |error| {
            Err(error
                .hint("find out which program it is: it looked for the file by itself, since no child process is given its name")
                .hint("a value for later steps: write it in a `run:` step of its own, or in the workflow"))
        })
    }
}

/// Writes what was there, into a file of its own: whatever else has the name now is removed, not followed.
fn restore(path: &Path, wanted: Option<&Content>) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let Some(wanted) = wanted else {
        return Ok(());
    };
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)?
        .write_all(&wanted.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("kit-files-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        path
    }

    fn seen(path: &Path) -> Files {
        Files::seen(&["GITHUB_ENV"], |_| path.to_str())
    }

    #[test]
    fn a_file_that_another_program_wrote_to_or_put_in_its_place_is_as_it_was_again() {
        let folder = folder("changed");
        let (path, other_path) = (folder.join("set_env"), folder.join("elsewhere"));
        let same = || {
            std::fs::read(&path).unwrap() == b"A=1\n" && path.symlink_metadata().unwrap().is_file()
        };
        type Attack = fn(&Path, &Path);
        let attacks: [Attack; 5] = [
            |path, _| std::fs::write(path, "A=1\nPATH=/evil\n").unwrap(),
            |path, _| std::fs::remove_file(path).unwrap(),
            // The same bytes, by a link that may lead the runner elsewhere.
            |path, other_path| {
                std::fs::rename(path, other_path).unwrap();
                std::os::unix::fs::symlink(other_path, path).unwrap();
            },
            |path, _| {
                std::fs::remove_file(path).unwrap();
                std::fs::write(path, "A=1\n").unwrap();
            },
            // Opening it waits for ever.
            |path, _| {
                std::fs::remove_file(path).unwrap();
                let made = std::process::Command::new("mkfifo").arg(path).status();
                assert!(made.unwrap().success());
            },
        ];
        for (number, attack) in attacks.into_iter().enumerate() {
            let _ = std::fs::remove_file(&other_path);
            std::fs::write(&path, "A=1\n").unwrap();
            let files = seen(&path);
            files.restore_changed().unwrap();
            attack(&path, &other_path);
            let error = files.restore_changed().unwrap_err();
            assert_eq!(error.exit(), crate::Exit::Refused, "{number}");
            assert!(same(), "{number}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_was_not_there_is_gone_again() {
        let folder = folder("made");
        let path = folder.join("set_env");
        let files = seen(&path);
        files.restore_changed().unwrap();
        std::fs::write(&path, "PATH=/evil\n").unwrap();
        files.restore_changed().unwrap_err();
        assert!(!path.exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
