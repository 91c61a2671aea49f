//! Finding the git repository that contains a file, and the commit it is checked out at.

use super::git;
use kit::env::Env;
use kit::{Error, Result};
use std::path::{Path, PathBuf};

/// A repository with a working tree.
#[derive(Debug)]
pub(super) struct Repository {
    /// The root of the working tree.
    pub(super) root: PathBuf,
    /// The commit that is checked out.
    pub(super) head: String,
    /// The folder that holds the objects.
    pub(super) objects: PathBuf,
}

impl Repository {
    /// The innermost repository around `path`, `None` where there is none.
    ///
    /// The repository's folder is passed to git by name and nothing but names is asked of it: git then runs no program that
    /// the repository's configuration names. So its owner does not matter, which is often another user where a job runs in a
    /// container.
    ///
    /// # Errors
    /// The path cannot be read, git is missing, or the repository has no commit (exit 3).
    pub(super) fn around(path: &Path, env: &Env) -> Result<Option<Self>> {
        let full = path.canonicalize().map_err(|error| {
            Error::usage(format!("{} cannot be read", path.display())).because(error)
        })?;
        match full.ancestors().find_map(marker) {
            Some((root, git_dir)) => Self::open(&root, &git_dir, env).map(Some),
            None => Ok(None),
        }
    }

    /// The repository whose working tree is exactly this folder, such as a submodule's.
    pub(super) fn at(root: &Path, env: &Env) -> Result<Option<Self>> {
        match marker(root) {
            Some((root, git_dir)) => Self::open(&root, &git_dir, env).map(Some),
            None => Ok(None),
        }
    }

    fn open(root: &Path, git_dir: &Path, env: &Env) -> Result<Self> {
        let ask = |question: &[&str]| {
            let mut command = git::command(env);
            command.arg("--git-dir").arg(git_dir).args(question);
            git::output(command, None).map(|bytes| git::line(&bytes))
        };
        let unreadable = |error: Error| {
            let mut refused = error.under(format!(
                "the commit that is checked out in {} cannot be read",
                root.display()
            ));
            refused.kind = kit::ErrorKind::Refused;
            refused
        };
        let head = ask(&["rev-parse", "--verify", "HEAD^{commit}"]).map_err(unreadable)?;
        let common = ask(&["rev-parse", "--git-common-dir"]).map_err(unreadable)?;
        // Relative to the current folder, or absolute.
        let objects = Path::new(&common).join("objects");
        let objects = objects.canonicalize().map_err(|error| {
            Error::refused(format!("{} cannot be read", objects.display())).because(error)
        })?;
        Ok(Self {
            root: root.to_owned(),
            head,
            objects,
        })
    }
}

/// The folder, if it is the root of a working tree, with git's own folder: `.git`, or the one that a file of this name
/// points to, as in a submodule and a linked working tree.
fn marker(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let git = folder.join(".git");
    // An empty folder of that name does not make a repository; git goes on upward too.
    let found = git.is_file() || git.join("HEAD").symlink_metadata().is_ok();
    found.then(|| (folder.to_owned(), git))
}
