//! The log of calls, for `--verbose` and the runner's debug mode: one line for each request that
//! leaves, with what it was, how it ended and the service's own ID of it. Never a value: no body, no
//! query, no header but the ID.

use crate::clock::AwsClock;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use http::HeaderMap;
use kit::aws::AccountId;
use kit::clock::uptime;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The headers in which AWS, S3 and GitHub return the ID of a request.
const REQUEST_IDS: [&str; 4] = [
    "x-amzn-requestid",
    "x-amz-request-id",
    "x-amz-requestid",
    "x-github-request-id",
];

/// A call that is under way.
#[derive(Debug)]
pub struct Call {
    description: String,
    since: Instant,
}

impl Call {
    /// Begins a call. `None`, which costs nothing, where nobody asked for the log.
    pub fn begin<T: Display>(description: impl FnOnce() -> T) -> Option<Self> {
        kit::host::verbose().then(|| Self {
            description: description().to_string(),
            since: Instant::now(),
        })
    }

    /// Ends the call with an answer. `header` finds a header of the answer by its name.
    pub fn answered<'h>(self, status: u16, header: impl Fn(&str) -> Option<&'h str>) {
        let request = request_id(header).map_or_else(String::new, |id| format!(", request {id}"));
        self.end(format_args!("{status}"), &request);
    }

    /// Ends the call without an answer.
    pub fn unanswered(self) {
        self.end(format_args!("no answer"), "");
    }

    fn end(self, outcome: impl Display, request: &str) {
        let took = self.since.elapsed().as_millis();
        kit::host::debug(&format!(
            "{}: {outcome} in {took} ms{request}",
            self.description
        ));
    }
}

/// Sends a request that is not to AWS's SDK, and logs it as `description`, or by its method, host and path.
///
/// # Errors
/// The request's own.
pub async fn send(
    description: Option<String>,
    request: reqwest::RequestBuilder,
) -> Result<reqwest::Response, reqwest::Error> {
    send_with(request, |request| {
        description.unwrap_or_else(|| target(request))
    })
    .await
}

/// The same for a request to a registry, whose account and region its host need not say. `account_and_region`: what is
/// known of the two, as [`account_and_region`] writes it; `attempt`: from 1.
///
/// # Errors
/// The request's own.
pub async fn send_to_registry(
    request: reqwest::RequestBuilder,
    account_and_region: &str,
    attempt: u32,
) -> Result<reqwest::Response, reqwest::Error> {
    send_with(request, |request| {
        format!(
            "registry {}{account_and_region}, attempt {attempt}",
            target(request)
        )
    })
    .await
}

/// An account and a region for a line of the log.
pub fn account_and_region(account: &str, region: &str) -> String {
    format!(", account {account}, region {region}")
}

/// A request by its method, host and path: the query may hold a value.
fn target(request: &reqwest::Request) -> String {
    let url = request.url();
    let host = url.host_str().unwrap_or_default();
    format!("{} {host}{}", request.method(), url.path())
}

async fn send_with(
    request: reqwest::RequestBuilder,
    describe: impl FnOnce(&reqwest::Request) -> String,
) -> Result<reqwest::Response, reqwest::Error> {
    let (client, request) = request.build_split();
    let request = request?;
    let call = Call::begin(|| describe(&request));
    let answer = client.execute(request).await;
    if let Some(call) = call {
        match &answer {
            Ok(answer) => {
                call.answered(answer.status().as_u16(), |name| {
                    text(answer.headers(), name)
                });
            }
            Err(_) => call.unanswered(),
        }
    }
    answer
}

/// The service's ID of a request, from the headers of its answer.
pub fn request_id<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<&'h str> {
    REQUEST_IDS.iter().find_map(|name| header(name))
}

/// A header as text.
pub fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The accounts of the access key IDs that requests are signed with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners(Arc<Mutex<BTreeMap<String, AccountId>>>);

impl Owners {
    pub(crate) fn add(&self, access_key_id: &str, account: &AccountId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(access_key_id.to_owned(), account.clone());
    }

    fn of(&self, access_key_id: &str) -> Option<AccountId> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(access_key_id).cloned()
    }
}

/// The connector of the AWS clients, which logs what goes through it, and looks at the time that answers say.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) inner: SharedHttpConnector,
    pub(crate) owners: Owners,
    pub(crate) clock: AwsClock,
}

impl HttpConnector for Logged {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = Call::begin(|| describe(&request, &self.owners));
        let (_, region, _) = scope(&request).unwrap_or_default();
        let (host, region) = (host_of(request.uri()).to_owned(), region.to_owned());
        let answer = self.inner.call(request);
        let clock = self.clock.clone();
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            if let Ok(answer) = &answer {
                clock.answered(answer.headers().get("date"), uptime());
            }
            match (&answer, call) {
                (_, None) => {}
                (Ok(answer), Some(call)) => {
                    call.answered(answer.status().as_u16(), |name| answer.headers().get(name));
                }
                (Err(_), Some(call)) => call.unanswered(),
            }
            answer.map_err(|error| named(error, host, region))
        })
    }
}

/// A request without an answer, and where it went.
#[derive(Debug)]
struct Unanswered {
    host: String,
    region: String,
    source: BoxError,
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no answer from {}", self.host)?;
        match self.region.as_str() {
            "" => Ok(()),
            region => write!(f, " (region {region})"),
        }
    }
}

impl std::error::Error for Unanswered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// The connector's error with the host that did not answer. Its kind stays, because the SDK decides
/// by it what is tried again.
fn named(error: ConnectorError, host: String, region: String) -> ConnectorError {
    let make: fn(BoxError) -> ConnectorError = match () {
        () if error.is_timeout() => ConnectorError::timeout,
        () if error.is_user() => ConnectorError::user,
        () if error.is_io() => ConnectorError::io,
        () => |source| ConnectorError::other(source, None),
    };
    let other = error.as_other();
    let connection = error.connection_metadata().cloned();
    let source: BoxError = Box::new(Unanswered {
        host,
        region,
        source: error.into_source(),
    });
    let error = match other {
        Some(kind) => ConnectorError::other(source, Some(kind)),
        None => make(source),
    };
    match connection {
        Some(connection) => error.with_connection(connection),
        None => error,
    }
}

/// Access key, region and service that a request is signed for (IAM User Guide, "Create a signed
/// AWS API request").
fn scope(request: &HttpRequest) -> Option<(&str, &str, &str)> {
    let header = request.headers().get("authorization")?;
    let (_, scope) = header.split_once("Credential=")?;
    let mut parts = scope.split(',').next()?.split('/');
    let (key, _date) = (parts.next()?, parts.next()?);
    Some((key, parts.next()?, parts.next()?))
}

/// Service, operation, account, region and attempt of a request of the SDK, as far as it says them:
/// the scope of its signature, the target of the
/// JSON protocols, the action of the query protocol, the SDK's count of its attempts.
fn describe(request: &HttpRequest, owners: &Owners) -> String {
    let headers = request.headers();
    let host = host_of(request.uri());
    let (account, region, service) = match scope(request) {
        Some((key, region, service)) => (
            owners.of(key).map(|account| format!(", account {account}")),
            Some(format!(", region {region}")),
            service,
        ),
        None => (None, None, host),
    };
    let action = || {
        let body = std::str::from_utf8(request.body().bytes()?).ok()?;
        body.split('&')
            .find_map(|pair| pair.strip_prefix("Action="))
    };
    let operation = headers
        .get("x-amz-target")
        .map(|target| target.rsplit('.').next().unwrap_or(target))
        .or_else(action)
        .map_or_else(
            || {
                let path = request.uri().split_once(host).map_or("", |(_, rest)| rest);
                let path = path.split('?').next().unwrap_or_default();
                format!("{} {path}", request.method())
            },
            str::to_owned,
        );
    let attempt = headers
        .get("amz-sdk-request")
        .and_then(|header| {
            header
                .split(';')
                .find_map(|part| part.trim().strip_prefix("attempt="))
        })
        .map(|attempt| format!(", attempt {attempt}"));
    [account, region, attempt]
        .into_iter()
        .flatten()
        .fold(format!("{service} {operation}"), |line, part| line + &part)
}

/// Host and port of a URL.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;

    #[test]
    fn a_call_is_described_by_its_signature_and_never_by_a_value() {
        const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=ASIA1/20261128/ca-central-1/SERVICE/aws4_request, SignedHeaders=host, Signature=abc";
        let owners = Owners::default();
        owners.add("ASIA1", &"111111111111".parse().unwrap());
        for (service, url, target, body, expected) in [
            (
                "ssm",
                "https://ssm.ca-central-1.amazonaws.com/",
                Some("AmazonSSM.GetParameters"),
                r#"{"Names":["/a"]}"#,
                "ssm GetParameters, account 111111111111, region ca-central-1, attempt 2",
            ),
            (
                "elasticloadbalancing",
                "https://elb.amazonaws.com/",
                None,
                "Action=DescribeTargetHealth&Version=2015-12-01",
                "elasticloadbalancing DescribeTargetHealth, account 111111111111, region ca-central-1, attempt 2",
            ),
            (
                "s3",
                "http://127.0.0.1:4000/bucket/key?versionId=secret",
                None,
                "hunter2",
                "s3 GET /bucket/key, account 111111111111, region ca-central-1, attempt 2",
            ),
        ] {
            let mut request = HttpRequest::new(SdkBody::from(body));
            request.set_uri(url).unwrap();
            let headers = request.headers_mut();
            headers.insert("authorization", SIGNED.replace("SERVICE", service));
            headers.insert("amz-sdk-request", "attempt=2; max=3");
            if let Some(target) = target {
                headers.insert("x-amz-target", target);
            }
            assert_eq!(describe(&request, &owners), expected);
        }
        let body = "Action=AssumeRoleWithWebIdentity&WebIdentityToken=hunter2";
        let mut request = HttpRequest::new(SdkBody::from(body));
        request
            .set_uri("https://sts.eu-west-1.amazonaws.com/")
            .unwrap();
        assert_eq!(
            describe(&request, &owners),
            "sts.eu-west-1.amazonaws.com AssumeRoleWithWebIdentity"
        );
    }
}
