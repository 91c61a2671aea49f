//! One process, known again by its number and its start time: a call of Terraform that may outlive
//! whoever allowed it.

use kit::group::Group;
use rustix::process::{Pid, Signal, getpgid, kill_process};
use serde::{Deserialize, Serialize};

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    id: i32,
    /// When it started, in clock ticks since the machine did: process IDs come round again, both
    /// together do not (proc_pid_stat(5), field 22).
    started: u64,
}

impl Process {
    /// The process `id`; `None` when there is no such process any more.
    pub(crate) fn of(id: i32) -> Option<Self> {
        started(id).map(|started| Self { id, started })
    }

    /// Whether it runs.
    pub(crate) fn runs(&self) -> bool {
        started(self.id) == Some(self.started)
    }

    /// Whether it is the process `id`.
    pub(crate) fn is(&self, id: u32) -> bool {
        i32::try_from(id) == Ok(self.id)
    }

    /// Whether it belongs to `group`, whose signals reach it.
    pub(crate) fn is_in(&self, group: &Group) -> bool {
        let leader = Pid::from_raw(self.id).and_then(|id| getpgid(Some(id)).ok());
        let leader = leader.and_then(|leader| u32::try_from(leader.as_raw_nonzero().get()).ok());
        leader
            .and_then(Group::led_by)
            .is_some_and(|led| led == *group || led.interrupted() == *group)
    }

    /// Asks it to stop.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = Pid::from_raw(self.id).filter(|_| self.id > 1 && self.runs()) {
            // A process that just ended is no failure.
            let _ = kill_process(id, signal);
        }
    }
}

/// When a process started, unless it is dead and only not yet waited for. `PID (NAME) STATE PPID …`:
/// the name may hold anything, brackets and spaces included.
fn started(id: i32) -> Option<u64> {
    let line = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_again_and_ended() {
        use std::os::unix::process::CommandExt;
        let mut child = std::process::Command::new("sleep")
            .arg("300")
            .process_group(0)
            .spawn()
            .unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        let group = Group::led_by(child.id()).unwrap();
        assert!(process.runs() && process.is(child.id()) && process.is_in(&group));
        assert!(process.is_in(&group.interrupted()));
        let other = Process {
            started: process.started + 1,
            ..process
        };
        other.kill();
        assert!(!other.runs() && process.runs());
        process.kill();
        child.wait().unwrap();
        assert!(!process.runs());
        assert_eq!(Process::of(process.id), None);
    }
}
