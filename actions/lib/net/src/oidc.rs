//! GitHub's OIDC token for this job. Variables and answer: docs.github.com, "Security hardening
//! your deployments", `ACTIONS_ID_TOKEN_REQUEST_URL`.

use crate::http::Net;
use kit::error::{Error, Result};
use kit::secret::Secret;
use serde::Deserialize;
use std::time::Duration;

/// A token that says which repository, ref, workflow and environment this job is.
///
/// Asked for anew each time: it lives for five minutes only.
///
/// # Errors
/// No permission (`id-token: write`), or the issuer does not answer after three attempts.
pub async fn id_token(net: &Net, audience: &str) -> Result<Secret> {
    #[derive(Deserialize)]
    struct Answer {
        value: String,
    }
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
    let mut last = None;
    for attempt in 0..3u32 {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(500 << attempt)).await;
        }
        let answer = crate::calls::send(
            Some(format!("github identity token, attempt {}", attempt + 1)),
            net.http().get(url.clone()).bearer_auth(bearer),
        )
        .await;
        match answer {
            Ok(answer) if answer.status().is_success() => {
                let answer: Answer = answer.json().await.map_err(|error| {
                    Error::failed("GitHub's token service answered something else")
                        .because(error.without_url())
                })?;
                return Ok(Secret::new(answer.value));
            }
            Ok(answer) if answer.status().is_server_error() => {
                last = Some(Error::failed(format!(
                    "GitHub's token service answered {}",
                    answer.status()
                )));
            }
            Ok(answer) => {
                return Err(Error::refused(format!(
                    "GitHub refused this job an identity token ({})",
                    answer.status()
                ))
                .hint("add `permissions: {id-token: write}` to the job"));
            }
            Err(error) => {
                last = Some(
                    Error::failed("cannot reach GitHub's token service")
                        .because(error.without_url()),
                );
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::failed("cannot reach GitHub's token service")))
}
