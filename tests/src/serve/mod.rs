//! Hosts, in one process, what the sandbox writes itself: the gateway with the registry's fronts, the GitHub stand-in,
//! and ECS with its load balancers. The stand-ins know nothing of one another; they meet here.

mod ecs;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::fault::{Doing, Fault, Result};
use crate::parts::password;
use crate::place::{Place, port};

/// Serves until it is told to end, then takes the services' containers along.
pub(crate) async fn run(place: &Place) -> Result<()> {
    let gateway = listen(place, port::GATEWAY).await?;
    let github = listen(place, port::GITHUB).await?;
    let ecs = Arc::new(ecs::Services::start(place).await?);
    let config = gateway_config(place, &ecs)?;
    let mut end = signal(SignalKind::terminate()).doing("waiting for the signal to end")?;
    let outcome = tokio::select! {
        served = gateway::serve(config, gateway) => served.doing("serving the gateway"),
        served = standin_github::serve(github_config(place), github) => served.doing("serving the GitHub stand-in"),
        _ = end.recv() => Ok(()),
    };
    ecs.shutdown().await?;
    outcome
}

async fn listen(place: &Place, port: u16) -> Result<TcpListener> {
    let address = place.at(port);
    TcpListener::bind(address)
        .await
        .doing(format!("listening on {address}"))
}

fn gateway_config(place: &Place, ecs: &Arc<ecs::Services>) -> Result<gateway::Config> {
    let mut backends: HashMap<String, Arc<dyn gateway::Backend>> = HashMap::new();
    for service in ["ecs", "elasticloadbalancing", "logs"] {
        backends.insert(service.to_owned(), Arc::clone(ecs) as _);
    }
    Ok(gateway::Config {
        moto: place.url(port::MOTO),
        dynamodb: gateway::DynamoDb::Socket(place.dynamodb_socket()),
        distribution: gateway::Distribution {
            url: place.url(port::DISTRIBUTION),
            user: "AWS".to_owned(),
            password: password(place)?,
        },
        front: gateway::Front {
            first: place.ip,
            port: port::REGISTRY,
        },
        models: models(place)?,
        issuers: vec![gateway::Issuer {
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            jwks: format!("{}/.well-known/jwks", place.url(port::GITHUB)),
        }],
        backends,
    })
}

fn github_config(place: &Place) -> standin_github::Config {
    standin_github::Config {
        openapi: place
            .npm("@octokit/openapi")
            .join("generated/api.github.com.json"),
        graphql: place.npm("@octokit/graphql-schema").join("schema.json"),
    }
}

/// The service models of the botocore in the virtual environment, whose path names Python's version.
fn models(place: &Place) -> Result<PathBuf> {
    let lib = place.dir.join("venv/lib");
    std::fs::read_dir(&lib)
        .doing(format!("reading {}", lib.display()))?
        .flatten()
        .map(|entry| entry.path().join("site-packages/botocore/data"))
        .find(|folder| folder.is_dir())
        .ok_or_else(|| Fault::new(format!("there is no botocore under {}", lib.display())))
}
