//! Which state a call is about: the contract's, each part replaceable, or inputs alone. And the
//! note to the post step that lets it find the lock again.

use crate::args::Place;
use crate::backend::Backend;
use kit::Resolved;
use kit::error::{Error, Result};
use kit::step::{Cx, required};
use net::{Purpose, Target};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A state, and the credentials that may change it.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) backend: Backend,
    pub(crate) target: Target,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) resolved: Option<Resolved>,
}

/// # Errors
/// A part that nobody names (exit 2).
pub(crate) fn find(place: &Place, cx: &Cx) -> Result<Placed> {
    let resolved = cx.resolved()?;
    let state = resolved.as_ref().map(|it| &it.state);
    let variable = |name: &str| cx.env.get(name).map(str::to_owned);
    let mut target = resolved
        .as_ref()
        .map_or_else(Target::ambient, |it| Target::of(it, Purpose::Deploy));
    if place.role.is_some() {
        target.role.clone_from(&place.role);
    }
    let region = place
        .region
        .clone()
        .or_else(|| state.map(|it| it.region.clone()))
        .or_else(|| variable("AWS_REGION"));
    let region = required("region", region, None)?;
    target.region = Some(region.clone());
    let backend = Backend {
        bucket: required(
            "bucket",
            place.bucket.clone(),
            state
                .map(|it| it.bucket.clone())
                .or_else(|| variable("TF_STATE_BUCKET")),
        )?,
        key: required("key", place.key.clone(), state.map(|it| it.key.clone()))?,
        table: required(
            "table",
            place.table.clone(),
            state
                .map(|it| it.table.clone())
                .or_else(|| variable("TF_LOCK_TABLE")),
        )?,
        region,
    };
    for (name, value) in [
        ("bucket", &backend.bucket),
        ("key", &backend.key),
        ("table", &backend.table),
    ] {
        // They become words of TF_CLI_ARGS_init, which Terraform splits at spaces.
        if value.contains(|c: char| c.is_whitespace() || c == '"' || c == '\'') {
            return Err(Error::usage(format!(
                "the {name} `{value}` holds a space or a quote"
            )));
        }
    }
    Ok(Placed {
        backend,
        target,
        directory: resolved
            .as_ref()
            .map(|it| it.directory.join(&it.state.directory)),
        resolved,
    })
}

/// The note to the post step. Holds names only.
#[derive(Serialize, Deserialize)]
struct Note {
    lock_id: String,
    bucket: String,
    key: String,
    table: String,
    region: String,
    role: Option<String>,
    account: Option<String>,
    allow_long_lived_keys: Vec<String>,
}

/// A lock that a step took, as the post step finds it.
pub(crate) struct Remembered {
    pub(crate) placed: Placed,
    pub(crate) lock_id: String,
}

/// # Errors
/// The runner's file cannot be written.
pub(crate) fn remember(placed: &Placed, lock_id: &str, cx: &Cx) -> Result<()> {
    let note = Note {
        lock_id: lock_id.to_owned(),
        bucket: placed.backend.bucket.clone(),
        key: placed.backend.key.clone(),
        table: placed.backend.table.clone(),
        region: placed.backend.region.clone(),
        role: placed.target.role.clone(),
        account: placed.target.account.clone(),
        allow_long_lived_keys: placed.target.allow_long_lived_keys.clone(),
    };
    let text = serde_json::to_string(&note).unwrap_or_default();
    cx.host.remember("lock", &text)
}

/// # Errors
/// A note that is not ours.
pub(crate) fn remembered(cx: &Cx) -> Result<Option<Remembered>> {
    let Some(text) = cx.env.get("STATE_lock") else {
        return Ok(None);
    };
    let note: Note = serde_json::from_str(text)
        .map_err(|error| Error::failed("the note of the lock cannot be read").because(&error))?;
    Ok(Some(Remembered {
        lock_id: note.lock_id,
        placed: Placed {
            backend: Backend {
                bucket: note.bucket,
                key: note.key,
                table: note.table,
                region: note.region.clone(),
            },
            target: Target {
                account: note.account,
                role: note.role,
                region: Some(note.region),
                allow_long_lived_keys: note.allow_long_lived_keys,
            },
            directory: None,
            resolved: None,
        },
    }))
}
