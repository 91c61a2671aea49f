//! The answer to a caller, before it is recorded.

use crate::error::{AwsError, Protocol};
use crate::text::xml_escape;
use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;

/// A body: whole, or as it streams from the part behind.
pub(crate) enum Content {
    Whole(Bytes),
    Stream(Body),
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

/// Status, headers, body, and the error code for the record.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Content,
    pub(crate) error: Option<String>,
}

impl AwsError {
    /// The refusal as the protocol writes it.
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

impl Answer {
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::with_body("application/x-amz-json-1.1", value.to_string())
    }

    /// The answer of an operation of the JSON protocol that returns nothing.
    pub(crate) fn empty() -> Self {
        Self::with_body("application/x-amz-json-1.1", String::new())
    }

    pub(crate) fn xml(text: String) -> Self {
        Self::with_body("text/xml", text)
    }

    fn with_body(kind: &'static str, text: String) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Self {
            status: StatusCode::OK,
            headers,
            body: Bytes::from(text).into(),
            error: None,
        }
    }

    /// The whole body as text; empty for a stream.
    pub(crate) fn text(&self) -> String {
        match &self.body {
            Content::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Content::Stream(_) => String::new(),
        }
    }

    /// The answer with its body read to the end.
    pub(crate) async fn read(mut self) -> Result<Self, AwsError> {
        if let Content::Stream(body) = self.body {
            let bytes = axum::body::to_bytes(body, usize::MAX)
                .await
                .map_err(|cause| AwsError::upstream("moto", cause))?;
            self.body = bytes.into();
        }
        Ok(self)
    }

    pub(crate) fn into_response(mut self, request_id: &str) -> Response {
        if let Ok(value) = HeaderValue::from_str(request_id) {
            self.headers
                .insert(HeaderName::from_static("x-amzn-requestid"), value);
        }
        let body = match self.body {
            Content::Whole(bytes) => {
                // The length of a body that was rewritten is another one; HEAD answers keep what the source said.
                if !bytes.is_empty() {
                    self.headers.remove(http::header::CONTENT_LENGTH);
                }
                Body::from(bytes)
            }
            Content::Stream(body) => body,
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// A reply that ends in the middle: the client sees the connection break.
pub(crate) fn cut() -> Response {
    let broken = futures_util::stream::once(async {
        Err::<Bytes, _>(std::io::Error::other("cut by a fault"))
    });
    let mut response = Response::new(Body::from_stream(broken));
    response.headers_mut().insert(
        http::header::CONTENT_LENGTH,
        HeaderValue::from_static("1048576"),
    );
    response
}
