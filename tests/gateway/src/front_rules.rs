//! ECR's rules on `/v2`: Basic tokens, repositories that exist, policies across accounts, immutable tags; then the
//! distribution does the work under the repository's own path, which no client sees.
//!
//! As in ECR: 401 asks for Basic, an expired token is 403 DENIED, a blob is mounted from another repository only where the
//! account's setting says so (`mounts`), and a part of an upload is answered 201.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use crate::answer::{Answer, Content, cut};
use crate::ecr_repository::Repository;
use crate::error::{AwsError, Protocol};
use crate::faults::Kind;
use crate::identity::Principal;
use crate::moto::{error_code, forwarded, returned};
use crate::record::Entry;
use crate::registry_side::Side;
use crate::{distribution, mounts};

/// Why a registry request has no principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No token, or one this registry never gave.
    Unknown,
    Expired,
}

/// The target of a path of `/v2`.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    name: &'a str,
    /// `manifests`, `blobs`, `tags` or `referrers`.
    kind: &'a str,
    rest: &'a str,
}

/// Manifests of ECR are 4 MiB at most.
const LARGEST_MANIFEST: usize = 4 << 20;

pub(crate) fn router(side: Side) -> Router {
    Router::new().fallback(entry).with_state(side)
}

fn target(path: &str) -> Option<Target<'_>> {
    let path = path.strip_prefix("/v2/")?;
    ["manifests", "tags", "referrers", "blobs"]
        .into_iter()
        .find_map(|kind| {
            let at = path.rfind(&format!("/{kind}/"))?;
            let (name, rest) = (&path[..at], &path[at + kind.len() + 2..]);
            let fits = kind == "blobs" || !rest.contains('/');
            (fits && !name.is_empty() && !rest.is_empty()).then_some(Target { name, kind, rest })
        })
}

/// The API operation that permits the request, as IAM and CloudTrail name it.
fn operation(method: &Method, target: &Target<'_>) -> &'static str {
    let upload = target.kind == "blobs" && target.rest.starts_with("uploads");
    match (target.kind, method.as_str()) {
        ("manifests", "PUT") => "PutImage",
        ("manifests", _) => "BatchGetImage",
        ("tags", _) => "ListImages",
        ("referrers", _) => "ListImageReferrers",
        (_, "POST") if upload => "InitiateLayerUpload",
        (_, "PUT") if upload => "CompleteLayerUpload",
        _ if upload => "UploadLayerPart",
        (_, "HEAD") => "BatchCheckLayerAvailability",
        _ => "GetDownloadUrlForLayer",
    }
}

fn refusal(status: u16, code: &str, message: impl Into<String>) -> AwsError {
    AwsError::new(status, code, message)
}

async fn entry(State(side): State<Side>, request: Request) -> Response {
    let started = Instant::now();
    let gateway = Arc::clone(&side.gateway);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let request_id = uuid::Uuid::new_v4().to_string();
    let target = target(&path);
    let operation = target
        .as_ref()
        .map_or("Ping", |target| operation(&parts.method, target));
    let mut record = Entry::new("ecr", operation, &side.region, &request_id, "registry");
    record.resource = target.as_ref().map(|target| match target.kind {
        "manifests" => format!("{}@{}", target.name, target.rest),
        _ => target.name.to_owned(),
    });
    let principal = gateway.fronts.principal(&parts.headers);
    if let Ok(principal) = &principal {
        record.by(principal);
        record.world = gateway.accounts.world(&principal.account);
    }
    gateway.faults.linger("ecr").await;
    let struck = gateway
        .faults
        .strike("ecr", operation, record.account.as_deref());
    let work = async {
        let principal = principal.map_err(|shut| shut_out(shut, &side.host))?;
        judge(
            &side,
            &principal,
            &parts.method,
            &parts.headers,
            target,
            &query,
            body,
        )
        .await
    };
    let answer = faulty(struck.as_ref(), work).await;
    let answer = answer.map(|answer| {
        answer.unwrap_or_else(|refused| {
            let mut answer = refused.error.answer(Protocol::Registry, &request_id);
            answer.headers.extend(refused.headers);
            answer
        })
    });
    if let Some(answer) = &answer {
        record.status = answer.status.as_u16();
        record.error.clone_from(&answer.error);
    }
    gateway.recorder.add(record, started.elapsed());
    match answer {
        Some(mut answer) if struck != Some(Kind::LostAnswer) => {
            answer.headers.insert(
                "docker-distribution-api-version",
                HeaderValue::from_static("registry/2.0"),
            );
            answer.into_response(&request_id)
        }
        _ => cut(),
    }
}

/// The answer to a call that a fault may have struck; `None` if the connection is cut instead.
async fn faulty(
    struck: Option<&Kind>,
    work: impl Future<Output = Result<Answer, Refused>>,
) -> Option<Result<Answer, Refused>> {
    match struck {
        Some(Kind::Cut) => None,
        Some(Kind::Status {
            status,
            code,
            message,
        }) => {
            let message = message.as_deref().unwrap_or("a fault was asked for");
            Some(Err(Refused::from(refusal(*status, code, message))))
        }
        Some(Kind::Delay { millis }) => {
            tokio::time::sleep(std::time::Duration::from_millis(*millis)).await;
            Some(work.await)
        }
        Some(Kind::LateAnswer { millis }) => {
            let answer = work.await;
            tokio::time::sleep(std::time::Duration::from_millis(*millis)).await;
            Some(answer)
        }
        Some(Kind::LostAnswer | Kind::Unconditional | Kind::Date { .. }) | None => Some(work.await),
    }
}

/// A refusal with the headers it needs.
struct Refused {
    error: AwsError,
    headers: HeaderMap,
}

impl From<AwsError> for Refused {
    fn from(error: AwsError) -> Self {
        Self {
            error,
            headers: HeaderMap::new(),
        }
    }
}

fn shut_out(shut: Denied, host: &str) -> Refused {
    match shut {
        Denied::Expired => refusal(
            403,
            "DENIED",
            "Your authorization token has expired. Reauthenticate and try again.",
        )
        .into(),
        Denied::Unknown => {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(&format!(
                "Basic realm=\"http://{host}/\",service=\"ecr.amazonaws.com\""
            )) {
                headers.insert(header::WWW_AUTHENTICATE, value);
            }
            Refused {
                error: refusal(401, "UNAUTHORIZED", "Not Authorized"),
                headers,
            }
        }
    }
}

async fn judge(
    side: &Side,
    principal: &Principal,
    method: &Method,
    headers: &HeaderMap,
    target: Option<Target<'_>>,
    query: &str,
    body: Body,
) -> Result<Answer, Refused> {
    let gateway = &side.gateway;
    let Some(target) = target else {
        return Ok(Answer::json(&json!({})));
    };
    let repository = crate::ecr_repository::find(gateway, &side.account, &side.region, target.name)
        .await?
        .ok_or_else(|| {
            refusal(
                404,
                "NAME_UNKNOWN",
                crate::ecr_repository::not_found(&side.account, target.name).message,
            )
        })?;
    let need = repository.need(operation(method, &target));
    crate::access::permit::in_registry(gateway, principal, &need)
        .await
        .map_err(|error| {
            if error.code == "AccessDeniedException" {
                refusal(403, "DENIED", error.message)
            } else {
                error
            }
        })?;
    let deletes = *method == Method::DELETE && !target.rest.starts_with("uploads");
    if deletes {
        return Err(refusal(405, "UNSUPPORTED", "The operation is unsupported.").into());
    }
    if target.kind == "manifests" && *method == Method::PUT {
        return Ok(put_manifest(side, &repository, headers, &target, body).await?);
    }
    let starts_upload = *method == Method::POST && target.rest.starts_with("uploads");
    let mount = match starts_upload && query.contains("mount=") {
        true => Some(mounts::granted(side, principal, query).await?),
        false => None,
    };
    // A blob that cannot be mounted is uploaded, so the distribution must not see the mount in the query.
    let query = match &mount {
        Some(granted) => granted.as_deref().unwrap_or_default(),
        None => query,
    };
    Ok(pass(
        side,
        &repository,
        method,
        headers,
        &target,
        query,
        reqwest::Body::wrap_stream(body.into_data_stream()),
    )
    .await?)
}

async fn put_manifest(
    side: &Side,
    repository: &Repository,
    headers: &HeaderMap,
    target: &Target<'_>,
    body: Body,
) -> Result<Answer, AwsError> {
    let gateway = &side.gateway;
    let bytes: Bytes = to_bytes(body, LARGEST_MANIFEST).await.map_err(|_| {
        refusal(
            400,
            "MANIFEST_INVALID",
            "The manifest is larger than 4 MiB or was not sent whole",
        )
    })?;
    let digest = format!("sha256:{}", crate::sigv4::sha256(&bytes));
    let path = repository.path();
    let _one_writer = gateway.images.tagging.lock().await;
    let tagged = !target.rest.starts_with("sha256:");
    if tagged
        && repository.fixes(target.rest)
        && let Some(existing) = distribution::manifest(gateway, &path, target.rest).await?
        && existing.digest != digest
    {
        return Err(refusal(
            400,
            "TAG_INVALID",
            repository.tag_taken(target.rest),
        ));
    }
    let answer = pass(
        side,
        repository,
        &Method::PUT,
        headers,
        target,
        "",
        reqwest::Body::from(bytes),
    )
    .await?;
    if answer.status.is_success() {
        gateway.images.remember(&path, &digest);
    }
    Ok(answer)
}

/// Sends the request on under the repository's own path, and takes that path out of the answer.
async fn pass(
    side: &Side,
    repository: &Repository,
    method: &Method,
    headers: &HeaderMap,
    target: &Target<'_>,
    query: &str,
    body: reqwest::Body,
) -> Result<Answer, AwsError> {
    let path = repository.path();
    let mut sent = forwarded(headers);
    sent.remove(header::AUTHORIZATION);
    sent.remove(header::HOST);
    let query = match query.is_empty() {
        true => String::new(),
        false => format!("?{query}"),
    };
    let mut request = distribution::request(
        &side.gateway,
        method.clone(),
        &path,
        &format!("{}/{}{query}", target.kind, target.rest),
    )
    .headers(sent);
    if matches!(*method, Method::PUT | Method::PATCH | Method::POST) {
        request = request.body(body);
    }
    let answer = request.send().await.map_err(distribution::failed)?;
    let mut status = answer.status();
    let mut headers = returned(answer.headers());
    if *method == Method::PATCH && status == StatusCode::ACCEPTED {
        status = StatusCode::CREATED;
    }
    show_outside(&mut headers, side, repository);
    if status.is_success() && target.kind != "tags" {
        let body = Content::Stream(Body::from_stream(answer.bytes_stream()));
        return Ok(Answer {
            status,
            headers,
            body,
            error: None,
        });
    }
    let text = answer
        .text()
        .await
        .map_err(distribution::failed)?
        .replace(&path, &repository.name);
    let bytes = Bytes::from(text);
    let registrys = || {
        serde_json::from_slice::<serde_json::Value>(&bytes).ok()?["errors"][0]["code"]
            .as_str()
            .map(str::to_owned)
    };
    let error = match status.is_success() {
        true => None,
        false => registrys().or_else(|| error_code(&bytes)),
    };
    Ok(Answer {
        status,
        headers,
        body: bytes.into(),
        error,
    })
}

/// Replaces the registry's own URLs in the headers of an answer by those that the client asked for.
fn show_outside(headers: &mut HeaderMap, side: &Side, repository: &Repository) {
    let inside = format!("/v2/{}/", repository.path());
    for name in [header::LOCATION, HeaderName::from_static("link")] {
        let outside = headers
            .get(&name)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| {
                let (_, rest) = value.split_once(&inside)?;
                let start = if value.starts_with('<') { "<" } else { "" };
                HeaderValue::from_str(&format!(
                    "{start}http://{}/v2/{}/{rest}",
                    side.host, repository.name
                ))
                .ok()
            });
        if let Some(outside) = outside {
            headers.insert(name, outside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        let read = |path| target(path).map(|target| (target.name, target.kind, target.rest));
        assert_eq!(
            read("/v2/team/blobs/shop/manifests/v1"),
            Some(("team/blobs/shop", "manifests", "v1"))
        );
        assert_eq!(
            read("/v2/shop/blobs/uploads/"),
            Some(("shop", "blobs", "uploads/"))
        );
        assert_eq!(
            read("/v2/shop/blobs/uploads/0-1"),
            Some(("shop", "blobs", "uploads/0-1"))
        );
        assert_eq!(read("/v2/shop/tags/list"), Some(("shop", "tags", "list")));
        assert_eq!(
            read("/v2/a/blobs/b/tags/list"),
            Some(("a/blobs/b", "tags", "list"))
        );
        assert_eq!(read("/v2/"), None);
        assert_eq!(read("/v2"), None);
    }

    #[test]
    fn requests_have_the_names_of_their_permissions() {
        let named =
            |method: &str, path| operation(&method.parse().unwrap(), &target(path).unwrap());
        assert_eq!(named("PUT", "/v2/s/manifests/v1"), "PutImage");
        assert_eq!(named("HEAD", "/v2/s/manifests/v1"), "BatchGetImage");
        assert_eq!(named("POST", "/v2/s/blobs/uploads/"), "InitiateLayerUpload");
        assert_eq!(named("PATCH", "/v2/s/blobs/uploads/1"), "UploadLayerPart");
        assert_eq!(named("PUT", "/v2/s/blobs/uploads/1"), "CompleteLayerUpload");
        assert_eq!(
            named("HEAD", "/v2/s/blobs/sha256:1"),
            "BatchCheckLayerAvailability"
        );
        assert_eq!(
            named("GET", "/v2/s/blobs/sha256:1"),
            "GetDownloadUrlForLayer"
        );
    }
}
