//! A GitHub job, and the repository that it checked out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use step_job::log;

pub(crate) const DIGEST: &str =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// The first commit of each job's repository: its date and content never change.
pub(crate) const COMMIT: &str = "048fef481755b4fed314f34622955b77e7660821";

/// Said where all is in order, as there is nothing to talk to.
pub(crate) const IN_ORDER: &str = "the region is missing";

pub(crate) struct Job(step_job::Job);

impl Job {
    /// A GitHub job in a repository with a Dockerfile, and without Docker.
    pub(crate) fn new() -> Self {
        let job = Self(step_job::Job::new(env!("CARGO_BIN_EXE_slipway-image")));
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
        self.0.file(name)
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
            .current_dir(self.0.path())
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
        let mut command = self.0.command(arguments, env);
        if !env.iter().any(|(name, _)| *name == "PATH") {
            command.env("PATH", std::env::var_os("PATH").unwrap());
        }
        command.current_dir(folder).output().unwrap()
    }

    /// Runs, and expects `exit`, `message` and no output. Returns the log.
    pub(crate) fn refuses(
        &self,
        arguments: &[&str],
        env: &[(&str, &str)],
        exit: i32,
        message: &str,
    ) -> String {
        let output = self.run(arguments, env);
        self.0.refused(&output, exit, message);
        log(&output)
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
