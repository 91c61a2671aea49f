//! The restJson1 protocol, and the check of every request and answer against the service model.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::{Inner, Scope, api, invoke};

/// Code of the answer to a call whose real answer did not fit the model.
const VIOLATION: &str = "StandInContractViolation";

/// An operation that this stand-in does not have, and a failure of its own.
const OWN: [&str; 2] = ["StandInNotImplemented", VIOLATION];

pub(crate) async fn handle(
    inner: &Arc<Inner>,
    scope: &Scope,
    operation: &str,
    mut input: Value,
) -> Response<Bytes> {
    standin_ecs::drop_null_members(&mut input);
    if let Some(fault) = inner.shapes.input_faults(operation, &input).first() {
        let error = ApiError::invalid(format!("1 validation error detected: {fault}"));
        return refused(inner, &error);
    }
    if operation == "Invoke" {
        return match invoke::invoke(inner, scope, &input).await {
            Ok(invoked) => invoked.response(),
            Err(error) => refused(inner, &error),
        };
    }
    let answer = api::dispatch(inner, scope, operation, &input).await;
    match checked(inner, operation, answer) {
        Ok(value) => respond(status(operation), value.to_string(), None),
        Err(error) => refused(inner, &error),
    }
}

/// The answer, if it is one that the model allows for the operation.
fn checked(inner: &Inner, operation: &str, answer: Answer) -> Answer {
    let why = match &answer {
        // An operation without an output has an empty body.
        Ok(Value::Null) => return answer,
        Ok(value) => inner.shapes.output_faults(operation, value).join("; "),
        Err(error) if OWN.contains(&error.code) => return answer,
        Err(error) if inner.shapes.lists_error(operation, error.code) => return answer,
        Err(error) => format!("error {} is not one of this operation's", error.code),
    };
    if why.is_empty() {
        return answer;
    }
    let violation = format!("{operation}: {why}");
    inner.violations().push(violation.clone());
    Err(ApiError::new(VIOLATION, violation))
}

/// The status of a success (the service model's `responseCode` of each operation).
fn status(operation: &str) -> u16 {
    match operation {
        "CreateFunction" | "CreateAlias" | "PublishVersion" | "AddPermission" => 201,
        "PutProvisionedConcurrencyConfig" => 202,
        "DeleteAlias"
        | "RemovePermission"
        | "TagResource"
        | "UntagResource"
        | "DeleteProvisionedConcurrencyConfig" => 204,
        _ => 200,
    }
}

/// An error in the form of restJson1: its code in a header.
fn refused(inner: &Inner, error: &ApiError) -> Response<Bytes> {
    let status = match error.code {
        VIOLATION => 500,
        "StandInNotImplemented" => 501,
        code => inner.shapes.status_of(code).unwrap_or(400),
    };
    let body = json!({"Type": "User", "message": error.message, "__type": error.code});
    respond(status, body.to_string(), Some(error.code))
}

fn respond(status: u16, text: String, error: Option<&'static str>) -> Response<Bytes> {
    let text = match status {
        204 => String::new(),
        _ => text,
    };
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(code) = error {
        let name = HeaderName::from_static("x-amzn-errortype");
        headers.insert(name, HeaderValue::from_static(code));
    }
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
