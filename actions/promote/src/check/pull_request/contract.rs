//! What a pull request makes of the contract that judges. Pure.

use github::Content;
use kit::contract::Judged;
use kit::error::Result;
use serde_json::{Map, Value};

/// The longest value that is shown.
const SHOWN: usize = 40;

/// What a pull request makes of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ContractChange {
    /// The file is as it was.
    Unchanged,
    /// The file is another one, and what the environment is judged by differs in this.
    Changed(Vec<String>),
    /// The file is gone.
    Removed,
    /// Nobody could be judged by what the file says.
    Wrong(String),
}

impl ContractChange {
    /// Compares the contract where the pull request began with that of its head; `read` reads a contract's text.
    pub(super) fn between(
        before: &Content,
        after: &Content,
        read: impl Fn(&str) -> Result<Judged>,
    ) -> Self {
        if before.oid() == after.oid() {
            return Self::Unchanged;
        }
        let after = match after {
            Content::Absent => return Self::Removed,
            Content::Opaque(_) => return Self::Wrong("it is not text".to_owned()),
            Content::Text { text, .. } => match read(text) {
                Ok(judged) => parts(&judged),
                Err(error) => return Self::Wrong(error.message),
            },
        };
        // One that nobody could be judged by judged nobody, so all of the new one is new.
        let before = match before {
            Content::Text { text, .. } => read(text).map(|judged| parts(&judged)),
            Content::Absent | Content::Opaque(_) => Ok(Map::new()),
        };
        Self::Changed(differences(&before.unwrap_or_default(), &after))
    }

    /// Whether what the environment is judged by is another one.
    pub(super) fn is_about_the_gate(&self) -> bool {
        match self {
            Self::Unchanged => false,
            Self::Changed(parts) => !parts.is_empty(),
            Self::Removed | Self::Wrong(_) => true,
        }
    }
}

/// What a contract judges an environment by, by the names that it has there.
fn parts(judged: &Judged) -> Map<String, Value> {
    let Ok(Value::Object(all)) = serde_json::to_value(judged) else {
        return Map::new();
    };
    let mut found = Map::new();
    for (name, value) in all {
        match (name.as_str(), value) {
            ("gate" | "build", Value::Object(inner)) => {
                for (key, value) in inner {
                    found.insert(format!("{name}.{}", key.replace('_', "-")), value);
                }
            }
            (_, value) => {
                found.insert(name, value);
            }
        }
    }
    found
}

/// The parts that differ, each with its values if these are short.
fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let nothing = Value::Null;
    let differs = names.into_iter().filter_map(|name| {
        let of = |all: &'_ Map<String, Value>| all.get(name).unwrap_or(&nothing).clone();
        let (old, new) = (of(before), of(after));
        (old != new).then(|| {
            let (old, new) = (shown(&old), shown(&new));
            match old.len().max(new.len()) > SHOWN {
                true => name.clone(),
                false => format!("{name} from {old} to {new}"),
            }
        })
    });
    differs.collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}
