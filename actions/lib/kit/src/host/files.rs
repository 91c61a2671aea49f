//! The files of one step through which a runner learns what the steps after it get. A runner makes them anew
//! for each step, and the step writes to them only at its end. So what appears there before was written by a
//! program that the step ran, to steer later steps.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The variables that name them. An output of a step is what the step writes last, a note to a post step has a
/// proof, and the summary is for people.
const NAMES: [&str; 2] = ["GITHUB_ENV", "GITHUB_PATH"];

/// The files, and what is to be in them; `None`: what cannot be read.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<&'static str, (PathBuf, Option<Vec<u8>>)>);

impl Files {
    /// The files as they are now.
    pub(super) fn seen<'a>(path: impl Fn(&str) -> Option<&'a str>) -> Self {
        let seen = NAMES.iter().filter_map(|name| {
            let path = PathBuf::from(path(name)?);
            let there = std::fs::read(&path).ok();
            Some((*name, (path, there)))
        });
        Self(seen.collect())
    }

    /// Puts back what was there in each file that somebody else wrote to.
    ///
    /// # Errors
    /// There is such a file (exit 3).
    pub(super) fn untouched(&self) -> Result<()> {
        let mut error: Option<Error> = None;
        for (name, (path, wanted)) in &self.0 {
            if std::fs::read(path).ok() == *wanted {
                continue;
            }
            let what = format!("{} ({name})", path.display());
            let cause = match restore(path, wanted.as_deref().unwrap_or_default()) {
                Ok(()) => format!("{what} is as it was again"),
                Err(failed) => format!("{what} cannot be put back as it was: {failed}"),
            };
            let so_far = error.take().unwrap_or_else(|| {
                Error::refused(format!(
                    "a program that this step ran wrote to {what}, from which the runner takes what later steps get"
                ))
            });
            error = Some(so_far.cause(cause));
        }
        error.map_or(Ok(()), |error| {
            Err(error
                .hint("find out which program it is: it looked for the file by itself, since no child is told its name")
                .hint("a value for later steps: write it in a `run:` step of its own, or in the workflow"))
        })
    }
}

/// Writes what was there, through no link.
fn restore(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits();
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(i32::try_from(nofollow).unwrap_or_default())
        .open(path)?
        .write_all(text)
}
