//! The process group of a command that outlived whoever started it: found again by its leader's
//! process ID and start time, and ended.

use crate::error::{Error, Result};
use crate::stat::{Stat, stat};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// The time that a command has for ending by itself. Terraform writes its state in that time; a runner
/// ends a cancelled job for good after five minutes.
const INTERRUPT_GRACE: Duration = Duration::from_secs(150);
/// The time that it has after SIGTERM.
const GRACE: Duration = Duration::from_secs(20);
/// The time that the kernel has after SIGKILL.
const LAST: Duration = Duration::from_secs(10);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// A process group, as a note to a later process holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The group's number, which is its leader's process ID.
    id: i32,
    /// When the leader started, in clock ticks since the machine did: process IDs come round
    /// again, both together do not (proc_pid_stat(5), field 22).
    started: u64,
    /// Is true if it was interrupted already. Terraform takes a second signal for leave to lose state.
    interrupted: bool,
}

/// The next action to end a group.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Send(Signal),
    Wait,
    GiveUp,
}

impl Group {
    /// The group that the process `id` leads; `None` when there is no such process any more.
    pub fn led_by(id: u32) -> Option<Self> {
        let id = i32::try_from(id).ok()?;
        let stat = stat(id)?;
        (stat.group == id).then_some(Self {
            id,
            started: stat.started,
            interrupted: false,
        })
    }

    /// The group of a process that found `value` under `name` in its environment when it started,
    /// and whose leader did so too or is gone: that of a command whose number nobody wrote down.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn marked(name: &str, value: &str) -> Result<Option<Self>> {
        let wanted = format!("{name}={value}");
        let marked = |id: i32| crate::environ::has(id, |entry| entry == wanted.as_bytes());
        Ok(processes()?.into_iter().find_map(|process| {
            let leader = stat(process.group);
            let ours = !process.zombie
                && marked(process.id)
                && leader
                    .as_ref()
                    .is_none_or(|leader| leader.zombie || marked(leader.id));
            ours.then(|| Self {
                id: process.group,
                started: leader.map_or(0, |leader| leader.started),
                interrupted: false,
            })
        }))
    }

    /// The same group, after it was interrupted.
    #[must_use]
    pub fn interrupted(self) -> Self {
        Self {
            interrupted: true,
            ..self
        }
    }

    /// Returns whether a process of the group runs.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn runs(&self) -> Result<bool> {
        Ok(self.runs_among(&processes()?))
    }

    /// A leader with another start time leads another group of the same number, so ours is gone:
    /// the number is not given away while a group has it.
    fn runs_among(&self, all: &[Stat]) -> bool {
        let leader = all.iter().find(|stat| stat.id == self.id);
        leader.is_none_or(|leader| leader.started == self.started)
            && all.iter().any(|stat| stat.group == self.id && !stat.zombie)
    }

    /// Ends what runs of the group: SIGINT, then SIGTERM, then SIGKILL, each with time to follow.
    /// Returns whether anything ran.
    ///
    /// # Errors
    /// It cannot be signalled, or runs on all the same.
    pub async fn end(self) -> Result<bool> {
        let begun = Instant::now();
        let mut sent = self.interrupted.then_some(Signal::INT);
        let mut ran = false;
        while self.runs()? {
            ran = true;
            match self.next(sent, begun.elapsed()) {
                Next::Send(signal) => {
                    self.signal(signal)?;
                    sent = Some(signal);
                }
                Next::Wait => tokio::time::sleep(PAUSE).await,
                Next::GiveUp => {
                    return Err(Error::failed(format!(
                        "the command of process group {} runs on after SIGKILL",
                        self.id
                    )));
                }
            }
        }
        Ok(ran)
    }

    fn next(&self, sent: Option<Signal>, since: Duration) -> Next {
        match sent {
            None => Next::Send(Signal::INT),
            Some(Signal::INT) if since >= INTERRUPT_GRACE => Next::Send(Signal::TERM),
            Some(Signal::TERM) if since >= INTERRUPT_GRACE + GRACE => Next::Send(Signal::KILL),
            Some(Signal::KILL) if since >= INTERRUPT_GRACE + GRACE + LAST => Next::GiveUp,
            Some(_) => Next::Wait,
        }
    }

    /// Asks the group to stop, unless it was asked before.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn stop(&mut self) -> Result<()> {
        if self.interrupted {
            return Ok(());
        }
        self.interrupted = true;
        self.signal(Signal::INT)
    }

    /// Ends the group at once.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        // A number below two would mean everybody's processes.
        let group = Pid::from_raw(self.id)
            .filter(|_| self.id > 1)
            .ok_or_else(|| Error::failed(format!("{} is not a process group", self.id)))?;
        match kill_process_group(group, signal) {
            // It ended between the look and the signal.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(Error::failed(format!(
                "cannot end the command of process group {}",
                self.id
            ))
            .because(error)),
        }
    }
}

/// Returns true if a child of this process runs, as one that was left to it does. True where that cannot be seen.
pub(crate) fn has_children() -> bool {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    processes().map_or(true, |all| {
        all.iter().any(|stat| stat.parent == own && !stat.zombie)
    })
}

fn processes() -> Result<Vec<Stat>> {
    let entries = std::fs::read_dir("/proc").map_err(|error| {
        Error::failed("cannot see which processes run")
            .because(error)
            .hint("/proc must be mounted")
    })?;
    Ok(entries
        .flatten()
        .filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: i32, group: i32, started: u64, zombie: bool) -> Stat {
        Stat {
            id,
            parent: 1,
            group,
            started,
            zombie,
        }
    }

    const OURS: Group = Group {
        id: 70,
        started: 500,
        interrupted: false,
    };

    #[test]
    fn a_group_runs_while_one_of_its_own_does() {
        let leader = || process(70, 70, 500, false);
        let member = || process(71, 70, 510, false);
        for (all, runs) in [
            (vec![leader(), member()], true),
            // The leader ended and what it started did not.
            (vec![process(70, 70, 500, true), member()], true),
            (vec![member()], true),
            // Nobody waits for the dead.
            (vec![process(70, 70, 500, true)], false),
            (vec![process(9, 9, 1, false)], false),
            // The number came round again.
            (vec![process(70, 70, 900, false)], false),
            (vec![process(70, 9, 900, false)], false),
        ] {
            assert_eq!(OURS.runs_among(&all), runs, "{all:?}");
        }
    }

    #[test]
    fn each_signal_comes_once_and_has_time_to_work() {
        let seconds = Duration::from_secs;
        for (sent, since, next) in [
            (None, 0, Next::Send(Signal::INT)),
            (Some(Signal::INT), 149, Next::Wait),
            (Some(Signal::INT), 150, Next::Send(Signal::TERM)),
            (Some(Signal::TERM), 169, Next::Wait),
            (Some(Signal::TERM), 170, Next::Send(Signal::KILL)),
            (Some(Signal::KILL), 179, Next::Wait),
            (Some(Signal::KILL), 180, Next::GiveUp),
        ] {
            assert_eq!(OURS.next(sent, seconds(since)), next, "{sent:?} {since}");
        }
    }

    /// A script that SIGINT ends, although whoever runs this test may ignore it, as a shell's background jobs do.
    fn interruptible(script: &str) -> std::process::Command {
        let mut command = std::process::Command::new("env");
        command.args(["--default-signal=INT", "sh", "-c", script]);
        command
    }

    #[tokio::test]
    async fn a_command_is_found_by_the_mark_in_its_environment() {
        use std::os::unix::process::CommandExt;
        let value = format!("of-{}", std::process::id());
        let mut child = interruptible("sleep 300; true")
            .env("SLIPWAY_TEST_MARK", &value)
            .process_group(0)
            .spawn()
            .unwrap();
        let found = Group::marked("SLIPWAY_TEST_MARK", &value).unwrap().unwrap();
        assert_eq!(Some(found), Group::led_by(child.id()));
        assert!(found.end().await.unwrap());
        child.wait().unwrap();
        assert_eq!(Group::marked("SLIPWAY_TEST_MARK", &value).unwrap(), None);
        assert_eq!(Group::marked("SLIPWAY_TEST_MARK", "other").unwrap(), None);
    }

    #[tokio::test]
    async fn a_command_is_found_again_and_ended() {
        use std::os::unix::process::CommandExt;
        let mut child = interruptible("exec sleep 300")
            .process_group(0)
            .spawn()
            .unwrap();
        let group = Group::led_by(child.id()).unwrap();
        let other = Group {
            started: group.started + 1,
            ..group
        };
        assert!(!other.end().await.unwrap(), "another's group was ended");
        assert!(group.runs().unwrap());
        assert!(group.end().await.unwrap());
        assert!(!group.runs().unwrap());
        child.wait().unwrap();
        assert!(!group.end().await.unwrap());
        assert_eq!(Group::led_by(child.id()), None);
    }
}
