//! The dependencies of infrastructure code: providers and modules. In an environment with a gate all of them must be
//! pinned, so that what is applied is what was approved: the providers by the lock file, the modules by their sources.

mod code;
mod commit;
mod files;
mod manifest;
mod notes;
mod rule;
mod since;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod unreadable;

pub(crate) use notes::{Notes, pinned, unmoved};
pub(crate) use rule::Rule;
pub(crate) use tree::Dependencies;
pub(crate) use unreadable::Unreadable;

use crate::block;
use files::{Disk, Files};
use kit::error::{self, Error};
use kit::lockfile::{self, Lock};
use std::path::{Path, PathBuf};

/// Returns true if the code in a folder is for OpenTofu alone.
pub(crate) fn is_for_tofu(folder: &Path) -> bool {
    let paths: Vec<PathBuf> = Disk.list(folder).unwrap_or_default();
    block::files(paths.clone(), false).is_empty() && !block::files(paths, true).is_empty()
}

/// The providers in a folder's lock file; none if there is no file.
///
/// # Errors
/// It cannot be read (exit 3).
pub(crate) fn locked(folder: &Path) -> error::Result<Lock> {
    let text = Disk.read(&folder.join(lockfile::FILE));
    let lock = text.and_then(|text| Ok(text.as_deref().map(lockfile::read).transpose()?));
    let lock = lock.map_err(|why| {
        Error::refused(format!("{} cannot be read: {why}", lockfile::FILE))
            .hint("commit the file as `terraform init` writes it")
    });
    Ok(lock?.unwrap_or_default())
}

/// Reads what the code in `folder` brings, before anything is installed.
///
/// # Errors
/// Something that cannot be read.
pub(crate) fn declared(folder: &Path, tofu: bool) -> Result<Dependencies, Unreadable> {
    tree::read(&Disk, folder, None, tofu)
}

/// The same with the modules that were installed, and what they call. `data`: the folder in which Terraform
/// keeps them.
///
/// # Errors
/// As [`declared`].
pub(crate) fn installed(
    folder: &Path,
    data: &Path,
    tofu: bool,
) -> Result<Dependencies, Unreadable> {
    tree::read(&Disk, folder, Some(data), tofu)
}
