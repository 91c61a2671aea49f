//! A command whose wall clock is wrong: by as many seconds as a file says, at any moment. The binaries are static and take
//! the time from the page that the kernel maps into every process, so there is no library to put in between. Here the
//! command and all it starts are traced (ptrace(2)): that page is hidden from each program at its start, which then asks
//! the kernel, and the kernel's answers are changed. Clocks that cannot be set stay as they are.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::sys::ptrace::{self, AddressType, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::fault::{Context, Fault, Result};

/// `AT_SYSINFO_EHDR` and `AT_IGNORE` of getauxval(3): the address of that page, and an entry that means nothing.
const PAGE: i64 = 33;
const NOTHING: i64 = 1;
/// The numbers of the calls that tell the time (Linux, x86_64).
const GETTIMEOFDAY: u64 = 96;
const TIME: u64 = 201;
const CLOCK_GETTIME: u64 = 228;
/// `CLOCK_REALTIME` and `CLOCK_REALTIME_COARSE`.
const WALL: [u64; 2] = [0, 5];
/// The result that a system call shows before it has run.
const NOT_YET: i64 = -(Errno::ENOSYS as i64);

/// Runs the command to its end, and that of all it started. Its exit code is the command's.
pub(crate) fn run(file: &Path, command: &[OsString]) -> Result<ExitCode> {
    let tracing = "tracing the command";
    // It stops itself until it is traced, so that nothing of it is missed.
    let child = Command::new("/bin/sh")
        .args(["-c", "kill -STOP $$; exec \"$@\"", "sh"])
        .args(command)
        .spawn()
        .context("starting the command")?;
    let first = Pid::from_raw(i32::try_from(child.id()).context(tracing)?);
    let flags = WaitPidFlag::WUNTRACED | WaitPidFlag::__WALL;
    let stopped = waitpid(first, Some(flags)).context(tracing)?;
    if !matches!(stopped, WaitStatus::Stopped(..)) {
        return Err(Fault::new(format!("the command did not stop: {stopped:?}")));
    }
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(first, options).context(tracing)?;
    kill(first, Signal::SIGCONT).context(tracing)?;
    let mut ends = HashMap::new();
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Exited(pid, code)) => {
                ends.insert(pid, code);
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                ends.insert(pid, 128 + signal as i32);
            }
            Ok(WaitStatus::PtraceEvent(pid, _, event)) => {
                if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 {
                    ignore_missing_process(hide(pid)).context("hiding the kernel's page")?;
                }
                ignore_missing_process(ptrace::syscall(pid, None)).context(tracing)?;
            }
            Ok(WaitStatus::PtraceSyscall(pid)) => {
                ignore_missing_process(shift(pid, file)).context("changing the time")?;
                ignore_missing_process(ptrace::syscall(pid, None)).context(tracing)?;
            }
            Ok(WaitStatus::Stopped(pid, signal)) => {
                ignore_missing_process(ptrace::syscall(pid, signal)).context(tracing)?;
            }
            Ok(_) => {}
            Err(Errno::ECHILD) => break,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context(tracing),
        }
    }
    let code = ends.get(&first).copied().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// A process can be killed at any moment; the wait for it reports its end.
fn ignore_missing_process(done: nix::Result<()>) -> nix::Result<()> {
    match done {
        Err(Errno::ESRCH) => Ok(()),
        done => done,
    }
}

/// Takes the page out of what the kernel tells a program at its start: behind arguments and environment, pairs of a kind
/// and a value (System V ABI, x86_64, "Initial stack and register state").
fn hide(pid: Pid) -> nix::Result<()> {
    // The first word counts the arguments.
    let mut at = ptrace::getregs(pid)?.rsp;
    for _list in ["arguments", "environment"] {
        loop {
            at += 8;
            if word(pid, at)? == 0 {
                break;
            }
        }
    }
    loop {
        at += 8;
        match word(pid, at)? {
            0 => return Ok(()),
            PAGE => return ptrace::write(pid, address(at), NOTHING),
            _ => at += 8,
        }
    }
}

/// Changes what the kernel just answered, where that was the time.
fn shift(pid: Pid, file: &Path) -> nix::Result<()> {
    let mut registers = ptrace::getregs(pid)?;
    let answer = registers.rax.cast_signed();
    if answer == NOT_YET || answer < 0 {
        return Ok(());
    }
    let by = || -> i64 {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    };
    match registers.orig_rax {
        CLOCK_GETTIME if WALL.contains(&registers.rdi) => add(pid, registers.rsi, by()),
        GETTIMEOFDAY if registers.rdi != 0 => add(pid, registers.rdi, by()),
        TIME => {
            let by = by();
            registers.rax = registers.rax.wrapping_add_signed(by);
            ptrace::setregs(pid, registers)?;
            if registers.rdi != 0 {
                add(pid, registers.rdi, by)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn add(pid: Pid, at: u64, by: i64) -> nix::Result<()> {
    let seconds = word(pid, at)?;
    ptrace::write(pid, address(at), seconds.wrapping_add(by))
}

fn word(pid: Pid, at: u64) -> nix::Result<i64> {
    ptrace::read(pid, address(at))
}

fn address(at: u64) -> AddressType {
    std::ptr::with_exposed_provenance_mut(usize::try_from(at).unwrap_or_default())
}
