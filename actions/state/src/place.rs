//! Which state a call is about: the contract's, each part replaceable, or inputs alone.

use crate::args::{Object, Place, State};
use crate::backend::{Backend, Locking};
use crate::folder;
use crate::key;
use kit::aws::Region;
use kit::child::Program;
use kit::contract::{Complete, reserved};
use kit::error::{Error, Result};
use kit::step::{Cx, required};
use net::{Purpose, Target};
use std::path::{Path, PathBuf};

/// A state, and the credentials that may change it.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) backend: Backend,
    pub(crate) target: Target,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) resolved: Option<Complete>,
    /// Whether this backend goes before the one that the code names.
    pub(crate) overrides: bool,
}

impl Placed {
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

/// Bucket and table, which all states of an environment share.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) bucket: String,
    /// Empty where none is used.
    pub(crate) table: String,
    pub(crate) region: Region,
    pub(crate) locking: Locking,
    pub(crate) target: Target,
    resolved: Option<Complete>,
    /// Whether the file is the lock because nobody named anything else, a contract neither.
    unnamed: bool,
}

/// What is given, else what contract or environment name.
fn named<T>(argument: &str, variable: &str, given: Option<T>, other: Option<T>) -> Result<T> {
    given.or(other).ok_or_else(|| {
        Error::usage(format!("--{argument} is missing")).hint(format!(
            "give --{argument}, set {variable}, or --environment NAME to take it from the contract"
        ))
    })
}

/// # Errors
/// A part that nobody names, or a table that the contract does not name (exit 2).
pub(crate) fn store(place: &Place, cx: &Cx) -> Result<Store> {
    let store = any_store(place, cx)?;
    // The contract alone says where an environment's lock is.
    match &store.resolved {
        Some(resolved) if resolved.state.table.is_none() && !store.table.is_empty() => {
            Err(undeclared(&store.table, place.table.is_some()))
        }
        _ => Ok(store),
    }
}

/// A table that the environment or an argument names, and the contract does not.
fn undeclared(table: &str, given: bool) -> Error {
    let (name, value) = match given {
        true => ("--table", table),
        false => ("TF_LOCK_TABLE", "var:TF_LOCK_TABLE"),
    };
    Error::usage(format!(
        "{name} is `{table}`, and the contract names no lock table"
    ))
    .cause("without `table` in the contract the lock is the file beside the state, KEY.tflock")
    .hint(format!(
        "if the table holds the lock, add the line `table: {value}` to `state` in the contract"
    ))
    .hint(format!(
        "if the file is the lock, leave {name} out; to move from the table to the file: slipway-state move-lock"
    ))
}

/// The same where the contract need not name the table, as when locking moves.
///
/// # Errors
/// A part that nobody names (exit 2).
fn any_store(place: &Place, cx: &Cx) -> Result<Store> {
    let resolved = cx.defaults_all()?.into_contract();
    let state = resolved.as_ref().map(|it| &it.state);
    let variable = |name: &str| cx.env.get(name).map(str::to_owned);
    let region = match state {
        Some(state) => Some(state.region.clone()),
        None => cx.env.get("AWS_REGION").map(str::parse).transpose()?,
    };
    let region = named("region", "AWS_REGION", place.region.clone(), region)?;
    // The state's region is not where the command works.
    let ambient = || variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let own = match &resolved {
        Some(complete) => complete.resolved.region.clone(),
        None => ambient().map_or_else(|| Ok(region.clone()), |name| name.parse())?,
    };
    let target = Target::chosen(
        resolved.as_ref().map(|it| &it.resolved),
        Purpose::Deploy,
        place.role.as_ref(),
        Some(&own),
    );
    let bucket = state.map(|it| it.bucket.clone());
    let table = state.and_then(|it| it.table.clone());
    agree("bucket", place.bucket.as_deref(), bucket.as_deref())?;
    agree("table", place.table.as_deref(), table.as_deref())?;
    let bucket = bucket.or_else(|| variable("TF_STATE_BUCKET"));
    let table = match state {
        Some(state) => table.or_else(|| state.undeclared_table.clone()),
        None => variable("TF_LOCK_TABLE"),
    };
    let locking = place.locking.unwrap_or(match (&place.table, &table) {
        (None, None) => Locking::File,
        _ => Locking::Dynamodb,
    });
    Ok(Store {
        bucket: word(
            "bucket",
            named("bucket", "TF_STATE_BUCKET", place.bucket.clone(), bucket)?,
        )?,
        table: if locking.uses_table() {
            word(
                "table",
                named("table", "TF_LOCK_TABLE", place.table.clone(), table)?,
            )?
        } else {
            String::new()
        },
        region,
        locking,
        unnamed: locking == Locking::File && place.locking.is_none() && resolved.is_none(),
        target,
        resolved,
    })
}

/// # Errors
/// A part that nobody names, or a table that the contract does not name (exit 2).
pub(crate) fn find(place: &Place, object: &Object, cx: &Cx) -> Result<Placed> {
    let store = store(place, cx)?;
    let unnamed = store.unnamed;
    let placed = placed(store, object, cx)?;
    if unnamed {
        // A variable that is missing in this job alone would move its lock away from the others'.
        cx.host.info(format!(
            "no lock table is named: the lock is s3://{}.tflock",
            placed.backend.lock_id()
        ));
    }
    Ok(placed)
}

/// The same for `move-lock`, which names the table that the contract no longer names.
///
/// # Errors
/// A part that nobody names (exit 2).
pub(crate) fn find_to_move(place: &Place, object: &Object, cx: &Cx) -> Result<Placed> {
    placed(any_store(place, cx)?, object, cx)
}

fn placed(store: Store, object: &Object, cx: &Cx) -> Result<Placed> {
    let state = store.resolved.as_ref().map(|it| &it.state);
    let key = required("key", object.key.clone(), state.map(|it| it.key.clone()))?;
    let key = object_key(key)?;
    let workspace = workspace(object, cx)?;
    if let Some(name) = workspace.as_deref().filter(|name| *name != "default") {
        found_again(&key, name)?;
    }
    let directory = store
        .resolved
        .as_ref()
        .map(|it| it.resolved.directory.join(&it.state.directory));
    Ok(Placed {
        backend: Backend {
            bucket: store.bucket,
            key,
            workspace,
            table: store.table,
            region: store.region.to_string(),
            locking: store.locking,
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

/// The state that `state` names.
///
/// # Errors
/// As [`find`].
pub(crate) fn of(state: &State, cx: &Cx) -> Result<Placed> {
    find(&state.place, &state.object, cx)
}

/// The contract alone says where an environment's state and its lock are: in another bucket or
/// table, the lock would be one that nobody else respects.
fn agree(name: &str, given: Option<&str>, contract: Option<&str>) -> Result<()> {
    match (given, contract) {
        (Some(given), Some(contract)) if given != contract => Err(Error::usage(format!(
            "--{name} is `{given}`, the contract says `{contract}`"
        ))
        .hint(format!(
            "leave --{name} away, or --environment and --contract; or change `state.{name}` in the contract"
        ))),
        _ => Ok(()),
    }
}

/// A key that Terraform takes (terraform `internal/backend/remote-state/s3`, `validateStringS3Path`)
/// and that a person can read.
fn object_key(key: String) -> Result<String> {
    reserved::state_key(&key)?;
    Ok(key)
}

/// Refuses a key that Terraform does not find again in a workspace: it writes to the joined path, and
/// looks for one that ends with the key as it is (terraform `internal/backend/remote-state/s3`, `keyEnv`).
fn found_again(key: &str, workspace: &str) -> Result<()> {
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

/// A name of AWS's.
fn word(name: &str, value: String) -> Result<String> {
    if value.contains(|c: char| c.is_whitespace() || c == '"' || c == '\'') {
        return Err(Error::usage(format!(
            "the {name} `{value}` holds a space or a quote"
        )));
    }
    Ok(value)
}
