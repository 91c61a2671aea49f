//! Hosts, in one process, what the sandbox writes itself: the gateway with the registry's fronts, the GitHub stand-in,
//! ECS with its load balancers, and Lambda. The stand-ins know nothing of one another; they meet here.

mod ecs;
mod lambda;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, port};
use crate::parts::password;

/// Serves until it is stopped, then removes the services' containers.
pub(crate) async fn run(instance: &Instance) -> Result<()> {
    let gateway = listen(instance, port::GATEWAY).await?;
    let github = listen(instance, port::GITHUB).await?;
    let ecs = Arc::new(ecs::Services::start(instance).await?);
    let config = gateway_config(instance, &ecs)?;
    let mut end = signal(SignalKind::terminate()).context("waiting for the signal to end")?;
    let outcome = tokio::select! {
        served = gateway::serve(config, gateway) => served.context("serving the gateway"),
        served = standin_github::serve(github_config(instance), github) => served.context("serving the GitHub stand-in"),
        _ = end.recv() => Ok(()),
    };
    ecs.shutdown().await?;
    outcome
}

async fn listen(instance: &Instance, port: u16) -> Result<TcpListener> {
    let address = instance.at(port);
    TcpListener::bind(address)
        .await
        .context(format!("listening on {address}"))
}

fn gateway_config(instance: &Instance, ecs: &Arc<ecs::Services>) -> Result<gateway::Config> {
    let mut backends: HashMap<String, Arc<dyn gateway::Backend>> = HashMap::new();
    for service in ["ecs", "elasticloadbalancing", "logs"] {
        backends.insert(service.to_owned(), Arc::clone(ecs) as _);
    }
    let functions = Arc::new(lambda::Functions::start(instance)?);
    for service in ["apigateway", "lambda"] {
        backends.insert(service.to_owned(), Arc::clone(&functions) as _);
    }
    Ok(gateway::Config {
        moto: instance.url(port::MOTO),
        dynamodb: gateway::DynamoDb::Socket(instance.dynamodb_socket()),
        distribution: gateway::Distribution {
            url: instance.url(port::DISTRIBUTION),
            user: "AWS".to_owned(),
            password: password(instance)?,
        },
        front: gateway::Front {
            first: instance.ip,
            port: port::REGISTRY,
        },
        models: models(instance)?,
        schemas: models(instance)?.join("../../cfnlint/data/schemas"),
        issuers: vec![gateway::Issuer {
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            jwks: format!("{}/.well-known/jwks", instance.url(port::GITHUB)),
        }],
        backends,
    })
}

fn github_config(instance: &Instance) -> standin_github::Config {
    standin_github::Config {
        openapi: instance
            .npm("@octokit/openapi")
            .join("generated/api.github.com.json"),
        graphql: instance.npm("@octokit/graphql-schema").join("schema.json"),
    }
}

/// The service models of the botocore in the virtual environment, whose path names Python's version.
fn models(instance: &Instance) -> Result<PathBuf> {
    let lib = instance.dir.join("venv/lib");
    std::fs::read_dir(&lib)
        .context(format!("reading {}", lib.display()))?
        .flatten()
        .map(|entry| entry.path().join("site-packages/botocore/data"))
        .find(|folder| folder.is_dir())
        .ok_or_else(|| Fault::new(format!("there is no botocore under {}", lib.display())))
}
