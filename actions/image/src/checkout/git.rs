//! Running git without the configuration of anybody: not the repository's, not the user's, not the environment's.

use super::repository::Repository;
use crate::private_dir::PrivateDir;
use kit::env::Env;
use kit::{Context, Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
        let dir = PrivateDir::near(env)?;
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
        let mut command = command(self.env);
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
        output(command, input).map_err(|error| {
            let mut refused = error.under(format!(
                "{} cannot be compared with the commit that is checked out",
                self.root.display()
            ));
            refused.kind = kit::ErrorKind::Refused;
            refused
        })
    }
}

/// git, without anything that the environment tells it.
pub(super) fn command(env: &Env) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .envs(
            env.for_child()
                .filter(|(name, _)| !name.starts_with("GIT_")),
        )
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        // A partial clone would go to the network for an object it lacks.
        .env("GIT_NO_LAZY_FETCH", "1")
        .stdin(Stdio::null());
    command
}

/// The command's standard output.
///
/// # Errors
/// git cannot be started, or fails (exit 3).
pub(super) fn output(mut command: Command, input: Option<&Path>) -> Result<Vec<u8>> {
    if let Some(input) = input {
        let input = fs::File::open(input).context("cannot read what is passed to git")?;
        command.stdin(input);
    }
    let output = command.output().map_err(|error| {
        Error::refused("git cannot be started")
            .because(error)
            .hint("install git: it shows that what is built is the commit's")
    })?;
    // `check-ignore` ends with 1 where nothing is ignored.
    if output.status.success() || (output.status.code() == Some(1) && output.stderr.is_empty()) {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let mut error = Error::refused(format!("git failed ({})", output.status));
    for line in said.lines().take(5) {
        error = error.cause(line);
    }
    Err(error)
}

/// The one line of an answer.
pub(super) fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
