//! The registry that the engine pushes to, as much of it as a push needs (OCI Distribution Specification, "Push").
//!
//! Nothing can be read from it: it answers whether a blob has to be sent, and takes blobs and manifests.

use super::intake::{Intake, Refused};
use crate::digest::digest;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use kit::id::Digest;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// The header that names a blob or manifest.
const NAME: &str = "docker-content-digest";

/// Serves one push until it is dropped.
pub(super) struct Server(JoinHandle<()>);

/// What a request is held against.
struct Door {
    /// Where the only repository's paths begin.
    prefix: String,
    /// The digest of the header that only the engine can send.
    authorization: Digest,
    intake: Arc<Intake>,
}

impl Server {
    /// `login` is the user and password of a Basic login, encoded.
    pub(super) fn start(
        listener: TcpListener,
        repository: String,
        login: &str,
        intake: &Arc<Intake>,
    ) -> Self {
        let door = Arc::new(Door {
            prefix: format!("/v2/{repository}/"),
            authorization: digest(format!("Basic {login}").as_bytes()),
            intake: Arc::clone(intake),
        });
        Self(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        let door = Arc::clone(&door);
                        let service = service_fn(move |request| {
                            let door = Arc::clone(&door);
                            async move { Ok::<_, Infallible>(door.answer(request).await) }
                        });
                        // The engine tries TLS first, and takes the answer 400 for a registry without it.
                        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                        connections.spawn(async move { drop(connection.await) });
                    }
                    Some(_) = connections.join_next(), if !connections.is_empty() => {}
                }
            }
        }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Response<String> {
        let given = request.headers().get(header::AUTHORIZATION);
        // Digests are compared, so that the time it takes tells nothing about the password.
        if given.is_none_or(|given| digest(given.as_bytes()) != self.authorization) {
            let mut answer = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
            let challenge = header::HeaderValue::from_static("Basic realm=\"slipway\"");
            answer
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
            return answer;
        }
        self.intake.reach();
        let path = request.uri().path().to_owned();
        if path == "/v2/" {
            return plain(StatusCode::OK);
        }
        let Some(rest) = path.strip_prefix(&self.prefix) else {
            return error(StatusCode::NOT_FOUND, "NAME_UNKNOWN");
        };
        let method = request.method().clone();
        match (method, rest) {
            (Method::POST, "blobs/uploads/") => {
                let place = format!("{}blobs/uploads/{}", self.prefix, uuid::Uuid::new_v4());
                with(StatusCode::ACCEPTED, header::LOCATION.as_str(), &place)
            }
            (Method::PUT, rest) if rest.starts_with("blobs/uploads/") => self.put(request).await,
            (Method::HEAD, rest) => match rest.strip_prefix("blobs/").map(Digest::parse) {
                Some(Ok(blob)) if self.intake.has(&blob).await => {
                    with(StatusCode::OK, NAME, blob.as_str())
                }
                _ => plain(StatusCode::NOT_FOUND),
            },
            (Method::PUT, rest) => match rest.strip_prefix("manifests/") {
                Some(reference) => self.put_manifest(reference, request.into_body()).await,
                None => error(StatusCode::NOT_FOUND, "UNSUPPORTED"),
            },
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
        }
    }

    async fn put(&self, request: Request<Incoming>) -> Response<String> {
        let query = request.uri().query().unwrap_or_default();
        let named = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("digest="))
            .and_then(|blob| Digest::parse(&blob.replace("%3A", ":")).ok());
        let Some(blob) = named else {
            return error(StatusCode::BAD_REQUEST, "DIGEST_INVALID");
        };
        match self.intake.take(&blob, request.into_body()).await {
            Ok(()) => with(StatusCode::CREATED, NAME, blob.as_str()),
            Err(refused) => refusal(&refused),
        }
    }

    async fn put_manifest(&self, reference: &str, body: Incoming) -> Response<String> {
        match self.intake.take_manifest(reference, body).await {
            Ok(false) => plain(StatusCode::CREATED),
            // Everything is here, and the push has to fail: after one that succeeds, the engine notes this address at each
            // of the image's blobs for ever (containerd, label `containerd.io/distribution.source`).
            Ok(true) => error(StatusCode::FORBIDDEN, "DENIED"),
            Err(refused) => refusal(&refused),
        }
    }
}

fn plain(status: StatusCode) -> Response<String> {
    let mut answer = Response::new(String::new());
    *answer.status_mut() = status;
    answer
}

fn with(status: StatusCode, name: &'static str, value: &str) -> Response<String> {
    let mut answer = plain(status);
    if let Ok(value) = header::HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// An error as the specification has it.
fn error(status: StatusCode, code: &str) -> Response<String> {
    let mut answer = plain(status);
    let json = serde_json::json!({"errors": [{"code": code, "message": "slipway takes one image from its engine"}]});
    *answer.body_mut() = json.to_string();
    answer
}

fn refusal(refused: &Refused) -> Response<String> {
    match refused {
        Refused::Digest => error(StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
        Refused::Unexpected => error(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        Refused::Broken => error(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
    }
}
