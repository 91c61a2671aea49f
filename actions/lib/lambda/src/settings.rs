//! The settings that a version was published with, and how two versions differ in them. Pure.

use crate::types::Configuration;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Members of a configuration that are not settings: they tell what Lambda made of them, or name the version.
const NOT_SETTINGS: [&str; 8] = [
    "CodeSize",
    "ConfigSha256",
    "FunctionName",
    "LastModified",
    "MasterArn",
    "RuntimeVersionConfig",
    "SigningJobArn",
    "SigningProfileVersionArn",
];

/// A setting that differs between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name; a variable's is `Environment.NAME`.
    pub name: String,
    /// Its values, before and after; nothing for variables, which may hold a secret.
    pub values: Option<(Option<String>, Option<String>)>,
}

impl Change {
    /// The difference in one line.
    pub fn line(&self) -> String {
        let name = &self.name;
        match &self.values {
            None => format!("{name}: changed"),
            Some((Some(before), Some(after))) => format!("{name}: {before} → {after}"),
            Some((None, Some(after))) => format!("{name}: added, {after}"),
            Some((Some(before), None)) => format!("{name}: removed, {before}"),
            Some((None, None)) => format!("{name}: no difference"),
        }
    }
}

/// The settings by which `after` differs from `before`.
pub fn changes(before: &Configuration, after: &Configuration) -> Vec<Change> {
    let (before, after) = (settings(before), settings(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name));
    differ
        .map(|name| {
            let value = |all: &BTreeMap<String, Value>| all.get(name).map(Value::to_string);
            Change {
                values: (!name.starts_with("Environment."))
                    .then(|| (value(&before), value(&after))),
                name: name.clone(),
            }
        })
        .collect()
}

fn settings(configuration: &Configuration) -> BTreeMap<String, Value> {
    let mut settings = BTreeMap::new();
    for (name, value) in &configuration.others {
        match (name.as_str(), value) {
            (name, _) if NOT_SETTINGS.contains(&name) => {}
            (_, Value::Null) => {}
            ("Environment", value) => {
                for (name, value) in value["Variables"].as_object().into_iter().flatten() {
                    settings.insert(format!("Environment.{name}"), value.clone());
                }
            }
            // Only a published version is optimized.
            ("SnapStart", value) => {
                settings.insert(name.clone(), value["ApplyOn"].clone());
            }
            _ => {
                settings.insert(name.clone(), value.clone());
            }
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_compared_and_the_values_of_variables_are_not_shown() {
        let read = |value: Value| -> Configuration { serde_json::from_value(value).unwrap() };
        let before = read(json!({
            "Version": "1", "RevisionId": "a", "LastModified": "x", "MemorySize": 128, "KMSKeyArn": "k", "Layers": null,
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "Environment": {"Variables": {"URL": "https://user:hunter2@db", "SAME": "1"}},
        }));
        let after = read(json!({
            "Version": "$LATEST", "RevisionId": "b", "LastModified": "y", "MemorySize": 256, "Timeout": 9,
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "On"},
            "Environment": {"Variables": {"URL": "https://user:hunter3@db", "SAME": "1", "NEW": "hunter4"}},
        }));
        let lines: Vec<String> = changes(&before, &after).iter().map(Change::line).collect();
        let wanted = [
            "Environment.NEW: changed",
            "Environment.URL: changed",
            "KMSKeyArn: removed, \"k\"",
            "MemorySize: 128 → 256",
            "Timeout: added, 9",
        ];
        assert_eq!(lines, wanted);
        assert!(changes(&before, &before).is_empty());
    }
}
