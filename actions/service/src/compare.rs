//! The differences between two task definitions, member by member. Lists that ECS keeps as a set or by name are compared
//! that way, since the order of its answer means nothing.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Lists whose entries are known by one of their members, by the list's name (ECS API Reference,
/// `ContainerDefinition` and `TaskDefinition`). Lists that are not here keep their order: a command's arguments,
/// `dnsServers` and `environmentFiles` are read from first to last.
const KEYED: &[(&str, &str)] = &[
    ("containerDefinitions", "name"),
    ("dependsOn", "containerName"),
    ("devices", "hostPath"),
    ("environment", "name"),
    ("extraHosts", "hostname"),
    ("inferenceAccelerators", "deviceName"),
    ("mountPoints", "containerPath"),
    ("portMappings", "containerPort"),
    ("properties", "name"),
    ("resourceRequirements", "type"),
    ("secretOptions", "name"),
    ("secrets", "name"),
    ("systemControls", "namespace"),
    ("tags", "key"),
    ("tmpfs", "containerPath"),
    ("ulimits", "name"),
    ("volumes", "name"),
    ("volumesFrom", "sourceContainer"),
];

/// Lists of which only the entries count.
const SETS: &[&str] = &[
    "add",
    "dockerSecurityOptions",
    "drop",
    "links",
    "mountOptions",
    "permissions",
    "placementConstraints",
    "requiresCompatibilities",
];

/// Members whose text can be shown: names and references, which hold no values of the service. Everything else, an
/// environment variable, a command, a label or a log driver's options, may hold a secret.
const SHOWN: &[&str] = &[
    "condition",
    "containerPath",
    "cpu",
    "cpuArchitecture",
    "credentialsParameter",
    "executionRoleArn",
    "fileSystemId",
    "image",
    "ipcMode",
    "logDriver",
    "memory",
    "mode",
    "networkMode",
    "operatingSystemFamily",
    "pidMode",
    "protocol",
    "sourceVolume",
    "taskRoleArn",
    "user",
    "valueFrom",
];

/// One member that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Where, e.g. `containerDefinitions[web].environment[LOG_LEVEL].value`.
    pub(crate) path: String,
    before: Side,
    after: Side,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Side {
    Absent,
    /// There, and not to be shown.
    Withheld,
    Shown(String),
}

impl Difference {
    /// The difference as one line.
    pub(crate) fn line(&self) -> String {
        let path = &self.path;
        match (&self.before, &self.after) {
            (Side::Absent, Side::Shown(after)) => format!("{path}: added, {after}"),
            (Side::Absent, _) => format!("{path}: added"),
            (Side::Shown(before), Side::Absent) => format!("{path}: removed, was {before}"),
            (_, Side::Absent) => format!("{path}: removed"),
            (Side::Shown(before), Side::Shown(after)) => format!("{path}: {before} → {after}"),
            (_, _) => format!("{path}: changed"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let side = |side: &Side| match side {
            Side::Shown(text) => Value::String(text.clone()),
            Side::Absent | Side::Withheld => Value::Null,
        };
        let change = match (&self.before, &self.after) {
            (Side::Absent, _) => "added",
            (_, Side::Absent) => "removed",
            _ => "changed",
        };
        serde_json::json!({
            "path": self.path, "change": change,
            "before": side(&self.before), "after": side(&self.after),
        })
    }
}

/// Where `after` is not what `before` is.
pub(crate) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", "", Some(before), Some(after), &mut found);
    found
}

fn compare(
    path: &str,
    member: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let none = Value::Array(Vec::new());
    // A list that is not there has no entries, so that each entry of the other is named.
    let listed = |value: Option<&Value>| {
        KEYED.iter().any(|(name, _)| *name == member) && matches!(value, Some(Value::Array(_)))
    };
    let (before, after) = match (present(before), present(after)) {
        (None, after) if listed(after) => (Some(&none), after),
        (before, None) if listed(before) => (before, Some(&none)),
        sides => sides,
    };
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                compare(&path, name, before.get(name), after.get(name), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            if let (Some(one), Some(other)) = (keyed(member, one), keyed(member, other)) {
                let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
                for key in keys {
                    let (one, other) = (one.get(key).copied(), other.get(key).copied());
                    compare(&format!("{path}[{key}]"), member, one, other, found);
                }
            } else if SETS.contains(&member) {
                if sorted(one) != sorted(other) {
                    found.push(difference(path, member, before, after));
                }
            } else if one.len() == other.len() {
                for (index, (one, other)) in one.iter().zip(other).enumerate() {
                    let path = format!("{path}[{index}]");
                    compare(&path, member, Some(one), Some(other), found);
                }
            } else {
                found.push(difference(path, member, before, after));
            }
        }
        (Some(Value::Number(one)), Some(Value::Number(other)))
            if one.as_f64() == other.as_f64() => {}
        _ if before == after => {}
        _ => found.push(difference(path, member, before, after)),
    }
}

/// Counts a member that is null or empty as absent: ECS returns some empty lists that were not sent.
fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    })
}

/// The entries by their key, unless one has none or two have the same.
fn keyed<'a>(member: &str, list: &'a [Value]) -> Option<BTreeMap<String, &'a Value>> {
    let (_, key) = KEYED.iter().find(|(name, _)| *name == member)?;
    let mut entries = BTreeMap::new();
    for entry in list {
        let name = match entry.get(key)? {
            Value::String(name) => name.clone(),
            // A port can be mapped twice, by TCP and by UDP.
            Value::Number(port) => match entry.get("protocol").and_then(Value::as_str) {
                Some(protocol) if protocol != "tcp" => format!("{port}/{protocol}"),
                _ => port.to_string(),
            },
            _ => return None,
        };
        if entries.insert(name, entry).is_some() {
            return None;
        }
    }
    Some(entries)
}

fn sorted(list: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = list.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

fn difference(
    path: &str,
    member: &str,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Difference {
    let side = |value: Option<&Value>| match value {
        None => Side::Absent,
        Some(Value::String(text)) if SHOWN.contains(&member) => Side::Shown(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Side::Shown(value.to_string()),
        // A secret is shown by what it refers to.
        Some(Value::Object(entry)) if matches!(member, "secrets" | "secretOptions") => entry
            .get("valueFrom")
            .and_then(Value::as_str)
            .map_or(Side::Withheld, |from| Side::Shown(from.to_owned())),
        Some(_) => Side::Withheld,
    };
    Difference {
        path: path.to_owned(),
        before: side(before),
        after: side(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(before: Value, after: Value) -> Vec<String> {
        let wrap = |container: Value| json!({"containerDefinitions": [container]});
        differences(&wrap(before), &wrap(after))
            .iter()
            .map(Difference::line)
            .collect()
    }

    #[test]
    fn lists_of_named_members_are_compared_regardless_of_order() {
        let before = json!({
            "name": "web",
            "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "secrets": [{"name": "S", "valueFrom": "s"}, {"name": "T", "valueFrom": "t"}],
            "ulimits": [{"name": "nofile", "softLimit": 1}, {"name": "core", "softLimit": 0}],
            "mountPoints": [{"containerPath": "/a"}, {"containerPath": "/b"}],
            "portMappings": [{"containerPort": 53, "protocol": "udp"}, {"containerPort": 53, "protocol": "tcp"}],
            "dependsOn": [{"containerName": "x", "condition": "START"}, {"containerName": "y", "condition": "START"}],
            "systemControls": [{"namespace": "n"}, {"namespace": "m"}],
            "extraHosts": [{"hostname": "h"}, {"hostname": "i"}],
            "dockerSecurityOptions": ["a", "b"],
            "linuxParameters": {"capabilities": {"add": ["X", "Y"], "drop": ["Z", "W"]}},
        });
        let mut after = before.clone();
        for (_, value) in after.as_object_mut().unwrap() {
            if let Some(list) = value.as_array_mut() {
                list.reverse();
            }
        }
        for name in ["add", "drop"] {
            after["linuxParameters"]["capabilities"][name]
                .as_array_mut()
                .unwrap()
                .reverse();
        }
        after["volumesFrom"] = json!([]);
        after["links"] = Value::Null;
        assert_ne!(before, after);
        assert_eq!(lines(before, after), [""; 0]);
    }

    #[test]
    fn ordered_lists_are_compared_in_order() {
        for name in ["command", "entryPoint", "dnsServers", "environmentFiles"] {
            let with = |list: Value| json!({"name": "web", name: list});
            let found = lines(with(json!(["a", "b"])), with(json!(["b", "a"])));
            assert_eq!(found.len(), 2, "{name}");
        }
        // The later of two variables of one name may win.
        let twice = |values: [&str; 2]| json!({"name": "web", "environment": values.map(|value| json!({"name": "A", "value": value}))});
        assert_eq!(lines(twice(["1", "2"]), twice(["2", "1"])).len(), 2);
        assert_eq!(lines(twice(["1", "2"]), twice(["1", "2"])), [""; 0]);
    }

    #[test]
    fn references_and_numbers_are_shown_and_values_are_not() {
        let before = json!({
            "name": "web", "memory": 512, "command": ["--token", "hunter2"],
            "environment": [{"name": "A", "value": "hunter2"}, {"name": "GONE", "value": "hunter2"}],
            "secrets": [{"name": "S", "valueFrom": "arn:a"}],
            "logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": "hunter2"}},
            "dockerLabels": {"x": "hunter2"}, "ulimits": [],
        });
        let after = json!({
            "name": "web", "memory": 1024, "command": ["--token", "hunter3"],
            "environment": [{"name": "A", "value": "hunter3"}, {"name": "NEW", "value": "hunter3"}],
            "secrets": [{"name": "S", "valueFrom": "arn:b"}, {"name": "T", "valueFrom": "arn:c"}],
            "logConfiguration": {"logDriver": "awslogs", "options": {"splunk-token": "hunter3"}},
            "dockerLabels": {"x": "hunter3"},
            "ulimits": [{"name": "nofile", "softLimit": 1}], "mountPoints": [{"containerPath": "/a"}],
        });
        let lines = lines(before, after);
        assert!(!lines.join("\n").contains("hunter"), "{lines:?}");
        let at = |path: &str| format!("containerDefinitions[web].{path}");
        assert_eq!(
            lines,
            [
                at("command[1]: changed"),
                at("dockerLabels.x: changed"),
                at("environment[A].value: changed"),
                at("environment[GONE]: removed"),
                at("environment[NEW]: added"),
                at("logConfiguration.logDriver: splunk → awslogs"),
                at("logConfiguration.options.splunk-token: changed"),
                at("memory: 512 → 1024"),
                at("mountPoints[/a]: added"),
                at("secrets[S].valueFrom: arn:a → arn:b"),
                at("secrets[T]: added, arn:c"),
                at("ulimits[nofile]: added"),
            ]
        );
    }
}
