//! The way to the services whose resources a stack is made of: calls in three protocols, by whoever deploys.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

/// A call to another service.
#[derive(Debug, Clone)]
pub struct ServiceCall {
    /// Signing name, such as `ssm`.
    pub service: &'static str,
    /// The region of the stack; that of IAM and Route 53 is `us-east-1`.
    pub region: String,
    /// The HTTP method.
    pub method: http::Method,
    /// The path, encoded.
    pub path: String,
    /// The query string, encoded.
    pub query: String,
    /// The headers that the protocol needs.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// The service's answer.
#[derive(Debug, Clone)]
pub struct ServiceAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A result that is being waited for.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Whose permissions an operation on a stack has: the caller's, or those of the role that was passed.
pub trait Session: Send + Sync {
    /// Makes a call.
    fn call(&self, call: ServiceCall) -> Pending<ServiceAnswer>;

    /// A session of a role that trusts CloudFormation, or why there is none.
    fn assume(&self, role: String) -> Pending<Result<Arc<dyn Session>, String>>;
}

/// A service's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) service: &'static str,
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) request_id: String,
}

impl Refusal {
    /// The sentence in which a resource's provider repeats it.
    pub(crate) fn sentence(&self) -> String {
        let Self {
            service,
            status,
            message,
            request_id,
            ..
        } = self;
        let mut service = (*service).to_owned();
        if let Some(first) = service.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        format!(
            "{message} (Service: {service}, Status Code: {status}, Request ID: {request_id}) (SDK Attempt Count: 1)"
        )
    }

    /// The registry's code for it.
    /// Source: CloudFormation CLI User Guide, "Handler error codes".
    pub(crate) fn handler_code(&self) -> &'static str {
        let code = self.code.as_str();
        let is = |words: &[&str]| words.iter().any(|word| code.contains(word));
        if is(&["AccessDenied", "AuthorizationError", "Unauthorized"]) {
            "AccessDenied"
        } else if is(&[
            "AlreadyExists",
            "AlreadyOwnedByYou",
            "QueueNameExists",
            "EntityAlreadyExists",
        ]) {
            "AlreadyExists"
        } else if is(&["NotFound", "NonExistent", "NoSuch", "DoesNotExist"]) {
            "NotFound"
        } else if is(&["LimitExceeded"]) {
            "ServiceLimitExceeded"
        } else if is(&["Throttl"]) {
            "Throttling"
        } else if self.status >= 500 {
            "ServiceInternalError"
        } else if is(&["Invalid", "Validation", "Malformed", "Missing"]) {
            "InvalidRequest"
        } else {
            "GeneralServiceException"
        }
    }

    /// Returns true if the service says that the thing is not there.
    pub(crate) fn not_found(&self) -> bool {
        self.handler_code() == "NotFound"
    }
}

/// Makes calls in the protocols of the services.
pub(crate) struct Services {
    pub(crate) session: Arc<dyn Session>,
    pub(crate) region: String,
}

impl Services {
    /// The same services in another region.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        Self {
            session: Arc::clone(&self.session),
            region: region.to_owned(),
        }
    }

    /// A call whose operation is named by method and path, with JSON in both directions.
    pub(crate) async fn rest(
        &self,
        service: &'static str,
        method: http::Method,
        path: &str,
        query: &str,
        body: Option<Value>,
    ) -> Result<Value, Refusal> {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(http::header::CONTENT_TYPE, json);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self
            .send(service, method, path, query, headers, body.into())
            .await?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// A call of a JSON protocol; `target` is `PREFIX.Operation`.
    pub(crate) async fn json(
        &self,
        service: &'static str,
        target: &'static str,
        body: Value,
    ) -> Result<Value, Refusal> {
        let version = match service {
            "dynamodb" | "sqs" => "application/x-amz-json-1.0",
            _ => "application/x-amz-json-1.1",
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static(version),
        );
        headers.insert("x-amz-target", HeaderValue::from_static(target));
        let answer = self
            .send(
                service,
                http::Method::POST,
                "/",
                "",
                headers,
                body.to_string().into(),
            )
            .await?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// A call of the query protocol; answers XML.
    pub(crate) async fn query(
        &self,
        service: &'static str,
        version: &str,
        action: &str,
        parameters: &[(String, String)],
    ) -> Result<String, Refusal> {
        let mut body = format!("Action={action}&Version={version}");
        for (name, value) in parameters {
            body.push_str(&format!("&{}={}", encode(name), encode(value)));
        }
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(http::header::CONTENT_TYPE, form);
        let answer = self
            .send(service, http::Method::POST, "/", "", headers, body.into())
            .await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// A call of a REST protocol.
    pub(crate) async fn send(
        &self,
        service: &'static str,
        method: http::Method,
        path: &str,
        query: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<ServiceAnswer, Refusal> {
        // These are global, and their credential scope is us-east-1.
        let region = match service {
            "iam" | "route53" => "us-east-1".to_owned(),
            _ => self.region.clone(),
        };
        let call = ServiceCall {
            service,
            region,
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body,
        };
        let answer = self.session.call(call).await;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(refusal(service, &answer))
    }
}

fn refusal(service: &'static str, answer: &ServiceAnswer) -> Refusal {
    let text = String::from_utf8_lossy(&answer.body);
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let of = |names: [&str; 2], tag: &str| {
        let in_json = names.iter().find_map(|name| json[*name].as_str());
        let found = in_json.map(str::to_owned).or_else(|| xml_one(&text, tag));
        found.unwrap_or_default()
    };
    let code = of(["__type", "code"], "Code");
    let id = answer.headers.get("x-amzn-requestid");
    Refusal {
        service,
        status: answer.status.as_u16(),
        code: code.rsplit('#').next().unwrap_or(&code).to_owned(),
        message: of(["message", "Message"], "Message"),
        request_id: id
            .and_then(|id| id.to_str().ok())
            .map_or_else(crate::ids::uuid, str::to_owned),
    }
}

/// Percent-encodes everything but unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Decodes percent escapes, in which IAM answers documents.
pub(crate) fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                out.push(byte);
                rest = &after[2..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The text of the first element of a name.
pub(crate) fn xml_one(xml: &str, tag: &str) -> Option<String> {
    xml_all(xml, tag).into_iter().next()
}

/// The contents of all elements of a name, unescaped where they are texts.
pub(crate) fn xml_all(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find(&open) {
        rest = &rest[start + open.len()..];
        let Some(end) = rest.find(&close) else { break };
        let inner = &rest[..end];
        found.push(match inner.contains('<') {
            true => inner.to_owned(),
            false => inner
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&#34;", "\"")
                .replace("&amp;", "&"),
        });
        rest = &rest[end + close.len()..];
    }
    found
}
