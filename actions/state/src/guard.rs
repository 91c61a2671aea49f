//! The guard: a small process that watches over the command of a run whose own process cannot any more: one
//! that was killed alone, or stopped for longer than its lease. It is this binary again, in a
//! process group of its own, told the lease's end over a pipe at every renewal. When the pipe
//! closes without a farewell it asks the command to stop; before the lease ends it ends it.

use crate::process::Process;
use kit::clock::uptime;
use kit::error::{Context, Error, Result};
use kit::group::Group;
use kit::host::Host;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The variable that marks a command under the lock, in its environment, with the lock's ID.
pub(crate) const MARK: &str = "SLIPWAY_STATE_HELD";

/// The one argument that makes this binary a guard.
const ARGUMENT: &str = "--guard";
const LOOK: Duration = Duration::from_millis(500);
/// The pause between two looks when something is to be over.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a command is looked for whose run was killed while it started it: between fork and exec
/// it has no mark yet.
const SEARCH: Duration = Duration::from_secs(5);

/// How a guard ends that was told something it could not read (sysexits.h, EX_DATAERR): its streams
/// are closed, so nothing else can say it.
const UNREADABLE: u8 = 65;

/// A message to the guard, one a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Message {
    /// The mark by which the command is found until its process group is known.
    Mark(String),
    /// When whatever it watches over must be over, in milliseconds of [`uptime`].
    Until(u64),
    /// The command has started, and this is its process group.
    Command(Group),
    /// A call of Terraform begins that takes no lock of its own.
    Unlocked(Process),
    /// The command was asked to stop: a second time would be leave to lose state.
    Interrupted,
    /// Nothing is left to guard.
    Done,
}

/// The guard, as the run that started it sees it.
#[derive(Debug, Clone)]
pub(crate) struct Guard(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts it over a command that is yet to start, which must be over at `end` ([`uptime`]).
    /// `mark`: the command gets a process group of its own, where it is found by this mark.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(mark: Option<&str>, end: Duration) -> Result<Self> {
        let failed = "cannot start the guard process";
        // The link points to this very binary, even if another file has its name by now.
        let mut child = Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .env_clear()
            .stdin(Stdio::piped())
            // A runner waits for every process that holds its streams open.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context(failed)?;
        let pipe = child.stdin.take();
        let guard = Self(Arc::new(Mutex::new(Inner { child, pipe })));
        if let Some(mark) = mark {
            guard.tell(&Message::Mark(mark.to_owned()))?;
        }
        guard.until(end)?;
        Ok(guard)
    }

    /// The command has started. Until now it would have been found by its mark.
    ///
    /// # Errors
    /// The guard is gone.
    pub(crate) fn guards(&self, group: Group) -> Result<()> {
        self.tell(&Message::Command(group))
    }

    /// A call of Terraform begins that takes no lock of its own.
    ///
    /// # Errors
    /// The guard is gone.
    pub(crate) fn unlocked(&self, process: Process) -> Result<()> {
        self.tell(&Message::Unlocked(process))
    }

    /// The lease was renewed, or is given up.
    ///
    /// # Errors
    /// The guard is gone.
    pub(crate) fn until(&self, end: Duration) -> Result<()> {
        let millis = u64::try_from(end.as_millis()).unwrap_or(u64::MAX);
        self.tell(&Message::Until(millis))
    }

    /// The command is about to be interrupted. An error is ignored, because a guard that has ended interrupts nothing.
    pub(crate) fn interrupted(&self) {
        let _ = self.tell(&Message::Interrupted);
    }

    /// The command is over. Warns if the guard could not read all that it was told.
    pub(crate) fn dismiss(&self, host: &Host) {
        let _ = self.tell(&Message::Done);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.pipe = None;
        let ended = inner.child.wait();
        if ended.is_ok_and(|status| status.code() == Some(UNREADABLE.into())) {
            host.warn("the guard process received a line that it could not read, and ends the command at the last lease end that it knows");
        }
    }

    fn tell(&self, message: &Message) -> Result<()> {
        let gone = || Error::failed("the guard process has ended");
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = inner.pipe.as_mut().ok_or_else(gone)?;
        let line = serde_json::to_string(message).map_err(|error| gone().because(error))?;
        writeln!(pipe, "{line}").map_err(|error| gone().because(error))
    }
}

/// Guards, if that is what this process was started for.
pub fn called() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT || arguments.next().is_some() {
        return None;
    }
    let messages = listen();
    let mut watch = Watch::default();
    Some(match watch.run(&messages) {
        Ok(()) if watch.unreadable => ExitCode::from(UNREADABLE),
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// The messages of the run. The channel closes with the pipe.
fn listen() -> Receiver<Heard> {
    let (sender, messages) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n') {
            let Ok(line) = line else { return };
            if sender.send(read(&line)).is_err() {
                return;
            }
        }
    });
    messages
}

/// A line of the pipe: a message, or something that is none.
type Heard = std::result::Result<Message, serde_json::Error>;

fn read(line: &[u8]) -> Heard {
    serde_json::from_slice(line)
}

/// The processes that the guard watches, and until when.
#[derive(Debug, Default)]
struct Watch {
    mark: Option<String>,
    command: Option<Group>,
    unlocked: Option<Process>,
    end: Option<Duration>,
    /// True if the command was asked to stop.
    interrupted: bool,
    /// Since when the run that started this is gone.
    alone: Option<Duration>,
    /// True if input arrived that is not a message.
    unreadable: bool,
}

impl Watch {
    fn run(&mut self, messages: &Receiver<Heard>) -> Result<()> {
        loop {
            let pause = match self.alone {
                Some(_) => GLANCE,
                None => LOOK.min(self.remaining()).max(GLANCE),
            };
            match messages.recv_timeout(pause) {
                Ok(Ok(Message::Done)) => return Ok(()),
                Ok(Ok(message)) => self.receive(message),
                // It changes nothing: the last end that was received remains in force.
                Ok(Err(_)) => self.unreadable = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if self.alone.is_none() {
                        self.alone = Some(uptime());
                    } else {
                        std::thread::sleep(pause);
                    }
                }
            }
            if self.act()? {
                return Ok(());
            }
        }
    }

    /// The time until the end.
    fn remaining(&self) -> Duration {
        self.end
            .map_or(Duration::MAX, |end| end.saturating_sub(uptime()))
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Mark(mark) => self.mark = Some(mark),
            Message::Until(millis) => self.end = Some(Duration::from_millis(millis)),
            Message::Command(group) => self.command = Some(group),
            Message::Unlocked(process) => self.unlocked = Some(process),
            Message::Interrupted => self.interrupted = true,
            Message::Done => {}
        }
    }

    /// Does what is due. Returns whether nothing is left to watch over.
    fn act(&mut self) -> Result<bool> {
        let over = self.remaining().is_zero();
        if !over && self.alone.is_none() {
            return Ok(false);
        }
        // A run that was killed or stands still since before it could say what it started.
        if self.command.is_none()
            && let Some(mark) = &self.mark
        {
            self.command = Group::marked(MARK, mark)?;
        }
        let apart = self
            .unlocked
            .and_then(Process::at_work)
            .filter(|process| self.command.is_none_or(|group| !process.is_in(&group)));
        if over {
            if let Some(group) = self.command {
                group.kill()?;
            }
            if let Some(process) = apart {
                process.kill();
            }
        } else if !self.interrupted && (self.command.is_some() || apart.is_some()) {
            self.interrupted = true;
            if let Some(mut group) = self.command {
                group.stop()?;
            }
            if let Some(process) = apart {
                process.interrupt();
            }
        }
        let runs = match self.command {
            Some(group) => group.runs()?,
            None => false,
        };
        let searching = self.mark.is_some()
            && self.command.is_none()
            && self
                .alone
                .is_none_or(|since| uptime().saturating_sub(since) < SEARCH);
        let called = self.unlocked.and_then(Process::at_work);
        Ok(!runs && !searching && called.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_line_is_not_a_message() {
        for line in ["", "5", "interrupted", "{\"until\":\"x\"}", "{\"later\":1}"] {
            assert!(read(line.as_bytes()).is_err(), "{line}");
        }
        let message = Message::Until(5);
        let line = serde_json::to_string(&message).unwrap();
        assert_eq!(line, "{\"until\":5}");
        assert_eq!(read(line.as_bytes()).unwrap(), message);
    }

    #[test]
    fn an_unreadable_message_keeps_the_deadline_in_force() {
        let end = uptime() + Duration::from_secs(3600);
        let millis = u64::try_from(end.as_millis()).unwrap();
        for rubbish in ["", "{\"until\":\"never\"}", "{\"until\":1e99}", "\u{0}"] {
            let (sender, messages) = channel();
            sender.send(Ok(Message::Until(millis))).unwrap();
            sender.send(read(rubbish.as_bytes())).unwrap();
            sender.send(Ok(Message::Done)).unwrap();
            let mut watch = Watch::default();
            watch.run(&messages).unwrap();
            assert!(watch.unreadable, "{rubbish:?}");
            assert_eq!(watch.end, Some(Duration::from_millis(millis)));
        }
    }
}
