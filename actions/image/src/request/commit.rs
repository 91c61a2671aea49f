//! The commit that an image is built for, and what the checkout shows of it.

use super::files::Files;
use super::origin::Origin;
use crate::builder_flags::Flags;
use crate::{checkout, dockerfile};
use kit::id::CommitId;
use kit::step::Cx;
use kit::{Error, Result};

pub(super) fn commit(given: Option<CommitId>, cx: &Cx) -> Result<CommitId> {
    let commit = match given {
        Some(given) => Some(given),
        None => cx.host.commit()?,
    };
    commit.ok_or_else(|| {
        Error::usage("--commit is missing, and this run names none")
            .hint("at a terminal: --commit \"$(git rev-parse HEAD)\"")
    })
}

/// The commit's time and tree, as far as they are known.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) time: Option<i64>,
    pub(super) tree: Option<String>,
}

/// Checks, where that is asked for, that the checkout is the commit, and returns the commit's time and tree.
///
/// # Errors
/// The checkout is not the commit (exit 3).
pub(super) fn checked(
    cx: &Cx,
    origin: &Origin,
    files: &Files,
    flags: &Flags,
    commit: &str,
    is_named: bool,
) -> Result<Checked> {
    match origin {
        Origin::Commit => {
            let folders = flags.folders()?;
            let ignore_file = files.ignore_file.as_deref();
            let input = checkout::Input {
                context: &files.context,
                folders: &folders,
                dockerfile: &files.dockerfile,
                ignore_file,
                ignore: &dockerfile::ignore(&files.context, ignore_file)?,
            };
            let shown = checkout::show(&cx.env, &input, commit)?;
            if let Some(generated) = shown.generated {
                cx.host.info(format!(
                    "the build context also has files that the commit's .gitignore names: {generated}"
                ));
            }
            Ok(Checked {
                time: shown.time,
                tree: shown.tree,
            })
        }
        Origin::Prebuilt => {
            // A commit that only the run names is that of the checkout, in which the image was probably built.
            if !is_named {
                checkout::refuse_other_commit(&cx.env, &files.context, commit)?;
            }
            cx.host.info(format!(
                "the image was built elsewhere and is not compared with the commit; --layout publishes it as commit {commit}"
            ));
            Ok(Checked::default())
        }
        Origin::Unverified(reason) => {
            cx.host.warn(format!(
                "the image is not shown to be commit {commit} and does not get its tag: {reason}"
            ));
            Ok(Checked {
                time: checkout::time(&cx.env, &files.context),
                tree: None,
            })
        }
    }
}

/// The commit's time, unless `SOURCE_DATE_EPOCH` says another.
pub(super) fn epoch(cx: &Cx, time: Option<i64>) -> Result<Option<i64>> {
    match cx.env.get("SOURCE_DATE_EPOCH") {
        None => Ok(time),
        Some(text) => text.parse().map(Some).map_err(|_| {
            Error::usage(format!(
                "SOURCE_DATE_EPOCH is `{text}`, not seconds since 1970"
            ))
            .hint("leave it out, and the commit's own time is taken")
        }),
    }
}
