//! Tells whether a service runs a digest now, healthy, by the definition that a deployment uses too. The service is one of ECS, or
//! the alias of a Lambda function.

use crate::setting::Setting;
use ecs::{Client, Expected, containers, missing};
use kit::Cx;
use kit::aws::AccountId;
use kit::contract::Function;
use kit::error::{Error, Result};
use kit::id::Digest;
use kit::step::required;
use net::{Net, RetryPolicy};
use std::time::Duration;

/// How long a call that AWS throttles is made again.
const RETRY: Duration = Duration::from_secs(60);

/// Where the service is seen running.
pub(crate) struct Live {
    place: Place,
    /// The account it is in.
    pub(crate) account: AccountId,
}

enum Place {
    Service {
        client: Box<Client>,
        named: Vec<String>,
        usual: Option<String>,
    },
    Function(Box<lambda::Client>),
}

/// The ECS service that arguments name in the place of the contract's.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) cluster: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) containers: Vec<String>,
}

impl Named {
    fn is_given(&self) -> bool {
        self.cluster.is_some() || self.service.is_some()
    }

    /// The function of the setting, unless a service is named.
    fn function<'a>(&self, setting: &'a Setting) -> Option<&'a Function> {
        setting.function.as_ref().filter(|_| !self.is_given())
    }

    /// Checks that the place is known.
    ///
    /// # Errors
    /// Nothing names the cluster of the service (exit 2).
    pub(crate) fn check(&self, setting: &Setting) -> Result<()> {
        match self.function(setting) {
            Some(_) => Ok(()),
            None => required("cluster", self.cluster.clone(), setting.cluster.clone()).map(drop),
        }
    }
}

/// The service as it was seen running.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LiveService {
    /// The ARN of the task definition, or of the function's version.
    pub(crate) revision: String,
    /// The reasons why it does not count as healthy with the digest.
    pub(crate) missing: Vec<String>,
}

impl Live {
    /// Gets credentials that may look at the environment.
    ///
    /// # Errors
    /// There are none, or they are not what the contract says; or nothing names the cluster (exit 2).
    pub(crate) async fn new(cx: &Cx, net: &Net, setting: &Setting, named: Named) -> Result<Self> {
        named.check(setting)?;
        let account = net.account(&setting.read).await?;
        let policy = RetryPolicy::within(RETRY);
        let place = match named.function(setting) {
            Some(function) => {
                let (name, alias) = (function.name.clone(), function.alias.clone());
                let client = lambda::Client::new(net, &account, &cx.host, policy, name, alias);
                Place::Function(Box::new(client))
            }
            None => {
                let cluster = required("cluster", named.cluster, setting.cluster.clone())?;
                let service = named.service.unwrap_or_else(|| setting.ecs_service.clone());
                let client = Client::new(&account, cluster, service, policy, &cx.host);
                // An empty line in a workflow's input names no container.
                let names = named.containers.iter().map(|name| name.trim());
                let names = names.filter(|name| !name.is_empty());
                Place::Service {
                    client: Box::new(client),
                    named: names.map(str::to_owned).collect(),
                    usual: setting.container.clone(),
                }
            }
        };
        Ok(Self {
            place,
            account: account.id,
        })
    }

    /// Looks once.
    ///
    /// # Errors
    /// AWS does not answer, so the service is unknown and does not count as healthy: the error names the call and the permission it needs.
    pub(crate) async fn look(&self, digest: &Digest) -> Result<LiveService> {
        let policy = RetryPolicy::within(RETRY);
        match &self.place {
            Place::Function(client) => {
                client.retry_by(policy);
                let look = client.look().await.map_err(unseen)?;
                let expected = lambda::Expected {
                    version: None,
                    digest: digest.clone(),
                };
                Ok(LiveService {
                    missing: lambda::missing(&expected, &look),
                    revision: look.serving.configuration.function_arn,
                })
            }
            Place::Service {
                client,
                named,
                usual,
            } => {
                client.retry_by(policy);
                look_at_service(client, named, usual.as_deref(), digest).await
            }
        }
    }

    /// Sees the service run the digest, healthy.
    ///
    /// # Errors
    /// It does not (exit 3), or that could not be seen.
    pub(crate) async fn prove(&self, digest: &Digest) -> Result<LiveService> {
        let seen = self.look(digest).await?;
        if seen.missing.is_empty() {
            return Ok(seen);
        }
        let (named, arguments) = self.place.named();
        let missing = seen.missing.iter().take(10);
        Err(Error::refused(format!("{named} is not healthy on {digest}"))
            .with_causes(missing.cloned())
            .hint(format!(
                "nothing was recorded; see why, then record again: slipway-service status {arguments}"
            ))
            .hint("to put a failed deployment on record: --verdict failed"))
    }
}

impl Place {
    /// What it is called, and the arguments that lead to it.
    fn named(&self) -> (String, String) {
        match self {
            Self::Service { client, .. } => (
                format!("service {}", client.service),
                format!("--cluster {} --service {}", client.cluster, client.service),
            ),
            Self::Function(client) => (
                format!("function {}", client.function),
                format!("--function {} --alias {}", client.function, client.alias),
            ),
        }
    }
}

async fn look_at_service(
    client: &Client,
    named: &[String],
    usual: Option<&str>,
    digest: &Digest,
) -> Result<LiveService> {
    let seen = client.look().await.map_err(unknown)?;
    let definition = seen.service.task_definition.as_str();
    let definition = client.definition(definition).await.map_err(unknown)?;
    let selection = containers(named, usual, None, &definition, &definition)?;
    let Some(primary) = seen.service.primary() else {
        return Ok(LiveService {
            revision: seen.service.task_definition.into(),
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
        wanted: None,
    };
    Ok(LiveService {
        missing: missing(&expected, &seen),
        revision: expected.task_definition.into(),
    })
}

/// What to do about a service that could not be observed.
const GRANT: &str = "grant the permission, then record again; a service that cannot be observed is not recorded as healthy";

fn unseen(error: Error) -> Error {
    error.hint(GRANT)
}

fn unknown(error: ecs::Error) -> Error {
    let needs = format!("the call needs {}", error.permission);
    let error: Error = error.into();
    error.cause(needs).hint(GRANT)
}
