//! Manifests, as bytes that are passed on unchanged.

use super::blobs::{limited, stored};
use super::client::{Repo, answer};
use super::fault::{Fault, Kind};
use super::request::Request;
use super::token::Pass;
use crate::digest::digest;
use bytes::Bytes;
use kit::id::Digest;
use reqwest::{Method, Response, StatusCode, header};

/// The media types of manifests: of one image or an index of several, OCI's and Docker's.
pub(crate) const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// A manifest with the name of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

impl Repo {
    /// The manifest that a tag or digest names, `None` where there is none. Bytes that a digest names are checked.
    pub(crate) async fn manifest(
        &self,
        pass: &Pass,
        reference: &str,
    ) -> Result<Option<Manifest>, Fault> {
        let operation = self.request(format!("read manifest {reference} of"));
        let response = match self.read(Method::GET, &operation, pass, reference).await {
            Ok(response) => response,
            Err(fault) if fault.kind == Kind::Missing && !unknown_name(&fault) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let media_type = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|text| text.split(';').next().unwrap_or(text).trim().to_owned())
            .unwrap_or_default();
        let bytes = limited(&operation, response).await?;
        let digest = digest(&bytes);
        if reference.starts_with("sha256:") && reference != digest.as_str() {
            return Err(operation
                .failed()
                .cause(format!("the registry sent bytes whose digest is {digest}"))
                .hint("the manifest was changed in transit or in the registry; do not deploy it")
                .into());
        }
        Ok(Some(Manifest {
            digest,
            media_type,
            bytes,
        }))
    }

    /// The digest that a tag names; for a digest, whether it exists.
    pub(crate) async fn digest(
        &self,
        pass: &Pass,
        reference: &str,
    ) -> Result<Option<Digest>, Fault> {
        let operation = self.request(format!("ask for manifest {reference} in"));
        let response = match self.read(Method::HEAD, &operation, pass, reference).await {
            Ok(response) => response,
            Err(fault) if fault.kind == Kind::Missing => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let named = response
            .headers()
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| Digest::parse(text).ok());
        match named {
            Some(digest) => Ok(Some(digest)),
            // The header is optional, the bytes are not.
            None => Ok(self
                .manifest(pass, reference)
                .await?
                .map(|manifest| manifest.digest)),
        }
    }

    async fn read(
        &self,
        method: Method,
        operation: &Request,
        pass: &Pass,
        reference: &str,
    ) -> Result<Response, Fault> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let request = self
            .client
            .ask(method, url, pass)
            .header(header::ACCEPT, MANIFESTS.join(", "));
        answer(operation, request).await
    }

    /// Puts a manifest under a tag or its digest, in its turn. The answer says whether the registry itself keeps the list
    /// of what refers to the manifest's subject (OCI Distribution Specification, "Pushing Manifests with Subject").
    pub(crate) async fn put_manifest(
        &self,
        pass: &Pass,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<bool, Fault> {
        let operation = self.request(format!("put manifest {reference} in"));
        let url = self.url(&format!("manifests/{reference}"))?;
        self.client.turn().await;
        let request = self
            .client
            .ask(Method::PUT, url, pass)
            .header(header::CONTENT_TYPE, &manifest.media_type)
            .body(manifest.bytes.clone());
        let response = answer(&operation, request).await.map_err(incomplete)?;
        stored(&operation, &response, &manifest.digest)?;
        Ok(response.headers().contains_key("oci-subject"))
    }
}

/// Marks a fault as incomplete if the registry does not know a blob or manifest that the put manifest names.
fn incomplete(fault: Fault) -> Fault {
    match fault.code.as_deref() {
        Some("BLOB_UNKNOWN" | "MANIFEST_UNKNOWN" | "MANIFEST_BLOB_UNKNOWN") => {
            fault.of_kind(Kind::Incomplete)
        }
        _ => fault,
    }
}

pub(super) fn unknown_name(fault: &Fault) -> bool {
    fault.code.as_deref() == Some("NAME_UNKNOWN")
}

/// Returns whether an answer is a plain 404.
pub(super) fn is_missing(response: &Response) -> bool {
    response.status() == StatusCode::NOT_FOUND
}
