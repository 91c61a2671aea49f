//! One job of a workflow, as the runner's files and variables make it for a step's binary.

use std::path::PathBuf;
use std::process::{Command, Output};

use sandbox::world::runner::Variables;

use crate::support::{Started, TIMEOUT, instance, read};

/// A folder with what a runner gives a step. Nothing else of the environment comes along.
pub(crate) struct Job {
    folder: tempfile::TempDir,
    variables: Variables,
}

impl Job {
    /// A job with these variables, and those that GitHub sets.
    pub(crate) fn new(variables: Variables) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let mut all = Variables::from(
            [
                ("GITHUB_ACTIONS", "true".to_owned()),
                ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
                ("GITHUB_REPOSITORY", "acme/storefront".to_owned()),
                ("GITHUB_RUN_ID", "4711".to_owned()),
                ("GITHUB_RUN_ATTEMPT", "2".to_owned()),
                ("GITHUB_ACTOR", "ada".to_owned()),
                ("GITHUB_SHA", "4711".repeat(10)),
                ("GITHUB_OUTPUT", file("output")),
                ("GITHUB_ENV", file("env")),
                ("GITHUB_STATE", file("state")),
                ("GITHUB_STEP_SUMMARY", file("summary")),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        all.extend(variables);
        Self {
            folder,
            variables: all,
        }
    }

    /// Gives a variable another value.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// A file of the job: `output`, `env`, `state`, `summary`, or one that the test or its commands write.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The content of a file of the job.
    pub(crate) fn read(&self, name: &str) -> String {
        read(&self.file(name))
    }

    /// A binary in this job, in the job's folder.
    pub(crate) fn command(&self, binary: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(instance().built().join(binary));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(&self.variables);
        command
    }

    /// Runs a command of the job to its end.
    pub(crate) fn run(&self, command: &mut Command) -> Output {
        Started::new(command).end(TIMEOUT)
    }

    /// The state that the step saved, as variables of its post step.
    pub(crate) fn state(&self) -> Variables {
        let text = self.read("state");
        let mut lines = text.lines();
        let mut found = Variables::new();
        while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
            let value: Vec<&str> = lines
                .by_ref()
                .take_while(|line| *line != delimiter)
                .collect();
            found.insert(format!("STATE_{name}"), value.join("\n"));
        }
        found
    }
}
