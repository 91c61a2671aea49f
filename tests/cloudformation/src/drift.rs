//! Pure: how a resource differs from what its template says.
//! Source: AWS CloudFormation User Guide, "Detect unmanaged configuration changes to stacks and resources with drift
//! detection": properties that the template does not set are not compared.

use serde_json::{Map, Value, json};

use crate::handlers::Actual;
use crate::template::parameters::text;

/// A resource's drift status, with the members of its description that depend on it.
pub(crate) fn compared(expected: &Map<String, Value>, actual: &Actual) -> (&'static str, Value) {
    let actual = match actual {
        Actual::Unseen => return ("NOT_CHECKED", json!({})),
        Actual::Gone => {
            let expected = Value::Object(expected.clone()).to_string();
            return ("DELETED", json!({"ExpectedProperties": expected}));
        }
        Actual::There(actual) => actual,
    };
    let mut wanted = Map::new();
    let mut found = Map::new();
    let mut differences = Vec::new();
    for (name, value) in expected {
        let Some(seen) = actual.get(name) else {
            continue;
        };
        wanted.insert(name.clone(), value.clone());
        found.insert(name.clone(), seen.clone());
        if !same(value, seen) {
            differences.push(json!({
                "PropertyPath": format!("/{name}"),
                "ExpectedValue": text(value),
                "ActualValue": text(seen),
                "DifferenceType": "NOT_EQUAL",
            }));
        }
    }
    let status = if differences.is_empty() {
        "IN_SYNC"
    } else {
        "MODIFIED"
    };
    let members = json!({
        "ExpectedProperties": Value::Object(wanted).to_string(),
        "ActualProperties": Value::Object(found).to_string(),
        "PropertyDifferences": differences,
    });
    (status, members)
}

/// Returns true if two values are the same to the service: a number and its text are, and objects in whichever order.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let within = |(name, value): (&String, &Value)| {
                other.get(name).is_some_and(|other| same(value, other))
            };
            one.len() == other.len() && one.iter().all(within)
        }
        _ => text(one) == text(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_template_sets_is_compared() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let expected = map(json!({"DelaySeconds": 5, "QueueName": "q"}));
        for (actual, status, differences) in [
            (
                Actual::There(map(json!({"DelaySeconds": "5", "VisibilityTimeout": "30"}))),
                "IN_SYNC",
                0,
            ),
            (
                Actual::There(map(json!({"DelaySeconds": "6"}))),
                "MODIFIED",
                1,
            ),
            (Actual::Gone, "DELETED", 0),
            (Actual::Unseen, "NOT_CHECKED", 0),
        ] {
            let (found, members) = compared(&expected, &actual);
            assert_eq!(found, status);
            let listed = members["PropertyDifferences"]
                .as_array()
                .map_or(0, Vec::len);
            assert_eq!(listed, differences, "{members}");
        }
    }
}
