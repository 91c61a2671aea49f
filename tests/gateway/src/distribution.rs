//! The CNCF distribution behind the registry: manifests, tags and blobs as they truly are.

use axum::body::Bytes;
use http::{Method, StatusCode, header};

use crate::Gateway;
use crate::error::AwsError;
use crate::sigv4::sha256;

/// The kinds of manifest ECR keeps.
const KINDS: &str = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, \
                     application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";

/// A manifest, its digest computed from its bytes.
#[derive(Clone)]
pub(crate) struct Manifest {
    pub(crate) digest: String,
    pub(crate) kind: String,
    pub(crate) bytes: Bytes,
}

impl Manifest {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

/// A request about a repository to the distribution that holds it, authenticated, not yet sent.
pub(crate) fn request(
    gateway: &Gateway,
    method: Method,
    path: &str,
    rest: &str,
) -> reqwest::RequestBuilder {
    let (distribution, name) = gateway
        .direct
        .holding(path)
        .unwrap_or_else(|| (gateway.config.distribution.clone(), path));
    gateway
        .http
        .request(method, format!("{}/v2/{name}/{rest}", distribution.url))
        .basic_auth(&distribution.user, Some(&distribution.password))
}

pub(crate) fn failed(cause: impl std::fmt::Display) -> AwsError {
    AwsError::upstream("registry", cause)
}

/// The manifest of a tag or digest, or `None`.
pub(crate) async fn manifest(
    gateway: &Gateway,
    path: &str,
    reference: &str,
) -> Result<Option<Manifest>, AwsError> {
    let answer = request(
        gateway,
        Method::GET,
        path,
        &format!("manifests/{reference}"),
    )
    .header(header::ACCEPT, KINDS)
    .send()
    .await
    .map_err(failed)?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        status => return Err(failed(format!("manifest {reference}: {status}"))),
    }
    let kind = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let bytes = answer.bytes().await.map_err(failed)?;
    Ok(Some(Manifest {
        digest: format!("sha256:{}", sha256(&bytes)),
        kind,
        bytes,
    }))
}

/// Stores a manifest; `Err(text)` inside is the distribution's refusal.
pub(crate) async fn put_manifest(
    gateway: &Gateway,
    path: &str,
    reference: &str,
    kind: &str,
    bytes: Bytes,
) -> Result<Result<(), String>, AwsError> {
    let answer = request(
        gateway,
        Method::PUT,
        path,
        &format!("manifests/{reference}"),
    )
    .header(header::CONTENT_TYPE, kind)
    .body(bytes)
    .send()
    .await
    .map_err(failed)?;
    if answer.status().is_success() {
        return Ok(Ok(()));
    }
    Ok(Err(answer.text().await.map_err(failed)?))
}

/// All tags, sorted; none where nothing was ever pushed.
pub(crate) async fn tags(gateway: &Gateway, path: &str) -> Result<Vec<String>, AwsError> {
    let answer = request(gateway, Method::GET, path, "tags/list")
        .send()
        .await
        .map_err(failed)?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Ok(Vec::new());
    }
    let list: serde_json::Value = answer.json().await.map_err(failed)?;
    let mut tags = crate::text::strings(&list["tags"]);
    tags.sort();
    Ok(tags)
}

/// The size of a blob, or `None`.
pub(crate) async fn blob(
    gateway: &Gateway,
    path: &str,
    digest: &str,
) -> Result<Option<u64>, AwsError> {
    let answer = request(gateway, Method::HEAD, path, &format!("blobs/{digest}"))
        .send()
        .await
        .map_err(failed)?;
    if answer.status() != StatusCode::OK {
        return Ok(None);
    }
    Ok(answer
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok()))
}
