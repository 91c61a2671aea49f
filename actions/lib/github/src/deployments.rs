//! GitHub Deployments, the visible mirror of the ledger.

use crate::client::GitHub;
use crate::facts::escape;
use crate::model::{Deployment, DeploymentStatus};
use crate::unknown::Unknown;
use serde::Serialize;
use serde_json::Value;

/// The most deployments that are read; more are `Unknown`.
const LIST: usize = 10_000;

/// A deployment to create. GitHub's own decisions (merging, waiting for checks) are turned off,
/// since the gate has decided.
#[derive(Debug, Serialize)]
pub struct NewDeployment<'a> {
    /// The commit.
    #[serde(rename = "ref")]
    pub commit: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// One line for people.
    pub description: &'a str,
    /// The record that is mirrored.
    pub payload: Value,
    auto_merge: bool,
    required_contexts: [&'static str; 0],
}

impl<'a> NewDeployment<'a> {
    /// A deployment of `commit` to `environment`.
    pub fn new(
        commit: &'a str,
        environment: &'a str,
        description: &'a str,
        payload: Value,
    ) -> Self {
        Self {
            commit,
            environment,
            description,
            payload,
            auto_merge: false,
            required_contexts: [],
        }
    }
}

/// The state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is live.
    Success,
    /// It failed.
    Failure,
    /// Another deployment replaced it.
    Inactive,
}

impl State {
    /// GitHub's name for the state.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Success => "success",
            State::Failure => "failure",
            State::Inactive => "inactive",
        }
    }
}

impl GitHub {
    /// The newest deployments to an environment, newest first, at most one page.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn deployments(&self, environment: &str) -> Result<Vec<Deployment>, Unknown> {
        self.get(
            &format!("{}&per_page=30", list_of(environment)),
            &format!("read the deployments to {environment}"),
            "deployments: read",
        )
        .await
    }

    /// All deployments to an environment, newest first.
    ///
    /// # Errors
    /// GitHub did not answer, or there are more than can be read.
    pub async fn all_deployments(&self, environment: &str) -> Result<Vec<Deployment>, Unknown> {
        self.list(
            &self.below(&list_of(environment)),
            LIST,
            &format!("read the deployments to {environment}"),
            "deployments: read",
            |page: Vec<Deployment>| page,
        )
        .await
    }

    /// A deployment's newest status, if it has one.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn deployment_status(&self, id: u64) -> Result<Option<DeploymentStatus>, Unknown> {
        let newest: Vec<DeploymentStatus> = self
            .get(
                &format!("deployments/{id}/statuses?per_page=1"),
                &format!("read the status of deployment {id}"),
                "deployments: read",
            )
            .await?;
        Ok(newest.into_iter().next())
    }

    /// Creates a deployment.
    ///
    /// # Errors
    /// GitHub did not confirm it; it may exist nevertheless.
    pub async fn create_deployment(
        &self,
        deployment: &NewDeployment<'_>,
    ) -> Result<Deployment, Unknown> {
        self.post(
            "deployments",
            deployment,
            &format!("create a deployment to {}", deployment.environment),
            "deployments: write",
        )
        .await
    }

    /// Sets a deployment's status. `description` is cut to the 140 characters that GitHub accepts.
    ///
    /// # Errors
    /// GitHub did not confirm it.
    pub async fn set_deployment_status(
        &self,
        id: u64,
        state: State,
        description: &str,
        log_url: Option<&str>,
    ) -> Result<DeploymentStatus, Unknown> {
        #[derive(Serialize)]
        struct Body<'a> {
            state: State,
            description: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            log_url: Option<&'a str>,
            // GitHub does this except for production environments, so `record` does it for all.
            auto_inactive: bool,
        }
        let body = Body {
            state,
            description: description.chars().take(140).collect(),
            log_url,
            auto_inactive: false,
        };
        self.post(
            &format!("deployments/{id}/statuses"),
            &body,
            &format!("set deployment {id} to {}", state.as_str()),
            "deployments: write",
        )
        .await
    }
}

fn list_of(environment: &str) -> String {
    format!("deployments?environment={}", escape(environment))
}
