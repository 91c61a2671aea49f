//! The changes that a pull request makes to the contract that judges. Pure.

use github::Content;
use kit::contract::Contract;
use kit::error::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The longest value that is shown.
const SHOWN: usize = 40;

/// The change that a pull request makes to the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ContractChange {
    /// The file is as it was.
    Unchanged,
    /// The file is another one.
    Changed {
        /// The names of the changed values by which the environment is judged, with the values if these are short.
        judged: Vec<String>,
        /// The names of the other values that differ.
        others: Vec<String>,
    },
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
        environment: &str,
        read: impl Fn(&str) -> Result<Contract>,
    ) -> Self {
        if before.oid() == after.oid() {
            return Self::Unchanged;
        }
        let after = match after {
            Content::Absent => return Self::Removed,
            Content::Opaque(_) => return Self::Wrong("it is not text".to_owned()),
            Content::Text { text, .. } => match read(text) {
                Ok(contract) => contract,
                Err(error) => return Self::Wrong(error.message),
            },
        };
        // One that nobody could be judged by judged nobody, so all of the new one is new.
        let before = match before {
            Content::Text { text, .. } => read(text).ok(),
            Content::Absent | Content::Opaque(_) => None,
        };
        let judged = match parts(&after, environment) {
            Ok(parts) => parts,
            Err(error) => return Self::Wrong(error.message),
        };
        let judged_before = before.as_ref().and_then(|it| parts(it, environment).ok());
        let judged_before = judged_before.unwrap_or_default();
        let names = differing(&judged_before, &judged);
        let said: Vec<String> = names.iter().map(|name| place(name, environment)).collect();
        let named = names.iter();
        let named = named.map(|name| difference(name, &judged_before, &judged));
        Self::Changed {
            judged: named.collect(),
            others: others(before.as_ref(), &after, &said),
        }
    }

    /// Returns true if the change concerns the rules by which the environment is judged.
    pub(super) fn is_about_the_gate(&self) -> bool {
        match self {
            Self::Unchanged => false,
            Self::Changed { judged, .. } => !judged.is_empty(),
            Self::Removed | Self::Wrong(_) => true,
        }
    }
}

/// The values of a contract by which it judges an environment, by their names there. A digest has to have been healthy in the environments
/// before it, so what these are belongs to it.
fn parts(contract: &Contract, environment: &str) -> Result<Map<String, Value>> {
    let judged = contract.judged(environment)?;
    let mut found = named(serde_json::to_value(&judged).unwrap_or_default());
    let mut follows = judged.follows;
    while let Some(before) = follows {
        let judged = contract.judged(&before)?;
        let own = json!({
            "account": judged.account,
            "follows": judged.follows,
            "gate": judged.gate,
            "infrastructure": judged.infrastructure,
        });
        let own = named(own).into_iter();
        found.extend(own.map(|(name, value)| (format!("environments.{before}.{name}"), value)));
        follows = judged.follows;
    }
    Ok(found)
}

/// Each part by its name, those of the gate and of `build` one by one.
fn named(all: Value) -> Map<String, Value> {
    let Value::Object(all) = all else {
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

/// The names of the parts that differ.
fn differing(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of = |all: &Map<String, Value>, name: &str| all.get(name).cloned().unwrap_or_default();
    let differs = names
        .into_iter()
        .filter(|name| of(before, name) != of(after, name));
    differs.cloned().collect()
}

/// A part that differs, with its values if these are short.
fn difference(name: &str, before: &Map<String, Value>, after: &Map<String, Value>) -> String {
    let of = |all: &Map<String, Value>| shown(all.get(name).unwrap_or(&Value::Null));
    let (old, new) = (of(before), of(after));
    match old.len().max(new.len()) > SHOWN {
        true => name.to_owned(),
        false => format!("{name} from {old} to {new}"),
    }
}

/// Where the contract says a part: those of the environment itself are named without it.
fn place(part: &str, environment: &str) -> String {
    let own = ["account", "follows"].contains(&part) || part.starts_with("gate.");
    match own {
        true => format!("environments.{environment}.{part}"),
        false => part.to_owned(),
    }
}

/// The names of the values that differ, as they are written, but for those in the places that are `said` already.
fn others(before: Option<&Contract>, after: &Contract, said: &[String]) -> Vec<String> {
    let (before, after) = (before.map(Contract::written), after.written());
    let before = before.unwrap_or_default();
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let within = |name: &str, place: &String| {
        let rest = name.strip_prefix(place.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let differs = names
        .into_iter()
        .filter(|&name| before.get(name) != after.get(name))
        .filter(|name| !said.iter().any(|place| within(name, place)));
    differs.cloned().collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}
