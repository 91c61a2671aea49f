//! Ends everything that `cargo verify` started when a signal ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::fault::{Context, Result};
use crate::process::{Process, marked, parents};
use crate::say::note;

/// How long the processes may take to clean up after themselves.
const TIMEOUT: Duration = Duration::from_secs(10);

static ENDING: AtomicBool = AtomicBool::new(false);

/// Returns whether a signal has come, after which nothing new may be started.
pub(super) fn ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// Ends this program and all processes below it on SIGINT, SIGTERM and SIGHUP. The sandbox's parts stay: they outlive any command.
pub(super) fn watch() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")?;
    let (mut interrupt, mut terminate, mut hangup) = {
        let _guard = runtime.enter();
        let listen = |kind| signal(kind).context("listening for signals");
        (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        )
    };
    std::thread::spawn(move || {
        let (name, code) = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => ("SIGINT", 130),
                _ = terminate.recv() => ("SIGTERM", 143),
                _ = hangup.recv() => ("SIGHUP", 129),
            }
        });
        ENDING.store(true, Ordering::SeqCst);
        note(&format!(
            "{name}: ending everything that runs; nothing was verified"
        ));
        end_below(std::process::id());
        #[expect(
            clippy::exit,
            reason = "the other threads wait for processes that were just ended"
        )]
        std::process::exit(code);
    });
    Ok(())
}

/// Asks all processes below one to end, and kills those that do not.
fn end_below(root: u32) {
    let deadline = Instant::now() + TIMEOUT;
    // A process whose parent has ended is no longer below `root`, so what was seen once is remembered.
    let mut seen: BTreeSet<(u32, u64)> = BTreeSet::new();
    // A second TERM would cut short what the first one began.
    let mut asked: BTreeSet<(u32, u64)> = BTreeSet::new();
    loop {
        let roots: Vec<u32> = seen.iter().map(|(pid, _)| *pid).chain([root]).collect();
        seen.extend(below(&roots).iter().map(|one| (one.pid, one.start)));
        let running: Vec<Process> = seen
            .iter()
            .map(|(pid, start)| Process {
                pid: *pid,
                start: *start,
            })
            .filter(Process::runs)
            .collect();
        if running.is_empty() {
            return;
        }
        for process in running {
            if Instant::now() >= deadline {
                process.kill();
            } else if asked.insert((process.pid, process.start))
                && let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw)
            {
                // It may have ended between the look and the signal.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Returns the processes below some, without the sandbox's parts and what is below those.
pub(super) fn below(roots: &[u32]) -> Vec<Process> {
    let parts = marked("");
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (pid, parent) in parents() {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = BTreeSet::new();
    let mut look = roots.to_vec();
    while let Some(pid) = look.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if !parts.contains(child) && found.insert(*child) {
                look.push(*child);
            }
        }
    }
    found.into_iter().filter_map(Process::of).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::process::MARK;

    #[test]
    fn everything_below_a_process_ends_and_a_part_stays() {
        // A grandchild whose parent dies first, one that ignores TERM in a session of its own, and a part.
        let script = format!(
            "sh -c 'sleep 600 & echo $!; wait' & setsid sh -c 'trap : TERM; sleep 600 & echo $!; wait; wait' & \
             {MARK}=test-verify/part sleep 600 & echo part $!; wait"
        );
        let mut shell = Command::new("sh")
            .args(["-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        let (mut part, mut unmarked) = (None, Vec::new());
        for _ in 0..3 {
            let line = lines.next().unwrap().unwrap();
            match line.strip_prefix("part ") {
                Some(pid) => part = Process::of(pid.parse().unwrap()),
                None => unmarked.push(Process::of(line.parse().unwrap()).unwrap()),
            }
        }
        let part = part.unwrap();
        // The shell's child has the mark only once it has become `sleep`, some time after the shell told its number.
        let began = Instant::now();
        while !marked("test-verify/").contains(&part.pid) {
            assert!(began.elapsed() < Duration::from_secs(300), "{part:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        end_below(shell.id());
        assert!(part.runs());
        for other in unmarked {
            assert!(!other.runs(), "{other:?}");
        }
        part.kill();
        shell.kill().unwrap();
        shell.wait().unwrap();
    }
}
