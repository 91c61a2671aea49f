//! A GitHub job, and the repository that it checked out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) const DIGEST: &str =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// The first commit of each job's repository: its date and content never change.
pub(crate) const COMMIT: &str = "048fef481755b4fed314f34622955b77e7660821";

/// Said where all is in order, as there is nothing to talk to.
pub(crate) const IN_ORDER: &str = "no region is known";

pub(crate) struct Job {
    dir: tempfile::TempDir,
}

impl Job {
    /// A GitHub job in a repository with a Dockerfile, and without Docker.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let job = Self { dir };
        job.write("app/Dockerfile", "FROM scratch\n");
        job.write("app/.dockerignore", ".git\ndelivery.yaml\n");
        job.git(&["init", "--quiet", "app"]);
        assert_eq!(job.commit(), COMMIT);
        job
    }

    /// The checkout.
    pub(crate) fn app(&self) -> PathBuf {
        self.file("app")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let file = self.file(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Commits all that is in the checkout.
    pub(crate) fn commit(&self) -> String {
        self.git(&["-C", "app", "add", "--all"]);
        self.git(&[
            "-C",
            "app",
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            "m",
        ]);
        self.head("app")
    }

    pub(crate) fn head(&self, folder: &str) -> String {
        self.git(&["-C", folder, "rev-parse", "HEAD"])
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(["-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(self.dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
            .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs in the checkout.
    pub(crate) fn run(&self, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        self.run_in(&self.app(), arguments, env)
    }

    pub(crate) fn run_in(&self, folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_slipway-image"))
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_OUTPUT", self.file("output"))
            .env("GITHUB_ENV", self.file("env"))
            .env("GITHUB_STATE", self.file("state"))
            .env("GITHUB_STEP_SUMMARY", self.file("summary"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(env.iter().copied())
            .output()
            .unwrap()
    }

    /// Runs, and expects `exit`, `message` and no output. Answers the log.
    pub(crate) fn refuses(
        &self,
        arguments: &[&str],
        env: &[(&str, &str)],
        exit: i32,
        message: &str,
    ) -> String {
        let output = self.run(arguments, env);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {log}");
        assert!(log.contains(message), "{arguments:?}: {log}");
        for name in ["output", "env", "state"] {
            let written = std::fs::read_to_string(self.file(name)).unwrap_or_default();
            assert_eq!(written, "", "{arguments:?} exported");
        }
        log
    }
}

pub(crate) fn publish<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "publish",
        "--repository",
        "acme/storefront",
        "--commit",
        COMMIT,
    ];
    arguments.extend(more);
    arguments
}
