//! One registry: requests with its token, and the retries.

use super::attempt::ATTEMPT;
use super::body::Moved;
use super::endpoint::Registry;
use super::fault::{Fault, Kind};
use super::rate::RateLimit;
use super::request::Request;
use super::retry::RetryPolicy;
use super::token::{Pass, Token, Tokens};
use kit::{Error, Result};
use net::Net;
use reqwest::{Method, RequestBuilder, Response, Url, header};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often the token may be refused during one piece of work. A second refusal has another cause than the token.
const RENEWALS: u32 = 1;

/// A registry, by its host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    host: String,
    /// Account and region, for the log of calls.
    account_and_region: String,
    endpoint: Url,
    /// For questions.
    http: reqwest::Client,
    /// For bodies of any length.
    transfer: reqwest::Client,
    tokens: Tokens,
    put_rate: RateLimit,
    policy: RetryPolicy,
    /// No request is sent before this time, because the registry reported too many requests.
    quiet_until: Mutex<Instant>,
}

/// A repository of a registry.
#[derive(Clone)]
pub(crate) struct Repo {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Client {
    /// A client that begins with the registry's login and gets the next ones from `fetch`.
    ///
    /// # Errors
    /// An endpoint that is not a URL.
    pub(crate) fn new<F, T>(net: &Net, registry: &Registry, fetch: F) -> Result<Self>
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<Token>> + Send + 'static,
    {
        Self::with_policy(net, registry, RetryPolicy::default(), fetch)
    }

    /// The same with other bounds.
    pub(crate) fn with_policy<F, T>(
        net: &Net,
        registry: &Registry,
        policy: RetryPolicy,
        fetch: F,
    ) -> Result<Self>
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<Token>> + Send + 'static,
    {
        let endpoint = Url::parse(&registry.endpoint).map_err(|_| {
            Error::failed(format!(
                "the registry's endpoint {} is not a URL",
                registry.endpoint
            ))
        })?;
        Ok(Self(Arc::new(Inner {
            host: registry.host.clone(),
            account_and_region: registry.account_and_region.clone(),
            endpoint,
            http: net.http().clone(),
            transfer: net.transfer().clone(),
            tokens: Tokens::new(
                Token {
                    login: registry.login.clone(),
                    expires: registry.expires,
                },
                Box::new(move || Box::pin(fetch())),
            ),
            put_rate: RateLimit::new(),
            policy,
            quiet_until: Mutex::new(Instant::now()),
        })))
    }

    pub(crate) fn host(&self) -> &str {
        &self.0.host
    }

    /// Returns whether both are the same registry, so that blobs can be mounted from one repository in another.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.endpoint == other.0.endpoint
    }

    pub(crate) fn repo(&self, name: impl Into<String>) -> Repo {
        Repo {
            client: self.clone(),
            name: name.into(),
        }
    }

    /// Repeats `once` until it succeeds, its failure is final, or the policy gives up.
    pub(crate) async fn retry<T>(
        &self,
        mut once: impl AsyncFnMut(&Pass) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut failed = 0;
        let mut renewed = 0;
        let mut waited = Duration::ZERO;
        loop {
            let quiet = *self.quiet();
            tokio::time::sleep_until(quiet).await;
            let pass = self.0.tokens.get().await?;
            let attempt = failed + renewed + 1;
            let fault = match ATTEMPT.scope(attempt, once(&pass)).await {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            match fault.kind {
                Kind::Login if renewed < RENEWALS => {
                    renewed += 1;
                    self.0.tokens.renew(&pass).await?;
                }
                Kind::Passing => {
                    failed += 1;
                    let Some(pause) = self.pause(failed, waited, &fault) else {
                        return Err(gave_up(fault, failed));
                    };
                    waited += pause;
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(fault),
            }
        }
    }

    /// The pause after the `failed`-th failure of a piece of work, `None` to give up. If the registry reported too many
    /// requests, all requests pause for a while. `waited` does not include the time of the attempts themselves: a long
    /// transfer that broke off at its end is retried like a short one.
    pub(crate) fn pause(&self, failed: u32, waited: Duration, fault: &Fault) -> Option<Duration> {
        let pause = self.0.policy.pause(failed, waited, fault.after)?;
        if fault.throttled {
            let mut quiet = self.quiet();
            *quiet = (*quiet).max(Instant::now() + fault.after.unwrap_or(pause / 2));
        }
        Some(pause)
    }

    fn quiet(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.0
            .quiet_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn turn(&self) {
        self.0.put_rate.turn().await;
    }

    /// How long a transfer that moves nothing is waited for.
    pub(crate) fn stall(&self) -> Duration {
        self.0.policy.stall
    }

    pub(super) fn url(&self, path: &str) -> Result<Url, Fault> {
        self.0
            .endpoint
            .join(path)
            .map_err(|_| Error::failed(format!("{path} is not a path in a registry")).into())
    }

    /// A request to the registry, with the token.
    pub(super) fn ask(&self, method: Method, url: Url, pass: &Pass) -> RequestBuilder {
        with(self.0.http.request(method, url), pass)
    }

    /// A request with a long body, or answered with one.
    pub(super) fn carry(&self, method: Method, url: Url, pass: &Pass) -> RequestBuilder {
        with(self.0.transfer.request(method, url), pass)
    }

    /// A request without the token, to the host that the registry redirects to.
    pub(super) fn fetch(&self, url: Url) -> RequestBuilder {
        self.0.transfer.get(url)
    }

    /// The URL in an answer's `Location`, if it is on the registry itself: the next request there carries the token.
    ///
    /// # Errors
    /// No such header, or another host.
    pub(super) fn own_location(
        &self,
        operation: &Request,
        response: &Response,
    ) -> Result<Url, Fault> {
        let url = location(operation, response)?;
        if url.origin() == self.0.endpoint.origin() {
            return Ok(url);
        }
        let host = url.host_str().unwrap_or("nowhere");
        Err(operation.refused()
            .cause(format!(
                "registry {} redirects the upload to {host}, and the registry token is not for that host",
                self.0.host
            ))
            .hint("a proxy in front of the registry must keep the host name and scheme in `Location` as they are")
            .into())
    }
}

impl Repo {
    /// `HOST/NAME`, as an image's reference begins.
    pub(crate) fn reference(&self) -> String {
        format!("{}/{}", self.client.host(), self.name)
    }

    /// A request to this repository; `action` ends where the repository's name follows.
    pub(super) fn request(&self, action: impl Into<String>) -> Request {
        let account_and_region = self.client.0.account_and_region.clone();
        Request::new(action.into(), self.reference(), account_and_region)
    }

    pub(super) fn url(&self, rest: &str) -> Result<Url, Fault> {
        self.client.url(&format!("/v2/{}/{rest}", self.name))
    }
}

fn with(request: RequestBuilder, pass: &Pass) -> RequestBuilder {
    request.basic_auth(&pass.login.username, Some(pass.login.secret.expose()))
}

/// The absolute URL in an answer's `Location`.
pub(super) fn location(operation: &Request, response: &Response) -> Result<Url, Fault> {
    response
        .headers()
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| response.url().join(text).ok())
        .ok_or_else(|| {
            operation
                .failed()
                .cause("the registry answered without a usable Location")
                .into()
        })
}

/// Sends a request and returns a successful answer.
pub(super) async fn answer(
    operation: &Request,
    request: RequestBuilder,
) -> Result<Response, Fault> {
    let response = operation
        .send(request)
        .await
        .map_err(|error| Fault::no_answer(operation, error))?;
    success(operation, response).await
}

/// The same for a request with a long body.
pub(super) async fn carried(
    operation: &Request,
    stall: Duration,
    moved: &Moved,
    request: RequestBuilder,
) -> Result<Response, Fault> {
    let response = moved
        .or_stall(operation, stall, operation.send(request))
        .await?
        .map_err(|error| Fault::no_answer(operation, error))?;
    success(operation, response).await
}

async fn success(operation: &Request, response: Response) -> Result<Response, Fault> {
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(Fault::answered(operation, response).await)
    }
}

fn gave_up(mut fault: Fault, tries: u32) -> Fault {
    fault.error = fault.error.cause(format!("gave up after {tries} attempts"));
    fault
}
