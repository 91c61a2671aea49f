//! Reads everything from which the deployment of a function decides.

use super::act;
use super::plan::Observed;
use crate::args::Version;
use crate::reference::{Registry, repository};
use kit::contract::Resolved;
use kit::error::{Error, Result};
use lambda::Client;
use net::Account;
use tokio::time::Instant;

/// Reads everything from which a deployment decides.
///
/// # Errors
/// Lambda does not answer, or the arguments do not fit (exit 2).
pub(super) async fn observe(
    client: &Client,
    args: &Version,
    contract: Option<&Resolved>,
    account: &Account,
    until: Instant,
) -> Result<Observed> {
    let latest = act::settled(client, until).await?;
    let look = client
        .look()
        .await
        .map_err(|error| no_alias(client, error))?;
    let second = match look.alias.weight() {
        Some((version, _)) => Some(client.function(Some(version)).await?),
        None => None,
    };
    let current = latest.image().unwrap_or_default().to_owned();
    let given = args
        .origin
        .repository
        .as_deref()
        .or(contract.map(|contract| contract.image.repository.as_str()));
    let (registry_account, region) = match contract {
        Some(contract) => (&contract.build.account, &contract.build.region),
        None => (&account.id, &account.region),
    };
    let registry = Registry {
        host: args.origin.registry.as_deref(),
        account: registry_account,
        region,
    };
    let repository = match given {
        Some(given) => repository(given, std::slice::from_ref(&current), &registry)?,
        None => ecs::repository_of(&current).to_owned(),
    };
    Ok(Observed {
        image: format!("{repository}@{}", args.digest),
        latest,
        look,
        second,
    })
}

/// An alias that is not there is the infrastructure's to make.
fn no_alias(client: &Client, error: Error) -> Error {
    if lambda::code(&error) != Some("ResourceNotFoundException") {
        return error;
    }
    error.hint(format!(
        "if the alias is not there, make it with the infrastructure, for a published version: aws lambda create-alias --function-name {} --name {} --function-version NUMBER",
        client.function, client.alias
    ))
}
