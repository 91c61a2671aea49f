//! Runs one step: prepares what it needs, keeps its log, and says how it ended.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::again::{self, Alone};
use super::busy::{self, Processors};
use super::end;
use super::failures;
use super::hang::Watch;
use super::steps::{Needs, Step, Tests};
use super::times::{Tally, Timed, tally};
use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::process::{create_log, tail};
use crate::say::{note, seconds};
use crate::steps::forget_own_package;
use crate::{install, supervisor};

/// How long after a program's end its output is still read: what it left behind may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How a step ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Passed(Tally),
    /// Passed, but for tests that failed among the others and passed when each ran by itself; with a line for each of them.
    Unsteady(Tally, Vec<String>),
    /// With a line for each test that failed.
    Failed(Tally, Vec<String>),
    NotRun,
}

impl Outcome {
    /// The number of tests that failed among the others and passed by themselves.
    pub(super) fn unsteady(&self) -> usize {
        match self {
            Self::Unsteady(_, tests) => tests.len(),
            Self::Passed(_) | Self::Failed(..) | Self::NotRun => 0,
        }
    }
}

/// The answer if the needs of a step are there, or the reason why not.
type Ready = std::result::Result<(), String>;

/// Runs steps, each from a thread of its own.
pub(super) struct Runner<'a> {
    instance: &'a Instance,
    linters: OnceLock<Ready>,
    sandbox: OnceLock<Ready>,
}

impl<'a> Runner<'a> {
    pub(super) fn new(instance: &'a Instance) -> Self {
        Self {
            instance,
            linters: OnceLock::new(),
            sandbox: OnceLock::new(),
        }
    }

    /// Runs a step and reports how it ended.
    pub(super) fn step(&self, step: &Step) -> Outcome {
        if let Err(why) = self.prepare(step.needs) {
            note(&format!("{:<12} not run: {why}", step.name));
            return Outcome::NotRun;
        }
        let (began, processors) = (Instant::now(), Processors::now());
        note(&format!("{:<12} …", step.name));
        let mut lines = Vec::new();
        let result = self.run(step, &self.log(step.name), &mut lines);
        let tally = tally(&lines, step.tests.at_once());
        let (passed, failed) = (tally.passed, tally.failed);
        // A test step that ran no test has proven nothing.
        let result = match result {
            Ok(()) if step.tests != Tests::None && passed == 0 => Err(Fault::new("no test ran")),
            result => result,
        };
        let mut details = vec![seconds(began.elapsed())];
        if step.tests != Tests::None {
            details.push(format!("tests: {passed} passed, {failed} failed"));
            if tally.ignored > 0 {
                details.push(format!("{} ignored", tally.ignored));
            }
            details.extend(busy::since(processors));
        }
        let details = details.join(", ");
        match result {
            Ok(()) => {
                note(&format!("{:<12} passed ({details})", step.name));
                Outcome::Passed(tally)
            }
            Err(fault) => {
                let text = fs::read_to_string(self.log(step.name)).unwrap_or_default();
                let summary = failures::summary(&text);
                note(&format!("{:<12} failed ({details}): {fault}", step.name));
                summary.iter().for_each(|line| note(&format!("  {line}")));
                note(&self.explain(step, &text));
                let alone = again::alone(step, tally.failed, &text);
                match alone.map(|alone| self.repeat(&alone)) {
                    Some(true) => Outcome::Unsteady(tally, summary),
                    _ => Outcome::Failed(tally, summary),
                }
            }
        }
    }

    /// Runs the failed tests of a step once more, one after the other, and returns whether every one of them passed.
    fn repeat(&self, alone: &Alone) -> bool {
        let mut lines = Vec::new();
        let log = self.log(&format!("{}-again", alone.step.name));
        let ran = self.run(&alone.step, &log, &mut lines);
        let tally = tally(&lines, 1);
        let passed = ran.is_ok() && tally.failed == 0 && tally.passed >= alone.tests;
        let (name, end) = (
            alone.step.name,
            if passed { "passed" } else { "failed again" },
        );
        note(&format!(
            "{name:<12} {end} by itself, see {}",
            log.display()
        ));
        passed
    }

    /// Installs the sandbox's parts while something else runs. The step that needs them says what went wrong.
    pub(super) fn install(&self) {
        let _ = supervisor::install(self.instance);
    }

    fn prepare(&self, needs: Needs) -> Ready {
        let once = |cell: &OnceLock<Ready>, work: fn(&Instance) -> Result<()>| {
            cell.get_or_init(|| work(self.instance).map_err(|fault| fault.to_string()))
                .clone()
        };
        match needs {
            Needs::Nothing => Ok(()),
            Needs::Linters => once(&self.linters, install::linters),
            Needs::Sandbox => once(&self.sandbox, supervisor::up),
        }
    }

    fn run(&self, step: &Step, log: &Path, lines: &mut Vec<Timed>) -> Result<()> {
        let mut log = create_log(log)?;
        step.commands
            .iter()
            .try_for_each(|words| self.command(step, words, &mut log, lines))
    }

    fn command(
        &self,
        step: &Step,
        words: &[String],
        log: &mut File,
        lines: &mut Vec<Timed>,
    ) -> Result<()> {
        let [program, arguments @ ..] = words else {
            return Err(Fault::new("an empty command"));
        };
        if end::ending() {
            return Err(Fault::new("ended by a signal"));
        }
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        let mut command = Command::new(program);
        forget_own_package(&mut command)
            .args(arguments)
            .current_dir(&self.instance.checkout)
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TERM_COLOR", "never")
            .env("RUST_TEST_THREADS", step.tests.at_once().to_string())
            .envs(step.variables.iter().copied())
            // A backtrace is longer than what a failed test has to say.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(writer.try_clone().context("sharing a pipe")?)
            .stderr(writer);
        let mut child = command.spawn().context(format!("running {program}"))?;
        // The command holds the pipe's writing end, and the reader waits until no process does.
        drop(command);
        let began = Instant::now();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader)
                .split(b'\n')
                .map_while(|line| line.ok())
            {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send((began.elapsed(), line)).is_err() {
                    return;
                }
            }
        });
        let mut watch = Watch::default();
        let cargo = child.id();
        let status = follow(&mut child, &receiver, |timed| {
            let Some(timed) = timed else {
                watch.look(cargo);
                return Ok(());
            };
            watch.line(&timed.1, Instant::now());
            writeln!(log, "{}", timed.1).context("writing a log")?;
            lines.push(timed);
            Ok(())
        })?;
        if !status.success() {
            return Err(Fault::new(format!("{program} ended with {status}")));
        }
        if watch.hung() {
            return Err(Fault::new(format!(
                "{program}: a test hung, and its programs were killed"
            )));
        }
        Ok(())
    }

    /// Describes a failure: the failed tests, or the end of the log where none is named.
    fn explain(&self, step: &Step, text: &str) -> String {
        let log = self.log(step.name);
        let failures = failures::of(text);
        if failures.is_empty() {
            return format!("the end of {}:\n{}", log.display(), tail(&log, 60));
        }
        let mut parts = vec![format!("from {}:\n{failures}", log.display())];
        for part in ["docker", "serve"] {
            let log = self.instance.log(part);
            if step.needs == Needs::Sandbox && log.is_file() {
                parts.push(format!("the end of {}:\n{}", log.display(), tail(&log, 20)));
            }
        }
        parts.join("\n")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.instance
            .target
            .join("verify")
            .join(format!("{name}.log"))
    }
}

/// Takes a program's lines until it has ended and nothing more comes, and nothing now and then while none comes.
fn follow(
    child: &mut Child,
    lines: &Receiver<Timed>,
    mut take: impl FnMut(Option<Timed>) -> Result<()>,
) -> Result<ExitStatus> {
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => take(Some(line))?,
            Err(RecvTimeoutError::Timeout) => take(None)?,
            Err(RecvTimeoutError::Disconnected) => {
                return child.wait().context("waiting for a program");
            }
        }
        match ended {
            Some((status, since)) if since.elapsed() > LAST_WORDS => return Ok(status),
            Some(_) => {}
            None => {
                let status = child.try_wait().context("waiting for a program")?;
                ended = status.map(|status| (status, Instant::now()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;

    fn shell(script: &str, tests: Tests) -> Step {
        Step {
            name: "lint",
            about: "",
            needs: Needs::Nothing,
            on_demand: false,
            tests,
            commands: vec![vec!["/bin/sh".into(), "-c".into(), script.into()]],
            variables: &[],
        }
    }

    #[test]
    fn a_failing_step_keeps_its_output_and_shows_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let runner = Runner::new(&instance);
        let step = shell("echo line 7; echo line 8 >&2; exit 2", Tests::None);
        assert!(matches!(runner.step(&step), Outcome::Failed(..)));
        let log = fs::read_to_string(runner.log("lint")).unwrap();
        assert_eq!(log, "line 7\nline 8\n");
        assert!(
            runner
                .explain(&step, &log)
                .ends_with("    line 7\n    line 8")
        );
    }

    /// A step of libtest's kind that fails the first time, and the second time if `again` says so.
    fn unsteady(again: &str) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let script = format!(
            "case \"$*\" in
             *'--exact a::b'*) echo 'test a::b ... {again}'; echo \"test result: x. $([ {again} = ok ] && echo '1 passed; 0' || echo '0 passed; 1') failed;\"; [ {again} = ok ] ;;
             *) printf 'test c ... ok\ntest a::b ... FAILED\n---- a::b stdout ----\nthread panicked at x.rs:3:\nslow\n\nfailures:\n    a::b\n\ntest result: FAILED. 1 passed; 1 failed;\n'; exit 1 ;;
             esac"
        );
        let mut step = shell(&script, Tests::Waiting);
        step.needs = Needs::Nothing;
        step.commands[0].push("sh".to_owned());
        Runner::new(&instance).step(&step)
    }

    #[test]
    fn a_test_that_fails_among_others_runs_once_more_by_itself() {
        let Outcome::Unsteady(tally, lines) = unsteady("ok") else {
            panic!("not unsteady")
        };
        assert_eq!((tally.passed, tally.failed), (1, 1));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("a::b: x.rs:3:"), "{lines:?}");
        assert!(matches!(unsteady("FAILED"), Outcome::Failed(..)));
    }

    #[test]
    fn a_background_process_does_not_delay_the_end_of_its_step() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let began = Instant::now();
        let runner = Runner::new(&instance);
        let step = shell("sleep 600 & echo $!", Tests::None);
        assert!(matches!(runner.step(&step), Outcome::Passed(_)));
        assert!(began.elapsed() < Duration::from_secs(600));
        let log = fs::read_to_string(runner.log("lint")).unwrap();
        Process::of(log.trim().parse().unwrap()).unwrap().kill();
    }

    #[test]
    fn a_test_step_without_a_test_does_not_pass() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let outcome = |script: &str| Runner::new(&instance).step(&shell(script, Tests::Computing));
        assert!(matches!(outcome("true"), Outcome::Failed(..)));
        let ran = "echo running 1 test; echo 'test a ... ok'; echo 'test result: ok. 1 passed; 0 failed;'";
        let Outcome::Passed(tally) = outcome(ran) else {
            panic!("not passed")
        };
        assert_eq!((tally.passed, tally.tests.len()), (1, 1));
    }
}
