//! The JSON Schema of the contract, for editors, from the declared types.

use super::declared::Declared;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};

/// The address at which editors find the schema.
pub const SCHEMA_URL: &str =
    "https://raw.githubusercontent.com/slipway-delivery/slipway/main/docs/delivery.schema.json";

/// The JSON Schema (draft 2020-12) of a contract.
pub fn schema() -> serde_json::Value {
    let mut schema = SchemaSettings::draft2020_12()
        .with_transform(NeverNull)
        .into_generator()
        .into_root_schema_for::<Declared>();
    schema.insert("$id".to_owned(), SCHEMA_URL.into());
    schema.to_value()
}

/// A key that is optional may be left out, but may not hold nothing, as schemars has it for
/// every `Option`.
#[derive(Debug, Clone)]
struct NeverNull;

impl Transform for NeverNull {
    fn transform(&mut self, schema: &mut Schema) {
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        if let Some(serde_json::Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(serde_json::Value::Array(choices)) = object.get_mut("anyOf") {
            choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
            if let [serde_json::Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
        }
        transform_subschemas(self, schema);
    }
}

#[cfg(test)]
mod tests;
