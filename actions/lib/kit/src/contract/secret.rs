//! The declaration of a secret: its source, in one line or with its sinks.

use super::diagnostics::{At, SourceSpan};
use super::model::{Sink, Source};
use super::template::{Malformed, Piece, Placeholder, Template, pieces_pattern};
use super::text::matches;
use super::tree::{Data, Node};
use crate::aws::Arn;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// The long form of a secret.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Secret {
    /// ssm:NAME, secretsmanager:NAME#KEY or env:NAME.
    pub(super) from: At<From>,
    /// Where it may go; task and exec when not given, exec alone for env:NAME.
    #[schemars(extend("minItems" = 1, "uniqueItems" = true))]
    pub(super) to: Option<Vec<At<Sink>>>,
    /// True if its absence is an error; true when not given.
    pub(super) required: Option<bool>,
}

/// A secret in its long form; the short form is the same with everything else left out.
#[derive(Debug, Clone, Default)]
pub(super) struct SecretEntry(pub(super) Secret);

impl SecretEntry {
    pub(super) fn short(from: At<From>) -> Self {
        Self(Secret {
            from,
            to: None,
            required: None,
        })
    }

    /// Where it may go. Neither default leaves anything behind: a task gets a reference, and the
    /// environment of a child process ends with it.
    pub(super) fn sinks(&self) -> Vec<Sink> {
        match (&self.0.to, &self.0.from.value) {
            (Some(sinks), _) => sinks.iter().map(|sink| sink.value).collect(),
            (None, From::Env(_)) => vec![Sink::Exec],
            (None, From::Ssm(_) | From::SecretsManager { .. }) => vec![Sink::Task, Sink::Exec],
        }
    }
}

/// The source of a secret, before placeholders are filled in.
#[derive(Debug, Clone)]
pub(super) enum From {
    Ssm(Vec<Piece>),
    SecretsManager { id: Vec<Piece>, key: Option<String> },
    Env(String),
}

impl Default for From {
    fn default() -> Self {
        Self::Env(String::new())
    }
}

impl From {
    /// Reads `ssm:NAME`, `secretsmanager:ID`, `secretsmanager:ID#KEY` or `env:NAME`.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let source = |rest: &str| {
            if rest.is_empty() {
                return Err(malformed("the name after the colon is missing"));
            }
            Template::pieces(rest, &Placeholder::ALL)
        };
        match text.split_once(':') {
            Some(("ssm", name)) => Ok(Self::Ssm(source(name)?)),
            Some(("secretsmanager", rest)) => {
                let (id, key) = match rest.split_once('#') {
                    Some((_, "")) => return Err(malformed("the key after `#` is missing")),
                    Some((id, key)) => (id, Some(key.to_owned())),
                    None => (rest, None),
                };
                Ok(Self::SecretsManager {
                    id: source(id)?,
                    key,
                })
            }
            Some(("env", name)) if matches("^[A-Za-z_][A-Za-z0-9_]*$", name) => {
                Ok(Self::Env(name.to_owned()))
            }
            Some(("env", _)) => Err(malformed("this is not the name of a variable")),
            Some(("var", _)) => Err(malformed(
                "a repository variable is readable by everybody and holds no secret",
            )),
            // The text is not repeated: somebody may have written the secret itself.
            _ => Err(malformed("this does not say where the secret comes from")),
        }
    }

    /// The source with its placeholders filled in.
    pub(super) fn resolve(&self, fill: impl Fn(&[Piece]) -> Option<String>) -> Option<Source> {
        Some(match self {
            Self::Ssm(name) => Source::Ssm(fill(name)?),
            Self::SecretsManager { id, key } => Source::SecretsManager {
                id: fill(id)?,
                key: key.clone(),
            },
            Self::Env(name) => Source::Env(name.clone()),
        })
    }
}

impl Source {
    /// Reads a source where there is no contract to fill placeholders in, as an argument gives it.
    ///
    /// # Errors
    /// The mistake, in a sentence that does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fill = |pieces: &[Piece]| {
            pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Literal(text) => Some(text.as_str()),
                    Piece::Placeholder(_) => None,
                })
                .collect()
        };
        let source = From::parse(text)
            .map_err(|wrong| wrong.message)?
            .resolve(fill)
            .ok_or("there is no contract that could fill in a placeholder")?;
        match wrong_name(&source) {
            Some(wrong) => Err(wrong.to_owned()),
            None => Ok(source),
        }
    }
}

fn malformed(message: impl Into<String>) -> Malformed {
    Malformed {
        message: message.into(),
        hint: "write ssm:NAME, secretsmanager:NAME, secretsmanager:NAME#KEY or env:NAME".to_owned(),
    }
}

/// The spans under `secrets` whose text is not a reference and may be a secret.
pub(super) fn possible_secrets(root: &Node) -> Vec<SourceSpan> {
    let Data::Table(entries) = &root.data else {
        return Vec::new();
    };
    let mut spans = Vec::new();
    let mut pending: Vec<&Node> = entries
        .iter()
        .filter(|(key, _)| matches!(&key.data, Data::Scalar { text, .. } if text == "secrets"))
        .map(|(_, value)| value)
        .collect();
    while let Some(node) = pending.pop() {
        match &node.data {
            Data::List(items) => pending.extend(items),
            Data::Table(entries) => pending.extend(entries.iter().map(|(_, value)| value)),
            Data::Scalar { text, .. } => {
                let word = matches!(
                    text.as_str(),
                    "task" | "exec" | "env" | "file" | "true" | "false"
                );
                if !word && From::parse(text).is_err() {
                    spans.push(node.span.clone());
                }
            }
        }
    }
    spans
}

fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    text.parse::<Arn>()
        .is_ok_and(|arn| arn.service == service && arn.resource.starts_with(resource))
}

/// The rule that a name breaks once its placeholders are filled in. AWS's rules: SSM `PutParameter` Name, and Secrets
/// Manager `CreateSecret` Name, or an ARN. A parameter or secret that another account shares is read by its ARN only.
pub(super) fn wrong_name(source: &Source) -> Option<&'static str> {
    match source {
        Source::Ssm(name) => {
            (!matches("^/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*(:[A-Za-z0-9_.-]+)?$", name)
                && !is_arn(name, "ssm", "parameter/"))
                .then_some("parameter names are letters, digits and `_.-/`, with `:VERSION` or `:LABEL` at the end, or a whole ARN")
        }
        Source::SecretsManager { id, .. } => {
            (!matches("^[A-Za-z0-9/_+=.@-]+$", id) && !is_arn(id, "secretsmanager", "secret:"))
                .then_some("secret names are letters, digits and `/_+=.@-`, or a whole ARN")
        }
        Source::Env(_) => None,
    }
}

impl JsonSchema for From {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "From".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let piece = pieces_pattern(&Placeholder::ALL);
        let outside_key = piece.replacen("[^{}]", "[^{}#]", 1);
        json_schema!({
            "type": "string",
            "pattern": format!(
                "^(ssm:({piece})+|secretsmanager:({outside_key})+(#.+)?|env:[A-Za-z_][A-Za-z0-9_]*)$"
            ),
        })
    }
}

impl JsonSchema for SecretEntry {
    fn schema_name() -> Cow<'static, str> {
        "SecretEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = generator.subschema_for::<From>();
        let long = generator.subschema_for::<Secret>();
        json_schema!({ "anyOf": [short, long] })
    }
}
