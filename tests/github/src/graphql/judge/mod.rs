//! GitHub's own schema as a judge of the stand-in's answers. It reads nothing of what the stand-in says it implements.

mod answer;
mod errors;
mod question;
mod scalar;
mod types;

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::parse::{self, Selection};
use types::{Kind, Types};

/// A part of the answer that does not fit the schema.
#[derive(Debug, Clone)]
pub(crate) struct Mismatch {
    /// JSON pointer into the answer.
    pub(crate) pointer: String,
    pub(crate) message: String,
    /// The object is of another type than the one it was held against.
    of_type: bool,
}

impl Mismatch {
    fn of_type(mut self) -> Self {
        self.of_type = true;
        self
    }

    fn depth(&self) -> usize {
        self.pointer.matches('/').count()
    }
}

fn mismatch(pointer: &str, message: impl Into<String>) -> Mismatch {
    Mismatch {
        pointer: pointer.to_owned(),
        message: message.into(),
        of_type: false,
    }
}

/// Holds answers against GitHub's introspection schema, which is read at the first of them.
pub struct Judge {
    path: PathBuf,
    types: OnceLock<Result<Types, String>>,
}

impl Judge {
    /// `path` leads to `schema.json` of the npm package `@octokit/graphql-schema`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            types: OnceLock::new(),
        }
    }

    /// Checks that GitHub could answer this request so; the error is `POINTER: MESSAGE`.
    ///
    /// # Errors
    /// The answer does not fit, GitHub does not answer the query, or there is no schema.
    pub fn judge(&self, request: &Value, answer: &Value) -> Result<(), String> {
        let none = Map::new();
        let asked = parse::operation(
            request["query"].as_str().unwrap_or_default(),
            request["operationName"].as_str(),
            request["variables"].as_object().unwrap_or(&none),
        )?;
        self.check(Some(&asked), answer)
            .map_err(|found| format!("{}: {}", found.pointer, found.message))
    }

    /// Checks an answer to a query; one that was not run has errors alone.
    pub(crate) fn check(
        &self,
        asked: Option<&[Selection]>,
        answer: &Value,
    ) -> Result<(), Mismatch> {
        let types = self
            .types
            .get_or_init(|| Types::load(&self.path))
            .as_ref()
            .map_err(|message| mismatch("", format!("GitHub's schema is missing: {message}")))?;
        let members = answer
            .as_object()
            .ok_or_else(|| mismatch("", "an answer is an object"))?;
        if let Some(name) = members
            .keys()
            .find(|name| !matches!(name.as_str(), "data" | "errors" | "extensions"))
        {
            return Err(mismatch(
                &format!("/{name}"),
                "an answer has no such member",
            ));
        }
        let errors = members.get("errors");
        if let Some(errors) = errors {
            errors::form(errors)?;
        }
        let Some(data) = members.get("data") else {
            return match errors {
                Some(_) => Ok(()),
                None => Err(mismatch("", "neither data nor errors")),
            };
        };
        let asked = asked.ok_or_else(|| mismatch("/data", "an answer to no query"))?;
        let query = types
            .get(types.query())
            .ok_or_else(|| mismatch("", "the schema has no queries"))?;
        question::selections(types, query, asked, "/data").map_err(|found| Mismatch {
            message: format!("GitHub would refuse the query: {}", found.message),
            ..found
        })?;
        if data.is_null() && errors.is_none() {
            return Err(mismatch("/data", "null without an error"));
        }
        let kind = Kind::Named {
            name: query.name.clone(),
        };
        answer::value(types, &kind, &[asked], data, "/data")?;
        errors.map_or(Ok(()), |errors| errors::landed(types, asked, data, errors))
    }
}
