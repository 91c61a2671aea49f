//! Backend blocks and settings in Terraform's JSON syntax. Pure.

use super::{Block, Setting, Value};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
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

/// The first name that an object of the text has twice, which a reader of JSON does not show. Comments do
/// not count.
///
/// # Errors
/// It is not JSON.
pub(crate) fn twice(text: &str) -> Result<Option<String>, serde_json::Error> {
    let mut found = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    Names(&mut found).deserialize(&mut reader)?;
    Ok(found)
}

/// Looks at the names of all objects.
struct Names<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Names(self.0))?;
            if name != "//" && !names.insert(name.clone()) {
                self.0.get_or_insert(name);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Names(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
