//! One process, known again by its number and its start time: a call of Terraform that may outlive
//! whoever allowed it.

use kit::group::Group;
use kit::stat::stat;
use rustix::process::{Pid, Signal, getpgid, kill_process};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The variable that marks whatever a call starts that is told not to lock, with the process ID of
/// that call: a wrapper may be over before the Terraform that it started.
pub(crate) const CALL: &str = "SLIPWAY_STATE_CALL";

/// The programs whose calls are looked at.
pub(crate) const TOOLS: [&str; 2] = ["terraform", "tofu"];

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

    /// A process that found `value` under `name` in its environment when it started, and whose
    /// program has one of these `programs`' names, or one that begins so.
    pub(crate) fn marked(name: &str, value: &str, programs: &[&str]) -> Option<Self> {
        let wanted = format!("{name}={value}");
        let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        folders.map(|folder| folder.path()).find_map(|folder| {
            let id = folder.file_name()?.to_str()?.parse().ok()?;
            let is = is_one_of(&folder, programs) == Some(true)
                && kit::environ::has(id, |entry| entry == wanted.as_bytes());
            is.then(|| Self::of(id)).flatten()
        })
    }

    /// Its number.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// Returns true if it runs.
    pub(crate) fn runs(&self) -> bool {
        started(self.id) == Some(self.started)
    }

    /// The process at work for this call: itself or, if it has ended as a wrapper may, the Terraform that it started.
    pub(crate) fn at_work(self) -> Option<Self> {
        if self.runs() {
            return Some(self);
        }
        Self::marked(CALL, &self.id.to_string(), &TOOLS)
    }

    /// Returns true if it is the process `id`.
    pub(crate) fn is(&self, id: u32) -> bool {
        i32::try_from(id) == Ok(self.id)
    }

    /// Returns true if it belongs to `group`, whose signals reach it.
    pub(crate) fn is_in(&self, group: &Group) -> bool {
        let leader = Pid::from_raw(self.id).and_then(|id| getpgid(Some(id)).ok());
        let leader = leader.and_then(|leader| u32::try_from(leader.as_raw_nonzero().get()).ok());
        leader
            .and_then(Group::led_by)
            .is_some_and(|led| led == *group || led.interrupted() == *group)
    }

    /// Returns true if `other` started it, itself or through others, and for certain none of those is one of
    /// these `programs`.
    pub(crate) fn is_below(&self, other: Self, programs: &[&str]) -> bool {
        let mut id = self.id;
        while let Some(parent) = parent(id).filter(|parent| *parent > 1) {
            if is_one_of(&Path::new("/proc").join(parent.to_string()), programs) != Some(false) {
                return false;
            }
            if parent == other.id {
                return other.runs();
            }
            id = parent;
        }
        false
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
            // A process that just ended is not a failure.
            let _ = kill_process(id, signal);
        }
    }
}

/// Returns true if the process of a folder in `/proc` runs one of these `programs`, or one whose name begins
/// so; `None` where that cannot be seen.
fn is_one_of(folder: &Path, programs: &[&str]) -> Option<bool> {
    let program = std::fs::read_link(folder.join("exe")).ok()?;
    let name = program.file_name()?.to_str()?;
    Some(programs.iter().any(|program| name.starts_with(program)))
}

/// When a process started, unless it is dead and only not yet waited for.
fn started(id: i32) -> Option<u64> {
    let stat = stat(id).filter(|stat| !stat.zombie)?;
    Some(stat.started)
}

/// The process that started another one.
fn parent(id: i32) -> Option<i32> {
    Some(stat(id)?.parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_again_and_ended() {
        use std::os::unix::process::CommandExt;
        let mut child = std::process::Command::new("sleep")
            .arg("300")
            .env("MARK", "process-test")
            .process_group(0)
            .spawn()
            .unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        let group = Group::led_by(child.id()).unwrap();
        assert!(process.runs() && process.is(child.id()) && process.is_in(&group));
        assert!(process.is_in(&group.interrupted()));
        let this = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let below = |it: Process, other| it.is_below(other, &TOOLS);
        assert!(below(process, this) && !below(this, process) && !below(this, this));
        let program = std::env::current_exe().unwrap();
        let name = program.file_name().unwrap().to_str().unwrap();
        assert!(!process.is_below(this, &[name]));
        let marked = |value, program| Process::marked("MARK", value, &[program]);
        assert_eq!(marked("process-test", "sl"), Some(process));
        assert_eq!(marked("process-test", "other"), None);
        assert_eq!(marked("process", "sleep"), None);
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
