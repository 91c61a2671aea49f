//! The surroundings of a call in the file system: the backend its folder was initialized with,
//! the selected workspace, the state that a saved plan is for, and the backend block.

use super::call::{self, Call, Kind};
use super::saved::{self, Saved};
use super::unseen::Unseen;
use crate::block::{self, Declared, Setting};
use crate::dependencies::{self, Dependencies};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// A backend with all that it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Configured {
    /// `s3`, `local`, …
    pub(crate) kind: String,
    pub(crate) settings: Map<String, Value>,
}

/// The saved plan that a call applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Plan {
    /// None is named.
    None,
    Of(Saved),
    /// A file that cannot be read as a plan.
    Unclear(Unseen),
}

/// The surroundings of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CallContext {
    /// The folder that the call works in.
    pub(crate) folder: PathBuf,
    /// The folder in which Terraform keeps what `init` decided.
    pub(crate) data: PathBuf,
    /// The backend of the last `init`, `None` before the first; or why it cannot be read.
    pub(crate) initialised: Result<Option<Configured>, Unseen>,
    pub(crate) workspace: Result<String, Unseen>,
    pub(crate) plan: Plan,
    /// The code's own backend, for `init`.
    pub(crate) declared: Option<Result<Declared, Unseen>>,
    /// The settings of the files that `-backend-config` names, for `init`.
    pub(crate) given: Result<BTreeMap<String, Setting>, Unseen>,
    /// The providers and modules that the code uses, for `init` and for calls that use them.
    pub(crate) dependencies: Option<Result<Dependencies, Unseen>>,
}

impl CallContext {
    /// Looks around a call that was made in `directory`.
    pub(crate) fn around(call: &Call, directory: &Path, tofu: bool) -> Self {
        let folder = match call.chdir() {
            Some(chdir) => directory.join(chdir),
            None => directory.to_owned(),
        };
        let folder = std::fs::canonicalize(&folder).unwrap_or(folder);
        let variable = |name: &str| {
            let value = call.variables.get(name).map(String::as_str);
            value.filter(|value| !value.is_empty())
        };
        let data = folder.join(variable("TF_DATA_DIR").unwrap_or(".terraform"));
        let words = call.words().unwrap_or_default();
        let init = call.kind() == Kind::Init;
        Self {
            initialised: initialised(&data.join("terraform.tfstate")),
            workspace: match variable("TF_WORKSPACE") {
                Some(name) => Ok(name.to_owned()),
                None => selected(&data.join("environment")),
            },
            plan: match Call::operand(&words) {
                Some(operand) if call.subcommand() == "apply" => plan(&folder.join(operand)),
                _ => Plan::None,
            },
            declared: init.then(|| {
                block::declared(&folder, tofu).map_err(|error| Unseen::Code(error.line()))
            }),
            given: if init {
                given(&folder, &words)
            } else {
                Ok(BTreeMap::new())
            },
            dependencies: match (init, call.uses_installed()) {
                (true, _) => Some(dependencies::declared(&folder, tofu).map_err(Unseen::from)),
                (false, true) => {
                    Some(dependencies::installed(&folder, &data, tofu).map_err(Unseen::from))
                }
                (false, false) => None,
            },
            data,
            folder,
        }
    }
}

/// The backend that Terraform recorded at the last `init` (terraform `internal/command/meta_backend.go`).
fn initialised(file: &Path) -> Result<Option<Configured>, Unseen> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Unseen::file(file, error)),
    };
    let mut state: Value = match serde_json::from_slice(&text) {
        Ok(state) => state,
        Err(error) => return Err(Unseen::file(file, error)),
    };
    let kind = state["backend"]["type"].as_str().map(str::to_owned);
    match (kind, state["backend"]["config"].take()) {
        (Some(kind), Value::Object(settings)) => Ok(Some(Configured { kind, settings })),
        (Some(kind), Value::Null) => Ok(Some(Configured {
            kind,
            settings: Map::new(),
        })),
        // A backend that was taken away again.
        (None, _) => Ok(None),
        (Some(_), _) => Err(Unseen::BackendWithoutSettings { path: file.into() }),
    }
}

/// The workspace that `workspace select` wrote down (terraform `internal/command/meta.go`).
pub(crate) fn selected(file: &Path) -> Result<String, Unseen> {
    let name = match std::fs::read_to_string(file) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Unseen::file(file, error)),
    };
    Ok(if name.is_empty() {
        "default".to_owned()
    } else {
        name
    })
}

fn plan(path: &Path) -> Plan {
    let mut bytes = Vec::new();
    match std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => match saved::read(&bytes) {
            Some(saved) => Plan::Of(saved),
            None => Plan::Unclear(Unseen::NotAPlan { path: path.into() }),
        },
        Err(error) => Plan::Unclear(Unseen::file(path, error)),
    }
}

/// The settings that the words give, the last of a name counting.
fn given(folder: &Path, words: &[String]) -> Result<BTreeMap<String, Setting>, Unseen> {
    let mut found = BTreeMap::new();
    for item in call::values(words, "backend-config") {
        match item.split_once('=') {
            // Forgets all that was given before.
            None if item.is_empty() => found.clear(),
            Some((name, value)) => {
                let value = block::Value::Literal(value.to_owned());
                found.insert(name.trim().to_owned(), Setting { value, line: 0 });
            }
            None => {
                let file =
                    block::file(&folder.join(item)).map_err(|error| Unseen::Code(error.line()))?;
                found.extend(file);
            }
        }
    }
    Ok(found)
}
