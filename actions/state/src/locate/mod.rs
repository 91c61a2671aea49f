//! The state that a call is about: the contract's, each part replaceable, or inputs alone.

mod store;

use crate::args::{Object, State};
use crate::backend::Backend;
use crate::folder;
use crate::key;
use kit::child::Program;
use kit::contract::{Complete, reserved};
use kit::error::{Error, Result};
use kit::step::{Cx, required};
use net::{Purpose, Target};
use std::path::{Path, PathBuf};
use store::any_store;

pub(crate) use store::{Store, store};

/// A state, and the credentials that may change it.
#[derive(Debug, Clone)]
pub(crate) struct LocatedState {
    pub(crate) backend: Backend,
    /// Whose credentials commands are given. Those that reach the state may be others
    /// ([`Backend::role`]).
    pub(crate) target: Target,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) resolved: Option<Complete>,
    /// True if this backend goes before the one that the code names.
    pub(crate) overrides: bool,
}

impl LocatedState {
    /// The same state, locked in every way in which the code in `folder` locks it.
    ///
    /// # Errors
    /// The code names another state or lock (exit 3).
    pub(crate) fn agreed(&self, folder: &Path, cx: &Cx) -> Result<Self> {
        let mut agreed = self.clone();
        agreed.backend.locking = folder::agreed(folder, &self.backend, self.overrides, cx)?;
        if agreed.backend.locking != self.backend.locking {
            cx.host.info(format!(
                "the backend in {} sets use_lockfile: both the lock table and the lock file are used",
                folder.display()
            ));
        }
        Ok(agreed)
    }

    /// A command in a folder of infrastructure code, with the contract's variables.
    ///
    /// # Errors
    /// A command without a name.
    pub(crate) fn program(&self, command: &[String], directory: &Path, cx: &Cx) -> Result<Program> {
        let mut program = Program::new(command, &cx.env)?
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .directory(directory.to_owned());
        if let Some(workspace) = &self.backend.workspace {
            program = program.env("TF_WORKSPACE", workspace);
        }
        for (name, value) in self.terraform_variables() {
            program = program.env(name, value);
        }
        Ok(program)
    }

    /// The contract's variables, as Terraform takes them.
    pub(crate) fn terraform_variables(&self) -> impl Iterator<Item = (String, String)> {
        self.resolved.iter().flat_map(Complete::terraform_variables)
    }
}

/// The state that `state` names.
///
/// # Errors
/// A part that is not named, or a table that the contract does not name (exit 2).
pub(crate) fn of(state: &State, cx: &Cx) -> Result<LocatedState> {
    found(state, Purpose::Deploy, cx)
}

/// The same with the credentials that can only look.
///
/// # Errors
/// As [`of`].
pub(crate) fn to_read(state: &State, cx: &Cx) -> Result<LocatedState> {
    found(state, Purpose::Read, cx)
}

fn found(state: &State, purpose: Purpose, cx: &Cx) -> Result<LocatedState> {
    let store = store(&state.storage, purpose, cx)?;
    let unnamed = store.unnamed;
    let located = located(store, &state.object, cx)?;
    if unnamed {
        // A variable that is missing in this job alone would move its lock away from the others'.
        cx.host.info(format!(
            "no lock table is named: the lock is s3://{}.tflock",
            located.backend.lock_id()
        ));
    }
    Ok(located)
}

/// The same for `move-lock`, which names the table that the contract no longer names.
///
/// # Errors
/// A part that is not named (exit 2).
pub(crate) fn to_move(state: &State, cx: &Cx) -> Result<LocatedState> {
    let store = any_store(&state.storage, Purpose::Deploy, cx)?;
    located(store, &state.object, cx)
}

fn located(store: Store, object: &Object, cx: &Cx) -> Result<LocatedState> {
    let state = store.resolved.as_ref().map(|it| &it.state);
    let key = required("key", object.key.clone(), state.map(|it| it.key.clone()))?;
    let key = object_key(key)?;
    let workspace = workspace(object, cx)?;
    if let Some(name) = workspace.as_deref().filter(|name| *name != "default") {
        require_found_again(&key, name)?;
    }
    let directory = store
        .resolved
        .as_ref()
        .map(|it| it.resolved.directory.join(&it.state.directory));
    Ok(LocatedState {
        backend: Backend {
            bucket: store.bucket,
            key,
            workspace,
            table: store.table,
            region: store.region,
            locking: store.locking,
            role: store.role,
            owner: store.owner,
            encryption: store.encryption,
        },
        target: store.target,
        directory,
        resolved: store.resolved,
        overrides: false,
    })
}

/// The workspace that was named.
///
/// # Errors
/// A name that Terraform would not take, or another one in the environment (exit 2).
fn workspace(object: &Object, cx: &Cx) -> Result<Option<String>> {
    let Some(name) = &object.workspace else {
        return Ok(None);
    };
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if name.is_empty() || !name.chars().all(fine) {
        return Err(
            Error::usage(format!("--workspace {name:?} is not a workspace's name"))
                .hint("letters, digits, `-`, `_` and `.`, as `terraform workspace list` shows it"),
        );
    }
    if let Some(other) = cx.env.get("TF_WORKSPACE")
        && other != name
    {
        return Err(Error::usage(format!(
            "--workspace is `{name}`, TF_WORKSPACE is `{other}`"
        ))
        .hint("leave one of the two out"));
    }
    Ok(Some(name.clone()))
}

/// A key that Terraform takes (terraform `internal/backend/remote-state/s3`, `validateStringS3Path`)
/// and that a person can read.
fn object_key(key: String) -> Result<String> {
    reserved::state_key(&key)?;
    Ok(key)
}

/// Refuses a key that Terraform does not find again in a workspace: Terraform writes to the normalized path, but lists
/// the paths that end with the key as it is given (terraform `internal/backend/remote-state/s3`, `keyEnv`).
fn require_found_again(key: &str, workspace: &str) -> Result<()> {
    let written = key::of_workspace(key::PREFIX, workspace, key);
    if written == format!("{}/{workspace}/{key}", key::PREFIX) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the key {key:?} cannot be used with the workspace `{workspace}`"
    ))
    .cause(format!(
        "Terraform would write the state to {written:?}, and not find it there again"
    ))
    .hint("give a --key without the parts `..`, `.` and without two slashes in a row"))
}
