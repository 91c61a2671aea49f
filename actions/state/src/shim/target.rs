//! The state that a call works on, and whether it is the one whose lock is held. Pure.
//! Source: terraform `internal/backend/remote-state/s3`.

use super::call::{self, Call};
use super::look::{CallContext, Configured, Plan};
use super::ours::{Ours, is_endpoint, is_identity};
use crate::backend::StateObject;
use crate::key;
use kit::aws::{AccountId, Arn};
use std::path::Path;

/// The state a call works on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The held one, under the held lock.
    Held,
    /// Another one.
    Other(String),
    /// Another one, for which Terraform has no lock at all.
    Unprotected(String),
    /// The held one, under another lock than the held one.
    WrongLock(String),
    /// It cannot be seen.
    Unclear(String),
}

/// The state in S3 that a call works on, as far as that can be seen.
pub(crate) fn state(call: &Call, seen: &CallContext) -> Option<StateObject> {
    let (kind, settings, workspace) = configured(seen).ok()?;
    let remote = Remote {
        settings,
        workspace,
        call,
    };
    let state = StateObject {
        bucket: remote.text("bucket")?.to_owned(),
        key: remote.key()?,
        workspace: workspace.to_owned(),
    };
    (kind == "s3").then_some(state)
}

/// The state in S3 that `folder` was last initialised for, in `workspace` if one is given, else in
/// the selected one.
pub(crate) fn state_in(folder: &Path, workspace: Option<&str>) -> Option<StateObject> {
    let mut call = Call::default();
    if let Some(workspace) = workspace {
        let variable = ("TF_WORKSPACE".to_owned(), workspace.to_owned());
        call.variables.extend([variable]);
    }
    let seen = CallContext::around(&call, folder, false);
    state(&call, &seen)
}

/// The state that a call works on.
pub(super) fn target(ours: &Ours, call: &Call, words: &[String], seen: &CallContext) -> Target {
    if let Some(why) = &call.unreadable {
        return Target::Unclear(why.clone());
    }
    for flag in ["state", "state-out", "backup"] {
        if call::values(words, flag).next().is_some() {
            return Target::Unclear(format!("-{flag} names a file"));
        }
    }
    let (kind, settings, workspace) = match configured(seen) {
        Ok(configured) => configured,
        Err(target) => return target,
    };
    if kind != "s3" {
        return Target::Other(format!("a state in the backend `{kind}`"));
    }
    Remote {
        settings,
        workspace,
        call,
    }
    .target(ours)
}

type Settings = serde_json::Map<String, serde_json::Value>;

/// The backend that a call works with, its settings, and the workspace.
fn configured(seen: &CallContext) -> Result<(&str, &Settings, &str), Target> {
    let workspace = match &seen.workspace {
        Ok(workspace) => workspace,
        Err(why) => return Err(Target::Unclear(why.to_string())),
    };
    let (kind, settings) = match &seen.plan {
        Plan::Unclear(why) => return Err(Target::Unclear(why.to_string())),
        Plan::Of(saved) if saved.workspace != *workspace => {
            return Err(Target::Unclear(format!(
                "the saved plan is for workspace `{}`, and `{workspace}` is selected",
                saved.workspace
            )));
        }
        Plan::Of(saved) => (&saved.kind, &saved.settings),
        Plan::None => match &seen.initialised {
            Err(why) => return Err(Target::Unclear(why.to_string())),
            Ok(None) => {
                let description = format!("a state in {}", seen.folder.display());
                return Err(Target::Other(description));
            }
            Ok(Some(Configured { kind, settings })) => (kind, settings),
        },
    };
    Ok((kind, settings, workspace))
}

/// A state in S3, by the settings of its backend.
struct Remote<'a> {
    settings: &'a Settings,
    workspace: &'a str,
    call: &'a Call,
}

impl Remote<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.settings
            .get(name)?
            .as_str()
            .filter(|it| !it.is_empty())
    }

    fn is_set(&self, name: &str) -> bool {
        match self.settings.get(name) {
            None | Some(serde_json::Value::Null) => false,
            Some(serde_json::Value::String(text)) => !text.is_empty(),
            Some(serde_json::Value::Array(list)) => !list.is_empty(),
            Some(serde_json::Value::Object(parts)) => parts.values().any(|part| !part.is_null()),
            Some(_) => true,
        }
    }

    /// The object's key: another one for each workspace.
    fn key(&self) -> Option<String> {
        let key = self.text("key")?;
        if self.workspace == "default" {
            return Some(key.to_owned());
        }
        let prefix = self.text("workspace_key_prefix").unwrap_or(key::PREFIX);
        Some(key::of_workspace(prefix, self.workspace, key))
    }

    fn target(&self, ours: &Ours) -> Target {
        let (Some(bucket), Some(key)) = (self.text("bucket"), self.key()) else {
            return Target::Unclear("its backend names no bucket and key".to_owned());
        };
        let backend = &ours.backend;
        let locked = self.is_set("dynamodb_table") || self.uses_file();
        if (bucket, key.as_str()) != (&backend.bucket, &backend.object_key()) {
            let description = match self.workspace {
                "default" => format!("s3://{bucket}/{key}"),
                workspace => format!("s3://{bucket}/{key} of workspace `{workspace}`"),
            };
            return if locked {
                Target::Other(description)
            } else {
                Target::Unprotected(description)
            };
        }
        match self.other_than_ours(ours, locked) {
            Some(why) => Target::WrongLock(why),
            None => Target::Held,
        }
    }

    fn uses_file(&self) -> bool {
        match self.settings.get("use_lockfile") {
            Some(serde_json::Value::Bool(on)) => *on,
            Some(serde_json::Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// Why the lock that Terraform would take is not the one that is held.
    fn other_than_ours(&self, ours: &Ours, locked: bool) -> Option<String> {
        let backend = &ours.backend;
        let differs = |name: &str, found: &str, wanted: &str| {
            (found != wanted).then(|| format!("{name} is `{found}`, and the step's is `{wanted}`"))
        };
        if !locked {
            return Some("its backend sets neither use_lockfile nor dynamodb_table".to_owned());
        }
        if self.uses_file() && !backend.locking.uses_file() {
            return Some("its backend sets use_lockfile, and the step holds the lock in the table alone (--locking both)".to_owned());
        }
        let variable = |name: &str| self.call.variables.get(name).map(String::as_str);
        let region = self
            .text("region")
            .or_else(|| variable("AWS_REGION"))
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .unwrap_or_default();
        if let Some(why) = differs("region", region, backend.region.as_str()) {
            return Some(why);
        }
        for name in ["endpoint", "endpoints", "dynamodb_endpoint"] {
            if self.is_set(name) {
                return Some(format!("its backend sets {name}"));
            }
        }
        if let Some(name) = self.changed(ours, is_endpoint) {
            return Some(format!("{name} is not as the step gave it to the command"));
        }
        let table = self.text("dynamodb_table")?;
        // A table is known by its name only within its account.
        if let Some(why) = differs("dynamodb_table", table, &backend.table) {
            return Some(why);
        }
        if let Some(name) = self.changed(ours, |name| !is_endpoint(name)) {
            return Some(format!(
                "{name} is not as the step gave it to the command, and so the lock table may be another account's"
            ));
        }
        for name in [
            "access_key",
            "profile",
            "shared_credentials_file",
            "shared_credentials_files",
            "shared_config_files",
            "assume_role_with_web_identity",
        ] {
            if self.is_set(name) {
                return Some(format!(
                    "its backend sets {name}, and so the lock table may be another account's"
                ));
            }
        }
        let role = self
            .text("role_arn")
            .or_else(|| self.settings.get("assume_role")?.get("role_arn")?.as_str());
        match role {
            Some(role) => {
                let role: Option<Arn> = role.parse().ok();
                let account = role.as_ref().and_then(|role| role.account.as_ref());
                let account = account.map_or("", AccountId::as_str);
                differs("the account of its role", account, ours.account.as_str())
            }
            None if ours.caller != ours.account => Some(format!(
                "its backend assumes no role, and the lock table is in account {}",
                ours.account
            )),
            None => None,
        }
    }

    /// A variable that is not as the command was given it.
    fn changed(&self, ours: &Ours, among: impl Fn(&str) -> bool) -> Option<String> {
        let now = self.call.variables.iter();
        let names = now.chain(&ours.variables).map(|(name, _)| name);
        names
            .filter(|name| is_identity(name) && among(name))
            .find(|name| self.call.variables.get(*name) != ours.variables.get(*name))
            .cloned()
    }
}
