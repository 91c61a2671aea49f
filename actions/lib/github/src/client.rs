//! Requests: addresses, the token, retries, and the conversion of failed answers.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use kit::Cx;
use kit::error::{Error, Result};
use kit::secret::Secret;
use net::Net;
use octocrab::Octocrab;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// The version of the REST API whose documents these calls were written from.
const API_VERSION: &str = "2022-11-28";
/// Attempts of a read when GitHub answers 5xx or not at all.
const ATTEMPTS: u32 = 3;
/// The largest page that GitHub serves.
pub(crate) const PER_PAGE: usize = 100;

/// A fact that GitHub did not provide. A gate refuses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// What was being done, e.g. `read the reviews of #7`.
    pub what: String,
    /// Why there is no answer.
    pub why: String,
    /// The permission that the token lacks, e.g. `pull-requests: read`, if that is why.
    pub permission: Option<String>,
}

impl Unknown {
    pub(crate) fn new(what: &str, why: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            why: why.into(),
            permission: None,
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.why)?;
        match &self.permission {
            Some(permission) => write!(f, " (needs `{permission}`)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Unknown {}

/// `OWNER/NAME` on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
    /// Takes `OWNER/NAME`, or the clone URL of a repository.
    pub fn parse(text: &str) -> Option<Self> {
        let path = match text.split_once("://") {
            Some((_, rest)) => rest.split_once('/')?.1,
            None => text,
        };
        let path = path.trim_end_matches('/').trim_end_matches(".git");
        let allowed = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        match path.split('/').collect::<Vec<_>>().as_slice() {
            [owner, name] if allowed(owner) && allowed(name) => Some(Self(path.to_owned())),
            _ => None,
        }
    }

    /// `OWNER/NAME`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The token: the input `github-token`, else `GITHUB_TOKEN`.
pub fn token(cx: &Cx) -> Option<Secret> {
    cx.env
        .input("github-token")
        .or_else(|| cx.env.get("GITHUB_TOKEN"))
        .map(|token| Secret::new(token.trim().to_owned()))
}

/// One repository on GitHub, seen with one token.
#[derive(Clone)]
pub struct GitHub {
    octocrab: Octocrab,
    graphql: Uri,
    repository: Repository,
}

impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GitHub").field(&self.repository).finish()
    }
}

/// One answered request.
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
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
            .base_uri(rest)
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
            octocrab,
            graphql,
            repository,
        })
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// One object below the repository.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &str,
        permission: &str,
    ) -> Result<T, Unknown> {
        let uri = format!("/repos/{}/{path}", self.repository);
        let answer = self.ask(&uri, None, what, permission).await?;
        decode(&answer.body, what)
    }

    /// A list, read to its end; `items` takes the entries from one page.
    ///
    /// More than `cap` entries are `Unknown`, because the rest was not read.
    pub(crate) async fn list<P: DeserializeOwned, T>(
        &self,
        uri: &str,
        cap: usize,
        what: &str,
        permission: &str,
        items: impl Fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, Unknown> {
        let mut all = Vec::new();
        let separator = if uri.contains('?') { '&' } else { '?' };
        let mut next = Some(format!("{uri}{separator}per_page={PER_PAGE}"));
        while let Some(page) = next {
            let answer = self.ask(&page, None, what, permission).await?;
            let found = items(decode(&answer.body, what)?);
            next = next_query(&answer.headers)
                .map(|query| format!("{}?{query}", uri.split('?').next().unwrap_or(uri)));
            if found.is_empty() && next.is_some() {
                return Err(Unknown::new(
                    what,
                    "GitHub returned an empty page before the last one",
                ));
            }
            all.extend(found);
            if all.len() > cap || (all.len() == cap && next.is_some()) {
                return Err(Unknown::new(
                    what,
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
        what: &str,
        permission: &str,
    ) -> Result<T, Unknown> {
        self.change(&Method::POST, path, body, what, permission)
            .await
    }

    /// As [`GitHub::post`], for something that exists.
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        what: &str,
        permission: &str,
    ) -> Result<T, Unknown> {
        self.change(&Method::PATCH, path, body, what, permission)
            .await
    }

    async fn change<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: &impl Serialize,
        what: &str,
        permission: &str,
    ) -> Result<T, Unknown> {
        let uri = format!("/repos/{}/{path}", self.repository);
        let answer = self.exchange(method, &uri, Some(body), what, 1).await?;
        if answer.status.is_success() {
            return decode(&answer.body, what);
        }
        Err(refusal(&answer, what, permission))
    }

    /// A GraphQL query. Retried like a GET, since a query changes nothing.
    pub(crate) async fn query<T: DeserializeOwned>(
        &self,
        query: &str,
        variables: serde_json::Value,
        what: &str,
        permission: &str,
    ) -> Result<T, Unknown> {
        #[derive(serde::Deserialize)]
        struct Body<T> {
            data: Option<T>,
            #[serde(default)]
            errors: Vec<Problem>,
        }
        #[derive(serde::Deserialize)]
        struct Problem {
            message: String,
        }
        let body = serde_json::json!({ "query": query, "variables": variables });
        let uri = self.graphql.to_string();
        let answer = self.ask(&uri, Some(&body), what, permission).await?;
        let body: Body<T> = decode(&answer.body, what)?;
        match (body.data, body.errors.first()) {
            (Some(data), None) => Ok(data),
            (_, Some(problem)) => Err(Unknown {
                permission: Some(permission.to_owned()),
                ..Unknown::new(what, problem.message.clone())
            }),
            (None, None) => Err(Unknown::new(what, "GitHub's answer contains no data")),
        }
    }

    /// Sends a request that changes nothing, with retries when GitHub fails or does not answer.
    async fn ask(
        &self,
        uri: &str,
        body: Option<&serde_json::Value>,
        what: &str,
        permission: &str,
    ) -> Result<Answer, Unknown> {
        let method = if body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.exchange(&method, uri, body, what, attempt).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) if answer.status.is_server_error() && attempt < ATTEMPTS => {}
                Ok(answer) => return Err(refusal(&answer, what, permission)),
                Err(_) if attempt < ATTEMPTS => {}
                Err(unknown) => return Err(unknown),
            }
            backoff(attempt).await;
        }
    }

    /// One request and its whole answer.
    async fn exchange(
        &self,
        method: &Method,
        uri: &str,
        body: Option<&(impl Serialize + ?Sized)>,
        what: &str,
        attempt: u32,
    ) -> Result<Answer, Unknown> {
        let path = uri.split('?').next().unwrap_or(uri);
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
                Unknown::new(what, format!("GitHub cannot be reached{why}"))
            })?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = self
            .octocrab
            .body_to_string(response)
            .await
            .map_err(|_| Unknown::new(what, "the connection broke during GitHub's answer"))?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

fn address(cx: &Cx, variable: &str, usual: &str) -> Result<Uri> {
    let text = cx.env.get(variable).unwrap_or(usual);
    let uri: Option<Uri> = text.trim_end_matches('/').parse().ok();
    let uri = uri
        .filter(|uri| uri.scheme().is_some() && uri.authority().is_some())
        .ok_or_else(|| Error::usage(format!("{variable} is not a URL: {text}")))?;
    // The token is sent there, so the connection must be encrypted.
    if uri.scheme_str() == Some("https") || uri.host().is_some_and(loopback) {
        return Ok(uri);
    }
    Err(Error::usage(format!(
        "{variable} is not an https URL, so the GitHub token would be sent unencrypted: {text}"
    )))
}

/// Whether a host is this machine itself.
fn loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

async fn backoff(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(250 << attempt)).await;
}

fn decode<T: DeserializeOwned>(body: &str, what: &str) -> Result<T, Unknown> {
    serde_json::from_str(body).map_err(|error| {
        Unknown::new(
            what,
            format!("GitHub's answer has an unexpected form ({error})"),
        )
    })
}

/// The meaning of an answer other than success. GitHub also answers 404 for objects that the token
/// may not see, so both 403 and 404 name the permission: the one from GitHub's header, else the
/// documented one.
fn refusal(answer: &Answer, what: &str, permission: &str) -> Unknown {
    #[derive(serde::Deserialize)]
    struct Body {
        message: String,
    }
    let message = serde_json::from_str::<Body>(&answer.body)
        .map(|body| format!(" {}", body.message))
        .unwrap_or_default();
    let limited = answer.status == StatusCode::TOO_MANY_REQUESTS
        || answer.headers.contains_key("retry-after")
        || answer
            .headers
            .get("x-ratelimit-remaining")
            .is_some_and(|left| left == "0");
    let permission = match answer.status {
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if !limited => Some(
            answer
                .headers
                .get("x-accepted-github-permissions")
                .and_then(|value| value.to_str().ok())
                .filter(|value| !value.trim().is_empty())
                .map_or_else(|| permission.to_owned(), accepted),
        ),
        _ => None,
    };
    Unknown {
        what: what.to_owned(),
        why: format!(
            "GitHub answered {}{message}{}",
            answer.status.as_u16(),
            if limited { ", a rate limit" } else { "" }
        ),
        permission,
    }
}

/// `pull_requests=write,contents=read; issues=read` as a workflow's `permissions` spells it.
/// Source: docs.github.com, "Troubleshooting the REST API", header X-Accepted-GitHub-Permissions.
fn accepted(header: &str) -> String {
    header
        .split(';')
        .map(|set| {
            set.split(',')
                .map(|one| one.trim().replace('_', "-").replace('=', ": "))
                .collect::<Vec<_>>()
                .join(" and ")
        })
        .collect::<Vec<_>>()
        .join(" or ")
}

/// The query of the next page, from the Link header. Only the query is used and the address stays
/// ours, so that no answer can redirect the token.
fn next_query(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(http::header::LINK)?.to_str().ok()?;
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let url = next.split_once('<')?.1.split_once('>')?.0;
    Some(url.split_once('?')?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    (
                        http::HeaderName::from_static(name),
                        HeaderValue::from_str(value).unwrap(),
                    )
                })
                .collect(),
            body: body.to_owned(),
        }
    }

    #[test]
    fn a_refusal_names_the_permission_github_asks_for() {
        let forbidden = answer(
            403,
            &[(
                "x-accepted-github-permissions",
                "pull_requests=read,contents=read; issues=read",
            )],
            r#"{"message":"Resource not accessible by integration"}"#,
        );
        assert_eq!(
            refusal(&forbidden, "read the reviews of #7", "x: read").to_string(),
            "cannot read the reviews of #7: GitHub answered 403 Resource not accessible by \
             integration (needs `pull-requests: read and contents: read or issues: read`)"
        );
        let hidden = answer(404, &[], r#"{"message":"Not Found"}"#);
        let unknown = refusal(&hidden, "read run 5", "actions: read");
        assert_eq!(unknown.permission.as_deref(), Some("actions: read"));
    }

    #[test]
    fn a_rate_limit_or_an_outage_is_no_missing_permission() {
        for limited in [
            answer(403, &[("retry-after", "60")], "{}"),
            answer(403, &[("x-ratelimit-remaining", "0")], "{}"),
            answer(429, &[], "{}"),
            answer(502, &[], "<html>"),
        ] {
            assert_eq!(refusal(&limited, "x", "y: read").permission, None);
        }
    }

    #[test]
    fn only_the_query_of_the_next_page_is_taken() {
        let paged = answer(
            200,
            &[(
                "link",
                r#"<https://evil.example/x?page=1>; rel="prev", <https://evil.example/y?after=abc&per_page=100>; rel="next""#,
            )],
            "[]",
        );
        assert_eq!(
            next_query(&paged.headers).unwrap(),
            "after=abc&per_page=100"
        );
        assert_eq!(next_query(&answer(200, &[], "").headers), None);
    }

    #[test]
    fn repositories_by_name_and_by_clone_url() {
        for text in [
            "acme/storefront",
            "https://github.com/acme/storefront.git",
            "https://github.example.com/acme/storefront/",
        ] {
            assert_eq!(Repository::parse(text).unwrap().as_str(), "acme/storefront");
        }
        for text in [
            "acme",
            "acme/",
            "a/b/c",
            "a b/c",
            "../x",
            "a/b?c",
            "https://x",
        ] {
            assert_eq!(Repository::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_goes_over_https_or_stays_on_this_machine() {
        for (host, wanted) in [
            ("127.0.0.1", true),
            ("127.64.3.1", true),
            ("[::1]", true),
            ("localhost", true),
            ("10.0.0.1", false),
            ("localhost.evil.example", false),
            ("api.github.com", false),
        ] {
            assert_eq!(loopback(host), wanted, "{host}");
        }
    }
}
