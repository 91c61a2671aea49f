//! The schemas of resource types, as CloudFormation's registry publishes them and cfn-lint ships them: which properties
//! a type has, which of them replace it, and which it answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::template::parameters::text;
use crate::template::resolve::KNOWN_AFTER_APPLY;

/// Why the schemas could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A file is not there, or cannot be read.
    #[error("cannot read the resource schemas at {path}")]
    Read {
        /// Where it was looked for.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file is not JSON, or not of the form that is known.
    #[error("{path} is not a resource schema")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
    /// A type that has a handler has no schema.
    #[error("{path} has no {kind}")]
    Unknown {
        /// The list of types.
        path: PathBuf,
        /// The type.
        kind: String,
    },
}

/// The schemas of all types that have a handler, and the names of all others.
#[derive(Debug)]
pub(crate) struct Schemas {
    names: BTreeMap<String, Value>,
    schemas: BTreeMap<String, Schema>,
}

/// One type's schema.
#[derive(Debug)]
pub(crate) struct Schema(Value);

/// The degree to which a change of a property makes CloudFormation replace the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Recreation {
    Never,
    Conditionally,
    Always,
}

impl Recreation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Never => "Never",
            Self::Conditionally => "Conditionally",
            Self::Always => "Always",
        }
    }
}

/// A property that a type does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Such as `/Tags/0`, below the resource's properties.
    pub(crate) path: String,
    pub(crate) reason: String,
}

impl Schemas {
    /// Reads the list of types and the schemas of `kinds` below cfn-lint's folder `data/schemas`.
    pub(crate) fn load(folder: &Path, kinds: &[&str]) -> Result<Self, SchemaError> {
        // The types of a region that has all of them; the sandbox does not tell regions apart.
        let list = folder.join("providers/us-east-1.json");
        let names: BTreeMap<String, Value> = read(&list)?;
        let mut schemas = BTreeMap::new();
        for kind in kinds {
            let file =
                names
                    .get(*kind)
                    .and_then(Value::as_str)
                    .ok_or_else(|| SchemaError::Unknown {
                        path: list.clone(),
                        kind: (*kind).to_owned(),
                    })?;
            let path = folder.join(format!("resources/{file}.json"));
            schemas.insert((*kind).to_owned(), Schema(read(&path)?));
        }
        Ok(Self { names, schemas })
    }

    /// Schemas of a test.
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(schemas: [(&str, Value); N]) -> Self {
        let schemas = schemas.map(|(kind, schema)| (kind.to_owned(), Schema(schema)));
        Self {
            names: BTreeMap::new(),
            schemas: BTreeMap::from(schemas),
        }
    }

    /// Returns true if CloudFormation knows the type.
    pub(crate) fn knows(&self, kind: &str) -> bool {
        self.names.contains_key(kind)
    }

    /// The schema of a type that has a handler.
    pub(crate) fn get(&self, kind: &str) -> Option<&Schema> {
        self.schemas.get(kind)
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, SchemaError> {
    let bytes = std::fs::read(path).map_err(|source| SchemaError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| SchemaError::Parse {
        path: path.to_owned(),
        source,
    })
}

impl Schema {
    fn listed(&self, member: &str) -> impl Iterator<Item = &str> {
        let paths = self.0[member].as_array().into_iter().flatten();
        paths
            .filter_map(Value::as_str)
            .filter_map(|path| path.strip_prefix("/properties/"))
    }

    /// Returns true if the type has the property.
    pub(crate) fn has(&self, property: &str) -> bool {
        self.0["properties"].get(property).is_some()
    }

    /// The properties that identify the resource.
    pub(crate) fn identifiers(&self) -> Vec<&str> {
        self.listed("primaryIdentifier").collect()
    }

    /// Returns true if `Fn::GetAtt` may name the attribute. The part of a nested one is separated by a dot.
    pub(crate) fn answers(&self, attribute: &str) -> bool {
        let path = attribute.replace('.', "/");
        self.listed("readOnlyProperties").any(|one| one == path)
            || self.0["properties"].get(attribute).is_some()
    }

    /// The property that holds the type's tags, if it can be tagged.
    pub(crate) fn tag_property(&self) -> Option<&str> {
        let tagging = &self.0["tagging"];
        (tagging["taggable"] == true)
            .then(|| tagging["tagProperty"].as_str())
            .flatten()
            .and_then(|path| path.strip_prefix("/properties/"))
    }

    /// Returns true if the tags are a map from key to value, not a list of pairs.
    pub(crate) fn tags_by_key(&self) -> bool {
        self.tag_property()
            .is_some_and(|name| self.follow(&self.0["properties"][name])["type"] == "object")
    }

    /// The effect of changing a property from one value to another on the resource.
    pub(crate) fn recreation(&self, property: &str, old: &Value, new: &Value) -> Recreation {
        let meant = |member: &str| {
            self.listed(member).any(|path| match path.split_once('/') {
                None => path == property,
                Some((top, below)) if top == property => {
                    let below = format!("/{}", below.replace("/properties/", "/"));
                    old.pointer(&below) != new.pointer(&below)
                }
                Some(_) => false,
            })
        };
        if meant("createOnlyProperties") {
            Recreation::Always
        } else if meant("conditionalCreateOnlyProperties") {
            Recreation::Conditionally
        } else {
            Recreation::Never
        }
    }

    /// The properties with each scalar of the kind that the schema asks for, as CloudFormation converts them.
    pub(crate) fn normalized(&self, properties: Map<String, Value>) -> Map<String, Value> {
        match self.normal(&self.0, Value::Object(properties)) {
            Value::Object(properties) => properties,
            _ => Map::new(),
        }
    }

    fn normal(&self, shape: &Value, value: Value) -> Value {
        let shape = self.follow(shape);
        let kind = shape["type"].as_str().unwrap_or_default();
        match (kind, value) {
            ("integer", Value::String(given)) => match given.parse::<i64>() {
                Ok(number) => Value::from(number),
                Err(_) => Value::String(given),
            },
            ("number", Value::String(given)) => match given.parse::<f64>() {
                Ok(number) => Value::from(number),
                Err(_) => Value::String(given),
            },
            ("boolean", Value::String(given)) => match given.to_ascii_lowercase().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => Value::String(given),
            },
            ("string", given @ (Value::Number(_) | Value::Bool(_))) => Value::String(text(&given)),
            (_, Value::Array(items)) => {
                let item = &shape["items"];
                Value::Array(items.into_iter().map(|it| self.normal(item, it)).collect())
            }
            (_, Value::Object(members)) => Value::Object(
                members
                    .into_iter()
                    .map(|(name, member)| {
                        let member = self.normal(&shape["properties"][&name], member);
                        (name, member)
                    })
                    .collect(),
            ),
            (_, other) => other,
        }
    }

    /// Everything that the type does not allow in a resource's properties.
    pub(crate) fn faults(&self, properties: &Map<String, Value>) -> Vec<Fault> {
        let mut faults = Vec::new();
        for name in self.listed("readOnlyProperties") {
            if properties.contains_key(name) {
                faults.push(Fault {
                    path: String::new(),
                    reason: format!("Encountered unsupported properties: [{name}]"),
                });
            }
        }
        self.check(&self.0, &Value::Object(properties.clone()), "", &mut faults);
        faults
    }

    fn follow<'a>(&'a self, shape: &'a Value) -> &'a Value {
        match shape["$ref"]
            .as_str()
            .and_then(|path| path.strip_prefix('#'))
        {
            Some(path) => self
                .0
                .pointer(path)
                .map_or(shape, |found| self.follow(found)),
            None => shape,
        }
    }

    fn check(&self, shape: &Value, value: &Value, path: &str, faults: &mut Vec<Fault>) {
        let shape = self.follow(shape);
        if value
            .as_str()
            .is_some_and(|text| text.contains(KNOWN_AFTER_APPLY))
        {
            return;
        }
        let mut fault = |path: &str, reason: String| {
            faults.push(Fault {
                path: path.to_owned(),
                reason,
            });
        };
        let kinds: Vec<&str> = match &shape["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(kind, value)) {
            fault(
                path,
                format!(
                    "expected type: {}, found: {}",
                    kinds.join(" or "),
                    name_of(value)
                ),
            );
            return;
        }
        if let Some(allowed) = shape["enum"].as_array()
            && !allowed.iter().any(|one| text(one) == text(value))
        {
            fault(
                path,
                format!("#{path}: {} is not a valid enum value", text(value)),
            );
        }
        if let Some(number) = value.as_f64() {
            let below = shape["minimum"].as_f64().is_some_and(|min| number < min);
            if below || shape["maximum"].as_f64().is_some_and(|max| number > max) {
                fault(path, format!("#{path}: {number} is out of range"));
            }
        }
        if let Some(items) = value.as_array() {
            for (index, item) in items.iter().enumerate() {
                self.check(&shape["items"], item, &format!("{path}/{index}"), faults);
            }
        } else if let Some(members) = value.as_object() {
            self.check_members(shape, members, path, faults);
        }
    }

    fn check_members(
        &self,
        shape: &Value,
        members: &Map<String, Value>,
        path: &str,
        faults: &mut Vec<Fault>,
    ) {
        let closed = shape["additionalProperties"] == false && shape["patternProperties"].is_null();
        for (name, member) in members {
            match shape["properties"].get(name) {
                Some(inner) => self.check(inner, member, &format!("{path}/{name}"), faults),
                None if closed => faults.push(Fault {
                    path: path.to_owned(),
                    reason: format!("Unsupported property [{name}]"),
                }),
                None => {}
            }
        }
        for name in shape["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !members.contains_key(name) {
                faults.push(Fault {
                    path: path.to_owned(),
                    reason: format!("Required property [{name}] not found"),
                });
            }
        }
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "Number",
        Value::String(_) => "String",
        Value::Array(_) => "JSONArray",
        Value::Object(_) => "JSONObject",
    }
}
