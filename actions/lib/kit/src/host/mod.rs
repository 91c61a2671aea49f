//! Where a step runs (GitHub Actions, CodeBuild, a terminal) and how it speaks there. Together
//! with the frame of a step the only place that prints.

mod codebuild;
mod files;
mod github;
mod initiator;
mod note;
mod output;
mod plain;
mod section;

pub(crate) use codebuild::variable;
pub use github::{inert, may_export};
pub use initiator::Initiator;
pub use section::{Group, Verbatim};

use crate::env::Env;
use crate::error::{Error, Result};
use crate::id::{CommitId, Invalid};
use crate::masks::Masks;
use crate::report::{EnvValue, Report};
use crate::secret::Secret;
use files::Files;
use output::write_whole;
use plain::without_control;
use section::Commands;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The kind of machine a step finds itself on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A GitHub Actions runner (`GITHUB_ACTIONS=true`).
    GitHub,
    /// A CodeBuild container (`CODEBUILD_BUILD_ARN` is set).
    CodeBuild,
    /// A person's terminal, or anything else.
    Terminal,
}

/// The host of a step that logs each call, once it is known that it does.
static VERBOSE: OnceLock<Host> = OnceLock::new();

/// Returns whether each call is to be logged.
pub fn verbose() -> bool {
    VERBOSE.get().is_some()
}

/// A line of the log that only `--verbose` shows.
pub fn debug(line: &str) {
    if let Some(host) = VERBOSE.get() {
        host.line(&format!("debug: {}", host.inert(line)));
    }
}

/// The host of a step, and the step's only way to print.
#[derive(Debug, Clone)]
pub struct Host {
    kind: Kind,
    env: Env,
    colour: bool,
    /// One for all clones: there is one log, and one set of files.
    commands: Arc<Mutex<Commands>>,
    files: Arc<Mutex<Files>>,
}

impl Host {
    /// Finds out where this process runs.
    pub fn detect(env: &Env) -> Self {
        let kind = if env.get("GITHUB_ACTIONS") == Some("true") {
            Kind::GitHub
        } else if env.get("CODEBUILD_BUILD_ARN").is_some() {
            Kind::CodeBuild
        } else {
            Kind::Terminal
        };
        Self {
            kind,
            env: env.clone(),
            colour: kind == Kind::Terminal
                && std::io::stderr().is_terminal()
                && env.get("NO_COLOR").is_none(),
            commands: Arc::default(),
            files: Arc::default(),
        }
    }

    fn commands(&self) -> MutexGuard<'_, Commands> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if the launcher of the action started this process: then the runner reads both its streams, and there is a post
    /// step.
    pub fn is_launched(&self) -> bool {
        let alone = std::env::args_os().len() == 1;
        self.kind == Kind::GitHub && alone && self.env.get("SLIPWAY_PHASE").is_some()
    }

    /// Logs each call from here on, if that was `asked` for, or the runner is in its debug mode
    /// (docs.github.com, "Enabling debug logging").
    pub(crate) fn log_calls(&self, asked: bool) {
        let debugging = self.env.get("RUNNER_DEBUG") == Some("1")
            || self.env.get("ACTIONS_STEP_DEBUG") == Some("true");
        if asked || debugging {
            let _ = VERBOSE.set(self.clone());
        }
    }

    /// The kind of host.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The page of this run, for people who want to see what holds a lock or made a record.
    pub fn run_url(&self) -> Option<String> {
        match self.kind {
            Kind::GitHub => {
                let server = self.env.get("GITHUB_SERVER_URL")?;
                let repository = self.env.get("GITHUB_REPOSITORY")?;
                let run = self.env.get("GITHUB_RUN_ID")?;
                let attempt = self.env.get("GITHUB_RUN_ATTEMPT").unwrap_or("1");
                Some(format!(
                    "{server}/{repository}/actions/runs/{run}/attempts/{attempt}"
                ))
            }
            Kind::CodeBuild => self
                .env
                .get("CODEBUILD_BUILD_URL")
                .or_else(|| self.env.get("CODEBUILD_BUILD_ARN"))
                .map(str::to_owned),
            Kind::Terminal => None,
        }
    }

    /// The one who started this run, as the host names them; of a run on GitHub that is run again, who did
    /// that. For display and records; a gate asks the host's API instead, since a variable can be set
    /// by anybody.
    pub fn actor(&self) -> Option<String> {
        match self.kind {
            Kind::GitHub => {
                (self.env.get("GITHUB_TRIGGERING_ACTOR")).or_else(|| self.env.get("GITHUB_ACTOR"))
            }
            Kind::CodeBuild => self.env.get("CODEBUILD_INITIATOR"),
            Kind::Terminal => return Some(person(&self.env)),
        }
        .map(str::to_owned)
    }

    /// GitHub's number of that account. A runner has only that of `GITHUB_ACTOR`, who started the
    /// first attempt.
    pub fn actor_id(&self) -> Option<u64> {
        let first =
            self.kind == Kind::GitHub && self.actor().as_deref() == self.env.get("GITHUB_ACTOR");
        let id = self.env.get("GITHUB_ACTOR_ID").filter(|_| first)?;
        id.parse().ok()
    }

    /// The initiator of this build, in CodeBuild.
    pub fn initiator(&self) -> Option<Initiator> {
        match self.kind {
            Kind::CodeBuild => Initiator::of(&self.env),
            Kind::GitHub | Kind::Terminal => None,
        }
    }

    /// The commit being built, if the host names a version of its source.
    ///
    /// # Errors
    /// That version is not a commit, as of a ZIP file in S3 (exit 2).
    pub fn commit(&self) -> Result<Option<CommitId>, Invalid> {
        match self.kind {
            Kind::GitHub => self.env.get("GITHUB_SHA"),
            Kind::CodeBuild => self.env.get("CODEBUILD_RESOLVED_SOURCE_VERSION"),
            Kind::Terminal => None,
        }
        .map(str::parse)
        .transpose()
    }

    /// A line for the log.
    pub fn info(&self, line: impl AsRef<str>) {
        self.line(&self.inert(line.as_ref()));
    }

    /// Something the reader should look at although the step goes on.
    pub fn warn(&self, line: impl AsRef<str>) {
        let line = without_control(line.as_ref());
        match self.kind {
            Kind::GitHub if !self.is_stopped() => {
                self.line(&github::annotation("warning", None, &line));
            }
            Kind::GitHub => {
                self.line(&github::inert(&format!("warning: {line}")));
                self.defer(github::annotation("warning", None, &line));
            }
            // The lines that follow are quoted too, so none of them may look like one of ours.
            Kind::CodeBuild | Kind::Terminal => {
                self.line(&format!("warning: {}", line.replace('\n', "\n  ")));
            }
        }
    }

    /// Starts a section of the log that folds where the host can fold; ends with the guard.
    pub fn group(&self, title: &str) -> Group<'_> {
        let title = without_control(title);
        match self.kind {
            Kind::GitHub if !self.is_stopped() => {
                self.line(&format!("::group::{}", github::escape_data(&title)));
            }
            Kind::GitHub | Kind::CodeBuild | Kind::Terminal => self.line(&format!("==> {title}")),
        }
        Group(self)
    }

    /// Starts a stretch of other programs' output, no line of which is taken for a workflow
    /// command until the guard is dropped (docs.github.com, "Workflow commands", Stopping and
    /// starting). A host without such commands needs none.
    pub fn verbatim(&self) -> Option<Verbatim> {
        (self.kind == Kind::GitHub).then(|| Verbatim::of(self))
    }

    /// Makes the host hide a value in every log from here on, and says what of it stays visible.
    /// Only GitHub can; elsewhere a value must simply never be printed.
    pub fn mask(&self, name: &str, secret: &Secret) {
        if self.kind != Kind::GitHub {
            return;
        }
        let masks = Masks::of(secret.expose());
        for text in &masks.hidden {
            self.line(&github::mask_command(text));
        }
        if let Some(visible) = masks.visible {
            self.warn(format!("{name} {visible}: not masked, do not print it"));
        }
    }

    /// Prints an error: in full on standard error, and as annotations on the run's page, one for
    /// each place in a file or else one for the whole.
    pub fn error(&self, step: &str, error: &Error) {
        self.line(&self.coloured(&self.inert(&error.to_string())));
        if self.kind == Kind::GitHub && !self.is_stopped() {
            for line in github::error_annotations(&self.env, step, error) {
                self.line(&line);
            }
        }
        let summary = match &error.summary {
            Some(summary) => summary.clone(),
            None => failure(step, error),
        };
        if let Err(unwritten) = self.summary(&summary) {
            self.line(&unwritten.to_string());
        }
    }

    /// Prints an error for machines, on standard output.
    pub(crate) fn error_json(&self, error: &Error) {
        let body = serde_json::json!({
            "error": {
                "exit": error.exit().code(),
                "message": error.message,
                "causes": error.causes(),
                "hints": error.hints,
            },
            "details": error.json,
        });
        let _ = writeln!(std::io::stdout(), "{}", plain::json(&body));
    }

    /// Checks, before any work is done, that what a step will want to write can be written.
    ///
    /// # Errors
    /// A GitHub runner without its file commands (exit 2).
    pub(crate) fn preflight(&self) -> Result<()> {
        match self.kind {
            Kind::GitHub => github::files(&self.env).map(drop),
            Kind::CodeBuild | Kind::Terminal => Ok(()),
        }
    }

    /// Takes note of the files through which later steps learn of this one.
    pub(crate) fn watch_files(&self) {
        let names = match self.is_launched() {
            true => files::ALL,
            false => files::IN_A_SCRIPT,
        };
        if self.kind == Kind::GitHub {
            *self.files() = Files::seen(names, |name| self.env.get(name));
        }
    }

    /// The work's result, unless a program that it ran wrote to one of those files.
    ///
    /// # Errors
    /// The work's, or a program wrote to one of the files (exit 3), which is then restored.
    pub(crate) fn check_files<T>(&self, result: Result<T>) -> Result<T> {
        match (self.files().restore_changed(), result) {
            (Ok(()), result) => result,
            (Err(touched), Ok(_)) => Err(touched),
            (Err(touched), Err(error)) => Err(touched.with_second_failure(error)),
        }
    }

    /// Checks that secret values, which `noun` names, can be handed to later steps through the environment here.
    ///
    /// # Errors
    /// Outside GitHub a variable reaches later commands only through a file, and a secret does
    /// not go to disk unasked (exit 2).
    pub fn can_export(&self, noun: &str) -> Result<()> {
        match self.kind {
            Kind::GitHub => Ok(()),
            Kind::CodeBuild | Kind::Terminal => Err(Error::usage(format!(
                "{noun} cannot be exported to later commands here: they would go through a file on disk"
            ))
            .hint("run the command that needs them as a child instead: `exec -- COMMAND`")),
        }
    }

    /// Writes everything a step leaves behind: masks first, then environment, outputs and
    /// summary, and the result on standard output.
    ///
    /// # Errors
    /// A file of the host that cannot be written.
    pub(crate) fn write(&self, step: &str, report: &Report, json: bool) -> Result<()> {
        for (name, value) in &report.env {
            if let EnvValue::Secret(secret) = value {
                self.can_export("secrets")?;
                self.mask(name, secret);
            }
        }
        match self.kind {
            Kind::GitHub => github::write(&self.env, report)?,
            Kind::CodeBuild | Kind::Terminal => {
                let lost =
                    !codebuild::write(&self.env, step, report)? && !report.outputs.is_empty();
                if lost && self.kind == Kind::CodeBuild {
                    self.warn("SLIPWAY_OUTPUT is not set, so the outputs reach no later command: export SLIPWAY_OUTPUT=\"$(mktemp)\" first, and source it afterwards");
                }
            }
        }
        self.summary(&report.summary)?;
        let mut text = if json {
            plain::json(&report.json)
        } else {
            self.inert(report.text.trim_end())
        };
        if !text.is_empty() {
            text.push('\n');
            match write_whole(&mut std::io::stdout(), text.as_bytes()) {
                // A reader that went away (`| head`) is not a failure of the step.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    return Err(Error::failed("cannot write the result to standard output")
                        .because(error)
                        .hint(
                            "the step itself succeeded: do not run it again only to get its output",
                        ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the outputs of a step that failed. That they cannot be written does not change how it failed.
    pub(crate) fn write_outputs(&self, step: &str, outputs: &[(&'static str, String)]) {
        if outputs.is_empty() {
            return;
        }
        let report = Report {
            outputs: outputs.to_vec(),
            ..Report::default()
        };
        let written = match self.kind {
            Kind::GitHub => github::write(&self.env, &report),
            Kind::CodeBuild | Kind::Terminal => {
                codebuild::write(&self.env, step, &report).map(drop)
            }
        };
        if let Err(unwritten) = written {
            self.line(&unwritten.to_string());
        }
    }

    fn summary(&self, markdown: &str) -> Result<()> {
        match self.kind {
            Kind::GitHub if !markdown.is_empty() => github::summary(&self.env, markdown),
            _ => Ok(()),
        }
    }

    /// Text that may quote somebody else's words (a pull request's title, a service's event), so
    /// that none of it is taken for a workflow command or repaints the log.
    fn inert(&self, text: &str) -> String {
        match self.kind {
            Kind::GitHub => github::inert(text),
            Kind::CodeBuild | Kind::Terminal => without_control(text),
        }
    }

    fn line(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    fn coloured(&self, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        text.replacen("error:", "\u{1b}[1;31merror:\u{1b}[0m", 1)
            .replace("\nhint:", "\n\u{1b}[1;36mhint:\u{1b}[0m")
    }
}

/// `user@host`, as Terraform names whoever holds a lock. A container's shell often has no `USER`.
fn person(env: &Env) -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2) == Some(&id.as_str())).then(|| fields[0])
    });
    let user = env.get("USER").or_else(|| env.get("LOGNAME")).or(named);
    format!(
        "{}@{}",
        user.unwrap_or(&id),
        rustix::system::uname().nodename().to_string_lossy()
    )
}

/// The summary of a failure that has none of its own.
fn failure(step: &str, error: &Error) -> String {
    let mut short = error.clone();
    short.details = String::new();
    let places = error.locations.iter().map(|at| {
        let (file, line, column) = (&at.file, at.line, at.column);
        format!("{file}:{line}:{column}: {}", at.message)
    });
    let lines: Vec<String> = places.chain([short.to_string()]).collect();
    let text = without_control(&lines.join("\n"));
    format!(
        "### {step}: failed\n\n{}",
        crate::markdown::block("text", &text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_actor_of_a_rerun_is_the_person_who_started_it() {
        let first = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_ACTOR", "ada"),
            ("GITHUB_ACTOR_ID", "1"),
        ];
        let host = |rerun: Option<(&'static str, &'static str)>| {
            let variables = first.iter().copied().chain(rerun);
            let env: Env = variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            Host::detect(&env)
        };
        let named = |host: Host| (host.actor(), host.actor_id());
        let by = |login: &'static str| Some(("GITHUB_TRIGGERING_ACTOR", login));
        let ada = Some("ada".to_owned());
        assert_eq!(named(host(None)), (ada.clone(), Some(1)));
        assert_eq!(named(host(by("ada"))), (ada, Some(1)));
        // The number is ada's.
        let linus = Some("linus".to_owned());
        assert_eq!(named(host(by("linus"))), (linus, None));
    }

    #[test]
    fn a_failure_writes_the_outputs_of_its_error() {
        let path = std::env::temp_dir().join(format!("outputs-{}", uuid::Uuid::new_v4()));
        let env: Env = [("SLIPWAY_OUTPUT".to_owned(), path.display().to_string())]
            .into_iter()
            .collect();
        let host = Host::detect(&env);
        let error = Error::failed("it crashed");
        host.write_outputs("service", &error.outputs);
        assert!(!path.exists());
        let error = error.output("verdict", "rolled-back");
        host.write_outputs("service", &error.outputs);
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, "export SERVICE_VERDICT='rolled-back'\n");
        std::fs::remove_file(&path).unwrap();
    }
}
