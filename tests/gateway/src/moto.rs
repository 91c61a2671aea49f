//! moto behind the gateway. moto tells accounts apart by `x-moto-account-id`, which only the gateway
//! sets. Its HTML error pages become AWS-shaped errors that no SDK retries.

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::Gateway;
use crate::answer::{Answer, Content};
use crate::call::Call;
use crate::error::{AwsError, Protocol};

const ACCOUNT: HeaderName = HeaderName::from_static("x-moto-account-id");

/// Headers that belong to one connection, or that the sandbox decides.
const DROPPED: [&str; 9] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "upgrade",
    "expect",
    "accept-encoding",
    "x-moto-account-id",
    "proxy-authorization",
];

/// The caller's headers as to be sent on to any part behind.
pub(crate) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| !DROPPED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// An answer's headers without those of the connection and of the part's own server.
pub(crate) fn returned(headers: &HeaderMap) -> HeaderMap {
    const OWN: [&str; 6] = [
        "connection",
        "keep-alive",
        "transfer-encoding",
        "server",
        "status",
        "x-amzn-requestid",
    ];
    headers
        .iter()
        .filter(|(name, _)| {
            !OWN.contains(&name.as_str()) && !name.as_str().starts_with("access-control-")
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Forwards a call whose body was read.
pub(crate) async fn forward(
    gateway: &Gateway,
    call: &Call,
    account: &str,
) -> Result<Answer, AwsError> {
    let answer = send(
        gateway,
        call,
        account,
        reqwest::Body::from(call.body.clone()),
    )
    .await?;
    buffered(answer).await
}

/// Forwards a call whose bodies stream, in both directions.
pub(crate) async fn stream(
    gateway: &Gateway,
    call: &Call,
    account: &str,
    body: Body,
) -> Result<Answer, AwsError> {
    let answer = send(
        gateway,
        call,
        account,
        reqwest::Body::wrap_stream(body.into_data_stream()),
    )
    .await?;
    // Errors are small, and their code belongs in the record.
    if answer.status().is_success() {
        let (status, headers) = (answer.status(), returned(answer.headers()));
        return Ok(Answer {
            status,
            headers,
            body: Content::Stream(Body::from_stream(answer.bytes_stream())),
            error: None,
        });
    }
    buffered(answer).await
}

async fn send(
    gateway: &Gateway,
    call: &Call,
    account: &str,
    body: reqwest::Body,
) -> Result<reqwest::Response, AwsError> {
    let mut headers = forwarded(&call.headers);
    headers.insert(ACCOUNT, account_header(account)?);
    let sized = call.headers.contains_key(header::CONTENT_LENGTH);
    let mut request = gateway
        .http
        .request(
            call.method.clone(),
            format!("{}{}", gateway.config.moto, call.target()),
        )
        .headers(headers);
    if sized || call.headers.contains_key(header::TRANSFER_ENCODING) {
        request = request.body(body);
    }
    let answer = request
        .send()
        .await
        .map_err(|cause| AwsError::upstream("moto", cause))?;
    let html = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    // Objects may be HTML; S3's own errors never are.
    if html
        && (answer.status().is_server_error()
            || (call.protocol != Protocol::S3 && !answer.status().is_success()))
    {
        return Err(AwsError::unimplemented(
            call.protocol,
            &call.service,
            &call.operation,
            "moto",
        ));
    }
    Ok(answer)
}

async fn buffered(answer: reqwest::Response) -> Result<Answer, AwsError> {
    let (status, headers) = (answer.status(), returned(answer.headers()));
    let length = headers.get(header::CONTENT_LENGTH).cloned();
    let body = answer
        .bytes()
        .await
        .map_err(|cause| AwsError::upstream("moto", cause))?;
    let error = (!status.is_success()).then(|| error_code(&body)).flatten();
    let mut answer = Answer {
        status,
        headers,
        body: body.into(),
        error,
    };
    if let (Some(length), Content::Whole(bytes)) = (length, &answer.body)
        && bytes.is_empty()
    {
        answer.headers.insert(header::CONTENT_LENGTH, length);
    }
    Ok(answer)
}

/// The error code of a JSON or XML error body.
pub(crate) fn error_code(body: &Bytes) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(&text) {
        let code = json["__type"].as_str().or_else(|| json["code"].as_str())?;
        return Some(code.rsplit('#').next().unwrap_or(code).to_owned());
    }
    crate::text::xml_one(&text, "Code")
}

/// Asks moto on the gateway's own behalf, in an account.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one HTTP request, given once each"
)]
pub(crate) async fn ask(
    gateway: &Gateway,
    method: Method,
    target: &str,
    service: &str,
    region: &str,
    account: &str,
    headers: &[(&'static str, String)],
    body: String,
) -> Result<Answer, AwsError> {
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=ASIAGATEWAY/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let mut request = gateway
        .http
        .request(method, format!("{}{target}", gateway.config.moto))
        .header(header::AUTHORIZATION, scope)
        .header(ACCOUNT, account_header(account)?)
        .body(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let answer = request
        .send()
        .await
        .map_err(|cause| AwsError::upstream("moto", cause))?;
    buffered(answer).await
}

fn account_header(account: &str) -> Result<HeaderValue, AwsError> {
    HeaderValue::from_str(account).map_err(|cause| AwsError::upstream("account table", cause))
}
