//! Holds a JSON value against a shape of a service model. The same check judges what a client sends and what the
//! stand-in is about to answer.

use serde_json::Value;

use crate::model::{Kind, Model, Shape};

/// How a timestamp looks on the wire: JSON protocols send a number, the query protocol a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Json,
    Query,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    UnknownMember,
    MissingMember,
    WrongType,
    NotInEnum,
    OutOfRange,
}

#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) problem: Problem,
    pub(crate) path: String,
    pub(crate) detail: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.detail)
    }
}

/// Shapes whose documented floor is not enforced: AWS checks a target no more often than every 5 s, which would make
/// every deployment in the sandbox wait for nothing.
const NO_FLOOR: [&str; 2] = ["HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds"];

/// Everything in `value` that the shape does not allow; empty means that it fits.
pub(crate) fn faults(model: &Model, shape: &str, value: &Value, wire: Wire) -> Vec<Fault> {
    let mut check = Check {
        model,
        wire,
        faults: Vec::new(),
    };
    check.value(shape, value, shape);
    check.faults
}

struct Check<'a> {
    model: &'a Model,
    wire: Wire,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, problem: Problem, path: &str, detail: String) {
        self.faults.push(Fault {
            problem,
            path: path.to_owned(),
            detail,
        });
    }

    fn value(&mut self, name: &str, value: &Value, path: &str) {
        let Some(shape) = self.model.shapes.get(name) else {
            self.fault(
                Problem::WrongType,
                path,
                format!("the model has no shape {name}"),
            );
            return;
        };
        if shape.document {
            return;
        }
        match (shape.kind, value) {
            (Kind::Structure, Value::Object(members)) => self.structure(shape, members, path),
            (Kind::List, Value::Array(items)) => {
                self.range(name, shape, items.len() as f64, path);
                let member = shape.member.as_ref().map_or("", |m| m.shape.as_str());
                for (index, item) in items.iter().enumerate() {
                    self.value(member, item, &format!("{path}[{index}]"));
                }
            }
            (Kind::Map, Value::Object(entries)) => {
                let key = shape.key.as_ref().map_or("", |k| k.shape.as_str());
                let item = shape.value.as_ref().map_or("", |v| v.shape.as_str());
                for (entry, inner) in entries {
                    let path = format!("{path}[{entry:?}]");
                    self.value(key, &Value::String(entry.clone()), &path);
                    self.value(item, inner, &path);
                }
            }
            (Kind::String, Value::String(text)) => {
                if !shape.values.is_empty() && !shape.values.contains(text) {
                    let allowed = shape.values.join(", ");
                    self.fault(
                        Problem::NotInEnum,
                        path,
                        format!("{text:?} is not one of {allowed}"),
                    );
                }
                self.range(name, shape, text.chars().count() as f64, path);
            }
            (Kind::Character | Kind::Blob, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) => {}
            (Kind::Integer, Value::Number(number)) if fits_i32(number) => {
                self.range(name, shape, number.as_f64().unwrap_or_default(), path);
            }
            (Kind::Long, Value::Number(number)) if number.is_i64() => {
                self.range(name, shape, number.as_f64().unwrap_or_default(), path);
            }
            (Kind::Float | Kind::Double, Value::Number(_)) => {}
            (Kind::Timestamp, Value::Number(_)) if self.wire == Wire::Json => {}
            (Kind::Timestamp, Value::String(_)) if self.wire == Wire::Query => {}
            (kind, other) => {
                let detail = format!("expected {kind:?}, found {}", kind_of(other));
                self.fault(Problem::WrongType, path, detail);
            }
        }
    }

    fn structure(&mut self, shape: &Shape, members: &serde_json::Map<String, Value>, path: &str) {
        for (name, value) in members {
            let path = format!("{path}.{name}");
            match shape.members.get(name) {
                Some(member) => self.value(&member.shape, value, &path),
                None => self.fault(Problem::UnknownMember, &path, "unknown member".to_owned()),
            }
        }
        for name in &shape.required {
            if !members.contains_key(name) {
                let path = format!("{path}.{name}");
                self.fault(
                    Problem::MissingMember,
                    &path,
                    "required member is missing".to_owned(),
                );
            }
        }
        if shape.union && members.len() != 1 {
            let detail = format!("a union has exactly one member, found {}", members.len());
            self.fault(Problem::WrongType, path, detail);
        }
    }

    fn range(&mut self, name: &str, shape: &Shape, size: f64, path: &str) {
        let below = shape.min.is_some_and(|min| size < min) && !NO_FLOOR.contains(&name);
        if below || shape.max.is_some_and(|max| size > max) {
            let (min, max) = (shape.min.unwrap_or(0.0), shape.max.unwrap_or(f64::INFINITY));
            self.fault(
                Problem::OutOfRange,
                path,
                format!("{size} is not between {min} and {max}"),
            );
        }
    }
}

fn fits_i32(number: &serde_json::Number) -> bool {
    number.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Removes members that are `null`: in AWS's JSON protocols a member that is null is a member that is absent.
pub fn drop_null_members(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_null_members);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_members),
        _ => {}
    }
}
