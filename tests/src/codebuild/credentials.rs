//! Credentials as a build finds them: at an address that its environment names, never in the environment itself. CodeBuild
//! serves them at 169.254.170.2; here it is a port on loopback, which every SDK accepts for the same protocol (AWS SDKs
//! and Tools Reference Guide, "Container credential provider").

use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::fault::{Context, Result};
use crate::world::aws::Keys;

/// How long a client may keep what it got.
const SESSION_LENGTH: time::Duration = time::Duration::hours(1);

/// An endpoint that serves one build; it ends when this is dropped.
pub(super) struct Endpoint {
    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub(super) url: String,
    server: JoinHandle<()>,
}

impl Endpoint {
    /// Serves `keys` on a free port of loopback, under a path that cannot be guessed.
    pub(super) async fn serve(keys: &Keys) -> Result<Self> {
        let body = json!({
            "AccessKeyId": keys.access_key_id,
            "SecretAccessKey": keys.secret_access_key,
            "Token": keys.session_token,
            "Expiration": (OffsetDateTime::now_utc() + SESSION_LENGTH).format(&Rfc3339).context("writing a time")?,
        })
        .to_string();
        let path = format!("/v2/credentials/{}", uuid::Uuid::new_v4());
        let answer = async move || {
            (
                [(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                )],
                body.clone(),
            )
                .into_response()
        };
        let router = axum::Router::new().route(&path, get(answer));
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("serving a build's credentials")?;
        let url = format!(
            "http://{}{path}",
            listener
                .local_addr()
                .context("serving a build's credentials")?
        );
        let server = tokio::spawn(async move {
            // It runs until it is aborted; a build that finds nobody there says so itself.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, server })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_whole_path_answers_and_not_after_the_build() {
        let keys = Keys {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "half".to_owned(),
            session_token: Some("token".to_owned()),
        };
        let endpoint = Endpoint::serve(&keys).await.unwrap();
        let url = endpoint.url.clone();
        let http = crate::world::http_client().unwrap();
        let answer: serde_json::Value = http.get(&url).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["AccessKeyId"], "ASIAEXAMPLE");
        assert_eq!(answer["Token"], "token");
        let (parent, _) = url.rsplit_once('/').unwrap();
        assert_eq!(http.get(parent).send().await.unwrap().status(), 404);
        drop(endpoint);
        tokio::task::yield_now().await;
        assert!(http.get(&url).send().await.is_err());
    }
}
