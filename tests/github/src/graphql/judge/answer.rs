//! An answer's `data`, walked together with what was asked.
//! Source: GraphQL Specification, October 2021, 6.3 and 6.4.

use serde_json::{Map, Value};

use super::super::parse::{Field, Selection};
use super::types::{Form, Kind, Type, Types};
use super::{Mismatch, mismatch, scalar};

/// Holds `value` against a type and all that was selected of it.
pub(super) fn value(
    types: &Types,
    kind: &Kind,
    asked: &[&[Selection]],
    value: &Value,
    at: &str,
) -> Result<(), Mismatch> {
    match (kind, value) {
        (Kind::NonNull { .. }, Value::Null) => {
            Err(mismatch(at, format!("null is not of type {kind}")))
        }
        (Kind::NonNull { of_type }, _) => self::value(types, of_type, asked, value, at),
        (_, Value::Null) => Ok(()),
        (Kind::List { of_type }, Value::Array(items)) => {
            items.iter().enumerate().try_for_each(|(index, item)| {
                self::value(types, of_type, asked, item, &format!("{at}/{index}"))
            })
        }
        (Kind::List { .. }, _) => Err(mismatch(at, format!("{value} is not of type {kind}"))),
        (Kind::Named { name }, _) => {
            let known = types
                .get(name)
                .ok_or_else(|| mismatch(at, format!("{name} is not a type")))?;
            named(types, known, asked, value, at)
        }
    }
}

fn named(
    types: &Types,
    known: &Type,
    asked: &[&[Selection]],
    value: &Value,
    at: &str,
) -> Result<(), Mismatch> {
    let name = &known.name;
    match (known.form, value) {
        (Form::Scalar, _) => {
            scalar::wrong(name, value).map_or(Ok(()), |why| Err(mismatch(at, why)))
        }
        (Form::Enum, Value::String(member)) if known.has_member(member) => Ok(()),
        (Form::Enum, _) => Err(mismatch(at, format!("{value} is not in {name}"))),
        (Form::Object | Form::Interface | Form::Union, Value::Object(members)) => {
            object(types, known, asked, members, at)
        }
        _ => Err(mismatch(at, format!("{value} is not of type {name}"))),
    }
}

/// An object must fit as one of the types it may be. Unless its `__typename` was asked for, which of them it is shows
/// only in what it holds.
fn object(
    types: &Types,
    known: &Type,
    asked: &[&[Selection]],
    members: &Map<String, Value>,
    at: &str,
) -> Result<(), Mismatch> {
    let mut worst: Option<Mismatch> = None;
    for name in known.possible() {
        let Some(candidate) = types.get(name) else {
            continue;
        };
        match as_type(types, candidate, asked, members, at) {
            Ok(()) => return Ok(()),
            // Of several the most is learned from the one that fitted furthest.
            Err(found) => {
                let depth = |one: &Mismatch| (one.depth(), !one.of_type);
                if worst
                    .as_ref()
                    .is_none_or(|worst| depth(&found) > depth(worst))
                {
                    worst = Some(found);
                }
            }
        }
    }
    Err(worst.unwrap_or_else(|| mismatch(at, format!("{} is never answered", known.name))))
}

fn as_type(
    types: &Types,
    candidate: &Type,
    asked: &[&[Selection]],
    members: &Map<String, Value>,
    at: &str,
) -> Result<(), Mismatch> {
    let mut wanted = Vec::new();
    for selections in asked {
        collect(types, &candidate.name, selections, &mut wanted);
    }
    let name = &candidate.name;
    for (key, fields) in &wanted {
        let at = format!("{at}/{key}");
        let value = members
            .get(*key)
            .ok_or_else(|| mismatch(&at, "it was asked for, and is missing"))?;
        let [first, rest @ ..] = fields.as_slice() else {
            continue;
        };
        if rest
            .iter()
            .any(|one| (&one.name, &one.arguments) != (&first.name, &first.arguments))
        {
            return Err(mismatch(&at, "two different fields have this one name"));
        }
        if first.name == "__typename" {
            if value != name.as_str() {
                let message = format!("{value} is not the type's name, as {name}'s is");
                return Err(mismatch(&at, message).of_type());
            }
            continue;
        }
        let field = candidate
            .field(&first.name)
            .ok_or_else(|| mismatch(&at, format!("{name} has no field {}", first.name)))?;
        let below: Vec<&[Selection]> = fields.iter().map(|one| &*one.selections).collect();
        self::value(types, &field.kind, &below, value, &at)?;
    }
    match members
        .keys()
        .find(|key| !wanted.iter().any(|(wanted, _)| wanted == key))
    {
        Some(extra) => Err(mismatch(
            &format!("{at}/{extra}"),
            format!("nobody asked for it of a {name}"),
        )),
        None => Ok(()),
    }
}

type Wanted<'a> = Vec<(&'a str, Vec<&'a Field>)>;

/// The fields that apply to an object of this type, by the key that each has in the answer.
fn collect<'a>(types: &Types, object: &str, all: &'a [Selection], wanted: &mut Wanted<'a>) {
    for selection in all {
        match selection {
            Selection::Field(field) => match wanted.iter_mut().find(|(key, _)| *key == field.alias)
            {
                Some((_, fields)) => fields.push(field),
                None => wanted.push((&field.alias, vec![field])),
            },
            Selection::On(condition, inner) => {
                if condition
                    .as_deref()
                    .is_none_or(|condition| types.applies(condition, object))
                {
                    collect(types, object, inner, wanted);
                }
            }
        }
    }
}
