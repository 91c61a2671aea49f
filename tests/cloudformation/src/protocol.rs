//! The query protocol, and the check of every request and answer against the service model.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::error::{Answer, ApiError};
use crate::{Call, Inner, api, ids, lock};

/// Code of the answer to a call whose real answer did not fit the model.
const VIOLATION: &str = "StandInContractViolation";

/// Errors that CloudFormation answers besides those that the model lists for an operation.
/// Source: AWS CloudFormation API Reference, "Common Error Types".
const COMMON_ERRORS: [&str; 3] = ["ValidationError", "InvalidAction", "StandInNotImplemented"];

pub(crate) async fn handle(inner: &Arc<Inner>, call: Call<'_>) -> Response<Bytes> {
    let id = ids::uuid();
    let (operation, input) = match inner.shapes.form(call.body) {
        Ok(read) => read,
        Err(refused) => {
            let error = ApiError::new(refused.code, refused.message);
            return respond(error.status, &error_text(inner, &error, &id), &id);
        }
    };
    let answer = api::dispatch(inner, &call, &operation, input).await;
    match checked(inner, &operation, answer, &id) {
        Ok((status, text)) => respond(status, &text, &id),
        Err(violation) => {
            lock(&inner.violations).push(violation.clone());
            let error = ApiError {
                code: VIOLATION.to_owned(),
                message: violation,
                status: 500,
            };
            respond(500, &error_text(inner, &error, &id), &id)
        }
    }
}

/// The answer's status and text, or how it breaks the model.
fn checked(
    inner: &Inner,
    operation: &str,
    answer: Answer,
    id: &str,
) -> Result<(u16, String), String> {
    match answer {
        Ok(value) => {
            let faults = inner.shapes.form_faults(operation, &modeled(&value));
            match faults.is_empty() {
                true => Ok((200, inner.shapes.form_answer(operation, &value, id))),
                false => Err(format!("{operation}: {}", faults.join("; "))),
            }
        }
        Err(error) => {
            let common = COMMON_ERRORS.contains(&error.code.as_str());
            if !common && !inner.shapes.lists_code(operation, &error.code) {
                return Err(format!(
                    "{operation}: error {} is not one of this operation's",
                    error.code
                ));
            }
            let status = inner.shapes.status_of(&error.code).unwrap_or(error.status);
            Ok((status, error_text(inner, &error, id)))
        }
    }
}

/// The answer with the statuses replaced that events have in fact and that the model's list of an event's statuses
/// leaves out: some of a stack's own.
fn modeled(value: &Value) -> Value {
    const LEFT_OUT: [&str; 3] = [
        "REVIEW_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    ];
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, member)| {
                    let status = member.as_str().filter(|it| LEFT_OUT.contains(it));
                    let member = match status {
                        Some(_) if name == "ResourceStatus" => Value::from("UPDATE_IN_PROGRESS"),
                        _ => modeled(member),
                    };
                    (name.clone(), member)
                })
                .collect(),
        ),
        Value::Array(items) => items.iter().map(modeled).collect(),
        other => other.clone(),
    }
}

fn error_text(inner: &Inner, error: &ApiError, id: &str) -> String {
    inner
        .shapes
        .form_error(error.status, &error.code, &error.message, id)
}

fn respond(status: u16, text: &str, id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("text/xml"),
    );
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
