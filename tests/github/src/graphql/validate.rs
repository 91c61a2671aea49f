//! Refuses, before anything runs, what the schema does not know: fields, arguments, missing selections, open connections.

use serde_json::{Value, json};

use super::GraphError;
use super::parse::{Field, Selection};
use super::schema;

/// All mistakes of a selection set on a type, in GitHub's wording.
pub(super) fn selections(on: &str, all: &[Selection], path: &[&str]) -> Vec<GraphError> {
    all.iter()
        .flat_map(|selection| match selection {
            Selection::On(None, inner) => selections(on, inner, path),
            Selection::On(Some(kind), inner)
                if kind == on || schema::possible(on).contains(&kind.as_str()) =>
            {
                selections(kind, inner, path)
            }
            Selection::On(Some(kind), _) if schema::is_object(kind) => {
                vec![mistake(
                    path,
                    format!("Fragment on {kind} can't be spread inside {on}"),
                )]
            }
            Selection::On(Some(kind), _) => vec![mistake(
                path,
                format!("No such type {kind}, so it can't be a fragment condition"),
            )],
            Selection::Field(field) => check(on, field, path),
        })
        .collect()
}

fn mistake(path: &[&str], message: String) -> GraphError {
    GraphError {
        kind: None,
        path: path.iter().map(|part| json!(part)).collect(),
        message,
    }
}

fn check(on: &str, field: &Field, path: &[&str]) -> Vec<GraphError> {
    if field.name == "__typename" {
        return Vec::new();
    }
    let mut path = path.to_vec();
    path.push(&field.alias);
    let Some(known) = schema::field(on, &field.name) else {
        return vec![mistake(
            &path,
            format!("Field '{}' doesn't exist on type '{on}'", field.name),
        )];
    };
    let mut mistakes = Vec::new();
    for (name, value) in &field.arguments {
        match known.arguments.iter().find(|(known, _)| known == name) {
            None => mistakes.push(mistake(
                &path,
                format!("Field '{}' doesn't accept argument '{name}'", field.name),
            )),
            Some((_, kind)) if !fits(kind, value) => {
                mistakes.push(mistake(&path, format!("Argument '{name}' on Field '{}' has an invalid value ({value}). Expected type '{kind}'.", field.name)));
            }
            Some(_) => {}
        }
    }
    for (name, _) in known
        .arguments
        .iter()
        .filter(|(name, kind)| kind.ends_with('!') && !field.arguments.contains_key(name))
    {
        mistakes.push(mistake(
            &path,
            format!(
                "Field '{}' is missing required arguments: {name}",
                field.name
            ),
        ));
    }
    let returns = schema::bare(&known.returns);
    match (schema::is_object(returns), field.selections.is_empty()) {
        (true, true) => mistakes.push(mistake(&path, format!("Field must have selections (field '{}' returns {returns} but has no selections. Did you mean '{} {{ ... }}'?)", field.name, field.name))),
        (false, false) => mistakes.push(mistake(&path, format!("Selections can't be made on scalars (field '{}' returns {returns} but has selections)", field.name))),
        _ => {}
    }
    if returns.ends_with("Connection") {
        mistakes.extend(connection(field, &path));
    }
    if schema::is_object(returns) {
        mistakes.extend(selections(returns, &field.selections, &path));
    }
    mistakes
}

fn fits(kind: &str, value: &Value) -> bool {
    match kind.trim_end_matches('!') {
        _ if value.is_null() => !kind.ends_with('!'),
        "Int" => value.is_i64() || value.is_u64(),
        "Boolean" => value.is_boolean(),
        list if list.starts_with('[') => value.is_array() || value.is_string(),
        _ => value.is_string(),
    }
}

/// A connection must be bounded, by at most 100.
fn connection(field: &Field, path: &[&str]) -> Vec<GraphError> {
    let bound = |name: &str| field.arguments.get(name).and_then(Value::as_i64);
    match bound("first").or_else(|| bound("last")) {
        None => vec![mistake(
            path,
            format!(
                "You must provide a `first` or `last` value to properly paginate the `{}` connection.",
                field.name
            ),
        )],
        Some(1..=100) => Vec::new(),
        Some(count) if count < 1 => vec![mistake(
            path,
            format!(
                "`first` or `last` on the `{}` connection must be at least 1.",
                field.name
            ),
        )],
        Some(count) => vec![mistake(
            path,
            format!(
                "Requesting {count} records on the `{}` connection exceeds the `first` limit of 100 records.",
                field.name
            ),
        )],
    }
}
