//! A folder only this user can enter, for a plan, which holds secrets: gone when its owner is
//! dropped, and in memory rather than on disk where the machine has such a place.

use kit::own::Own;
use kit::{Context, Cx, Result};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Memory that looks like a folder (Filesystem Hierarchy Standard of Linux distributions with
/// glibc; shm_overview(7)).
const MEMORY: &str = "/dev/shm";
/// How the names of such folders begin.
const PREFIX: &str = "slipway-";
/// The name of the note to the post step.
const NOTE: &str = "private";

/// A fresh folder with mode 0700.
#[derive(Debug)]
pub(crate) struct Private(PathBuf);

impl Private {
    /// # Errors
    /// No temporary folder can be written.
    pub(crate) fn new(cx: &Cx) -> Result<Self> {
        let name = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
        let make = |below: &Path| {
            let path = below.join(&name);
            std::fs::DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map(|()| path)
        };
        let path = make(Path::new(MEMORY))
            .or_else(|_| make(&std::env::temp_dir()))
            .context("cannot make a folder for the plan")?;
        let private = Self(path);
        // A step that is killed drops nothing.
        let made = std::fs::symlink_metadata(&private.0)
            .context("cannot see the folder that was made for the plan")?;
        let own = Own::new(&private.0, &made);
        cx.host.remember(NOTE, &own.note())?;
        Ok(private)
    }

    /// Removes what a step that was killed left behind. Nothing else has such a name.
    ///
    /// # Errors
    /// The note of it was not written by the step (exit 3).
    pub(crate) fn remove_left(cx: &Cx) -> Result<()> {
        let Some(own) = cx.host.remembered_own(NOTE)? else {
            return Ok(());
        };
        let path = own.path();
        let ours = [Path::new(MEMORY), &std::env::temp_dir()]
            .iter()
            .any(|below| path.parent() == Some(below))
            && path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
            && own.is_there().unwrap_or_default();
        if ours && std::fs::remove_dir_all(path).is_ok() {
            cx.host
                .info("removed the plan that the step left behind: it holds secrets");
        }
        Ok(())
    }

    /// Where the plan goes.
    pub(crate) fn plan(&self) -> PathBuf {
        self.0.join("plan")
    }

    /// Puts the plan there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, plan: &[u8]) -> Result<()> {
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.plan())
            .and_then(|mut file| file.write_all(plan))
            .context("cannot write the plan for the tool")
    }

    /// # Errors
    /// The tool left no plan.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        std::fs::read(self.plan()).context("the tool left no plan")
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::clock::Clock;
    use kit::env::Env;
    use kit::host::Host;
    use std::os::unix::fs::PermissionsExt;

    fn cx(variables: &[(&str, &str)]) -> Cx {
        let env: Env = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Cx {
            host: Host::detect(&env),
            env,
            clock: Clock::System,
            common: kit::step::Common {
                environment: None,
                contract: None,
                json: false,
                verbose: false,
            },
        }
    }

    #[test]
    fn a_killed_steps_plan_is_removed_and_nothing_else() {
        let private = Private::new(&cx(&[])).unwrap();
        private.write(b"plan").unwrap();
        let path = private.0.clone();
        std::mem::forget(private);
        let remover_of = |path: &Path| {
            let own = Own::new(path, &std::fs::symlink_metadata(path).unwrap());
            let note = own.note();
            move || Private::remove_left(&cx(&[("STATE_private", &note)]))
        };
        let other = std::env::temp_dir().join(format!("other-{}", std::process::id()));
        std::fs::create_dir_all(&other).unwrap();
        remover_of(&other)().unwrap();
        assert!(other.exists());
        std::fs::remove_dir_all(&other).unwrap();
        // A folder of the same name that another process made.
        let remove = remover_of(&path);
        let kept = path.with_extension("kept");
        std::fs::rename(&path, &kept).unwrap();
        std::fs::create_dir(&path).unwrap();
        remove().unwrap();
        assert!(path.exists());
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&kept, &path).unwrap();
        remove().unwrap();
        assert!(!path.exists());
        let named = path.display().to_string();
        let error = Private::remove_left(&cx(&[("STATE_private", &named)])).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        Private::remove_left(&cx(&[])).unwrap();
    }

    #[test]
    fn nobody_else_can_enter_and_nothing_is_left() {
        let private = Private::new(&cx(&[])).unwrap();
        private.write(b"plan").unwrap();
        assert_eq!(private.read().unwrap(), b"plan");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let plan = private.plan();
        let folder = plan.parent().unwrap().to_owned();
        assert_eq!((mode(&folder), mode(&plan)), (0o700, 0o600));
        drop(private);
        assert!(!folder.exists());
    }
}
