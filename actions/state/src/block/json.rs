//! Backend blocks and settings in Terraform's JSON syntax. Pure.

use super::{Block, Setting, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// The backend blocks of a file in JSON, each level of which may be a list.
pub(super) fn blocks(text: &str, path: &Path) -> Vec<Block> {
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let mut found = Vec::new();
    for terraform in each(&json["terraform"]) {
        if !terraform["cloud"].is_null() {
            found.push(Block {
                kind: "cloud".to_owned(),
                file: path.to_owned(),
                settings: BTreeMap::new(),
            });
        }
        for backend in each(&terraform["backend"]) {
            for (kind, bodies) in backend.as_object().into_iter().flatten() {
                let settings = each(bodies)
                    .next()
                    .map(|body| settings(body, text))
                    .unwrap_or_default();
                found.push(Block {
                    kind: kind.clone(),
                    file: path.to_owned(),
                    settings,
                });
            }
        }
    }
    found
}

pub(crate) fn each(value: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    let (list, one) = match value {
        serde_json::Value::Array(list) => (list.as_slice(), None),
        serde_json::Value::Null => (&[][..], None),
        one => (&[][..], Some(one)),
    };
    list.iter().chain(one)
}

pub(super) fn settings(body: &serde_json::Value, text: &str) -> BTreeMap<String, Setting> {
    let line = |name: &str| {
        let begin = text.find("\"backend\"").unwrap_or_default();
        let at = text[begin..]
            .find(&format!("\"{name}\""))
            .unwrap_or_default();
        1 + text[..begin + at].matches('\n').count()
    };
    let settings = body.as_object().into_iter().flatten();
    settings
        .map(|(name, value)| {
            let value = match value {
                serde_json::Value::Null => Value::Null,
                serde_json::Value::String(text) if text.contains("${") || text.contains("%{") => {
                    Value::Expression
                }
                serde_json::Value::String(text) => Value::Literal(text.clone()),
                serde_json::Value::Array(_) | serde_json::Value::Object(_) => Value::Expression,
                other => Value::Literal(other.to_string()),
            };
            let line = line(name);
            (name.clone(), Setting { value, line })
        })
        .collect()
}
