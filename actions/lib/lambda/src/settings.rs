//! The settings that a version was published with, and how two versions differ in them. Pure.

use crate::types::Configuration;
use kit::error::{Error, Result};
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

/// The settings whose values can be shown: numbers, names and references. Everything else, a variable, a command or a text that
/// somebody wrote, may hold a secret.
const SHOWN: [&str; 14] = [
    "Architectures",
    "DeadLetterConfig",
    "EphemeralStorage",
    "FileSystemConfigs",
    "KMSKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "SnapStart",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
];

/// A setting that differs between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name; a variable's is `Environment.NAME`.
    pub name: String,
    /// Its values, before and after; nothing where they may hold a secret.
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
///
/// # Errors
/// Lambda could not read one of them, so nobody knows whether it differs (exit 3).
pub fn changes(before: &Configuration, after: &Configuration) -> Result<Vec<Change>> {
    let (before, after) = (readable(before)?, readable(after)?);
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name));
    let differ = differ.map(|name| {
        let value = |all: &BTreeMap<String, Value>| all.get(name).map(Value::to_string);
        Change {
            values: SHOWN
                .contains(&name.as_str())
                .then(|| (value(&before), value(&after))),
            name: name.clone(),
        }
    });
    Ok(differ.collect())
}

/// The settings, unless Lambda answers with an error in the place of one. It does so for the variables where the caller may not
/// decrypt with the function's key, and for the image's configuration (AWS Lambda API Reference, "EnvironmentError" and
/// "ImageConfigError"). Their messages are marked as sensitive there, so only the code is repeated.
fn readable(configuration: &Configuration) -> Result<BTreeMap<String, Value>> {
    let members = configuration.others.iter();
    let mut unread = members.filter(|(name, value)| {
        !NOT_SETTINGS.contains(&name.as_str()) && !value["Error"].is_null()
    });
    let Some((name, value)) = unread.next() else {
        return Ok(settings(configuration));
    };
    let code = value["Error"]["ErrorCode"].as_str().unwrap_or("no code");
    let key = match configuration
        .others
        .get("KMSKeyArn")
        .and_then(Value::as_str)
    {
        Some(key) => format!("its key, {key}"),
        None => "its key".to_owned(),
    };
    Err(Error::refused(format!(
        "Lambda could not read the setting {name} of version {}, so whether it changed is unknown",
        configuration.version
    ))
    .cause(format!("its answer has {code} in the place of the values"))
    .hint(format!(
        "if the function's variables are encrypted with a key of your own, the role needs kms:Decrypt on {key}"
    )))
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
    use kit::Exit;
    use serde_json::json;

    fn lines(before: &Configuration, after: &Configuration) -> Vec<String> {
        let changes = changes(before, after).unwrap();
        changes.iter().map(Change::line).collect()
    }

    #[test]
    fn a_setting_that_lambda_could_not_read_is_unknown() {
        let read = |value: Value| -> Configuration { serde_json::from_value(value).unwrap() };
        let unread = |name: &str| {
            read(json!({"Version": "2", name: {"Error": {"ErrorCode": "AccessDeniedException"}}}))
        };
        let known = read(json!({"Version": "1"}));
        for name in ["Environment", "ImageConfigResponse"] {
            for (before, after) in [(&known, &unread(name)), (&unread(name), &unread(name))] {
                let error = changes(before, after).unwrap_err();
                assert_eq!(error.exit(), Exit::Refused);
                assert!(error.message.contains(name), "{error}");
            }
        }
        let runtime = json!({"RuntimeVersionConfig": {"Error": {"ErrorCode": "x"}}});
        assert!(lines(&known, &read(runtime)).is_empty());
    }

    #[test]
    fn only_values_that_hold_no_secret_are_shown() {
        let read = |value: Value| -> Configuration { serde_json::from_value(value).unwrap() };
        let before = read(json!({"Description": "hunter1", "Timeout": 3}));
        let after = read(json!({
            "Description": "hunter2", "Timeout": 9, "Unknown": {"Token": "hunter3"},
            "ImageConfigResponse": {"ImageConfig": {"Command": ["--password", "hunter4"]}},
        }));
        assert_eq!(
            lines(&before, &after),
            [
                "Description: changed",
                "ImageConfigResponse: changed",
                "Timeout: 3 → 9",
                "Unknown: changed",
            ]
        );
    }

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
        let wanted = [
            "Environment.NEW: changed",
            "Environment.URL: changed",
            "KMSKeyArn: removed, \"k\"",
            "MemorySize: 128 → 256",
            "Timeout: added, 9",
        ];
        assert_eq!(lines(&before, &after), wanted);
        assert!(lines(&before, &before).is_empty());
    }
}
