//! Infrastructure code as it was in another commit of the same clone, read by git.

use super::files::Files;
use super::unreadable::{NotInCommit, Unreadable};
use kit::env::Env;
use kit::id::CommitId;
use kit::lockfile;
use kit::paths::plain;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A commit's files of infrastructure code.
pub(super) struct Commit<'a> {
    env: &'a Env,
    id: &'a CommitId,
    /// The top of the checkout.
    top: PathBuf,
    /// Their paths from the top.
    files: BTreeSet<PathBuf>,
}

impl<'a> Commit<'a> {
    /// Lists the files of the commit `id`, in the clone that `folder` is in.
    ///
    /// # Errors
    /// There is no git, no clone, or no such commit in it.
    pub(super) fn open(folder: &Path, id: &'a CommitId, env: &'a Env) -> Result<Self, NotInCommit> {
        let git = |arguments: &[&str]| git(folder, arguments, env);
        let top = String::from_utf8(git(&["rev-parse", "--show-toplevel"])?)?;
        let list = git(&[
            "ls-tree",
            "-r",
            "-z",
            "--full-tree",
            "--name-only",
            id.as_str(),
        ])
        .map_err(|why| NotInCommit::NoList(Box::new(why)))?;
        let list = String::from_utf8(list)?;
        let ends = [".tf", ".tf.json", ".tofu", ".tofu.json", lockfile::FILE];
        let files = list
            .split('\0')
            .filter(|path| ends.iter().any(|end| path.ends_with(end)));
        Ok(Self {
            env,
            id,
            top: PathBuf::from(top.trim_end_matches('\n')),
            files: files.map(PathBuf::from).collect(),
        })
    }

    /// Returns true if there was any code in a folder.
    pub(super) fn has(&self, folder: &Path) -> bool {
        self.list(folder).is_ok_and(|files| !files.is_empty())
    }

    fn path(&self, path: &Path) -> Result<PathBuf, NotInCommit> {
        let path = plain(path);
        let below = path.strip_prefix(&self.top).map(Path::to_owned);
        below.map_err(|_| NotInCommit::Outside {
            path,
            top: self.top.clone(),
        })
    }
}

impl Files for Commit<'_> {
    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
        let folder = self.path(folder)?;
        let files = self
            .files
            .iter()
            .filter(|file| file.parent() == Some(&folder));
        Ok(files.map(|file| self.top.join(file)).collect())
    }

    fn read(&self, file: &Path) -> Result<Option<String>, Unreadable> {
        let path = self.path(file)?;
        if !self.files.contains(&path) {
            return Ok(None);
        }
        let object = format!("{}:{}", self.id, path.display());
        let bytes = git(&self.top, &["cat-file", "blob", &object], self.env)?;
        Ok(Some(String::from_utf8(bytes).map_err(NotInCommit::from)?))
    }
}

/// The output of git, which gets no `GIT_` variable from the environment.
fn git(folder: &Path, arguments: &[&str], env: &Env) -> Result<Vec<u8>, NotInCommit> {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env_clear()
        .envs(
            env.for_child()
                .filter(|(name, _)| !name.starts_with("GIT_")),
        )
        .env("LC_ALL", "C")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        // A partial clone would go to the network for an object that it lacks.
        .env("GIT_NO_LAZY_FETCH", "1")
        .stdin(Stdio::null());
    let output = command.output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let message = stderr.lines().next().unwrap_or("it fails");
    Err(NotInCommit::Refused(message.to_owned()))
}
