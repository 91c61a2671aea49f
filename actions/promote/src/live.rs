//! Tells whether a service runs a digest now, healthy, by the definition that a deployment uses too.

use crate::setting::Setting;
use ecs::{Client, Expected, RetryPolicy, containers, missing};
use kit::Cx;
use kit::aws::{AccountId, TaskDefinitionArn};
use kit::error::{Error, Result};
use kit::id::Digest;
use net::Net;
use std::time::Duration;

/// How long a call that AWS throttles is made again.
const RETRY: Duration = Duration::from_secs(60);

/// Where the service is seen running.
pub(crate) struct Live {
    client: Client,
    /// The account it is in.
    pub(crate) account: AccountId,
    named: Vec<String>,
    usual: Option<String>,
}

/// The service as it was seen running.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The task definition.
    pub(crate) task_definition: TaskDefinitionArn,
    /// The reasons why it does not count as healthy with the digest.
    pub(crate) missing: Vec<String>,
}

impl Live {
    /// Gets credentials that may look at the environment.
    ///
    /// # Errors
    /// There are none, or they are not what the contract says.
    pub(crate) async fn new(
        cx: &Cx,
        net: &Net,
        setting: &Setting,
        cluster: String,
        service: String,
        named: &[String],
    ) -> Result<Self> {
        let account = net.account(&setting.read).await?;
        let policy = RetryPolicy::within(RETRY);
        let client = Client::new(&account, cluster, service, policy, &cx.host);
        // An empty line in a workflow's input names no container.
        let names = named.iter().map(|name| name.trim());
        Ok(Self {
            client,
            account: account.id,
            named: names
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            usual: setting.container.clone(),
        })
    }

    /// Looks once.
    ///
    /// # Errors
    /// AWS does not answer, so the service is unknown and does not count as healthy: the error names the call and the permission it needs.
    pub(crate) async fn look(&self, digest: &Digest) -> Result<Seen> {
        self.client.retry_by(RetryPolicy::within(RETRY));
        let seen = self.client.look().await.map_err(unknown)?;
        let definition = seen.service.task_definition.as_str();
        let definition = self.client.definition(definition).await.map_err(unknown)?;
        let usual = self.usual.as_deref();
        let selection = containers(&self.named, usual, None, &definition, &definition)?;
        let Some(primary) = seen.service.primary() else {
            return Ok(Seen {
                task_definition: seen.service.task_definition.clone(),
                missing: vec!["there is no primary deployment".to_owned()],
            });
        };
        let expected = Expected {
            deployment: primary.id.clone(),
            task_definition: primary.task_definition.clone(),
            digest: digest.clone(),
            containers: selection.containers,
            health_checked: definition.health_checked(),
            allow_zero_tasks: false,
        };
        Ok(Seen {
            missing: missing(&expected, &seen),
            task_definition: expected.task_definition,
        })
    }

    /// Sees the service run the digest, healthy.
    ///
    /// # Errors
    /// It does not (exit 3), or that could not be seen.
    pub(crate) async fn prove(&self, digest: &Digest) -> Result<Seen> {
        let seen = self.look(digest).await?;
        if seen.missing.is_empty() {
            return Ok(seen);
        }
        let service = &self.client.service;
        let missing = seen.missing.iter().take(10);
        Err(Error::refused(format!(
            "service {service} is not healthy on {digest}"
        ))
        .with_causes(missing.cloned())
        .hint(format!(
                "nothing was recorded; see why, then record again: slipway-service status --cluster {} --service {service}",
                self.client.cluster
            ))
        .hint("to put a failed deployment on record: --verdict failed"))
    }
}

fn unknown(error: ecs::Error) -> Error {
    let needs = format!("the call needs {}", error.permission);
    let error: Error = error.into();
    let error = error.cause(needs);
    error.hint("grant the permission, then record again; a service that cannot be observed is not recorded as healthy")
}
