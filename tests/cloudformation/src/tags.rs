//! Pure: a stack's tags on its resources.

use serde_json::{Map, Value, json};

use crate::schema::Schema;

/// The properties with the stack's tags among the resource's own, which win. The order is that of AWS: the resource's first.
/// Source: AWS CloudFormation User Guide, "Resource tag": the tags of a stack are put on every resource that can have tags.
pub(crate) fn with(
    schema: &Schema,
    mut properties: Map<String, Value>,
    stack: &[(String, String)],
) -> Map<String, Value> {
    let Some(name) = schema.tag_property() else {
        return properties;
    };
    if stack.is_empty() {
        return properties;
    }
    let by_key = schema.tags_by_key();
    let tags = properties.entry(name).or_insert_with(|| match by_key {
        true => json!({}),
        false => json!([]),
    });
    for (key, value) in stack {
        match tags {
            Value::Object(own) if !own.contains_key(key) => {
                own.insert(key.clone(), Value::from(value.clone()));
            }
            Value::Array(own) if !own.iter().any(|tag| tag["Key"] == key.as_str()) => {
                own.push(json!({"Key": key, "Value": value}));
            }
            _ => {}
        }
    }
    properties
}

/// The pairs of a resource's tags, whichever form the type has.
pub(crate) fn pairs(tags: Option<&Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match tags {
        Some(Value::Array(listed)) => listed
            .iter()
            .map(|tag| (text(&tag["Key"]), text(&tag["Value"])))
            .collect(),
        Some(Value::Object(own)) => own
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect(),
        _ => Vec::new(),
    }
}

/// A resource's tags as the object of keys and values that most services take.
pub(crate) fn mapped(tags: Option<&Value>) -> Value {
    let pairs = pairs(tags).into_iter();
    Value::Object(pairs.map(|(key, value)| (key, value.into())).collect())
}

/// The keys that the first tags have and the second do not.
pub(crate) fn gone(old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
    let new = pairs(new);
    let old = pairs(old).into_iter().map(|(key, _)| key);
    old.filter(|key| !new.iter().any(|(known, _)| known == key))
        .collect()
}
