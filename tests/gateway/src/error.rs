//! Errors as AWS phrases them, in the protocol the caller speaks.

use axum::body::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use crate::answer::Answer;
use crate::text::xml_escape;

/// How a service talks, which decides the shape of its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// awsJson 1.0 and 1.1: the operation in `X-Amz-Target`.
    Json,
    /// awsQuery: the operation in `Action`.
    Query,
    /// ec2Query: awsQuery with its own error envelope.
    Ec2,
    /// restXml as S3 has it.
    S3,
    /// restJson1.
    RestJson,
    /// OCI distribution, on the registry's front.
    Registry,
}

/// One refusal: AWS's code, the message, the HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsError {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl AwsError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// A part of the sandbox behind the gateway did not do its work. 502 is retried by SDKs, as a real outage would be.
    pub(crate) fn upstream(backend: &str, cause: impl std::fmt::Display) -> Self {
        Self::new(
            502,
            "ServiceUnavailable",
            format!("the sandbox's {backend} did not answer: {cause}"),
        )
    }

    /// The error for a call that the sandbox does not support. No SDK retries 501 or 400.
    pub(crate) fn unimplemented(
        protocol: Protocol,
        service: &str,
        operation: &str,
        part: &str,
    ) -> Self {
        let (status, code) = match protocol {
            Protocol::Json => (400, "UnknownOperationException"),
            Protocol::Query | Protocol::Ec2 => (400, "InvalidAction"),
            Protocol::S3 | Protocol::RestJson => (501, "NotImplemented"),
            Protocol::Registry => (501, "UNSUPPORTED"),
        };
        Self::new(
            status,
            code,
            format!("the sandbox's {part} does not implement {service}:{operation}"),
        )
    }

    pub(crate) fn answer(&self, protocol: Protocol, request_id: &str) -> Answer {
        let (code, message) = (xml_escape(&self.code), xml_escape(&self.message));
        let (kind, body) = match protocol {
            Protocol::Json => (
                "application/x-amz-json-1.1",
                json!({"__type": self.code, "message": self.message}).to_string(),
            ),
            Protocol::RestJson => (
                "application/json",
                json!({"message": self.message}).to_string(),
            ),
            Protocol::Query => (
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                     <RequestId>{request_id}</RequestId></ErrorResponse>"
                ),
            ),
            Protocol::Ec2 => (
                "text/xml",
                format!(
                    "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
                     <RequestID>{request_id}</RequestID></Response>"
                ),
            ),
            Protocol::S3 => (
                "application/xml",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
                     <RequestId>{request_id}</RequestId></Error>"
                ),
            ),
            Protocol::Registry => (
                "application/json",
                json!({"errors": [{"code": self.code, "message": self.message}]}).to_string(),
            ),
        };
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if matches!(protocol, Protocol::Json | Protocol::RestJson)
            && let Ok(value) = HeaderValue::from_str(&self.code)
        {
            headers.insert(HeaderName::from_static("x-amzn-errortype"), value);
        }
        Answer {
            status: self.status,
            headers,
            body: Bytes::from(body).into(),
            error: Some(self.code.clone()),
        }
    }
}
