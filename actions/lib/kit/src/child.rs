//! Running somebody else's command: streams untouched, one interrupt handed on, exit code kept.

use crate::env::Env;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::group::Group;
use crate::host::Host;
use crate::secret::Secret;
use crate::signal::seen;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
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

    /// Hides the child's secrets in the log, since nobody knows what it prints, and starts it. At a
    /// terminal it stays in the foreground's process group, so that it can ask questions; elsewhere
    /// it gets a group of its own, so that it sees each signal once and only from here.
    ///
    /// # Errors
    /// The program cannot be started, or a signal was seen before it was (exit 130).
    pub fn start(&self, host: &Host) -> Result<Running> {
        self.start_with(host, Stdio::inherit())
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
            let what = format!("interrupted by {name} before {} began", self.command[0]);
            return Err(Error::new(ErrorKind::Interrupted, what));
        }
        let child = command
            .spawn()
            .context(format!("cannot start {}", self.command[0]))
            .map_err(|error| error.hint("is it installed and on PATH?"))?;
        Ok(Running {
            child,
            own_group,
            asked: false,
            signals: 0,
            interrupt,
            terminate,
        })
    }
}

/// Returns whether a child that is started now leads a process group of its own.
pub fn leads_group() -> bool {
    !std::io::stdin().is_terminal()
}

/// The child's standard output.
#[derive(Debug)]
pub struct Printed(Option<ChildStdout>);

impl Printed {
    /// All of it, up to the child's end.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn read(self) -> Result<Vec<u8>> {
        let mut output = Vec::new();
        if let Some(mut pipe) = self.0 {
            pipe.read_to_end(&mut output)
                .await
                .context("cannot read what the command prints")?;
        }
        Ok(output)
    }
}

/// A child that was started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    own_group: bool,
    /// Whether the child was asked to stop. A second time would be leave to lose state.
    asked: bool,
    /// How many signals arrived.
    signals: u32,
    // Kept from one wait to the next, so that no signal falls in between.
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Running {
    /// The child's process group, where it has one of its own: whoever is to end it when this
    /// process cannot any more finds it by that.
    pub fn group(&self) -> Option<Group> {
        self.child
            .id()
            .filter(|_| self.own_group)
            .and_then(Group::led_by)
    }

    /// Waits for the child to end and hands signals on: the first as SIGINT, the second not at
    /// all, because Terraform takes a second interrupt for leave to lose state (`command/meta.go`)
    /// and runners send two, 7.5 s apart (actions/runner `ProcessInvoker.cs`). The third kills.
    ///
    /// # Errors
    /// The child cannot be waited for.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        self.wait_telling(|| ()).await
    }

    /// As [`Running::wait`], and calls `first` before the first signal is handed on.
    ///
    /// # Errors
    /// The child cannot be waited for.
    pub async fn wait_telling(&mut self, first: impl Fn()) -> Result<ExitStatus> {
        loop {
            tokio::select! {
                status = self.child.wait() => return status.context("cannot wait for the command"),
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            if self.signals == 0 {
                first();
            }
            self.interrupted();
        }
    }

    /// Returns whether a signal arrived while the child ran.
    pub fn was_interrupted(&self) -> bool {
        self.signals > 0
    }

    /// Whether the child was interrupted, by a signal that was handed on or for a reason of ours.
    pub fn was_asked(&self) -> bool {
        self.asked
    }

    /// Hands one interrupt to the child, as if the runner had asked.
    pub fn interrupted(&mut self) {
        self.signals += 1;
        match self.signals {
            1 if !self.asked => {
                self.asked = true;
                self.signal(Signal::INT);
            }
            1 | 2 => {}
            _ => self.signal(Signal::KILL),
        }
    }

    /// Asks the child to stop for a reason of ours, unless it was asked before. The runner's own
    /// signals count from there as they do without: it sends two before it kills.
    pub fn stop(&mut self) {
        if !self.asked {
            self.asked = true;
            self.send(Signal::INT);
        }
    }

    /// Ends the child at once.
    pub fn kill(&self) {
        self.send(Signal::KILL);
    }

    /// The child's process number, until it was waited for.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        // At a terminal Ctrl-C has already reached the child; only a kill is ours to send.
        if self.own_group || signal != Signal::INT {
            self.send(signal);
        }
    }

    fn send(&self, signal: Signal) {
        let Some(pid) = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
        else {
            return;
        };
        // A child that just ended is not a failure.
        let _ = if self.own_group {
            kill_process_group(pid, signal)
        } else {
            rustix::process::kill_process(pid, signal)
        };
    }
}

/// Turns a child's end into the step's: success, or an error that keeps its exit code.
///
/// # Errors
/// The child failed; the step ends with the child's own exit code, or 128 plus its signal.
pub fn verdict(shown: &str, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let (code, how) = match (status.code(), status.signal()) {
        (Some(code), _) => (code, format!("ended with exit code {code}")),
        (None, Some(signal)) => (128 + signal, format!("was ended by signal {signal}")),
        (None, None) => (1, "failed".to_owned()),
    };
    let code = u8::try_from(code).unwrap_or(1);
    Err(Error::new(
        ErrorKind::Command(code),
        format!("`{shown}` {how}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(script: &str, set: impl FnOnce(Program) -> Program) -> Result<()> {
        let command: Vec<String> = ["sh", "-c", script].map(str::to_owned).into();
        let path = std::env::var("PATH").unwrap();
        let env = Env::from([("PATH", path.as_str()), ("INPUT_X", "1"), ("KEEP", "2")]);
        let program = set(Program::new(&command, &env).unwrap());
        let status = program.start(&Host::detect(&env))?.wait().await?;
        verdict(program.shown(), status)
    }

    #[tokio::test]
    async fn the_exit_code_is_kept() {
        let error = run("exit 7", |program| program).await.unwrap_err();
        assert_eq!(error.exit().code(), 7);
        assert!(run("exit 0", |program| program).await.is_ok());
    }

    #[tokio::test]
    async fn a_child_sees_secrets_but_no_inputs() {
        let script = r#"test "$S" = hush && test "$KEEP" = 2 && test -z "${INPUT_X+x}" && test -z "${GONE+x}""#;
        let set = |program: Program| {
            program
                .secret("S", Secret::new("hush".into()))
                .env("GONE", "x")
                .without("GONE")
        };
        run(script, set).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_captured_child_prints_is_kept_with_its_exit_code() {
        let command = ["sh", "-c", "echo out; echo err >&2; exit 3"].map(str::to_owned);
        let path = std::env::var("PATH").unwrap();
        let env = Env::from([("PATH", path.as_str())]);
        let program = Program::new(&command, &env).unwrap();
        let (status, output) = program.capture(&Host::detect(&env)).await.unwrap();
        assert_eq!((status.code(), output.as_slice()), (Some(3), &b"out\n"[..]));
    }

    /// A folder of the test's own.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("kit-child-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A child that counts its interrupts until the file `go` is there, and ends with 10 and their number.
    async fn counting(folder: &Path) -> Running {
        let script = "n=0; trap 'n=$((n+1)); echo $n > seen' INT; touch ready; until [ -e go ]; do sleep 0.05; done; exit $((10 + n))";
        let command: Vec<String> = ["sh", "-c", script].map(str::to_owned).into();
        let path = std::env::var("PATH").unwrap();
        let env = Env::from([("PATH", path.as_str())]);
        let program = Program::new(&command, &env).unwrap();
        let program = program.directory(folder.to_owned());
        let running = program.start(&Host::detect(&env)).unwrap();
        there(&folder.join("ready")).await;
        running
    }

    async fn there(file: &Path) {
        for _ in 0..6000 {
            if file.exists() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{} did not come", file.display());
    }

    #[tokio::test]
    async fn a_second_interrupt_does_not_reach_the_child() {
        let folder = Folder::new("second");
        let mut running = counting(&folder.0).await;
        running.interrupted();
        there(&folder.0.join("seen")).await;
        running.interrupted();
        std::fs::write(folder.0.join("go"), "").unwrap();
        assert_eq!(running.wait().await.unwrap().code(), Some(11));
        assert!(running.was_interrupted());
    }

    #[tokio::test]
    async fn two_signals_of_the_runner_kill_no_child_that_was_asked_to_stop_before() {
        let folder = Folder::new("asked");
        let mut running = counting(&folder.0).await;
        running.stop();
        there(&folder.0.join("seen")).await;
        assert!(!running.was_interrupted());
        running.interrupted();
        running.interrupted();
        std::fs::write(folder.0.join("go"), "").unwrap();
        assert_eq!(running.wait().await.unwrap().code(), Some(11));
        let folder = Folder::new("third");
        let mut running = counting(&folder.0).await;
        for _ in 0..3 {
            running.interrupted();
        }
        assert_eq!(running.wait().await.unwrap().signal(), Some(9));
    }
}
