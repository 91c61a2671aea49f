//! One commit of a repository, without the repository's own settings.

use super::git;
use super::repository::Repository;
use crate::private_dir::PrivateDir;
use kit::env::Env;
use kit::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository of our own that has nothing but one commit of another: an empty configuration, an empty list of excluded
/// files, a fresh index. The settings and bits by which git can be told not to look at a file (`assume-unchanged`,
/// `skip-worktree`, `core.checkStat`, `core.fileMode`, `core.fsmonitor`, `.git/info/exclude`, filters, replaced objects…)
/// are all in the repository it was taken from, so none of them has an effect here.
pub(super) struct Clean<'a> {
    env: &'a Env,
    dir: PrivateDir,
    root: PathBuf,
    objects: PathBuf,
}

impl<'a> Clean<'a> {
    /// # Errors
    /// The commit's tree cannot be read (exit 3).
    pub(super) fn of(repository: &Repository, env: &'a Env) -> Result<Self> {
        let dir = PrivateDir::create(env)?;
        let at = |name: &str| dir.path().join(name);
        let config = match repository.head.len() {
            64 => "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n",
            _ => "[core]\n\trepositoryformatversion = 0\n",
        };
        fs::write(at("HEAD"), format!("{}\n", repository.head))
            .and_then(|()| fs::write(at("config"), config))
            .and_then(|()| fs::create_dir(at("objects")))
            .and_then(|()| fs::create_dir(at("refs")))
            .context(format!("cannot write {}", dir.path().display()))?;
        let clean = Self {
            env,
            dir,
            root: repository.root.clone(),
            objects: repository.objects.clone(),
        };
        clean.run(&["read-tree", "HEAD"])?;
        Ok(clean)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Runs git in the root of the working tree.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let mut command = self.command();
        command.env("GIT_LITERAL_PATHSPECS", "1").args(arguments);
        self.finish(command, None)
    }

    /// As [`Self::run`], for the paths `about`, which are not patterns.
    pub(super) fn about(&self, arguments: &[&str], about: &[PathBuf]) -> Result<Vec<u8>> {
        let mut command = self.command();
        command
            .env("GIT_LITERAL_PATHSPECS", "1")
            .args(arguments)
            .arg("--")
            .args(about);
        self.finish(command, None)
    }

    /// As [`Self::run`], with this on the standard input.
    pub(super) fn feed(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let file = self.dir.path().join("input");
        fs::write(&file, input).context(format!("cannot write {}", file.display()))?;
        let mut command = self.command();
        command.args(arguments);
        self.finish(command, Some(&file))
    }

    fn command(&self) -> Command {
        let dir = self.dir.path();
        let mut command = git::command(self.env);
        command
            .current_dir(&self.root)
            .env("HOME", dir)
            .env("XDG_CONFIG_HOME", dir)
            .env("GIT_DIR", dir)
            .env("GIT_WORK_TREE", &self.root)
            .env("GIT_OBJECT_DIRECTORY", &self.objects)
            .env("GIT_INDEX_FILE", dir.join("index"));
        command
    }

    fn finish(&self, command: Command, input: Option<&Path>) -> Result<Vec<u8>> {
        git::output(command, input).map_err(|error| {
            let mut refused = error.under(format!(
                "{} cannot be compared with the commit that is checked out",
                self.root.display()
            ));
            refused.kind = kit::ErrorKind::Refused;
            refused
        })
    }
}
