//! Requests and their retries.

use crate::address::{address, token};
use crate::answer::Answer;
use crate::kept::{Exchange, Kept, Request, Transcript};
use crate::problem::Problem;
use crate::repository::Repository;
use crate::unknown::Unknown;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Uri};
use kit::Cx;
use kit::backoff::{self, Retryable};
use kit::error::{Error, Result};
use net::Net;
use octocrab::Octocrab;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The version of the REST API whose documents these calls were written from.
const API_VERSION: &str = "2022-11-28";
/// Attempts of a read when GitHub answers 5xx or not at all.
const ATTEMPTS: usize = 3;
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Requests that wait for an answer at the same time. GitHub allows 100, together with those of other
/// programs that have the token ("Rate limits for the REST API", secondary rate limits).
const AT_ONCE: usize = 80;
/// The largest page that GitHub serves.
pub(crate) const PER_PAGE: usize = 100;

/// One repository on GitHub, seen with one token.
#[derive(Clone)]
pub struct GitHub {
    source: Source,
    repository: Repository,
}

/// Where answers come from.
#[derive(Clone)]
enum Source {
    Live(Box<Live>),
    Kept(Arc<Kept>),
}

/// GitHub itself.
#[derive(Clone)]
struct Live {
    octocrab: Octocrab,
    rest: Uri,
    graphql: Uri,
    turns: Arc<Semaphore>,
    /// Notes what is asked and answered, where somebody keeps it.
    transcript: Option<Transcript>,
}

impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GitHub").field(&self.repository).finish()
    }
}

impl GitHub {
    /// A client for the given repository, else for the run's. Opens no connection.
    ///
    /// # Errors
    /// There is no token or repository, or an API address is not valid (exit 2).
    pub fn connect(cx: &Cx, net: &Net, repository: Option<&str>) -> Result<Self> {
        let token = token(cx).ok_or_else(|| {
            Error::usage("there is no GitHub token")
                .hint("in a workflow the action uses the job's token by itself; on other hosts set GITHUB_TOKEN")
        })?;
        if HeaderValue::from_str(token.expose()).is_err() {
            return Err(Error::usage(
                "the GitHub token contains characters that a token cannot contain",
            ));
        }
        let named = repository
            .or_else(|| cx.env.get("GITHUB_REPOSITORY"))
            .or_else(|| cx.env.get("CODEBUILD_SOURCE_REPO_URL"))
            .ok_or_else(|| {
                Error::usage("the GitHub repository is not known")
                    .hint("give --github-repository OWNER/NAME")
            })?;
        let repository = Repository::parse(named).ok_or_else(|| {
            Error::usage(format!("{named:?} is not a GitHub repository"))
                .hint("write it as OWNER/NAME")
        })?;
        // Both addresses are set on every runner, also on GitHub Enterprise, where GraphQL is not
        // under the REST address (docs.github.com, "Variables reference").
        let rest = address(cx, "GITHUB_API_URL", "https://api.github.com")?;
        let graphql = address(cx, "GITHUB_GRAPHQL_URL", "https://api.github.com/graphql")?;
        let octocrab = Octocrab::builder()
            .base_uri(rest.clone())
            .and_then(|builder| {
                builder
                    .add_header(
                        HeaderName::from_static("x-github-api-version"),
                        API_VERSION.to_owned(),
                    )
                    .personal_token(token.expose().to_owned())
                    .build_with_reqwest(net.http().clone())
            })
            .map_err(|_| Error::failed("cannot set up the GitHub client"))?;
        Ok(Self {
            source: Source::Live(Box::new(Live {
                octocrab,
                rest,
                graphql,
                turns: Arc::new(Semaphore::new(AT_ONCE)),
                transcript: None,
            })),
            repository,
        })
    }

    /// The same client, which records its requests and their answers in `transcript`.
    #[must_use]
    pub fn noting(mut self, transcript: &Transcript) -> Self {
        if let Source::Live(live) = &mut self.source {
            live.transcript = Some(transcript.clone());
        }
        self
    }

    /// A client that takes its answers from the exchanges of another one and sends nothing to GitHub.
    pub fn kept(repository: Repository, exchanges: Vec<Exchange>) -> Self {
        Self {
            source: Source::Kept(Arc::new(Kept::new(exchanges))),
            repository,
        }
    }

    /// The requests to a client of kept answers that have no kept answer.
    pub fn unkept(&self) -> Vec<String> {
        match &self.source {
            Source::Live(_) => Vec::new(),
            Source::Kept(kept) => kept.missing(),
        }
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// One object below the repository, or the repository itself.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        action: &str,
        permission: &str,
    ) -> Result<T, Unknown> {
        let uri = format!("/repos/{}/{path}", self.repository);
        let uri = uri.trim_end_matches('/');
        let answer = self.ask(Request::Get(uri), action, permission).await?;
        answer.decode(action)
    }

    /// A list, read to its end; `items` takes the entries from one page.
    ///
    /// More than `cap` entries are `Unknown`, because the rest was not read.
    pub(crate) async fn list<P: DeserializeOwned, T>(
        &self,
        uri: &str,
        cap: usize,
        action: &str,
        permission: &str,
        items: impl Fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, Unknown> {
        let mut all = Vec::new();
        let separator = if uri.contains('?') { '&' } else { '?' };
        let mut next = Some(format!("{uri}{separator}per_page={PER_PAGE}"));
        while let Some(page) = next {
            let answer = self.ask(Request::Get(&page), action, permission).await?;
            let found = items(answer.decode(action)?);
            next = answer
                .next_query()
                .map(|query| format!("{}?{query}", uri.split('?').next().unwrap_or(uri)));
            if found.is_empty() && next.is_some() {
                return Err(Unknown::new(
                    action,
                    "GitHub returned an empty page before the last one",
                ));
            }
            all.extend(found);
            if all.len() > cap || (all.len() == cap && next.is_some()) {
                return Err(Unknown::too_many(
                    action,
                    format!("the list has more than {cap} entries, the most that are read"),
                ));
            }
        }
        Ok(all)
    }

    /// Creates something in the repository. Never retried, because GitHub may have done it although
    /// its answer was lost.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        action: &str,
        permission: &str,
    ) -> Result<T, Unknown> {
        self.change(&Method::POST, path, body, action, permission)
            .await
    }

    /// As [`GitHub::post`], for something that exists.
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        action: &str,
        permission: &str,
    ) -> Result<T, Unknown> {
        self.change(&Method::PATCH, path, body, action, permission)
            .await
    }

    async fn change<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: &impl Serialize,
        action: &str,
        permission: &str,
    ) -> Result<T, Unknown> {
        let Source::Live(live) = &self.source else {
            return Err(Unknown::new(action, "kept answers change nothing"));
        };
        let uri = format!("/repos/{}/{path}", self.repository);
        let answer = live.exchange(method, &uri, Some(body), action, 1).await?;
        if answer.status.is_success() {
            return answer.decode(action);
        }
        Err(answer.refusal(action, permission))
    }

    /// A GraphQL query. Retried like a GET, since a query changes nothing.
    pub(crate) async fn query<T: DeserializeOwned>(
        &self,
        query: &str,
        variables: serde_json::Value,
        action: &str,
        permission: &str,
    ) -> Result<T, Unknown> {
        #[derive(serde::Deserialize)]
        struct Body<T> {
            data: Option<T>,
            #[serde(default)]
            errors: Vec<Problem>,
        }
        let body = serde_json::json!({ "query": query, "variables": variables });
        let answer = self.ask(Request::Query(&body), action, permission).await?;
        let body: Body<T> = answer.decode(action)?;
        match (body.data, body.errors.first()) {
            (Some(data), None) => Ok(data),
            (_, Some(problem)) => Err(problem.unknown(action, permission)),
            (None, None) => Err(Unknown::new(action, "GitHub's answer contains no data")),
        }
    }

    /// Sends a request that changes nothing, with retries when GitHub fails or does not answer.
    async fn ask(
        &self,
        request: Request<'_>,
        action: &str,
        permission: &str,
    ) -> Result<Answer, Unknown> {
        let judged = |answer: Answer| match answer.status.is_success() {
            true => Ok(answer),
            false => Err(answer.refusal(action, permission)),
        };
        let live = match &self.source {
            Source::Kept(kept) => return judged(kept.answer(request, action)?),
            Source::Live(live) => live,
        };
        let mut attempt = 0;
        let index = OnceLock::new();
        let ask = || {
            attempt += 1;
            let answer = live.ask(request, action, attempt, &index);
            async move { judged(answer.await?) }
        };
        ask.retry(backoff::policy(ATTEMPTS, FIRST_WAIT))
            .when(Unknown::is_transient)
            .await
    }
}

impl Live {
    /// The host that a request goes to.
    fn host(&self, uri: &str) -> String {
        let own: Option<Uri> = uri.parse().ok();
        let authority = own.as_ref().and_then(Uri::authority);
        let authority = authority.or_else(|| self.rest.authority());
        authority.map(ToString::to_string).unwrap_or_default()
    }

    /// One request that changes nothing; the transcript, if there is one, notes it at `index`.
    async fn ask(
        &self,
        request: Request<'_>,
        action: &str,
        attempt: u32,
        index: &OnceLock<usize>,
    ) -> Result<Answer, Unknown> {
        let graphql = self.graphql.to_string();
        let (uri, body) = match request {
            Request::Get(uri) => (uri, None),
            Request::Query(query) => (graphql.as_str(), Some(query)),
        };
        let answered = self
            .exchange(&request.method(), uri, body, action, attempt)
            .await;
        if let Some(transcript) = &self.transcript {
            transcript.note(index, Exchange::of(request, &answered));
        }
        answered
    }

    /// One request and its whole answer.
    async fn exchange(
        &self,
        method: &Method,
        uri: &str,
        body: Option<&(impl Serialize + ?Sized)>,
        action: &str,
        attempt: u32,
    ) -> Result<Answer, Unknown> {
        let path = uri.split('?').next().unwrap_or(uri);
        // An error would mean that the semaphore was closed, which nobody does.
        let _turn = self.turns.acquire().await;
        let call = net::Call::begin(|| format!("github {method} {path}, attempt {attempt}"));
        let response = match *method {
            Method::POST => self.octocrab._post(uri, body).await,
            Method::PATCH => self.octocrab._patch(uri, body).await,
            _ => self.octocrab._get(uri).await,
        };
        if let Some(call) = call {
            match &response {
                Ok(answer) => call.answered(answer.status().as_u16(), |name| {
                    net::text(answer.headers(), name)
                }),
                Err(_) => call.unanswered(),
            }
        }
        let response = response
            // octocrab's own error text may quote the request; the innermost cause does not.
            .map_err(|error| {
                let why = net::no_answer(&error).map_or_else(String::new, |why| format!(": {why}"));
                let host = self.host(uri);
                Unknown::unanswered(action, format!("GitHub cannot be reached at {host}{why}"))
            })?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = self.octocrab.body_to_string(response).await.map_err(|_| {
            Unknown::unanswered(action, "the connection broke during GitHub's answer")
        })?;
        Ok(Answer {
            operation: format!("{method} {path}"),
            status,
            headers,
            body,
        })
    }
}
