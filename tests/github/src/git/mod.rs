//! Facts and changes in the real repository behind a registered one, through the `git` command.

mod log;
mod tree;
mod write;

pub(crate) use tree::{Change, Entry, TreeEntry};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// `git` failed; its own words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("git {command}: {message}")]
pub(crate) struct GitError {
    command: String,
    message: String,
}

/// Name, address and time of an author or committer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) email: String,
    /// Seconds since 1970.
    pub(crate) time: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) tree: String,
    pub(crate) parents: Vec<String>,
    pub(crate) author: Signature,
    pub(crate) committer: Signature,
    pub(crate) message: String,
}

/// How the two sides of a merge are to become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MergeMethod {
    Merge,
    Squash,
    Rebase,
}

#[derive(Debug, Clone)]
pub(crate) struct Git {
    directory: PathBuf,
    /// Ranges between full hashes never change; a program for each of a thousand takes seconds.
    ranges: Arc<Mutex<BTreeMap<String, Vec<Commit>>>>,
}

impl Git {
    /// A repository at `directory`, bare or not.
    pub(crate) fn open(directory: &Path) -> Result<Self, GitError> {
        let git = Self {
            directory: directory.to_owned(),
            ranges: Arc::default(),
        };
        git.text(&["rev-parse", "--git-dir"])?;
        Ok(git)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        command.arg("-C").arg(&self.directory).args([
            "-c",
            "safe.directory=*",
            "-c",
            "core.quotepath=off",
        ]);
        command
    }

    fn run(
        &self,
        args: &[&str],
        input: Option<&[u8]>,
        env: &[(&str, &str)],
    ) -> Result<Vec<u8>, GitError> {
        let fail = |message: String| GitError {
            command: args.first().copied().unwrap_or_default().to_owned(),
            message,
        };
        let mut child = self
            .command()
            .args(args)
            .envs(env.iter().copied())
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| fail(error.to_string()))?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            std::io::Write::write_all(&mut stdin, input)
                .map_err(|error| fail(error.to_string()))?;
        }
        let output = child
            .wait_with_output()
            .map_err(|error| fail(error.to_string()))?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(fail(format!(
                "{} ({})",
                String::from_utf8_lossy(&output.stderr).trim(),
                output.status
            )))
        }
    }

    fn text(&self, args: &[&str]) -> Result<String, GitError> {
        self.run(args, None, &[])
            .map(|out| String::from_utf8_lossy(&out).trim_end().to_owned())
    }

    /// The commit a branch, tag or (abbreviated) SHA names, in the order GitHub looks: branches first.
    pub(crate) fn resolve(&self, name: &str) -> Option<String> {
        let sha_like = name.len() >= 7 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut candidates = vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")];
        if let Some(short) = name
            .strip_prefix("heads/")
            .or_else(|| name.strip_prefix("refs/heads/"))
        {
            candidates.push(format!("refs/heads/{short}"));
        }
        if let Some(short) = name
            .strip_prefix("tags/")
            .or_else(|| name.strip_prefix("refs/tags/"))
        {
            candidates.push(format!("refs/tags/{short}"));
        }
        if sha_like {
            candidates.push(name.to_owned());
        }
        candidates.iter().find_map(|rev| {
            self.text(&[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &format!("{rev}^{{commit}}"),
            ])
            .ok()
        })
    }

    pub(crate) fn branch(&self, name: &str) -> Option<String> {
        self.text(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("refs/heads/{name}^{{commit}}"),
        ])
        .ok()
    }

    pub(crate) fn is_tag(&self, name: &str) -> bool {
        self.text(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("refs/tags/{name}"),
        ])
        .is_ok()
    }
}
