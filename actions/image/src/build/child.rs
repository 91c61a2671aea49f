//! One Docker command: its output is forwarded line by line, and it does not outlive this step.

use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Split};
use tokio::process::{Child, Command};

/// The number of last lines that are kept, enough to find the cause of a failure.
const KEPT: usize = 200;
/// How long Docker may take to cancel a build before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How a command ended.
pub(super) struct Ended {
    pub(super) success: bool,
    /// The exit code or signal, for people.
    pub(super) status: String,
    /// The last lines of both its streams, without the empty ones.
    pub(super) tail: Vec<String>,
}

/// Runs `command`, handing each line of its output to `log`. Dropping the future stops it.
pub(super) async fn run(mut command: Command, log: impl Fn(&str)) -> std::io::Result<Ended> {
    let mut group = Group(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?,
    );
    let mut out = group.0.stdout.take().map(lines);
    let mut err = group.0.stderr.take().map(lines);
    let mut tail = Vec::new();
    while out.is_some() || err.is_some() {
        let line = tokio::select! {
            line = next(&mut out) => line?,
            line = next(&mut err) => line?,
        };
        if let Some(line) = line {
            log(&line);
            if !line.trim().is_empty() {
                if tail.len() == KEPT {
                    tail.remove(0);
                }
                tail.push(line);
            }
        }
    }
    let status = group.0.wait().await?;
    Ok(Ended {
        success: status.success(),
        status: status.to_string(),
        tail,
    })
}

fn lines<R: AsyncRead + Unpin>(stream: R) -> Split<BufReader<R>> {
    BufReader::new(stream).split(b'\n')
}

/// The next line; at the stream's end the stream becomes `None`. Pending without a stream.
async fn next<R: AsyncRead + Unpin>(
    stream: &mut Option<Split<BufReader<R>>>,
) -> std::io::Result<Option<String>> {
    let Some(lines) = stream else {
        return std::future::pending().await;
    };
    let line = lines.next_segment().await?;
    if line.is_none() {
        *stream = None;
    }
    Ok(line.map(|line| {
        String::from_utf8_lossy(&line)
            .trim_end_matches('\r')
            .to_owned()
    }))
}

/// A running command and what it started.
struct Group(Child);

impl Drop for Group {
    /// Asks the group to end, and kills it when it does not. It blocks: the step is over.
    fn drop(&mut self) {
        let Some(pid) = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
        else {
            return;
        };
        let _ = kill_process_group(pid, Signal::TERM);
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn both_streams_are_forwarded_and_the_exit_status_is_reported() {
        let seen = RefCell::new(Vec::new());
        let ended = run(shell("echo a; echo b >&2; echo; exit 3"), |line| {
            seen.borrow_mut().push(line.to_owned());
        })
        .await
        .unwrap();
        assert!(!ended.success);
        assert_eq!(ended.status, "exit status: 3");
        let mut tail = ended.tail;
        tail.sort();
        assert_eq!(tail, ["a", "b"]);
        assert_eq!(seen.borrow().len(), 3);
    }

    #[tokio::test]
    async fn a_dropped_command_is_stopped_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 6000 & echo $! > {}; wait", file.display());
        let read = || std::fs::read_to_string(&file).unwrap_or_default();
        let started = async {
            while !read().ends_with('\n') {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            _ = run(shell(&script), |_| ()) => panic!("it ended by itself"),
            () = started => {}
        }
        let pid = read();
        let stat = format!("/proc/{}/stat", pid.trim());
        let gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        for _ in 0..15_000 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the grandchild {} outlived the step", pid.trim());
    }
}
