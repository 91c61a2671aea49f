//! A small process that watches over the command of a run whose own process cannot any more: one
//! that was killed alone, or stopped for longer than its lease. It is this binary again, in a
//! process group of its own, told the lease's end over a pipe at every renewal. When the pipe
//! closes without a farewell it asks the command to stop; before the lease ends it ends it.

use kit::clock::uptime;
use kit::error::{Context, Error, Result};
use kit::group::Group;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// The variable that marks a command under the lock, in its environment, with the lock's ID.
pub(crate) const MARK: &str = "SLIPWAY_STATE_HELD";

/// The one argument that makes this binary a guard.
const ARGUMENT: &str = "--guard";
/// Said when the command was asked to stop: a second time would be leave to lose state.
const INTERRUPTED: &str = "interrupted";
/// Said when nothing is left to guard.
const FAREWELL: &str = "done";
const LOOK: Duration = Duration::from_millis(500);
/// The pause between two looks for a command that is not known yet, and is to be over.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a command is looked for whose run was killed while it started it: between fork and exec
/// it has no mark yet.
const SEARCH: Duration = Duration::from_secs(5);

/// The guard, as the run that started it sees it.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts it over a command that is yet to start, marked with `mark`, which must be over at
    /// `end` ([`uptime`]).
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(mark: &str, end: Duration) -> Result<Self> {
        let failed = "cannot start the process that watches over the command";
        // The link leads to this very binary, whatever lies under its name by now.
        let mut child = Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .env_clear()
            .stdin(Stdio::piped())
            // A runner waits for whoever holds its streams open.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context(failed)?;
        let pipe = child.stdin.take();
        let mut guard = Self { child, pipe };
        guard.say(mark)?;
        guard.until(end)?;
        Ok(guard)
    }

    /// The command has started. Until now it would have been found by its mark.
    ///
    /// # Errors
    /// The guard is gone.
    pub(crate) fn guards(&mut self, group: Group) -> Result<()> {
        self.say(&serde_json::to_string(&group).unwrap_or_default())
    }

    /// The lease was renewed, or is given up.
    ///
    /// # Errors
    /// The guard is gone.
    pub(crate) fn until(&mut self, end: Duration) -> Result<()> {
        self.say(&end.as_millis().to_string())
    }

    /// The command is about to be interrupted. A guard that is gone interrupts nobody.
    pub(crate) fn interrupted(&mut self) {
        let _ = self.say(INTERRUPTED);
    }

    /// The command is over.
    pub(crate) fn dismiss(mut self) {
        let _ = self.say(FAREWELL);
        self.pipe = None;
        let _ = self.child.wait();
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let gone = || Error::failed("the process that watches over the command is gone");
        let pipe = self.pipe.as_mut().ok_or_else(gone)?;
        writeln!(pipe, "{line}").map_err(|error| gone().because(&error))
    }
}

/// Guards, if that is what this process was started for.
pub fn called() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT || arguments.next().is_some() {
        return None;
    }
    Some(match watch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// What the pipe said.
enum Word {
    Line(String),
    Closed,
}

fn watch() -> Result<()> {
    let (sender, words) = channel();
    std::thread::spawn(move || {
        let mut lines = std::io::stdin().lock();
        let mut text = Vec::new();
        let mut byte = [0];
        while let Ok(1) = lines.read(&mut byte) {
            if byte[0] == b'\n' {
                let line = String::from_utf8_lossy(&text).into_owned();
                text.clear();
                if sender.send(Word::Line(line)).is_err() {
                    return;
                }
            } else {
                text.push(byte[0]);
            }
        }
        let _ = sender.send(Word::Closed);
    });
    let unheard = || Error::failed("was told nothing to guard");
    let Ok(Word::Line(mark)) = words.recv() else {
        return Err(unheard());
    };
    let mut end: Option<Duration> = None;
    let mut alone = false;
    let mut group = loop {
        let left = end.map_or(Duration::MAX, |end| end.saturating_sub(uptime()));
        // A run that stands still since before it could say what it started: the command is to be over all the same.
        if left.is_zero()
            && let Some(group) = Group::marked(MARK, &mark)?
        {
            break group;
        }
        match words.recv_timeout(left.max(GLANCE)) {
            Ok(Word::Line(line)) if line == FAREWELL => return Ok(()),
            Ok(Word::Line(line)) => match serde_json::from_str::<Group>(&line) {
                Ok(group) => break group,
                Err(_) => end = line.parse().ok().map(Duration::from_millis),
            },
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Word::Closed) | Err(RecvTimeoutError::Disconnected) => {
                alone = true;
                let Some(group) = search(&mark)? else {
                    return Ok(());
                };
                break group;
            }
        }
    };
    if alone {
        group.stop()?;
    }
    loop {
        if alone && !group.runs()? {
            return Ok(());
        }
        if end.is_some_and(|end| uptime() >= end) {
            group.kill()?;
            if !group.runs()? {
                return Ok(());
            }
        }
        match words.recv_timeout(LOOK.min(end.map_or(LOOK, |end: Duration| {
            end.saturating_sub(uptime()).max(Duration::from_millis(20))
        }))) {
            Ok(Word::Line(line)) if line == FAREWELL => return Ok(()),
            Ok(Word::Line(line)) if line == INTERRUPTED => group = group.interrupted(),
            Ok(Word::Line(line)) => match serde_json::from_str(&line) {
                Ok(started) => group = started,
                Err(_) => end = line.parse().ok().map(Duration::from_millis),
            },
            Ok(Word::Closed) => {
                alone = true;
                group.stop()?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(LOOK.min(end.map_or(LOOK, |end| end.saturating_sub(uptime()))))
            }
        }
    }
}

/// The command of a run that was killed before it could say which it is.
fn search(mark: &str) -> Result<Option<Group>> {
    let began = uptime();
    loop {
        if let Some(group) = Group::marked(MARK, mark)? {
            return Ok(Some(group));
        }
        if uptime().saturating_sub(began) >= SEARCH {
            return Ok(None);
        }
        std::thread::sleep(GLANCE);
    }
}
