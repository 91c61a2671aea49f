//! Installs what the manifest names, once: a stamp per installer makes the next look cost next to nothing.

mod apt;
mod buildx;
mod links;
mod npm;
mod pip;
mod unpacked;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fault::{Doing, Fault, Result};
use crate::manifest::Manifest;
use crate::place::Place;
use crate::process::{create_log, tail};
use crate::say::Progress;
use crate::state::lock;

/// Installs everything that is missing.
pub(crate) fn ensure(place: &Place) -> Result<()> {
    let stamp = place.dir.join("installed");
    // A folder that was moved has another name in its virtual environments.
    let fingerprint = format!("{} {}", place.dir.display(), Manifest::fingerprint());
    let done = fs::read_to_string(&stamp).unwrap_or_default();
    let manifest = Manifest::read()?;
    let commands = manifest.apt.iter().all(|apt| find(&apt.command).is_some());
    if commands && done == fingerprint && links::hold(place) {
        return Ok(());
    }
    apt::ensure(place, &manifest.apt)?;
    buildx::ensure(place, &manifest.buildx)?;
    pip::ensure(place, &manifest.pip)?;
    pip::ensure_terraform(place, &manifest.terraform)?;
    for npm in manifest.npm_here() {
        npm::ensure(place, npm)?;
    }
    links::make(place)?;
    fs::write(&stamp, fingerprint).doing(format!("writing {}", stamp.display()))
}

/// Installs the linters and nothing else.
pub(crate) fn linters(place: &Place) -> Result<()> {
    let _held = lock(&place.dir.join("lock"))?;
    pip::ensure(place, &Manifest::read()?.pip)
}

/// Installs what only the test of an application of several stacks needs.
pub fn cdktn(place: &Place) -> Result<()> {
    npm::ensure_cdktn(place)
}

/// Unpacks the newer engine that only tests and benchmarks of containerd's image store need. Several programs may ask for it
/// at once.
pub fn newer_engine(place: &Place) -> Result<()> {
    let _held = lock(&place.dir.join("newer-engine.lock"))?;
    buildx::ensure_engine(place, &Manifest::read()?.engine)
}

/// Installs what only benchmarks need.
pub(crate) fn peers(place: &Place) -> Result<()> {
    let peers = Manifest::read()?.peers;
    apt::ensure(place, &peers.apt)?;
    pip::ensure_peers(place, &peers.pip)
}

/// Does some work unless a stamp in `folder` says that exactly this was done before. The stamp is removed before the
/// work and written after it, so work that was cut short is done again.
fn once(folder: &Path, what: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = folder.join(".stamp");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == what) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).doing(format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).doing(format!("creating {}", folder.display()))?;
    work()?;
    fs::write(&stamp, what).doing(format!("writing {}", stamp.display()))
}

/// An installer at work: its name, what it says it does, its log.
struct Installer<'a> {
    place: &'a Place,
    name: &'a str,
    hint: &'a str,
}

impl Installer<'_> {
    /// Runs commands one after the other under one line of progress. Installers keep the caller's environment, which
    /// tells them about proxies and certificates.
    fn run(&self, detail: &str, commands: &mut [Command]) -> Result<()> {
        let progress = Progress::begin(self.name, detail);
        let log = self.place.log(&format!("install-{}", self.name));
        let result = self.run_all(&log, commands);
        progress.finish(result)
    }

    fn run_all(&self, log: &Path, commands: &mut [Command]) -> Result<()> {
        let output = create_log(log)?;
        for command in commands {
            let program = command.get_program().to_string_lossy().into_owned();
            let status = command
                .stdin(Stdio::null())
                .stdout(output.try_clone().doing("opening a log")?)
                .stderr(output.try_clone().doing("opening a log")?)
                .status()
                .doing(format!("{}: running {program}", self.name))?;
            if !status.success() {
                return Err(Fault::new(format!(
                    "installing {}: {program} ended with {status}; the last lines of {}:\n{}",
                    self.name,
                    log.display(),
                    tail(log, 12)
                ))
                .hint(self.hint));
            }
        }
        Ok(())
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

    #[test]
    fn work_is_done_once_and_again_when_it_was_cut_short_or_changed() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("part");
        let mut count = 0;
        for (what, fails) in [("v1", true), ("v1", false), ("v1", false), ("v2", false)] {
            let result = once(&part, what, || {
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
    fn a_failed_installer_says_which_shows_its_log_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path(), folder.path());
        let installer = Installer {
            place: &place,
            name: "pip",
            hint: "look at the network",
        };
        let fault = installer
            .run(
                "nothing",
                &mut [command("/bin/sh", ["-c", "echo no route to host; exit 3"])],
            )
            .unwrap_err()
            .to_string();
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
