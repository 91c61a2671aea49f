//! GitHub's schema as its introspection tells it.
//! Source: GraphQL Specification, October 2021, 4.2; the file is GitHub's own answer to that query.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

/// A type where it is used, with what wraps it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub(super) enum Kind {
    #[serde(rename = "NON_NULL")]
    NonNull { of_type: Box<Kind> },
    #[serde(rename = "LIST")]
    List { of_type: Box<Kind> },
    #[serde(
        rename = "SCALAR",
        alias = "OBJECT",
        alias = "INTERFACE",
        alias = "UNION",
        alias = "ENUM",
        alias = "INPUT_OBJECT"
    )]
    Named { name: String },
}

impl Kind {
    /// Reads `[Int!]!`.
    pub(super) fn read(text: &str) -> Self {
        if let Some(inner) = text.strip_suffix('!') {
            let of_type = Box::new(Self::read(inner));
            return Self::NonNull { of_type };
        }
        match text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(inner) => Self::List {
                of_type: Box::new(Self::read(inner)),
            },
            None => Self::Named {
                name: text.to_owned(),
            },
        }
    }

    /// The name within all that wraps it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::NonNull { of_type } | Self::List { of_type } => of_type.name(),
            Self::Named { name } => name,
        }
    }

    pub(super) fn nullable(&self) -> bool {
        !matches!(self, Self::NonNull { .. })
    }

    /// Returns true if a variable of this type may stand where `position` is wanted.
    /// Source: GraphQL Specification, October 2021, 5.8.5.
    pub(super) fn may_stand_for(&self, position: &Self) -> bool {
        match (self, position) {
            (Self::NonNull { of_type }, Self::NonNull { of_type: position }) => {
                of_type.may_stand_for(position)
            }
            (_, Self::NonNull { .. }) => false,
            (Self::NonNull { of_type }, _) => of_type.may_stand_for(position),
            (Self::List { of_type }, Self::List { of_type: position }) => {
                of_type.may_stand_for(position)
            }
            (own, position) => own == position,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NonNull { of_type } => write!(f, "{of_type}!"),
            Self::List { of_type } => write!(f, "[{of_type}]"),
            Self::Named { name } => f.write_str(name),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Form {
    Scalar,
    Object,
    Interface,
    Union,
    Enum,
    InputObject,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Type {
    #[serde(rename = "kind")]
    pub(super) form: Form,
    pub(super) name: String,
    fields: Option<Vec<Field>>,
    enum_values: Option<Vec<Name>>,
    possible_types: Option<Vec<Name>>,
}

impl Type {
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        let mut fields = self.fields.iter().flatten();
        fields.find(|field| field.name == name)
    }

    /// Returns true if an object answers it, so that fields of it must be selected.
    pub(super) fn composite(&self) -> bool {
        matches!(self.form, Form::Object | Form::Interface | Form::Union)
    }

    /// The objects it may turn out to be; an object is itself.
    pub(super) fn possible(&self) -> Vec<&str> {
        if self.form == Form::Object {
            return vec![&self.name];
        }
        let possible = self.possible_types.iter().flatten();
        possible.map(|one| one.name.as_str()).collect()
    }

    pub(super) fn has_member(&self, member: &str) -> bool {
        let mut members = self.enum_values.iter().flatten();
        members.any(|one| one.name == member)
    }
}

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Field {
    name: String,
    #[serde(rename = "args")]
    pub(super) arguments: Vec<Argument>,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Argument {
    pub(super) name: String,
    #[serde(rename = "type")]
    kind: Kind,
    default_value: Option<String>,
}

impl Argument {
    /// The type that a value must have; one with a default may be left out, and may be a variable that is null.
    pub(super) fn kind(&self) -> &Kind {
        match &self.kind {
            Kind::NonNull { of_type } if self.default_value.is_some() => of_type,
            kind => kind,
        }
    }
}

/// All types by their names.
#[derive(Debug)]
pub(super) struct Types {
    all: BTreeMap<String, Type>,
    query: String,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "__schema")]
    schema: Schema,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    query_type: Name,
    types: Vec<Type>,
}

impl Types {
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let document: Document = serde_json::from_slice(&text)
            .map_err(|error| format!("cannot parse {}: {error}", path.display()))?;
        let all = document.schema.types.into_iter();
        Ok(Self {
            all: all.map(|one| (one.name.clone(), one)).collect(),
            query: document.schema.query_type.name,
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&Type> {
        self.all.get(name)
    }

    /// The type that every query begins at.
    pub(super) fn query(&self) -> &str {
        &self.query
    }

    /// Returns true if a fragment on `condition` applies to an object of type `object`.
    pub(super) fn applies(&self, condition: &str, object: &str) -> bool {
        self.get(condition)
            .is_some_and(|condition| condition.possible().contains(&object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_stands_where_its_type_is_at_least_as_strict() {
        let fits = |variable: &str, position: &str| {
            Kind::read(variable).may_stand_for(&Kind::read(position))
        };
        for (variable, position) in [
            ("Int", "Int"),
            ("Int!", "Int"),
            ("Int!", "Int!"),
            ("[Int!]!", "[Int]"),
        ] {
            assert!(fits(variable, position), "{variable} for {position}");
        }
        for (variable, position) in [
            ("Int", "Int!"),
            ("String!", "Int"),
            ("[Int]", "[Int!]"),
            ("Int!", "[Int!]"),
        ] {
            assert!(!fits(variable, position), "{variable} for {position}");
        }
        assert_eq!(Kind::read("[Int!]!").to_string(), "[Int!]!");
    }
}
