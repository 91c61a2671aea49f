//! A child that runs: its output, and the signals that it gets.

use crate::error::{Context, Result};
use crate::group::{Group, has_children};
use crate::host::Verbatim;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout};

/// The child's standard output.
#[derive(Debug)]
pub struct Printed(pub(super) Option<ChildStdout>);

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

/// How long what a child started may outlive it before it counts as left running.
const REST: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(10);

/// A child that was started.
#[derive(Debug)]
pub struct Running {
    pub(super) child: Child,
    /// Keeps the runner from taking the child's output for commands.
    pub(super) verbatim: Option<Verbatim>,
    pub(super) own_group: bool,
    /// True if the child was asked to stop. A second time would be leave to lose state.
    pub(super) asked: bool,
    /// How many signals arrived.
    pub(super) signals: u32,
    // Kept from one wait to the next, so that no signal falls in between.
    pub(super) interrupt: tokio::signal::unix::Signal,
    pub(super) terminate: tokio::signal::unix::Signal,
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

    /// Returns true if the child was interrupted, by a signal that was handed on or for a reason of ours.
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

impl Drop for Running {
    /// The runner takes commands again, unless something of the child may still print.
    fn drop(&mut self) {
        let Some(verbatim) = &mut self.verbatim else {
            return;
        };
        let over = matches!(self.child.try_wait(), Ok(Some(_)));
        let end = Instant::now() + REST;
        while over && has_children() && Instant::now() < end {
            std::thread::sleep(LOOK);
        }
        if !over || has_children() {
            verbatim.stay();
        }
    }
}
