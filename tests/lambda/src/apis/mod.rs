//! HTTP APIs of API Gateway in front of functions. Each has an address of its own, at which its routes are answered by the functions
//! themselves. Requests and answers of the control API fit the vendor's model.
//! Source: Amazon API Gateway Developer Guide, "HTTP APIs"; Amazon API Gateway V2 API Reference.

mod allowed;
mod answer;
mod event;
mod matching;
mod operations;
mod route;
mod serve;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};
use tokio::task::AbortHandle;

pub use route::route;
pub use serve::{Authorize, Denied, Signed};

use crate::error::ApiError;
use crate::{Inner, Scope};

/// Integrations, routes and stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Integration,
    Route,
    Stage,
}

/// One API, with the members of everything in it as they are answered.
pub(crate) struct HttpApi {
    pub(crate) members: Map<String, Value>,
    pub(crate) parts: BTreeMap<(Kind, String), Map<String, Value>>,
    /// What answers at its address.
    serving: AbortHandle,
}

impl HttpApi {
    pub(crate) fn of(&self, wanted: Kind) -> impl Iterator<Item = &Map<String, Value>> {
        let parts = self.parts.iter();
        parts
            .filter(move |((kind, _), _)| *kind == wanted)
            .map(|(_, members)| members)
    }
}

impl Drop for HttpApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The APIs of all accounts and regions, by ID.
#[derive(Default)]
pub(crate) struct Apis(Mutex<BTreeMap<(Scope, String), HttpApi>>);

impl Apis {
    pub(crate) fn all(&self) -> MutexGuard<'_, BTreeMap<(Scope, String), HttpApi>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers one call of the control API.
pub(crate) async fn handle(
    inner: &Arc<Inner>,
    scope: &Scope,
    operation: &str,
    mut input: Value,
) -> Response<Bytes> {
    standin_ecs::drop_null_members(&mut input);
    let shapes = &inner.api_shapes;
    let faults = shapes.input_faults(operation, &input);
    let answer = match faults.first() {
        Some(fault) => Err(ApiError::new("BadRequestException", fault.clone())),
        None => operations::answer(inner, scope, operation, &input).await,
    };
    let why = match &answer {
        Ok(Value::Null) => String::new(),
        Ok(value) => shapes.output_faults(operation, value).join("; "),
        Err(error) if shapes.lists_error(operation, error.code) => String::new(),
        Err(error) => format!("error {} is not one of this operation's", error.code),
    };
    if !why.is_empty() {
        let violation = format!("{operation}: {why}");
        inner.violations().push(violation.clone());
        return respond(
            500,
            &json!({"message": violation}),
            Some("StandInContractViolation"),
        );
    }
    match answer {
        Ok(value) if operation.starts_with("Create") => respond(201, &lowered(&value), None),
        Ok(Value::Null) => respond(204, &Value::Null, None),
        Ok(value) => respond(200, &lowered(&value), None),
        Err(error) => {
            let status = shapes.status_of(error.code).unwrap_or(400);
            let body = json!({"message": error.message, "__type": error.code});
            respond(status, &body, Some(error.code))
        }
    }
}

fn respond(status: u16, body: &Value, error: Option<&'static str>) -> Response<Bytes> {
    let text = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(http::header::CONTENT_TYPE, json);
    if let Some(code) = error {
        let name = HeaderName::from_static("x-amzn-errortype");
        headers.insert(name, HeaderValue::from_static(code));
    }
    response
}

/// Members whose keys are their owner's own.
const MAPS: [&str; 4] = [
    "Tags",
    "StageVariables",
    "RouteSettings",
    "RequestParameters",
];

/// Members as they are on the wire, where each begins with a small letter.
fn lowered(value: &Value) -> Value {
    renamed(value, |first| first.make_ascii_lowercase())
}

/// Members as the model names them.
fn raised(value: &Value) -> Value {
    renamed(value, |first| first.make_ascii_uppercase())
}

fn renamed(value: &Value, change: fn(&mut str)) -> Value {
    match value {
        Value::Object(members) => {
            let one = |(name, member): (&String, &Value)| {
                let mut name = name.clone();
                let map = MAPS.iter().any(|map| map.eq_ignore_ascii_case(&name));
                if let Some(first) = name.get_mut(..1) {
                    change(first);
                }
                let member = match map {
                    true => member.clone(),
                    false => renamed(member, change),
                };
                (name, member)
            };
            Value::Object(members.iter().map(one).collect())
        }
        Value::Array(items) => items.iter().map(|item| renamed(item, change)).collect(),
        other => other.clone(),
    }
}
