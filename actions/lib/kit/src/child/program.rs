//! A command and what its process gets.

use super::leads_group;
use super::running::{Printed, Running};
use crate::env::Env;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::host::Host;
use crate::secret::Secret;
use crate::signal::seen;
use rustix::process::{getpid, set_child_subreaper};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// A command to run as a child.
#[derive(Debug)]
pub struct Program {
    command: Vec<String>,
    env: Vec<(String, String)>,
    secrets: Vec<(String, Secret)>,
    removed: Vec<&'static str>,
    directory: Option<PathBuf>,
}

impl Program {
    /// `command` with this process's environment, less the action's own inputs.
    ///
    /// # Errors
    /// An empty command (exit 2).
    pub fn new(command: &[String], env: &Env) -> Result<Self> {
        if command.is_empty() {
            return Err(Error::usage("no command to run")
                .hint("put it after `--`, or in a workflow into the input `run`"));
        }
        Ok(Self {
            command: command.to_vec(),
            env: env
                .for_child()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            secrets: Vec::new(),
            removed: Vec::new(),
            directory: None,
        })
    }

    /// Sets a variable of the child.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets a variable of the child, and of nothing else, to a secret.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.secrets.push((name.into(), value));
        self
    }

    /// Takes a variable away from the child.
    #[must_use]
    pub fn without(mut self, name: &'static str) -> Self {
        self.removed.push(name);
        self
    }

    /// The folder the child starts in, instead of this process's.
    #[must_use]
    pub fn directory(mut self, directory: PathBuf) -> Self {
        self.directory = Some(directory);
        self
    }

    /// The folder the child starts in, where it is another than this process's.
    pub fn folder(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// The child's variable `name`, unless it is a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .rev()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// The command as messages show it: the program alone, since arguments may hold anything.
    pub fn shown(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    /// Hides the child's secrets in the log, since nobody knows what it prints, and starts it. No line
    /// of it is a command to the runner. At a
    /// terminal it stays in the foreground's process group, so that it can ask questions; elsewhere
    /// it gets a group of its own, so that it sees each signal once and only from here.
    ///
    /// # Errors
    /// The program cannot be started, or a signal was seen before it was (exit 130).
    pub fn start(&self, host: &Host) -> Result<Running> {
        // A runner reads the two streams of a step in no order. On one of its own, the child's last
        // line could come behind the line with which the runner takes commands again.
        match host.is_launched() {
            true => self.start_in_log(host),
            false => self.start_with(host, Stdio::inherit()),
        }
    }

    /// As [`Program::start`], but what the child prints goes to standard error: standard output is
    /// for the step's own result.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_in_log(&self, host: &Host) -> Result<Running> {
        self.start_with(host, Stdio::from(std::io::stderr()))
    }

    /// As [`Program::start`], but what the child prints to standard output is the caller's to read,
    /// all the while that the child runs.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_piped(&self, host: &Host) -> Result<(Running, Printed)> {
        let mut running = self.start_with(host, Stdio::piped())?;
        let pipe = running.child.stdout.take();
        Ok((running, Printed(pipe)))
    }

    /// Runs the child to its end and keeps what it prints to standard output. Signals are handed on
    /// as by [`Running::wait`].
    ///
    /// # Errors
    /// The program cannot be started or its output cannot be read.
    pub async fn capture(&self, host: &Host) -> Result<(ExitStatus, Vec<u8>)> {
        let (mut running, printed) = self.start_piped(host)?;
        let (status, output) = tokio::join!(running.wait(), printed.read());
        Ok((status?, output?))
    }

    fn start_with(&self, host: &Host, stdout: Stdio) -> Result<Running> {
        if host.is_stopped_for_good() && !self.secrets.is_empty() {
            return Err(Error::refused(format!(
                "{} cannot be given secrets: the runner takes no more commands from the log, so nothing would hide them",
                self.shown()
            ))
            .cause("an earlier command of this step left a program running, and what that prints could be a command to the runner")
            .hint("let the earlier command wait for what it starts"));
        }
        for (name, value) in &self.secrets {
            host.mask(name, value);
        }
        let own_group = leads_group();
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).env_clear().stdout(stdout);
        for (name, value) in &self.env {
            command.env(name, value);
        }
        for (name, value) in &self.secrets {
            command.env(name, value.expose());
        }
        for name in &self.removed {
            command.env_remove(name);
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if own_group {
            command.process_group(0);
        }
        let cannot_listen = "cannot listen for signals";
        // First, so that each signal is either seen before the start or handed on.
        let interrupt = signal(SignalKind::interrupt()).context(cannot_listen)?;
        let terminate = signal(SignalKind::terminate()).context(cannot_listen)?;
        if let Some(name) = seen() {
            let message = format!("interrupted by {name} before {} began", self.command[0]);
            return Err(Error::new(ErrorKind::Interrupted, message));
        }
        // Processes that the child leaves running become children of this process, which can then detect them.
        let _ = set_child_subreaper(Some(getpid()));
        let verbatim = host.verbatim();
        let child = command
            .spawn()
            .map_err(|error| cannot_start(&self.command[0], error))?;
        Ok(Running {
            verbatim,
            child,
            own_group,
            asked: false,
            signals: 0,
            interrupt,
            terminate,
        })
    }
}

/// Ends the step as a shell would: with 127 where there is no such command, and with 126 where it
/// may not be executed (POSIX, "Exit Status for Commands").
fn cannot_start(command: &str, error: io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::NotFound => (
            ErrorKind::Command(127),
            "is it installed, and on PATH? A script also needs the interpreter in its first line",
        ),
        io::ErrorKind::PermissionDenied => (
            ErrorKind::Command(126),
            "make it executable: chmod +x, and `git update-index --chmod=+x` to keep it so",
        ),
        _ => (ErrorKind::Failed, "is it a program for this machine?"),
    };
    Error::new(kind, format!("cannot start {command}"))
        .because(error)
        .hint(hint)
}
