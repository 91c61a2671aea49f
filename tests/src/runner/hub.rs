//! Speaks to the GitHub stand-in's control API: what happens on GitHub's side of a story.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, port};
use crate::world::unpooled_client;

/// One repository on the stand-in.
#[derive(Debug, Clone)]
pub struct Hub {
    http: reqwest::Client,
    base: String,
    /// `OWNER/NAME`.
    pub repository: String,
}

/// A workflow run that GitHub has started.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    /// Its number in URLs.
    pub run_id: u64,
    /// Counted per workflow.
    pub run_number: u64,
    /// 1, and one more for each re-run.
    pub run_attempt: u64,
    /// The token with which jobs call the API.
    pub token: String,
    /// Where jobs ask for identity tokens.
    pub oidc_request_url: String,
    /// With what they ask.
    pub oidc_request_token: String,
    /// The commit the run is for.
    pub sha: String,
    /// Its jobs.
    pub jobs: Vec<Job>,
}

/// A job of a run.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    /// The job's key in the workflow file.
    pub key: String,
    /// The environment it names, if it names one.
    pub environment: Option<String>,
}

/// The number of an account, which contracts name beside the login: below those that the stand-in gives itself.
pub fn number(login: &str) -> u64 {
    let hash = login
        .bytes()
        .fold(7_u64, |hash, byte| (hash * 31 + u64::from(byte)) % 800_000);
    hash + 100_000
}

impl Hub {
    /// The stand-in as it knows `repository`.
    pub fn new(instance: &Instance, repository: &str) -> Result<Self> {
        Ok(Self {
            http: unpooled_client()?,
            base: format!("{}/_sandbox", instance.url(port::GITHUB)),
            repository: repository.to_owned(),
        })
    }

    /// Registers a person; knowing them already is fine.
    pub async fn user(&self, login: &str, kind: &str) -> Result<()> {
        let body = json!({"login": login, "id": number(login), "type": kind, "emails": [format!("{login}@acme.example")]});
        let answer = self.send("users", &body).await?;
        match answer.status().as_u16() {
            409 => Ok(()),
            _ => read::<Value>("users", answer).await.map(drop),
        }
    }

    /// Calls something of the repository.
    pub async fn act(&self, action: &str, body: &Value) -> Result<Value> {
        let path = format!("repos/{}/{action}", self.repository);
        read(&path, self.send(&path, body).await?).await
    }

    /// Calls something outside of the repository.
    pub async fn call(&self, path: &str, body: &Value) -> Result<Value> {
        read(path, self.send(path, body).await?).await
    }

    /// Starts a workflow run, or says why GitHub would not.
    pub async fn start(&self, body: &Value) -> Result<Run> {
        let path = format!("repos/{}/runs", self.repository);
        read(&path, self.send(&path, body).await?).await
    }

    /// Ends a run and with it its tokens.
    pub async fn finish(
        &self,
        run: &Run,
        conclusion: &str,
        jobs: &BTreeMap<String, String>,
    ) -> Result<()> {
        let body = json!({"conclusion": conclusion, "jobs": jobs});
        self.call(&format!("runs/{}/finish", run.run_id), &body)
            .await
            .map(drop)
    }

    /// A personal token, as CodeBuild holds one in its parameter store.
    pub async fn token(&self, login: &str) -> Result<String> {
        let answer = self.call("tokens", &json!({"login": login})).await?;
        answer["token"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Fault::new("the GitHub stand-in answered no token"))
    }

    /// Answers of the stand-in that broke GitHub's own description, and calls it does not know.
    pub async fn violations(&self) -> Result<Vec<Value>> {
        self.get("violations").await
    }

    /// The faults of calls to the repository that none has met yet.
    pub async fn faults(&self) -> Result<Vec<Value>> {
        self.get("faults").await
    }

    /// The calls that were made to the repository's API.
    pub async fn calls(&self) -> Result<Vec<Value>> {
        self.get("calls").await
    }

    async fn get<T: DeserializeOwned>(&self, resource: &str) -> Result<T> {
        let url = format!("{}/{resource}?repository={}", self.base, self.repository);
        let answer = self
            .http
            .get(&url)
            .send()
            .await
            .context(format!("asking {url}"))?;
        read(resource, answer).await
    }

    async fn send(&self, path: &str, body: &Value) -> Result<reqwest::Response> {
        let url = format!("{}/{path}", self.base);
        self.http
            .post(&url)
            .json(body)
            .send()
            .await
            .context(format!("asking {url}"))
    }
}

/// How many of the calls have to wait for one another: the longest row of them of which each began after the one before had ended.
pub fn depth(calls: &[Value]) -> usize {
    let number = |call: &Value, name: &str| call[name].as_u64().unwrap_or_default();
    let mut depths: Vec<(u64, usize)> = Vec::new();
    for call in calls {
        let before = depths
            .iter()
            .filter(|(ended, _)| *ended <= number(call, "began"));
        let deepest = before.map(|(_, depth)| *depth).max().unwrap_or_default();
        depths.push((number(call, "sequence"), deepest + 1));
    }
    depths
        .into_iter()
        .map(|(_, depth)| depth)
        .max()
        .unwrap_or_default()
}

async fn read<T: DeserializeOwned>(resource: &str, answer: reqwest::Response) -> Result<T> {
    let status = answer.status();
    let text = answer
        .text()
        .await
        .context(format!("asking the GitHub stand-in for {resource}"))?;
    if !status.is_success() {
        return Err(Fault::new(format!(
            "the GitHub stand-in answered {status} to {resource}: {text}"
        )));
    }
    serde_json::from_str(&text).context(format!(
        "reading the GitHub stand-in's answer to {resource}: {text}"
    ))
}
