//! Stands for the build's container: one process group, in which each command finds the variables and the folder that the
//! one before it left.
//!
//! The documentation says that all commands of version 0.2 run in one instance of the shell. CodeBuild's logs show
//! otherwise (`/codebuild/output/tmp/script.sh: line 4: …` for every command): each runs as a script of its own, `set -a`
//! first, and variables and folder are carried over, but no functions, arrays, aliases and shell options. So it is here:
//! what works so works under both readings, and `exit` in a command ends that command alone.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::spec::Shell;
use super::variables::is_name;
use crate::fault::{Context, Fault, Result};
use crate::world::runner::Variables;

/// A pipe's capacity (pipe(7)): all that a process can have left in one when it ended.
const PIPE: usize = 65536;

pub(super) struct Container {
    /// The environment of the next command.
    pub(super) environment: Variables,
    /// The working directory of the next command.
    pub(super) directory: PathBuf,
    shell: Shell,
    group: Pid,
    _leader: Child,
    output: pipe::Receiver,
    writer: std::io::PipeWriter,
    /// Through a named pipe, since what a variable holds may be secret and is to touch no disk.
    carried: pipe::Receiver,
    carrier: PathBuf,
    unfinished: Vec<u8>,
}

impl Container {
    /// Starts the process group. `folder` is for what the container itself needs.
    pub(super) fn start(
        folder: &Path,
        shell: Shell,
        environment: Variables,
        directory: &Path,
    ) -> Result<Self> {
        // The leader keeps the group's number taken for as long as the build runs, and ends the group when whoever
        // holds its input ends.
        let leader = Command::new("/bin/sh")
            .args(["-c", "cat >/dev/null; kill -KILL 0"])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting the build's process group")?;
        let group = leader
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| Fault::new("the build's process group is gone"))?;
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        let carrier = folder.join("carried");
        mknodat(CWD, &carrier, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .context("making a named pipe")?;
        Ok(Self {
            environment,
            directory: directory.to_owned(),
            shell,
            group,
            _leader: leader,
            output: pipe::Receiver::from_owned_fd(reader.into()).context("reading a pipe")?,
            writer,
            // Open for writing too, so that it neither waits for a writer nor ends with one.
            carried: pipe::OpenOptions::new()
                .read_write(true)
                .open_receiver(&carrier)
                .context("opening a named pipe")?,
            carrier,
            unfinished: Vec::new(),
        })
    }

    /// Runs one command to its end and answers its exit status, 128 and the signal's number where one ended it. `line`
    /// gets each line it shows.
    pub(super) async fn run(&mut self, command: &str, line: &mut dyn FnMut(&str)) -> Result<i32> {
        let carrier = self.carrier.display().to_string().replace('\'', r"'\''");
        let script = format!(
            "set -a\n{command}\nCODEBUILD_LAST_EXIT=$?\n\
             {{ printf '%s\\0' \"$PWD\"; /usr/bin/env -0; }} > '{carrier}'\nexit $CODEBUILD_LAST_EXIT\n"
        );
        let shell = match self.shell {
            Shell::Bash => "/bin/bash",
            Shell::Sh => "/bin/sh",
        };
        let mut child = Command::new(shell)
            .args(["-c", &script])
            .current_dir(&self.directory)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(
                self.writer
                    .try_clone()
                    .context("giving a command its output")?,
            )
            .stderr(
                self.writer
                    .try_clone()
                    .context("giving a command its output")?,
            )
            .process_group(self.group.as_raw_nonzero().get())
            .spawn()
            .context("starting a command")?;
        let mut state = Vec::new();
        let status = loop {
            tokio::select! {
                status = child.wait() => break status.context("waiting for a command")?,
                ready = self.output.readable() => {
                    ready.context("reading a command's output")?;
                    read(&self.output, &mut self.unfinished, PIPE)?;
                    self.whole_lines(line);
                }
                ready = self.carried.readable() => {
                    ready.context("reading a command's variables")?;
                    read(&self.carried, &mut state, PIPE)?;
                }
            }
        };
        read(&self.carried, &mut state, PIPE)?;
        // A program left in the background may write on for ever; the command itself has left no more than this.
        read(&self.output, &mut self.unfinished, PIPE)?;
        self.whole_lines(line);
        if !self.unfinished.is_empty() {
            line(&String::from_utf8_lossy(&std::mem::take(
                &mut self.unfinished,
            )));
        }
        self.carry(&state);
        use std::os::unix::process::ExitStatusExt;
        Ok(status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
    }

    fn whole_lines(&mut self, line: &mut dyn FnMut(&str)) {
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            let mut whole: Vec<u8> = self.unfinished.drain(..=end).collect();
            whole.pop();
            line(String::from_utf8_lossy(&whole).trim_end_matches('\r'));
        }
    }

    /// A command that ended by `exit` told nothing: what it set is lost, as it is in CodeBuild.
    fn carry(&mut self, state: &[u8]) {
        let Some(state) = state.strip_suffix(b"\0") else {
            return;
        };
        let mut entries = state
            .split(|byte| *byte == 0)
            .map(|entry| String::from_utf8_lossy(entry).into_owned());
        let Some(directory) = entries.next() else {
            return;
        };
        self.directory = directory.into();
        self.environment = entries
            .filter_map(|entry| {
                let (name, value) = entry.split_once('=')?;
                is_name(name).then(|| (name.to_owned(), value.to_owned()))
            })
            .collect();
    }
}

impl Drop for Container {
    /// Ends everything that the build left running, as the end of its container does.
    fn drop(&mut self) {
        // The group may have ended itself.
        let _ = kill_process_group(self.group, Signal::KILL);
        // Nothing depends on the name of a pipe that no process has open.
        let _ = std::fs::remove_file(&self.carrier);
    }
}

/// Reads what is there, and at most about `limit` bytes.
fn read(pipe: &pipe::Receiver, into: &mut Vec<u8>, limit: usize) -> Result<()> {
    let mut buffer = [0; 8192];
    let mut taken = 0;
    while taken < limit {
        match pipe.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                taken += count;
                into.extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(Fault::new(format!("reading a pipe: {error}"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs commands one after the other and answers their statuses and everything they showed.
    fn commands(shell: Shell, commands: &[&str]) -> (Vec<i32>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let environment = Variables::from([
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("GIVEN".to_owned(), "g".to_owned()),
        ]);
        let (mut statuses, mut lines) = (Vec::new(), Vec::new());
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let mut container =
                    Container::start(folder.path(), shell, environment, Path::new("/")).unwrap();
                for command in commands {
                    let mut line = |line: &str| lines.push(line.to_owned());
                    statuses.push(container.run(command, &mut line).await.unwrap());
                }
            });
        (statuses, lines)
    }

    #[test]
    fn variables_and_folder_persist_in_both_shells() {
        for shell in [Shell::Bash, Shell::Sh] {
            let (statuses, lines) = commands(
                shell,
                &[
                    "A=\"two\nlines = '$\"\nexport B=b",
                    "cd /usr/bin; unset GIVEN",
                    "printf '%s|' \"$A\" \"$B\" \"${GIVEN-gone}\"; pwd",
                    "env | grep -c '^B=b$'",
                ],
            );
            assert_eq!(statuses, [0; 4]);
            assert_eq!(
                lines,
                ["two", "lines = '$|b|gone|/usr/bin", "1"],
                "{shell:?}"
            );
        }
    }

    #[test]
    fn functions_and_options_do_not_persist_and_exit_ends_one_command() {
        let (statuses, lines) = commands(
            Shell::Bash,
            &[
                "f() { echo f; }",
                "f",
                "set -e; false; echo not here",
                "X=1; exit 7",
                "echo \"${X-unset}\"; false; echo on",
            ],
        );
        assert_eq!(statuses, [0, 127, 1, 7, 0]);
        assert_eq!(lines.last().unwrap(), "on");
        assert_eq!(lines[lines.len() - 2], "unset");
    }

    #[test]
    fn much_output_and_large_variables_block_nothing() {
        let (statuses, lines) = commands(
            Shell::Bash,
            &[
                "BIG=$(head -c 100000 /dev/zero | tr '\\0' x); seq 1 50000; printf end",
                "echo ${#BIG}; kill -TERM $$",
            ],
        );
        assert_eq!(statuses, [0, 143]);
        assert_eq!(lines.len(), 50002);
        assert_eq!(lines[50000..], ["end", "100000"]);
    }

    #[test]
    fn a_program_in_the_background_is_not_waited_for_and_ends_with_the_build() {
        let began = std::time::Instant::now();
        let (statuses, lines) = commands(Shell::Bash, &["sleep 60 & echo $!"]);
        assert_eq!(statuses, [0]);
        let process = PathBuf::from(format!("/proc/{}", lines[0]));
        while running(&process) {
            assert!(began.elapsed().as_secs() < 10, "it still runs");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Returns true if a process runs, and is not a zombie.
    fn running(process: &Path) -> bool {
        std::fs::read_to_string(process.join("stat"))
            .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
    }
}
