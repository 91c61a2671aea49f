//! The user who runs the programs: an ordinary user of the group that may speak to the engine, as on a GitHub-hosted runner, or the
//! benchmark's own user.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::bench::measure::Call;
use crate::fault::{Context, Fault, Result};

/// `nobody`, whose files are nobody's concern.
const ID: u32 = 65534;

/// An ordinary user with a home of its own. Where the benchmark itself is not run by root, its own user is one.
pub(super) struct User {
    home: TempDir,
    switches: bool,
}

impl User {
    /// Sees to it that the user can reach `program`.
    pub(super) fn create(program: &Path) -> Result<Self> {
        let home = tempfile::tempdir().context("creating the ordinary user's home")?;
        let switches = rustix::process::geteuid().is_root();
        let user = Self { home, switches };
        user.own(user.home.path())?;
        let test = user.call(Call {
            program: PathBuf::from("/usr/bin/test"),
            arguments: vec!["-x".to_owned(), program.display().to_string()],
            environment: [].into(),
            proof: String::new(),
        });
        let reached = Command::new(&test.program)
            .args(&test.arguments)
            .status()
            .context("running setpriv")?;
        match reached.success() {
            true => Ok(user),
            false => Err(
                Fault::new(format!("an ordinary user cannot run {}", program.display())).hint(
                    "let everybody enter the folders above it, or put the checkout elsewhere",
                ),
            ),
        }
    }

    /// Gives a file to the user.
    pub(super) fn own(&self, file: &Path) -> Result<()> {
        if self.switches {
            chown(file, Some(ID), Some(ID)).context(format!("giving {} away", file.display()))?;
        }
        Ok(())
    }

    /// The same call by the user, whose groups are those that may use the engine at `DOCKER_HOST`.
    pub(super) fn call(&self, mut call: Call) -> Call {
        let home = self.home.path().display().to_string();
        call.environment.insert("TMPDIR".to_owned(), home.clone());
        call.environment.insert("HOME".to_owned(), home);
        if !self.switches {
            return call;
        }
        let mut arguments = vec![format!("--reuid={ID}"), format!("--regid={ID}")];
        arguments.push(match group(&call) {
            Some(group) => format!("--groups={group}"),
            None => "--clear-groups".to_owned(),
        });
        arguments.push("--".to_owned());
        arguments.push(call.program.display().to_string());
        arguments.append(&mut call.arguments);
        Call {
            program: PathBuf::from("/usr/bin/setpriv"),
            arguments,
            ..call
        }
    }
}

/// The group of the engine's socket.
fn group(call: &Call) -> Option<u32> {
    let host = call.environment.get("DOCKER_HOST")?;
    let socket = host.strip_prefix("unix://")?;
    fs::metadata(socket).ok().map(|found| found.gid())
}
