//! The mistakes for which GitHub refuses a query. GitHub never answers such a query with data.
//! Source: GraphQL Specification, October 2021, 5.3 to 5.6 and 5.8.5.

use serde_json::Value;

use super::super::parse::{self, Selection, Written};
use super::types::{Argument, Form, Kind, Type, Types};
use super::{Mismatch, mismatch, scalar};

/// Selections on a type; `at` is where their values stand in the answer.
pub(super) fn selections(
    types: &Types,
    on: &Type,
    all: &[Selection],
    at: &str,
) -> Result<(), Mismatch> {
    for selection in all {
        match selection {
            Selection::Field(one) => field(types, on, one, &format!("{at}/{}", one.alias))?,
            Selection::On(None, inner) => selections(types, on, inner, at)?,
            Selection::On(Some(condition), inner) => {
                let condition = types
                    .get(condition)
                    .filter(|condition| condition.composite())
                    .ok_or_else(|| mismatch(at, format!("a fragment on {condition}")))?;
                let possible = on.possible();
                if !condition
                    .possible()
                    .iter()
                    .any(|one| possible.contains(one))
                {
                    let (on, condition) = (&on.name, &condition.name);
                    return Err(mismatch(at, format!("{on} is never a {condition}")));
                }
                selections(types, condition, inner, at)?;
            }
        }
    }
    Ok(())
}

fn field(types: &Types, on: &Type, field: &parse::Field, at: &str) -> Result<(), Mismatch> {
    if field.name == "__typename" {
        return if field.arguments.is_empty() && field.selections.is_empty() {
            Ok(())
        } else {
            Err(mismatch(at, "__typename has neither arguments nor fields"))
        };
    }
    let (type_name, name) = (&on.name, &field.name);
    let known = on
        .field(name)
        .ok_or_else(|| mismatch(at, format!("{type_name} has no field {name}")))?;
    for argument in field.arguments.keys() {
        if !known.arguments.iter().any(|one| one.name == *argument) {
            let message = format!("{type_name}.{name} has no argument {argument}");
            return Err(mismatch(at, message));
        }
    }
    for argument in &known.arguments {
        given(types, field, argument).map_err(|message| {
            let argument = &argument.name;
            mismatch(at, format!("{type_name}.{name}({argument}): {message}"))
        })?;
    }
    let returns = types
        .get(known.kind.name())
        .ok_or_else(|| mismatch(at, format!("{} is not a type", known.kind)))?;
    match (returns.composite(), field.selections.is_empty()) {
        (true, true) => Err(mismatch(
            at,
            format!("nothing is selected of {}", known.kind),
        )),
        (false, false) => Err(mismatch(at, format!("{} has no fields", known.kind))),
        (false, true) => Ok(()),
        (true, false) => selections(types, returns, &field.selections, at),
    }
}

fn given(types: &Types, field: &parse::Field, argument: &Argument) -> Result<(), String> {
    let name = &argument.name;
    match field.arguments.get(name) {
        Some(value) => fits(types, argument.kind(), value, field.written.get(name)),
        None if argument.kind().nullable() => Ok(()),
        None => Err("it is required".to_owned()),
    }
}

/// Without `written` the value comes out of a variable.
fn fits(
    types: &Types,
    kind: &Kind,
    value: &Value,
    written: Option<&Written>,
) -> Result<(), String> {
    let literal = match written {
        Some(Written::Variable(declared)) => {
            if !Kind::read(declared).may_stand_for(kind) {
                return Err(format!(
                    "a variable of type {declared} is not of type {kind}"
                ));
            }
            None
        }
        literal => literal,
    };
    match (kind, value) {
        (Kind::NonNull { .. }, Value::Null) => Err(format!("null is not of type {kind}")),
        (Kind::NonNull { of_type }, _) => fits(types, of_type, value, literal),
        (_, Value::Null) => Ok(()),
        (Kind::List { of_type }, Value::Array(items)) => {
            let written = |index: usize| match literal {
                Some(Written::List(all)) => all.get(index),
                _ => None,
            };
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| fits(types, of_type, item, written(index)))
        }
        // One value stands for a list of one.
        (Kind::List { of_type }, _) => fits(types, of_type, value, literal),
        (Kind::Named { name }, _) => named(types, name, value, literal),
    }
}

fn named(
    types: &Types,
    name: &str,
    value: &Value,
    literal: Option<&Written>,
) -> Result<(), String> {
    let known = types.get(name).ok_or(format!("{name} is not a type"))?;
    let word = literal == Some(&Written::Word);
    match known.form {
        Form::Scalar if word => Err(format!("the word {value} is not of type {name}")),
        // The one scalar that takes a number for its text.
        Form::Scalar if name == "ID" && value.is_i64() => Ok(()),
        Form::Scalar => scalar::wrong(name, value).map_or(Ok(()), Err),
        Form::Enum if literal.is_some() && !word => {
            Err(format!("{value} is not a member of {name}"))
        }
        Form::Enum if value.as_str().is_some_and(|it| known.has_member(it)) => Ok(()),
        Form::Enum => Err(format!("{value} is not in {name}")),
        _ => Err(format!("there is no rule for {name}")),
    }
}
