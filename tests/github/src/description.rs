//! GitHub's OpenAPI description as a judge of the stand-in's own answers and of its callers' bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// A part of an answer or a request that does not fit GitHub's description.
#[derive(Debug, Clone)]
pub(crate) struct Mismatch {
    pub(crate) pointer: String,
    pub(crate) message: String,
}

impl Mismatch {
    fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

type Compiled = Result<Arc<Validator>, Mismatch>;

/// The description, read at first use, with one compiled schema per answer.
pub(crate) struct Description {
    path: PathBuf,
    document: OnceLock<Result<Value, String>>,
    compiled: Mutex<BTreeMap<String, Compiled>>,
}

impl Description {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            document: OnceLock::new(),
            compiled: Mutex::new(BTreeMap::new()),
        }
    }

    fn document(&self) -> Result<&Value, Mismatch> {
        self.document
            .get_or_init(|| {
                let text = std::fs::read(&self.path)
                    .map_err(|error| format!("cannot read {}: {error}", self.path.display()))?;
                serde_json::from_slice(&text)
                    .map_err(|error| format!("cannot parse {}: {error}", self.path.display()))
            })
            .as_ref()
            .map_err(|message| {
                Mismatch::new("", format!("GitHub's description is missing: {message}"))
            })
    }

    /// Checks an answer. Errors that the description does not list for this call must have GitHub's basic error shape.
    pub(crate) fn check_answer(
        &self,
        template: &str,
        method: &str,
        status: u16,
        body: &Value,
    ) -> Result<(), Mismatch> {
        let key = format!("{method} {template} {status}");
        self.check(&key, body, || {
            let document = self.document()?;
            let operation = self.operation(template, method)?;
            let listed = operation
                .get("responses")
                .and_then(|all| all.get(status.to_string()))
                .map(|one| dereference(document, one));
            match listed {
                Some(response) => match response.pointer("/content/application~1json/schema") {
                    Some(schema) => Ok((schema.clone(), status < 300)),
                    None if status >= 400 => Ok((basic_error(), false)),
                    None => Err(Mismatch::new(
                        "",
                        format!("{key} is described without a JSON body"),
                    )),
                },
                None if status >= 400 => Ok((basic_error(), false)),
                None => Err(Mismatch::new(
                    "",
                    format!("{key} is not in GitHub's description"),
                )),
            }
        })
    }

    /// Checks a request body, in the way GitHub's 422 does.
    pub(crate) fn check_request(
        &self,
        template: &str,
        method: &str,
        body: &Value,
    ) -> Result<(), Mismatch> {
        self.check(&format!("request {method} {template}"), body, || {
            let operation = self.operation(template, method)?;
            match operation.pointer("/requestBody/content/application~1json/schema") {
                Some(schema) => Ok((schema.clone(), false)),
                None => Ok((json!({}), false)),
            }
        })
    }

    /// Names of the query parameters GitHub documents for a call.
    pub(crate) fn query_parameters(
        &self,
        template: &str,
        method: &str,
    ) -> Result<BTreeSet<String>, Mismatch> {
        let document = self.document()?;
        let parameters = self
            .operation(template, method)?
            .get("parameters")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        Ok(parameters
            .iter()
            .map(|parameter| dereference(document, parameter))
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
            .collect())
    }

    fn operation(&self, template: &str, method: &str) -> Result<&Value, Mismatch> {
        self.document()?
            .get("paths")
            .and_then(|paths| paths.get(template))
            .and_then(|path| path.get(method.to_ascii_lowercase()))
            .ok_or_else(|| {
                Mismatch::new(
                    "",
                    format!("{method} {template} is not in GitHub's description"),
                )
            })
    }

    fn check(
        &self,
        key: &str,
        body: &Value,
        schema: impl FnOnce() -> Result<(Value, bool), Mismatch>,
    ) -> Result<(), Mismatch> {
        let known = self
            .compiled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned();
        let validator = match known {
            Some(known) => known?,
            None => {
                let fresh = schema().and_then(|(schema, strict)| self.compile(&schema, strict));
                self.compiled
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(key.to_owned(), fresh.clone());
                fresh?
            }
        };
        match validator.iter_errors(body).next() {
            None => Ok(()),
            Some(error) => {
                let mut message = error.to_string();
                if message.len() > 400 {
                    let cut = (0..=400)
                        .rev()
                        .find(|at| message.is_char_boundary(*at))
                        .unwrap_or(0);
                    message.truncate(cut);
                }
                Err(Mismatch::new(error.instance_path().to_string(), message))
            }
        }
    }

    /// Compiles a schema together with only those components it reaches, since compiling the whole document takes seconds.
    fn compile(&self, schema: &Value, strict: bool) -> Compiled {
        let document = self.document()?;
        let mut definitions = Map::new();
        let mut wanted = Vec::new();
        let mut root = json_schema(schema, strict, &mut wanted);
        while let Some((name, strict)) = wanted.pop() {
            let definition = definition(&name, strict);
            if definitions.contains_key(&definition) {
                continue;
            }
            let component = document
                .pointer(&format!("/components/schemas/{name}"))
                .ok_or_else(|| {
                    Mismatch::new(
                        "",
                        format!("component {name} is not in GitHub's description"),
                    )
                })?;
            // Reserved before its own references are followed, so that cycles end.
            definitions.insert(definition.clone(), Value::Null);
            let converted = json_schema(component, strict, &mut wanted);
            definitions.insert(definition, converted);
        }
        if let Value::Object(root) = &mut root {
            root.insert("$defs".to_owned(), Value::Object(definitions));
        }
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true)
            .offline()
            .build(&root)
            .map(Arc::new)
            .map_err(|error| Mismatch::new("", format!("cannot compile GitHub's schema: {error}")))
    }
}

/// A component's name among the definitions; it may stand there both strict and not.
fn definition(name: &str, strict: bool) -> String {
    format!("{name}{}", if strict { "" } else { ".open" })
}

fn basic_error() -> Value {
    json!({"allOf": [{"$ref": "#/components/schemas/basic-error"}, {"required": ["message"]}]})
}

fn dereference<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    value
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| document.pointer(reference.trim_start_matches('#')))
        .unwrap_or(value)
}

/// Turns an OpenAPI 3.0 schema into JSON Schema: `nullable`, a default that its own format forbids, references into
/// `$defs`. With `strict`, an object that lists its properties may carry no others: an answer of ours must not hold a
/// field, misspelt or invented, that GitHub does not describe.
fn json_schema(schema: &Value, strict: bool, wanted: &mut Vec<(String, bool)>) -> Value {
    let Value::Object(fields) = schema else {
        return schema.clone();
    };
    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or(reference).to_owned();
        let reference = format!("#/$defs/{}", definition(&name, strict));
        wanted.push((name, strict));
        return json!({"$ref": reference});
    }
    let mut out = Map::new();
    for (key, value) in fields {
        match key.as_str() {
            "properties" => {
                let Value::Object(properties) = value else {
                    continue;
                };
                let converted = properties
                    .iter()
                    .map(|(name, one)| (name.clone(), json_schema(one, strict, wanted)))
                    .collect();
                out.insert(key.clone(), Value::Object(converted));
            }
            "items" | "additionalProperties" if value.is_object() => {
                out.insert(key.clone(), json_schema(value, strict, wanted));
            }
            // A member of `allOf` sees only part of the object, so it cannot forbid the rest.
            "allOf" | "anyOf" | "oneOf" => {
                let strict = strict && key != "allOf";
                let members = value.as_array().map(|all| {
                    all.iter()
                        .map(|one| json_schema(one, strict, wanted))
                        .collect()
                });
                // GitHub's alternatives overlap (a public user is a private one with less), so one or more may fit.
                out.insert(
                    if key == "oneOf" {
                        "anyOf".to_owned()
                    } else {
                        key.clone()
                    },
                    Value::Array(members.unwrap_or_default()),
                );
            }
            "type"
            | "enum"
            | "required"
            | "minimum"
            | "maximum"
            | "minLength"
            | "maxLength"
            | "pattern"
            | "format"
            | "minItems"
            | "maxItems"
            | "additionalProperties" => {
                out.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    let properties = out.get("properties").and_then(Value::as_object);
    if strict && properties.is_some_and(|all| !all.is_empty()) {
        out.entry("additionalProperties")
            .or_insert(Value::Bool(false));
    }
    with_alternatives(fields, out)
}

/// The schema, or another value that its description allows: `null`, or a default that its own format forbids.
fn with_alternatives(fields: &Map<String, Value>, out: Map<String, Value>) -> Value {
    let mut alternatives = Vec::new();
    if fields.get("nullable") == Some(&Value::Bool(true)) {
        alternatives.push(json!({"type": "null"}));
    }
    if let Some(default) = fields
        .get("default")
        .filter(|_| fields.contains_key("format"))
    {
        alternatives.push(json!({"const": default}));
    }
    if alternatives.is_empty() {
        Value::Object(out)
    } else {
        alternatives.push(Value::Object(out));
        json!({"anyOf": alternatives})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nullable_default_and_strictness_are_translated() {
        let schema = json!({
            "type": "object",
            "properties": {"a": {"type": "string", "nullable": true}, "b": {"type": "string", "format": "uri", "default": ""}},
            "required": ["a"]
        });
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&json_schema(&schema, true, &mut Vec::new()))
            .unwrap();
        assert!(validator.is_valid(&json!({"a": null, "b": ""})));
        assert!(!validator.is_valid(&json!({"a": null, "b": "no uri"})));
        assert!(!validator.is_valid(&json!({"a": "x", "c": 1})));
        assert!(!validator.is_valid(&json!({})));
    }
}
