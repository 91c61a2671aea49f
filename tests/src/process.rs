//! Processes of the sandbox: started apart from the caller, named by PID and start time, stopped only where both match.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::fault::{Context, Fault, Result};

/// The variable that marks every process of a sandbox, `SANDBOX/PART`.
pub const MARK: &str = "SLIPWAY_SANDBOX_PART";

/// The most characters of a line that a message shows; the log has the rest.
const WIDEST: usize = 300;

/// A process, told from a later one that got the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number, which is also its group's.
    pub pid: u32,
    /// When it started, in the kernel's clock ticks since boot (field 22 of proc_pid_stat(5)).
    pub start: u64,
}

impl Process {
    /// Starts a program in a group of its own with exactly this environment, its output going to a log file.
    pub fn start(
        program: &Path,
        arguments: &[String],
        environment: &BTreeMap<String, String>,
        log: &Path,
    ) -> Result<Self> {
        let output = create_log(log)?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("opening a log")?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .context(format!("starting {}", program.display()))?;
        let pid = child.id();
        // A child that has already ended is still there for as long as nobody waits for it, so its start time is too.
        let start = start_time(pid)
            .ok_or_else(|| Fault::new(format!("{} vanished while starting", program.display())))?;
        Ok(Self { pid, start })
    }

    /// The process that has a number now.
    pub fn of(pid: u32) -> Option<Self> {
        start_time(pid).map(|start| Self { pid, start })
    }

    /// Returns true if this very process still runs. One that ended and waits to be collected does not.
    pub fn runs(&self) -> bool {
        stat(self.pid)
            .is_some_and(|stat| stat.start == self.start && !matches!(stat.state, 'Z' | 'X'))
    }

    /// How long it has been running.
    pub(crate) fn age(&self) -> Option<Duration> {
        let text = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = text.split_whitespace().next()?.parse().ok()?;
        // The kernel shows every program 100 ticks a second, whatever its own are (USER_HZ).
        let began = Duration::from_millis(self.start * 10);
        Some(Duration::from_secs_f64(uptime).saturating_sub(began))
    }

    /// Its program and arguments, cut where they are long.
    pub(crate) fn command(&self) -> String {
        let bytes = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
        text.chars().take(WIDEST).collect()
    }

    /// Ends the process and its group: asks, waits for `timeout`, then kills. Does nothing to another process that
    /// meanwhile got the number. `mark` finds members of the group whose leader was killed.
    pub fn stop(&self, mark: &str, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        for signal in [Signal::TERM, Signal::KILL] {
            if !self.is_running(mark) {
                return Ok(());
            }
            if let Some(group) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
                // The group may end between the look and the signal.
                let _ = kill_process_group(group, signal);
            }
            let until = if signal == Signal::TERM {
                deadline
            } else {
                Instant::now() + Duration::from_secs(60)
            };
            while self.is_running(mark) && Instant::now() < until {
                collect(self.pid);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if self.is_running(mark) {
            return Err(Fault::new(format!(
                "process {} ({mark}) does not end",
                self.pid
            )));
        }
        Ok(())
    }

    /// Kills the process alone, at once.
    pub fn kill(&self) {
        if let Some(pid) = i32::try_from(self.pid)
            .ok()
            .and_then(Pid::from_raw)
            .filter(|_| self.runs())
        {
            // It may end between the look and the signal.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }

    fn is_running(&self, mark: &str) -> bool {
        match stat(self.pid) {
            Some(_) if self.runs() => true,
            // Somebody else's process has the number now, so the group is not ours either.
            Some(stat) if stat.start != self.start => false,
            _ => marked(mark)
                .into_iter()
                .any(|pid| stat(pid).is_some_and(|stat| stat.group == self.pid)),
        }
    }
}

/// The running processes whose environment carries a mark that starts with `prefix`.
pub fn marked(prefix: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={prefix}");
    all()
        .filter(|pid| {
            i32::try_from(*pid)
                .is_ok_and(|id| kit::environ::has(id, |entry| entry.starts_with(wanted.as_bytes())))
        })
        .collect()
}

/// The last lines of a log, for a message.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if all.is_empty() {
        return "    (nothing was written)".to_owned();
    }
    let last = all
        .get(all.len().saturating_sub(lines)..)
        .unwrap_or_default();
    last.iter()
        .map(|line| format!("    {}", line.chars().take(WIDEST).collect::<String>()))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Creates an empty log and its folder.
pub fn create_log(log: &Path) -> Result<File> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).context(format!("creating {}", folder.display()))?;
    }
    File::create(log).context(format!("creating {}", log.display()))
}

/// The number of every process of this machine, each with its parent's.
pub(crate) fn parents() -> Vec<(u32, u32)> {
    all()
        .filter_map(|pid| Some((pid, stat(pid)?.parent)))
        .collect()
}

fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

struct Stat {
    state: char,
    parent: u32,
    group: u32,
    start: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn start_time(pid: u32) -> Option<u64> {
    stat(pid).map(|stat| stat.start)
}

/// The program's name stands in parentheses and may hold spaces and parentheses, so fields are counted after the last.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// Collects an ended child of this program; a process that is not its child is collected by its own parent.
fn collect(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path, mark: &str) -> Process {
        let environment = BTreeMap::from([(MARK.to_owned(), mark.to_owned())]);
        let arguments = ["-c".to_owned(), "sleep 60 & wait".to_owned()];
        Process::start(
            Path::new("/bin/sh"),
            &arguments,
            &environment,
            &folder.join("log"),
        )
        .unwrap()
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.state, stat.group, stat.start), ('S', 7, 4242));
    }

    #[test]
    fn a_process_is_stopped_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let process = sleeper(folder.path(), "test-stop/a");
        assert!(process.runs());
        process.stop("test-stop/a", Duration::from_secs(5)).unwrap();
        assert!(!process.runs());
        assert_eq!(marked("test-stop/a"), Vec::<u32>::new());
    }

    #[test]
    fn children_of_a_killed_leader_are_found_by_their_mark() {
        let folder = tempfile::tempdir().unwrap();
        let process = sleeper(folder.path(), "test-orphan/a");
        let deadline = Instant::now() + Duration::from_secs(300);
        while marked("test-orphan/a").len() < 2 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        rustix::process::kill_process(Pid::from_raw(process.pid as i32).unwrap(), Signal::KILL)
            .unwrap();
        while process.runs() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        collect(process.pid);
        assert_eq!(marked("test-orphan/a").len(), 1);
        process
            .stop("test-orphan/a", Duration::from_secs(5))
            .unwrap();
        assert_eq!(marked("test-orphan/a"), Vec::<u32>::new());
    }

    #[test]
    fn a_process_that_only_has_the_number_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let process = sleeper(folder.path(), "test-other/a");
        let other = Process {
            start: process.start + 1,
            ..process
        };
        assert!(!other.runs());
        other
            .stop("test-other/a", Duration::from_millis(100))
            .unwrap();
        assert!(process.runs());
        process
            .stop("test-other/a", Duration::from_secs(5))
            .unwrap();
    }

    #[test]
    fn a_tail_shows_the_last_lines_only() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        fs::write(&log, "one\ntwo\n\nthree\n").unwrap();
        assert_eq!(tail(&log, 2), "    two\n    three");
        assert_eq!(
            tail(&folder.path().join("none"), 2),
            "    (nothing was written)"
        );
    }
}
