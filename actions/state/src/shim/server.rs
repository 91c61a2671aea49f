//! Where the calls of Terraform that a command makes ask what becomes of them: a Unix socket in a
//! folder that only this user can enter, first on the command's PATH, for as long as the command
//! runs.

use super::answer::serve;
use super::ours::Ours;
use super::shared::{FOLDERS, Forbidden, Shared, State, Worked};
use crate::dependencies;
use crate::guard::Guard;
use crate::process::{Process, TOOLS};
use crate::rescue::ErroredState;
use kit::Cx;
use kit::error::{Context, Error, Result};
use kit::own::Own;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// The socket's name in the folder.
pub(super) const SOCKET: &str = "calls";
/// How the folder's name begins.
const PREFIX: &str = "slipway-calls-";
/// The name of the note to the post step.
const NOTE: &str = "calls";
/// The longest path that a Unix socket may have (unix(7), `sun_path`, its final zero apart).
const LONGEST_PATH: usize = 107;

/// The calls of Terraform that a command made.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// True if any call came here.
    pub(crate) any: bool,
    /// The folders in which calls worked.
    pub(crate) worked: BTreeMap<PathBuf, Worked>,
    /// The first call that was refused because only a permitted plan may change anything.
    pub(crate) forbidden: Option<Forbidden>,
    /// The refusal of lock files that gained more than the contract excepts since the first call in their folders: the next
    /// step would take them for the commit's.
    pub(crate) lockfiles: Option<Error>,
}

/// Answers the calls of Terraform of a command that runs under a lock.
#[derive(Debug)]
pub(crate) struct CallServer {
    folder: PathBuf,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl CallServer {
    /// Opens it, and leads `terraform` and `tofu` here. Needs a runtime.
    ///
    /// # Errors
    /// No temporary folder can be written, or no socket made.
    pub(crate) fn open(ours: Ours, guard: Guard, end: Duration, cx: &Cx) -> Result<Self> {
        let failed = "cannot make the folder that leads the command's terraform to this step";
        let name = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
        let folder = parent(&std::env::temp_dir()).join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .context(failed)
            .map_err(|error| error.hint("set TMPDIR to a folder that this user can write to"))?;
        let removed = Removed(&folder);
        // A step that is killed removes nothing.
        let made = std::fs::symlink_metadata(&folder).context(failed)?;
        cx.host.remember(NOTE, &Own::new(&folder, &made).note())?;
        let this = std::env::current_exe().context(failed)?;
        for tool in TOOLS {
            symlink(&this, folder.join(tool)).context(failed)?;
        }
        let listener = UnixListener::bind(folder.join(SOCKET)).context(failed)?;
        std::mem::forget(removed);
        let shared = Arc::new(Shared {
            ours,
            state: Mutex::new(State {
                end,
                ..State::default()
            }),
            guard,
            host: cx.host.clone(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self {
            folder,
            shared,
            serving,
        })
    }

    /// The first folder on the command's PATH.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The lease was renewed.
    pub(crate) fn until(&self, end: Duration) {
        self.shared.state().end = end;
    }

    /// From now on no call begins.
    pub(crate) fn close(&self, why: &'static str) {
        self.shared.state().closed.get_or_insert(why);
    }

    /// The call that runs without a lock of its own.
    pub(crate) fn unlocked(&self) -> Option<Process> {
        self.shared.state().unlocked.as_ref()?.at_work()
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Calls {
        let lockfiles = self.unmoved().err();
        let state = self.shared.state();
        Calls {
            any: state.asked,
            worked: state.worked.clone(),
            forbidden: state.forbidden.clone(),
            lockfiles,
        }
    }

    fn unmoved(&self) -> Result<()> {
        let Some(rule) = &self.shared.ours.rule else {
            return Ok(());
        };
        for (folder, before) in &self.shared.state().locks {
            dependencies::unmoved(rule, before, &dependencies::locked(folder)?)?;
        }
        Ok(())
    }

    /// Removes what a step that was killed left behind.
    ///
    /// # Errors
    /// The note of it was not written by the step (exit 3).
    pub(crate) fn remove_left(cx: &Cx) -> Result<()> {
        let Some(own) = cx.host.remembered_own(NOTE)? else {
            return Ok(());
        };
        let path = own.path();
        let ours = path.parent() == Some(&parent(&std::env::temp_dir()))
            && path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
            && own.is_there().unwrap_or_default();
        if ours {
            let _ = std::fs::remove_dir_all(path);
        }
        Ok(())
    }
}

impl Drop for CallServer {
    fn drop(&mut self) {
        self.close("its command is over");
        self.serving.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The folders in which the calls of a killed step's command worked, and what had been left there
/// before.
///
/// # Errors
/// The note of it was not written by the step (exit 3).
pub(crate) fn folders(cx: &Cx) -> Result<BTreeMap<PathBuf, Option<ErroredState>>> {
    let note = cx.host.remembered(FOLDERS)?.unwrap_or_default();
    Ok(serde_json::from_str(&note).unwrap_or_default())
}

/// Where the folder is made: its path goes into PATH, which a colon would split, and a socket's path
/// has a greatest length.
fn parent(temporary: &Path) -> PathBuf {
    let name = PREFIX.len() + uuid::fmt::Simple::LENGTH + SOCKET.len() + 2;
    let path = temporary.as_os_str().as_bytes();
    let fits =
        temporary.is_absolute() && !path.contains(&b':') && path.len() + name <= LONGEST_PATH;
    match fits {
        true => temporary.to_owned(),
        false => PathBuf::from("/tmp"),
    }
}

/// A folder that goes away again, unless all that belongs into it is there.
struct Removed<'a>(&'a Path);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0);
    }
}
