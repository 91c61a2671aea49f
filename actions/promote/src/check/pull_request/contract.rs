//! What a pull request makes of the contract that judges. Pure.

use github::Content;
use kit::contract::Contract;
use kit::error::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The longest value that is shown.
const SHOWN: usize = 40;

/// What a pull request makes of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ContractChange {
    /// The file is as it was.
    Unchanged,
    /// What the environment is judged by differs in this.
    Changed(Vec<String>),
    /// The file is another one, and differs only in values that the environment is not judged by; these are their names.
    Elsewhere(Vec<String>),
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
        let changed = differences(&judged_before.unwrap_or_default(), &judged);
        match changed.is_empty() {
            true => Self::Elsewhere(others(before.as_ref(), &after)),
            false => Self::Changed(changed),
        }
    }

    /// Whether what the environment is judged by is another one.
    pub(super) fn is_about_the_gate(&self) -> bool {
        match self {
            Self::Unchanged | Self::Elsewhere(_) => false,
            Self::Changed(_) | Self::Removed | Self::Wrong(_) => true,
        }
    }
}

/// What a contract judges an environment by, by the names that it has there. A digest has to have been healthy in the environments before
/// it, so what these are belongs to it.
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

/// The names of the values that differ, as they are written.
fn others(before: Option<&Contract>, after: &Contract) -> Vec<String> {
    let (before, after) = (before.map(Contract::written), after.written());
    let before = before.unwrap_or_default();
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = names
        .into_iter()
        .filter(|&name| before.get(name) != after.get(name));
    differs.cloned().collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}
