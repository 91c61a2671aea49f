//! Where all states of an environment are: bucket and table, their region and account, and who reaches
//! them.

use crate::args::Storage;
use crate::backend::{Encryption, Locking};
use kit::aws::{AccountId, Region, RoleArn};
use kit::contract::Complete;
use kit::error::{Error, Result};
use kit::step::Cx;
use net::{Purpose, Target};

/// Bucket and table, which all states of an environment share.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) bucket: String,
    /// Empty where none is used.
    pub(crate) table: String,
    pub(crate) region: Region,
    pub(crate) locking: Locking,
    /// Whose credentials commands are given.
    pub(crate) target: Target,
    /// The role that these assume to reach bucket and table; `None` where they need none.
    pub(crate) role: Option<RoleArn>,
    /// The account that the bucket must belong to, where the contract names it.
    pub(crate) owner: Option<AccountId>,
    pub(crate) encryption: Encryption,
    pub(super) resolved: Option<Complete>,
    /// True if the file is the lock because neither the arguments nor a contract name a table.
    pub(super) unnamed: bool,
}

/// The given value, else the one from the contract or an environment variable.
fn named<T>(argument: &str, variable: &str, given: Option<T>, other: Option<T>) -> Result<T> {
    given.or(other).ok_or_else(|| {
        Error::usage(format!("--{argument} is missing")).hint(format!(
            "give --{argument}, set {variable}, or --environment NAME to take it from the contract"
        ))
    })
}

/// # Errors
/// A part that is not named, or a table that the contract does not name (exit 2).
pub(crate) fn store(storage: &Storage, purpose: Purpose, cx: &Cx) -> Result<Store> {
    let store = any_store(storage, purpose, cx)?;
    // The contract alone says where an environment's lock is.
    match &store.resolved {
        Some(resolved) if resolved.state.table.is_none() && !store.table.is_empty() => {
            Err(undeclared(&store.table, storage.table.is_some()))
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
/// A part that is not named (exit 2).
pub(super) fn any_store(storage: &Storage, purpose: Purpose, cx: &Cx) -> Result<Store> {
    let resolved = cx.defaults_all()?.into_contract();
    let state = resolved.as_ref().map(|it| &it.state);
    let variable = |name: &str| cx.env.get(name).map(str::to_owned);
    let region = match state {
        Some(state) => Some(state.region.clone()),
        None => cx.env.get("AWS_REGION").map(str::parse).transpose()?,
    };
    let region = named("region", "AWS_REGION", storage.region.clone(), region)?;
    // The state's region is not where the command works.
    let ambient = || variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let own = match &resolved {
        Some(complete) => complete.resolved.region.clone(),
        None => ambient().map_or_else(|| Ok(region.clone()), |name| name.parse())?,
    };
    let target = Target::chosen(
        resolved.as_ref().map(|it| &it.resolved),
        purpose,
        storage.role.as_ref(),
        Some(&own),
    );
    let role = state_role(storage, purpose, resolved.as_ref())?;
    let encryption = encryption(storage, resolved.as_ref())?;
    let bucket = state.map(|it| it.bucket.clone());
    let table = state.and_then(|it| it.table.clone());
    agree("bucket", storage.bucket.as_deref(), bucket.as_deref())?;
    agree("table", storage.table.as_deref(), table.as_deref())?;
    let bucket = bucket.or_else(|| variable("TF_STATE_BUCKET"));
    let table = match state {
        Some(state) => table.or_else(|| state.undeclared_table.clone()),
        None => variable("TF_LOCK_TABLE"),
    };
    let locking = storage.locking.unwrap_or(match (&storage.table, &table) {
        (None, None) => Locking::File,
        _ => Locking::Dynamodb,
    });
    Ok(Store {
        bucket: word(
            "bucket",
            named("bucket", "TF_STATE_BUCKET", storage.bucket.clone(), bucket)?,
        )?,
        table: if locking.uses_table() {
            word(
                "table",
                named("table", "TF_LOCK_TABLE", storage.table.clone(), table)?,
            )?
        } else {
            String::new()
        },
        region,
        locking,
        unnamed: locking == Locking::File && storage.locking.is_none() && resolved.is_none(),
        target,
        role,
        owner: state.map(|it| it.account.clone()),
        encryption,
        resolved,
    })
}

/// The role that reaches bucket and table.
///
/// # Errors
/// One of another account than the contract's (exit 2).
fn state_role(
    storage: &Storage,
    purpose: Purpose,
    resolved: Option<&Complete>,
) -> Result<Option<RoleArn>> {
    let state = resolved.map(|it| &it.state);
    let contract = state
        .and_then(|it| it.roles.as_ref())
        .map(|roles| match purpose {
            Purpose::Read => &roles.read,
            Purpose::Deploy | Purpose::ReadLedger | Purpose::Publish | Purpose::Permit => {
                &roles.deploy
            }
        });
    if let (Some(given), Some(state)) = (&storage.state_role, state)
        && *given.account() != state.account
    {
        return Err(Error::usage(format!(
            "--state-role is of account {}, and the contract says that the state is in {}",
            given.account(),
            state.account
        ))
        .hint("leave --state-role out, or change `state.account` in the contract"));
    }
    Ok(storage.state_role.as_ref().or(contract).cloned())
}

/// The encryption that each write of the state asks for.
///
/// # Errors
/// A key that the contract does not name, beside one that it names (exit 2).
fn encryption(storage: &Storage, resolved: Option<&Complete>) -> Result<Encryption> {
    let state = resolved.map(|it| &it.state);
    let contract = state.and_then(|it| it.kms_key_id.as_deref());
    agree("kms-key-id", storage.kms_key_id.as_deref(), contract)?;
    let key = storage.kms_key_id.as_deref().or(contract);
    let encrypt = storage.encrypt || state.is_some_and(|it| it.encrypt);
    let key = key.map(|key| word("KMS key", key.to_owned())).transpose()?;
    Ok(Encryption::new(encrypt, key))
}

/// The contract alone says where an environment's state and its lock are: in another bucket or
/// table, the lock would be one that nobody else respects.
fn agree(name: &str, given: Option<&str>, contract: Option<&str>) -> Result<()> {
    match (given, contract) {
        (Some(given), Some(contract)) if given != contract => Err(Error::usage(format!(
            "--{name} is `{given}`, the contract says `{contract}`"
        ))
        .hint(format!(
            "leave --{name} out, or --environment and --contract; or change `state.{name}` in the contract"
        ))),
        _ => Ok(()),
    }
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
