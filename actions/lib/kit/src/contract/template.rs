//! Values that are filled in per environment: text with placeholders, or a whole value taken
//! from a repository variable.

use super::text::matches;
use crate::aws::Partition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::marker::PhantomData;

/// The pattern of a name in `var:NAME`. GitHub keeps the names of variables in upper case.
const VARIABLE: &str = "^[A-Z_][A-Z0-9_]*$";

/// Prefixes that mean something in `secrets:` and would be taken for plain text elsewhere.
const SECRET_PREFIXES: [&str; 3] = ["ssm:", "secretsmanager:", "env:"];

/// Something that `{…}` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholder {
    Service,
    Environment,
    Account,
    Region,
}

impl Placeholder {
    pub(super) const ALL: [Self; 4] = [
        Self::Service,
        Self::Environment,
        Self::Account,
        Self::Region,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Environment => "environment",
            Self::Account => "account",
            Self::Region => "region",
        }
    }
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Placeholder(Placeholder),
}

/// A value before it is filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Template {
    /// Something was written that could not be read; the mistake is known.
    #[default]
    Unreadable,
    /// `var:NAME`.
    Variable(String),
    /// Text, in which `{{` and `}}` stand for braces.
    Text(Vec<Piece>),
}

/// A mistake in a template, with a hint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) message: String,
    pub(super) hint: String,
}

impl Template {
    /// Reads a value in which `allowed` may stand.
    pub(super) fn parse(text: &str, allowed: &[Placeholder]) -> Result<Self, Malformed> {
        if let Some(name) = text.strip_prefix("var:") {
            return if matches(VARIABLE, name) {
                Ok(Self::Variable(name.to_owned()))
            } else {
                Err(Malformed {
                    message: format!("`{name}` is not the name of a repository variable"),
                    hint: "write var:NAME with capital letters, digits and underscores".to_owned(),
                })
            };
        }
        if let Some(prefix) = SECRET_PREFIXES
            .iter()
            .find(|prefix| text.starts_with(**prefix))
        {
            return Err(Malformed {
                message: format!("`{prefix}` stands only under `secrets`"),
                hint: "plain values are text or var:NAME".to_owned(),
            });
        }
        Self::pieces(text, allowed).map(Self::Text)
    }

    /// Reads text with placeholders, without references.
    pub(super) fn pieces(text: &str, allowed: &[Placeholder]) -> Result<Vec<Piece>, Malformed> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..];
            if brace.starts_with("{{") || brace.starts_with("}}") {
                literal.push_str(&brace[..1]);
                rest = &brace[2..];
                continue;
            }
            let name = brace
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'));
            let Some((name, after)) = name else {
                return Err(Malformed {
                    message: format!("a `{}` stands alone", &brace[..1]),
                    hint: "write {{ or }} for a brace itself".to_owned(),
                });
            };
            let placeholder = allowed
                .iter()
                .find(|placeholder| placeholder.name() == name)
                .ok_or_else(|| unknown(name, allowed))?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Placeholder(*placeholder));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(pieces)
    }
}

fn unknown(name: &str, allowed: &[Placeholder]) -> Malformed {
    let known = Placeholder::ALL
        .iter()
        .any(|placeholder| placeholder.name() == name);
    let list: Vec<String> = allowed
        .iter()
        .map(|placeholder| format!("{{{}}}", placeholder.name()))
        .collect();
    Malformed {
        message: if known {
            format!("{{{name}}} cannot stand here")
        } else {
            format!("there is no placeholder {{{name}}}")
        },
        hint: if list.is_empty() {
            "this value takes no placeholders".to_owned()
        } else {
            format!("here: {}; write {{{{ for a brace itself", list.join(", "))
        },
    }
}

/// The position of a template, which decides what it may contain.
pub(super) trait Scope {
    /// The placeholders it knows.
    const PLACEHOLDERS: &'static [Placeholder];
    /// The pattern that a value without a reference must match, if it can be checked in advance.
    const LITERAL: Option<&'static str> = None;
    /// Accepts YAML's numbers and booleans as they are written.
    const NUMBERS: bool = false;
    /// Accepts an empty value.
    const EMPTY: bool = false;
}

/// A template of one scope.
#[derive(Debug, Clone)]
pub(super) struct Templated<S>(pub(super) Template, pub(super) PhantomData<S>);

impl<S> Default for Templated<S> {
    fn default() -> Self {
        Self(Template::default(), PhantomData)
    }
}

/// An account: digits or a reference.
#[derive(Debug, Clone)]
pub(super) struct InAccount;

impl Scope for InAccount {
    const PLACEHOLDERS: &'static [Placeholder] = &[];
    const LITERAL: Option<&'static str> = Some("[0-9]{12}");
    const NUMBERS: bool = true;
}

/// A region: its name or a reference.
#[derive(Debug, Clone)]
pub(super) struct InRegion;

impl Scope for InRegion {
    const PLACEHOLDERS: &'static [Placeholder] = &[];
    const LITERAL: Option<&'static str> = Some(Partition::REGIONS);
}

/// A value that all environments share.
#[derive(Debug, Clone)]
pub(super) struct Shared;

impl Scope for Shared {
    const PLACEHOLDERS: &'static [Placeholder] = &[Placeholder::Service];
}

/// A value that belongs to one environment.
#[derive(Debug, Clone)]
pub(super) struct PerEnvironment;

impl Scope for PerEnvironment {
    const PLACEHOLDERS: &'static [Placeholder] = &Placeholder::ALL;
}

/// The value of a variable.
#[derive(Debug, Clone)]
pub(super) struct InVariable;

impl Scope for InVariable {
    const PLACEHOLDERS: &'static [Placeholder] = &Placeholder::ALL;
    const NUMBERS: bool = true;
    const EMPTY: bool = true;
}

impl<S: Scope> JsonSchema for Templated<S> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let variable = &VARIABLE[1..VARIABLE.len() - 1];
        let text = S::LITERAL.map_or_else(|| pieces_pattern(S::PLACEHOLDERS), str::to_owned);
        let (text, repeat) = match (S::LITERAL, S::EMPTY) {
            (Some(_), _) => (text, ""),
            (None, true) => (text, "*"),
            (None, false) => (text, "+"),
        };
        let string = json_schema!({
            "type": "string",
            "pattern": format!("^(var:{variable}|({text}){repeat})$"),
            "not": { "pattern": "^(ssm|secretsmanager|env):|^var:.*[^A-Z0-9_]|^var:$|^var:[0-9]" },
        });
        if !S::NUMBERS {
            return string;
        }
        let number = match S::LITERAL {
            Some(_) => {
                json_schema!({ "type": "integer", "minimum": 0, "maximum": 999_999_999_999_u64 })
            }
            None => json_schema!({ "type": ["number", "boolean"] }),
        };
        json_schema!({ "anyOf": [string, number] })
    }
}

/// Text with `placeholders`, as a regular expression for one piece.
pub(super) fn pieces_pattern(placeholders: &[Placeholder]) -> String {
    let names: Vec<&str> = placeholders
        .iter()
        .map(|placeholder| placeholder.name())
        .collect();
    format!(r"[^{{}}]|\{{\{{|\}}\}}|\{{({})\}}", names.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_and_literal_braces_are_distinguished() {
        assert_eq!(
            Template::parse("{{x}}-{service}/{environment}", &Placeholder::ALL),
            Ok(Template::Text(vec![
                Piece::Literal("{x}-".to_owned()),
                Piece::Placeholder(Placeholder::Service),
                Piece::Literal("/".to_owned()),
                Piece::Placeholder(Placeholder::Environment),
            ]))
        );
        assert_eq!(
            Template::parse("var:A_1", &[]),
            Ok(Template::Variable("A_1".to_owned()))
        );
    }

    #[test]
    fn an_invalid_template_is_an_error_with_the_reason() {
        for (text, message) in [
            ("{stage}", "there is no placeholder {stage}"),
            ("{account}", "{account} cannot stand here"),
            ("a{b", "a `{` stands alone"),
            ("a}b", "a `}` stands alone"),
            (
                "var:lower",
                "`lower` is not the name of a repository variable",
            ),
            ("ssm:/x", "`ssm:` stands only under `secrets`"),
        ] {
            let error = Template::parse(text, &[Placeholder::Service]).unwrap_err();
            assert_eq!(error.message, message);
        }
    }
}
