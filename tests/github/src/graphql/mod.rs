//! A small, honest subset of GitHub's GraphQL API: what is in `schema` is answered, what is not is refused by name.

mod judge;
mod node;
mod parse;
mod pull;
mod resolve;
mod schema;
mod validate;

use serde_json::{Map, Value, json};

use crate::http::Answer;
use crate::rest::Identity;
use crate::state::State;

pub use judge::Judge;
pub(crate) use judge::Mismatch;
pub(crate) use parse::Selection;
pub(crate) use resolve::Executor;

/// One entry of `errors`.
#[derive(Debug, Clone)]
pub(crate) struct GraphError {
    pub(crate) kind: Option<&'static str>,
    pub(crate) path: Vec<Value>,
    pub(crate) message: String,
}

impl GraphError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            kind: None,
            path: Vec::new(),
            message: message.into(),
        }
    }

    fn render(&self) -> Value {
        let mut fields = Map::new();
        if let Some(kind) = self.kind {
            fields.insert("type".into(), json!(kind));
        }
        if !self.path.is_empty() {
            fields.insert("path".into(), json!(self.path));
        }
        fields.insert("message".into(), json!(self.message));
        Value::Object(fields)
    }
}

/// The answer to one `POST /graphql`, and what it asked for that is not implemented.
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) unknown: Vec<String>,
    /// The selections that were run; `None` if the query was refused.
    pub(crate) asked: Option<Vec<Selection>>,
}

/// Runs a request body. GraphQL refuses with status 200 and `errors`; only a body that is none is a 400.
pub(crate) fn execute(state: &State, caller: &Identity, base: &str, body: &[u8]) -> Answered {
    let bad = |message: &str| Answered {
        answer: Answer::json(
            400,
            json!({"message": message, "documentation_url": "https://docs.github.com/graphql", "status": "400"}),
        ),
        unknown: Vec::new(),
        asked: None,
    };
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return bad("Problems parsing JSON");
    };
    let Some(query) = body["query"].as_str() else {
        return bad("A query attribute must be specified and must be a string.");
    };
    let failed = |errors: Vec<GraphError>, unknown| Answered {
        answer: Answer::ok(
            json!({"errors": errors.iter().map(GraphError::render).collect::<Vec<_>>()}),
        ),
        unknown,
        asked: None,
    };
    let none = Map::new();
    let variables = body["variables"].as_object().unwrap_or(&none);
    let operation = match parse::operation(query, body["operationName"].as_str(), variables) {
        Ok(operation) => operation,
        Err(message) => return failed(vec![GraphError::new(message)], Vec::new()),
    };
    let mistakes = validate::selections("Query", &operation, &["query"]);
    if !mistakes.is_empty() {
        let unknown = mistakes
            .iter()
            .map(|mistake| mistake.message.clone())
            .collect();
        return failed(mistakes, unknown);
    }
    let mut executor = Executor {
        state,
        caller,
        base,
        errors: Vec::new(),
    };
    let data = executor.run(&operation);
    let mut fields = Map::new();
    fields.insert("data".into(), data.unwrap_or_default());
    if !executor.errors.is_empty() {
        fields.insert(
            "errors".into(),
            executor.errors.iter().map(GraphError::render).collect(),
        );
    }
    Answered {
        answer: Answer::ok(Value::Object(fields)),
        unknown: Vec::new(),
        asked: Some(operation),
    }
}

/// The first repository that a query names, as `OWNER/NAME`.
pub(crate) fn repository(asked: &[Selection]) -> Option<String> {
    asked.iter().find_map(|selection| match selection {
        Selection::On(_, inner) => repository(inner),
        Selection::Field(field) => {
            let owner = field.arguments.get("owner")?.as_str()?;
            let name = field.arguments.get("name")?.as_str()?;
            Some(format!("{owner}/{name}"))
        }
    })
}

/// One field of the implemented part of the schema, in GitHub's notation, to be compared with GitHub's own.
#[derive(Debug, Clone)]
pub struct SchemaField {
    /// The type it stands on.
    pub on: String,
    /// Its name.
    pub name: String,
    /// Its type, with `!` and brackets.
    pub returns: String,
    /// Names and types of the arguments that are honoured.
    pub arguments: Vec<(String, String)>,
}

/// Every field that is answered; all others are refused.
#[must_use]
pub fn implemented() -> Vec<SchemaField> {
    let describe = |on: &String, field: &schema::Field| SchemaField {
        on: on.clone(),
        name: field.name.clone(),
        returns: field.returns.clone(),
        arguments: field.arguments.clone(),
    };
    schema::all()
        .iter()
        .flat_map(|(on, fields)| fields.iter().map(move |field| describe(on, field)))
        .collect()
}
