//! A small client of Docker Engine's API over its Unix socket (API v1.41).

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

/// How long the engine may take to answer anything but a pull or a stop; a busy machine starts a container slowly.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long a pull may take.
const PULL_TIMEOUT: Duration = Duration::from_secs(300);

/// An error of Docker Engine, or of the connection to it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct DockerError {
    pub(crate) status: Option<u16>,
    pub(crate) message: String,
}

impl DockerError {
    pub(crate) fn new(message: String) -> Self {
        Self {
            status: None,
            message,
        }
    }
}

/// Credentials for a registry. They go to the engine in a header and nowhere else.
pub struct RegistryLogin {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) server: String,
}

/// A client of the machine's Docker Engine, for the stand-ins that run containers.
#[derive(Debug, Clone)]
pub struct Docker {
    http: reqwest::Client,
}

impl Docker {
    /// A client of the engine behind this socket. It opens no connection yet.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(socket: &Path) -> Result<Self, DockerError> {
        let http = crate::http_client()
            .unix_socket(socket.to_path_buf())
            .build()
            .map_err(|error| unreachable_engine(&error))?;
        Ok(Self { http })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, DockerError> {
        let response = request
            .send()
            .await
            .map_err(|error| unreachable_engine(&error))?;
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|error| unreachable_engine(&error))?;
        if status.is_success() || status.as_u16() == 304 {
            return Ok(body.to_vec());
        }
        let message = serde_json::from_slice::<Value>(&body)
            .ok()
            .and_then(|value| Some(value.get("message")?.as_str()?.to_owned()))
            .unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned());
        Err(DockerError {
            status: Some(status.as_u16()),
            message,
        })
    }

    async fn json(&self, request: reqwest::RequestBuilder) -> Result<Value, DockerError> {
        let body = self.send(request.timeout(TIMEOUT)).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| DockerError {
            status: None,
            message: format!("Docker Engine answered something that is not JSON: {error}"),
        })
    }

    fn at(path: &str) -> String {
        format!("http://engine/v1.41{path}")
    }

    fn at_with(path: &str, query: &[(&str, &str)]) -> String {
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        format!("{}?{}", Self::at(path), pairs.join("&"))
    }

    pub(crate) async fn ping(&self) -> Result<(), DockerError> {
        let request = self.http.get(Self::at("/_ping")).timeout(TIMEOUT);
        self.send(request).await.map(|_| ())
    }

    /// Pulls an image reference (`host/name:tag` or `host/name@sha256:…`).
    ///
    /// # Errors
    /// The engine does not answer, or cannot pull it.
    pub async fn pull(
        &self,
        image: &str,
        login: Option<&RegistryLogin>,
    ) -> Result<(), DockerError> {
        let mut request = self
            .http
            .post(Self::at_with(
                "/images/create",
                &[
                    ("fromImage", image),
                    ("tag", if names_version(image) { "" } else { "latest" }),
                ],
            ))
            .timeout(PULL_TIMEOUT);
        if let Some(login) = login {
            let header = json!({"username": login.user, "password": login.password, "serveraddress": login.server});
            request = request.header("X-Registry-Auth", URL_SAFE.encode(header.to_string()));
        }
        let progress = self.send(request).await?;
        // The engine answers 200 before it pulls; a failure comes as the last line of the progress.
        for line in String::from_utf8_lossy(&progress).lines() {
            let failed = serde_json::from_str::<Value>(line)
                .ok()
                .and_then(|line| Some(line.get("error")?.as_str()?.to_owned()));
            if let Some(message) = failed {
                return Err(DockerError {
                    status: None,
                    message,
                });
            }
        }
        Ok(())
    }

    /// The engine's description of an image that it has.
    ///
    /// # Errors
    /// It has none of this name, or does not answer.
    pub async fn image(&self, image: &str) -> Result<Value, DockerError> {
        self.json(self.http.get(Self::at(&format!("/images/{image}/json"))))
            .await
    }

    /// Creates a container; answers its ID.
    ///
    /// # Errors
    /// The engine refuses the description, or does not answer.
    pub async fn create(&self, name: &str, body: &Value) -> Result<String, DockerError> {
        let request = self
            .http
            .post(Self::at_with("/containers/create", &[("name", name)]))
            .json(body);
        let created = self.json(request).await?;
        Ok(created["Id"].as_str().unwrap_or_default().to_owned())
    }

    /// Starts a container.
    ///
    /// # Errors
    /// It cannot be started, or the engine does not answer.
    pub async fn start(&self, id: &str) -> Result<(), DockerError> {
        let request = self.http.post(Self::at(&format!("/containers/{id}/start")));
        self.json(request).await.map(|_| ())
    }

    pub(crate) async fn inspect(&self, id: &str) -> Result<Value, DockerError> {
        self.json(self.http.get(Self::at(&format!("/containers/{id}/json"))))
            .await
    }

    /// SIGTERM, then SIGKILL after `grace` seconds.
    pub(crate) async fn stop(&self, id: &str, grace: u64) -> Result<(), DockerError> {
        let request = self
            .http
            .post(Self::at_with(
                &format!("/containers/{id}/stop"),
                &[("t", &grace.to_string())],
            ))
            .timeout(TIMEOUT + Duration::from_secs(grace));
        self.send(request).await.map(|_| ())
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<(), DockerError> {
        let request = self
            .http
            .delete(Self::at_with(
                &format!("/containers/{id}"),
                &[("force", "true"), ("v", "true")],
            ))
            .timeout(TIMEOUT);
        match self.send(request).await {
            // The container is gone already, or another process removes it.
            Err(DockerError {
                status: Some(404 | 409),
                ..
            }) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Removes volumes that carry `label` (`name=value`) and that no container uses.
    pub(crate) async fn prune_volumes(&self, label: &str) -> Result<(), DockerError> {
        let filters = json!({"label": [label]}).to_string();
        let path = Self::at_with("/volumes/prune", &[("filters", &filters)]);
        self.json(self.http.post(path)).await.map(|_| ())
    }

    /// IDs of all containers, running or not, that carry `label` (`name=value`).
    pub(crate) async fn labelled(&self, label: &str) -> Result<Vec<String>, DockerError> {
        let filters = json!({"label": [label]}).to_string();
        let request = self.http.get(Self::at_with(
            "/containers/json",
            &[("all", "true"), ("filters", filters.as_str())],
        ));
        let found = self.json(request).await?;
        let ids = found.as_array().into_iter().flatten();
        Ok(ids
            .filter_map(|one| one["Id"].as_str().map(str::to_owned))
            .collect())
    }

    /// The container's output, oldest first: time in milliseconds since 1970, and the line.
    pub(crate) async fn logs(&self, id: &str) -> Result<Vec<(i64, String)>, DockerError> {
        let request = self
            .http
            .get(Self::at_with(
                &format!("/containers/{id}/logs"),
                &[
                    ("stdout", "1"),
                    ("stderr", "1"),
                    ("timestamps", "1"),
                    ("tail", "5000"),
                ],
            ))
            .timeout(TIMEOUT);
        Ok(log_lines(&self.send(request).await?))
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Returns true if the reference ends in a tag or a digest.
fn names_version(image: &str) -> bool {
    image
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains([':', '@']))
}

fn unreachable_engine(error: &reqwest::Error) -> DockerError {
    DockerError {
        status: None,
        message: format!("cannot reach Docker Engine: {}", chain(error)),
    }
}

/// An error with everything behind it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        message.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    message
}

/// Takes apart the engine's frames (stream, three zero bytes, length in big-endian, payload) and the time before each line.
fn log_lines(mut stream: &[u8]) -> Vec<(i64, String)> {
    let mut text = Vec::new();
    while let Some((header, rest)) = stream.split_at_checked(8) {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        text.extend_from_slice(payload);
        stream = rest;
    }
    let text = String::from_utf8_lossy(&text);
    let mut lines: Vec<(i64, String)> = text
        .lines()
        .filter_map(|line| {
            let (time, message) = line.split_once(' ')?;
            let format = time::format_description::well_known::Rfc3339;
            let time = time::OffsetDateTime::parse(time, &format).ok()?;
            let millis = i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()?;
            Some((millis, message.to_owned()))
        })
        .collect();
    lines.sort_by_key(|(time, _)| *time);
    lines
}
