//! Installs what the manifest names, once: a stamp per installer makes the next look cost next to nothing.

mod apt;
mod buildx;
mod links;
mod npm;
mod pip;
mod unpacked;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::manifest::Manifest;
use crate::process::{create_log, tail};
use crate::say::{Progress, note, seconds};
use crate::state::lock;

/// The file that says for which manifest everything is installed.
fn stamp(instance: &Instance) -> PathBuf {
    instance.dir.join("installed")
}

/// Its content if nothing is missing. A folder that was moved has another name in its virtual environments.
fn fingerprint(instance: &Instance) -> String {
    format!("{} {}", instance.dir.display(), Manifest::fingerprint())
}

/// Returns true if everything that the manifest names is installed.
pub(crate) fn is_complete(instance: &Instance) -> Result<bool> {
    let done = fs::read_to_string(stamp(instance)).unwrap_or_default();
    let mut commands = Manifest::read()?.apt.into_iter();
    Ok(commands.all(|apt| find(&apt.command).is_some())
        && done == fingerprint(instance)
        && links::hold(instance))
}

/// Installs everything that is missing.
pub(crate) fn ensure(instance: &Instance) -> Result<()> {
    if is_complete(instance)? {
        return Ok(());
    }
    let manifest = Manifest::read()?;
    apt::ensure(instance, &manifest.apt)?;
    buildx::ensure(instance, &manifest.buildx)?;
    pip::ensure(instance, &manifest.pip)?;
    pip::ensure_terraform(instance, &manifest.terraform)?;
    for npm in manifest.npm_here() {
        npm::ensure(instance, npm)?;
    }
    links::make(instance)?;
    let stamp = stamp(instance);
    fs::write(&stamp, fingerprint(instance)).context(format!("writing {}", stamp.display()))
}

/// Installs the linters and nothing else.
pub(crate) fn linters(instance: &Instance) -> Result<()> {
    let _held = lock(&instance.dir.join("lock"))?;
    let manifest = Manifest::read()?;
    pip::ensure(instance, &manifest.pip)?;
    pip::ensure_checkov(instance, &manifest.checkov)
}

/// Installs what only the test of an application of several stacks needs.
pub fn cdktn(instance: &Instance) -> Result<()> {
    npm::ensure_cdktn(instance)
}

/// Installs what only the tests of an example's infrastructure need.
pub fn example(instance: &Instance, example: &str) -> Result<()> {
    npm::ensure_example(instance, example)
}

/// Unpacks the newer engine that only tests and benchmarks of containerd's image store need. Several programs may ask for it
/// at once.
pub fn newer_engine(instance: &Instance) -> Result<()> {
    buildx::ensure_engine(instance, &Manifest::read()?.engine)
}

/// Installs what only benchmarks need.
pub(crate) fn peers(instance: &Instance) -> Result<()> {
    let peers = Manifest::read()?.peers;
    apt::ensure(instance, &peers.apt)?;
    pip::ensure_peers(instance, &peers.pip)
}

/// Does some work unless a stamp in `folder` says that exactly this was done before. The stamp is removed before the
/// work and written after it, so work that was cut short is done again. A concurrent caller for the same folder waits, in
/// this process or in another.
fn once(folder: &Path, version: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let _held = lock(&folder.with_file_name(name))?;
    let stamp = folder.join(".stamp");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == version) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).context(format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).context(format!("creating {}", folder.display()))?;
    work()?;
    fs::write(&stamp, version).context(format!("writing {}", stamp.display()))
}

/// The pauses after which an installer's failed command is run again: most fail because a server did not answer.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
];

/// An installer at work: its name, what it says it does, its log.
struct Installer<'a> {
    instance: &'a Instance,
    name: &'a str,
    hint: &'a str,
}

impl Installer<'_> {
    /// Runs commands one after the other under one line of progress. Installers keep the caller's environment, which
    /// tells them about proxies and certificates.
    fn run(&self, detail: &str, commands: &mut [Command]) -> Result<()> {
        let progress = Progress::begin(self.name, detail);
        let log = self.instance.log(&format!("install-{}", self.name));
        let result = create_log(&log).and_then(|output| {
            commands
                .iter_mut()
                .try_for_each(|command| self.try_again(&log, &output, command, &PAUSES))
        });
        progress.finish(result)
    }

    /// Runs a command again after each pause until it succeeds.
    fn try_again(
        &self,
        log: &Path,
        output: &File,
        command: &mut Command,
        pauses: &[Duration],
    ) -> Result<()> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut pauses = pauses.iter();
        loop {
            let status = command
                .stdin(Stdio::null())
                .stdout(output.try_clone().context("opening a log")?)
                .stderr(output.try_clone().context("opening a log")?)
                .status()
                .context(format!("{}: running {program}", self.name))?;
            if status.success() {
                return Ok(());
            }
            let Some(pause) = pauses.next() else {
                return Err(Fault::new(format!(
                    "installing {}: {program} ended with {status}; the last lines of {}:\n{}",
                    self.name,
                    log.display(),
                    tail(log, 12)
                ))
                .hint(self.hint));
            };
            let after = seconds(*pause);
            note(&format!(
                "{:<12} {program} ended with {status}, again in {after}",
                self.name
            ));
            std::thread::sleep(*pause);
        }
    }
}

fn command<I, S>(program: impl AsRef<OsStr>, arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Finds a program on this program's PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn work_is_done_once_and_again_when_it_was_cut_short_or_changed() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("part");
        let mut count = 0;
        for (version, fails) in [("v1", true), ("v1", false), ("v1", false), ("v2", false)] {
            let result = once(&part, version, || {
                count += 1;
                if fails {
                    Err(Fault::new("cut short"))
                } else {
                    Ok(())
                }
            });
            assert_eq!(result.is_err(), fails);
        }
        assert_eq!(count, 3);
    }

    #[test]
    fn work_is_done_once_though_several_want_it_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("part");
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let work = || {
                        count.fetch_add(1, Ordering::SeqCst);
                        fs::write(part.join("content"), "whole").context("writing")
                    };
                    once(&part, "v1", work).unwrap();
                    assert_eq!(fs::read_to_string(part.join("content")).unwrap(), "whole");
                });
            }
        });
        assert_eq!(count.into_inner(), 1);
    }

    #[test]
    fn a_command_that_fails_is_run_again() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let (name, hint) = ("pip", "none");
        let installer = Installer {
            instance: &instance,
            name,
            hint,
        };
        let log = folder.path().join("log");
        let output = create_log(&log).unwrap();
        let twice = "echo again >> seen; [ $(wc -l < seen) -ge 2 ]";
        let mut command = command("/bin/sh", ["-c", twice]);
        command.current_dir(folder.path());
        let mut run = |pauses: &[Duration]| {
            let _ = fs::remove_file(folder.path().join("seen"));
            installer.try_again(&log, &output, &mut command, pauses)
        };
        assert!(run(&[]).is_err());
        assert!(run(&[Duration::ZERO]).is_ok());
    }

    #[test]
    fn a_failed_installer_says_which_shows_its_log_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let installer = Installer {
            instance: &instance,
            name: "pip",
            hint: "look at the network",
        };
        let log = folder.path().join("log");
        let output = create_log(&log).unwrap();
        let mut command = command("/bin/sh", ["-c", "echo no route to host; exit 3"]);
        let fault = installer.try_again(&log, &output, &mut command, &[]);
        let fault = fault.unwrap_err().to_string();
        for part in [
            "installing pip",
            "exit status: 3",
            "no route to host",
            "hint: look at the network",
        ] {
            assert!(fault.contains(part), "{fault}");
        }
    }
}
