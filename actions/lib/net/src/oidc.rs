//! GitHub's OIDC token for this job. Variables and answer: docs.github.com, "Security hardening
//! your deployments", `ACTIONS_ID_TOKEN_REQUEST_URL`.

use crate::http::Net;
use kit::backoff::{self, Retryable};
use kit::error::{Error, ErrorKind, Failure, Result};
use kit::secret::Secret;
use serde::Deserialize;
use std::time::Duration;

const ATTEMPTS: usize = 3;
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// A token that says which repository, ref, workflow and environment this job is.
///
/// Asked for anew each time: it lives for five minutes only.
///
/// # Errors
/// No permission (`id-token: write`), or the issuer does not answer after three attempts.
pub async fn id_token(net: &Net, audience: &str) -> Result<Secret> {
    let (Some(url), Some(bearer)) = (
        net.env.get("ACTIONS_ID_TOKEN_REQUEST_URL"),
        net.env.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
    ) else {
        return Err(
            Error::usage("this job cannot ask GitHub for an identity token")
                .hint("add `permissions: {id-token: write}` to the job"),
        );
    };
    let mut url = reqwest::Url::parse(url)
        .map_err(|_| Error::usage("ACTIONS_ID_TOKEN_REQUEST_URL is not a URL"))?;
    url.query_pairs_mut().append_pair("audience", audience);
    let mut attempt = 0;
    let ask = || {
        attempt += 1;
        let description = format!("github identity token, attempt {attempt}");
        ask(description, net.http().get(url.clone()).bearer_auth(bearer))
    };
    ask.retry(backoff::policy(ATTEMPTS, FIRST_WAIT))
        .when(|error: &Error| error.failure().is_some_and(Failure::is_transient))
        .await
}

/// One attempt.
async fn ask(description: String, request: reqwest::RequestBuilder) -> Result<Secret> {
    #[derive(Deserialize)]
    struct Answer {
        value: String,
    }
    let answer = crate::calls::send(Some(description), request).await;
    let answer = answer.map_err(|error| {
        let kind = ErrorKind::Service(Failure::NoAnswer);
        Error::new(kind, "cannot reach GitHub's token service").because(error.without_url())
    })?;
    let status = answer.status();
    if status.is_success() {
        let answer: Answer = answer.json().await.map_err(|error| {
            Error::failed("GitHub's token service gave an answer without a token")
                .because(error.without_url())
        })?;
        return Ok(Secret::new(answer.value));
    }
    let kind = match status.is_server_error() {
        true => ErrorKind::Service(Failure::Unavailable),
        false => ErrorKind::Refused,
    };
    let error = Error::new(
        kind,
        format!("GitHub's token service gave this job no identity token ({status})"),
    );
    Err(match kind {
        ErrorKind::Refused => error.hint("add `permissions: {id-token: write}` to the job"),
        _ => error.hint("see www.githubstatus.com, and run the job again"),
    })
}
