//! Blobs: asked for, mounted, uploaded as one body, downloaded.
//!
//! One body a blob, because ECR counts the parts of an upload differently from the standard: it answers 201 to a part,
//! reports the range of the first part for ever, and takes no part from a session that was begun twice.

use super::body::{Body, Moved};
use super::client::{Repo, carried, location};
use super::endpoint::is_loopback;
use super::fault::{Fault, Kind};
use super::request::Request;
use super::token::Pass;
use crate::digest::digest;
use bytes::Bytes;
use kit::id::Digest;
use reqwest::{Method, Response, StatusCode, Url, header};

/// The most redirects of a download: ECR redirects once, to S3.
const REDIRECTS: usize = 3;

/// The most that is read into memory, which is what ECR takes of a manifest.
pub(super) const SMALL: u64 = 4 << 20;

/// The answer to a request for a mount.
pub(crate) enum Mount {
    Mounted,
    /// Not offered; the registry opened an upload instead (always, in ECR, unless the account's `BLOB_MOUNTING` is on).
    Upload(Url),
}

impl Repo {
    /// Returns whether the blob is there.
    pub(crate) async fn has(&self, pass: &Pass, blob: &Digest) -> Result<bool, Fault> {
        let operation = self.request(format!("ask for blob {blob} in"));
        let url = self.url(&format!("blobs/{blob}"))?;
        let response = operation
            .send(self.client.ask(Method::HEAD, url, pass))
            .await
            .map_err(|error| Fault::no_answer(&operation, error))?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            // A redirect to the blob's storage counts as found.
            status if status.is_success() || status.is_redirection() => Ok(true),
            _ => Err(Fault::answered(&operation, response).await),
        }
    }

    /// Asks the registry to take the blob from another of its repositories.
    pub(crate) async fn mount(
        &self,
        pass: &Pass,
        blob: &Digest,
        from: &str,
    ) -> Result<Mount, Fault> {
        let operation = self.request(format!("mount blob {blob} from {from} in"));
        let mut url = self.url("blobs/uploads/")?;
        url.query_pairs_mut()
            .append_pair("mount", blob.as_str())
            .append_pair("from", from);
        let response = self.post(&operation, url, pass).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(Mount::Mounted);
        }
        Ok(Mount::Upload(
            self.client.own_location(&operation, &response)?,
        ))
    }

    /// Opens an upload.
    pub(crate) async fn begin(&self, pass: &Pass) -> Result<Url, Fault> {
        let operation = self.request("begin an upload to");
        let url = self.url("blobs/uploads/")?;
        let response = self.post(&operation, url, pass).await?;
        self.client.own_location(&operation, &response)
    }

    async fn post(&self, operation: &Request, url: Url, pass: &Pass) -> Result<Response, Fault> {
        // On the connection that the blob itself goes out on a moment later.
        let request = self
            .client
            .carry(Method::POST, url, pass)
            .header(header::CONTENT_LENGTH, 0);
        carried(operation, self.client.stall(), &Moved::default(), request).await
    }

    /// Uploads a blob whose digest and size are known, as one `PUT`.
    pub(crate) async fn put_whole(
        &self,
        pass: &Pass,
        session: Url,
        blob: &Digest,
        size: u64,
        body: Body,
    ) -> Result<(), Fault> {
        let operation = self.request(format!("upload blob {blob} to"));
        let (body, moved, explain) = body.open();
        let request = self
            .client
            .carry(Method::PUT, named(session, blob), pass)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, size)
            .body(body);
        let response = carried(&operation, self.client.stall(), &moved, request)
            .await
            .map_err(explain)?;
        stored(&operation, &response, blob)
    }

    /// Uploads bytes whose number and digest are known only at their end, as one `PATCH`; returns the URL that completes
    /// the upload. Every 2xx counts as success: the standard says 202, ECR answers 201.
    pub(crate) async fn patch(&self, pass: &Pass, session: Url, body: Body) -> Result<Url, Fault> {
        let operation = self.request("upload a layer to");
        let (body, moved, explain) = body.open();
        let request = self
            .client
            .carry(Method::PATCH, session.clone(), pass)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(body);
        let response = carried(&operation, self.client.stall(), &moved, request)
            .await
            .map_err(explain)?;
        if response.headers().contains_key(header::LOCATION) {
            self.client.own_location(&operation, &response)
        } else {
            Ok(session)
        }
    }

    /// Completes an upload by naming its digest.
    pub(crate) async fn finish(
        &self,
        pass: &Pass,
        session: Url,
        blob: &Digest,
    ) -> Result<(), Fault> {
        let operation = self.request(format!("complete blob {blob} in"));
        let (body, moved, _) = Body::empty().open();
        let request = self
            .client
            .carry(Method::PUT, named(session, blob), pass)
            .header(header::CONTENT_LENGTH, 0)
            .body(body);
        let response = carried(&operation, self.client.stall(), &moved, request).await?;
        stored(&operation, &response, blob)
    }

    /// Starts a download. A registry may redirect it to its storage, which does not get the token.
    pub(crate) async fn get(
        &self,
        pass: &Pass,
        blob: &Digest,
        moved: &Moved,
    ) -> Result<Response, Fault> {
        let operation = self.request(format!("download blob {blob} from"));
        let stall = self.client.stall();
        let url = self.url(&format!("blobs/{blob}"))?;
        let mut request = self.client.carry(Method::GET, url, pass);
        for _ in 0..=REDIRECTS {
            let response = moved
                .or_stall(&operation, stall, operation.send(request))
                .await?
                .map_err(|error| Fault::no_answer(&operation, error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            if !response.status().is_redirection() {
                return Err(Fault::answered(&operation, response).await);
            }
            let target = location(&operation, &response)?;
            let open = target.scheme() == "http" && target.host_str().is_some_and(is_loopback);
            if target.scheme() != "https" && !open {
                return Err(operation
                    .refused()
                    .cause("the registry redirects the download to a host without https")
                    .into());
            }
            request = self.client.fetch(target);
        }
        Err(operation
            .failed()
            .cause("the registry redirects the download too often")
            .into())
    }

    /// A small blob, whole and checked.
    pub(crate) async fn small(&self, pass: &Pass, blob: &Digest) -> Result<Bytes, Fault> {
        let moved = Moved::default();
        let operation = self.request(format!("read blob {blob} of"));
        let response = self.get(pass, blob, &moved).await?;
        let bytes = limited(&operation, response).await?;
        if digest(&bytes) == *blob {
            return Ok(bytes);
        }
        Err(operation
            .failed()
            .cause("the registry sent bytes with another digest")
            .hint("the blob was changed in transit or in the registry; do not deploy what uses it")
            .into())
    }
}

/// The body of an answer that has to fit in memory.
pub(super) async fn limited(operation: &Request, mut response: Response) -> Result<Bytes, Fault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Fault::no_answer(operation, error))?
    {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > SMALL {
            return Err(operation.failed().cause("it is larger than 4 MiB").into());
        }
    }
    Ok(bytes.into())
}

/// The session's URL, which may have a query of its own, with the blob's name.
fn named(mut session: Url, blob: &Digest) -> Url {
    session
        .query_pairs_mut()
        .append_pair("digest", blob.as_str());
    session
}

/// Checks that the registry stored the blob under the digest that was sent. The header is optional.
pub(super) fn stored(
    operation: &Request,
    response: &Response,
    wanted: &Digest,
) -> Result<(), Fault> {
    let named = response
        .headers()
        .get("docker-content-digest")
        .and_then(|value| value.to_str().ok());
    match named {
        Some(named) if named != wanted.as_str() => Err(Fault::new(
            Kind::Final,
            operation.failed()
                .cause(format!("the registry says it stored {named:?}, and {wanted} was sent"))
                .hint("something between here and the registry changes the bytes; do not deploy the image"),
        )),
        _ => Ok(()),
    }
}
