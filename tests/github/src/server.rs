//! The listener, and the type behind it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request as AxumRequest, State as AxumState};
use axum::response::Response;
use tokio::net::TcpListener;

use crate::description::Description;
use crate::handle::Inner;
use crate::http::{Answer, Request, error, parse_query};
use crate::journal::CallRecord;
use crate::oidc::Signer;
use crate::state::State;
use crate::{Config, Error, GraphqlJudge, Violation};

/// Bodies larger than this are refused; GitHub's own limit is of the same order.
const BODY: usize = 10 * 1024 * 1024;

/// A stand-in, before and while it serves.
#[derive(Clone)]
pub struct Standin {
    inner: Arc<Inner>,
}

/// Makes a stand-in for the listener's address and serves until the task is dropped.
///
/// # Errors
/// When the signing key cannot be made or the listener fails.
pub async fn serve(config: Config, listener: TcpListener) -> Result<(), Error> {
    Standin::new(config, listener.local_addr()?)?
        .serve(listener)
        .await
}

impl Standin {
    /// A stand-in that is reached at `address` (its answers name it) and makes its signing key now.
    ///
    /// # Errors
    /// When `openssl` cannot make the key.
    pub fn new(config: Config, address: SocketAddr) -> Result<Self, Error> {
        let inner = Inner {
            local: address,
            base: format!("http://{address}"),
            description: Description::new(config.openapi),
            judge: GraphqlJudge::new(config.graphql),
            signer: Signer::generate()?,
            state: Mutex::new(State::new()),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Serves until the task is dropped.
    ///
    /// # Errors
    /// When the accept loop fails.
    pub async fn serve(&self, listener: TcpListener) -> Result<(), Error> {
        let app = axum::Router::new()
            .fallback(receive)
            .with_state(self.clone());
        axum::serve(
            listener,
            app.into_make_service_with_connect_info::<SocketAddr>(),
        )
        .await?;
        Ok(())
    }

    /// Answers that broke GitHub's description and calls that are not implemented. A test that finds any has failed.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.inner.state().violations_of(None)
    }

    /// The calls received so far, those of the control API apart.
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        self.inner.state().journal.calls.clone()
    }
}

async fn receive(
    AxumState(standin): AxumState<Standin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: AxumRequest,
) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match axum::body::to_bytes(body, BODY).await {
        Err(_) => *error(413, "the body is too large"),
        Ok(body) => {
            let request = Request {
                method: parts.method.as_str().to_owned(),
                path: parts.uri.path().to_owned(),
                query: parse_query(parts.uri.query().unwrap_or_default()),
                headers: parts.headers,
                body,
                peer,
            };
            let (began, fault) = {
                let journal = &mut standin.inner.state().journal;
                let fault = journal.take_fault(&request, parts.uri.query().unwrap_or_default());
                (journal.calls.len() as u64, fault)
            };
            let fault = fault.filter(|_| !request.path.starts_with("/_sandbox/"));
            if let Some(fault) = &fault {
                tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
            }
            let cut = fault.as_ref().and_then(|fault| fault.cut);
            let inner = Arc::clone(&standin.inner);
            // Handlers run git and read /proc, which would hold up other connections.
            let handled = tokio::task::spawn_blocking(move || {
                inner.handle(
                    &request,
                    fault.as_ref(),
                    parts.uri.query().unwrap_or_default(),
                    began,
                )
            });
            let mut answer = handled
                .await
                .unwrap_or_else(|panic| *error(500, &format!("the stand-in failed: {panic}")));
            if let Some(bytes) = cut {
                answer.body = answer.body.cut(bytes);
            }
            answer
        }
    };
    respond(answer)
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::builder().status(answer.status);
    if !answer
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        response = response.header("content-type", "application/json; charset=utf-8");
    }
    for (name, value) in &answer.headers {
        response = response.header(name.as_str(), value.as_str());
    }
    response
        .body(axum::body::Body::from(answer.body.bytes()))
        .unwrap_or_else(|_| Response::new(axum::body::Body::empty()))
}
