//! The entries of `errors`, and the nulls that they leave in `data`.
//! Source: GraphQL Specification, October 2021, 6.4.4 and 7.1.2; GitHub Docs, "Rate limits and query limits for the
//! GraphQL API", for `type`.

use serde_json::Value;

use super::super::parse::{Field, Selection};
use super::types::{Kind, Types};
use super::{Mismatch, mismatch};

/// The form of every entry.
pub(super) fn form(errors: &Value) -> Result<(), Mismatch> {
    let entries = errors
        .as_array()
        .filter(|entries| !entries.is_empty())
        .ok_or_else(|| mismatch("/errors", "a list of errors is never empty"))?;
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("/errors/{index}");
        let entry = entry
            .as_object()
            .ok_or_else(|| mismatch(&at, "an error is an object"))?;
        if !entry.contains_key("message") {
            return Err(mismatch(&at, "an error has a message"));
        }
        for (name, value) in entry {
            if !fits(name, value) {
                let message = format!("{value} is none of an error");
                return Err(mismatch(&format!("{at}/{name}"), message));
            }
        }
    }
    Ok(())
}

fn fits(name: &str, value: &Value) -> bool {
    let all = |one: fn(&Value) -> bool| value.as_array().is_some_and(|all| all.iter().all(one));
    match name {
        "message" | "type" => value.is_string(),
        "path" => all(|step| step.is_string() || step.is_u64()),
        "locations" => all(|location| location["line"].is_u64() && location["column"].is_u64()),
        "extensions" => value.is_object(),
        _ => false,
    }
}

/// Every error makes the nearest place null that may be, at its path or above it, and nothing further up.
pub(super) fn landed(
    types: &Types,
    asked: &[Selection],
    data: &Value,
    errors: &Value,
) -> Result<(), Mismatch> {
    let mut all = Vec::new();
    for (index, error) in errors.as_array().into_iter().flatten().enumerate() {
        let at = format!("/errors/{index}/path");
        let path = error["path"].as_array();
        let path = path.ok_or_else(|| mismatch(&at, "a field's error has a path"))?;
        let (null, wanted) = landing(types, asked, data, path, &at)?;
        all.push((at, path.get(..null), path.get(..wanted)));
    }
    // A null further up is right where another error belongs there.
    match all
        .iter()
        .find(|(_, null, _)| !all.iter().any(|(_, _, wanted)| null == wanted))
    {
        Some((at, ..)) => Err(mismatch(at, "the null is further up than it belongs")),
        None => Ok(()),
    }
}

/// How many steps down a path the answer is null, and how many steps down the nearest place is that may be.
fn landing(
    types: &Types,
    asked: &[Selection],
    data: &Value,
    path: &[Value],
    at: &str,
) -> Result<(usize, usize), Mismatch> {
    let nowhere = || mismatch(at, "the path leads nowhere");
    let mut kind = Kind::Named {
        name: types.query().to_owned(),
    };
    let mut below: Vec<(String, &[Selection])> = vec![(types.query().to_owned(), asked)];
    let mut here = data;
    let mut null = data.is_null().then_some(0);
    let mut wanted = 0;
    for (index, step) in path.iter().enumerate() {
        let inner = match kind {
            Kind::NonNull { of_type } => *of_type,
            kind => kind,
        };
        kind = match (inner, step) {
            (Kind::List { of_type }, Value::Number(_)) => *of_type,
            (Kind::Named { .. }, Value::String(key)) => {
                let mut fields = Vec::new();
                for (on, selections) in &below {
                    named(on, selections, key, &mut fields);
                }
                let (on, first) = fields.first().ok_or_else(nowhere)?;
                let field = types.get(on).and_then(|on| on.field(&first.name));
                let kind = field.ok_or_else(nowhere)?.kind.clone();
                below = fields
                    .iter()
                    .map(|(_, field)| (kind.name().to_owned(), &*field.selections))
                    .collect();
                kind
            }
            _ => return Err(nowhere()),
        };
        if kind.nullable() {
            wanted = index + 1;
        }
        // Below the null there is only what was asked for.
        if null.is_none() {
            here = match step {
                Value::String(key) => here.get(key),
                step => step
                    .as_u64()
                    .and_then(|at| here.get(usize::try_from(at).ok()?)),
            }
            .ok_or_else(nowhere)?;
            null = here.is_null().then_some(index + 1);
        }
    }
    null.map(|null| (null, wanted))
        .ok_or_else(|| mismatch(at, "there is a value where the error is"))
}

/// The fields with this key in the answer, and the type that each was selected on.
fn named<'a>(on: &str, all: &'a [Selection], key: &str, found: &mut Vec<(String, &'a Field)>) {
    for selection in all {
        match selection {
            Selection::Field(field) if field.alias == key => found.push((on.to_owned(), field)),
            Selection::Field(_) => {}
            Selection::On(condition, inner) => {
                named(condition.as_deref().unwrap_or(on), inner, key, found);
            }
        }
    }
}
