//! Reads everything from which a deploy decides: the service with its tasks and targets, the task definition in use, the
//! newest of its family, and from these the containers and the image.

use crate::args::Version;
use crate::reference::{Registry, repository};
use ecs::{Client, Definition, Seen, Selection, containers};
use kit::contract::Resolved;
use kit::error::{Failure, Result};
use kit::id::Digest;
use net::Account;

/// The service as observed, and the image to run.
pub(crate) struct Observed {
    /// Everything that following reads as well, so that a permission it lacks shows before anything is changed.
    pub(crate) seen: Seen,
    /// The task definition the service uses.
    pub(crate) running: Definition,
    /// The newest active revision of its family, where that is newer.
    pub(crate) newest: Option<Definition>,
    pub(crate) selection: Selection,
    /// The reference to run, `REPOSITORY@DIGEST`.
    pub(crate) image: String,
}

impl Observed {
    /// The revision that the next one is made from.
    pub(crate) fn base(&self) -> &Definition {
        self.newest.as_ref().unwrap_or(&self.running)
    }
}

/// Reads it.
///
/// # Errors
/// AWS does not answer, or the arguments do not fit what is there (exit 2).
pub(crate) async fn observe(
    client: &Client,
    args: &Version,
    contract: Option<&Resolved>,
    account: &Account,
    digest: &Digest,
) -> Result<Observed> {
    let seen = client.look().await?;
    let running = running(client, &seen).await?;
    let newest = newer(client, &running).await?;
    let base = newest.as_ref().unwrap_or(&running);
    let named = args.selector.containers();
    let usual = contract.map(|contract| contract.deploy.container.as_str());
    let given = args
        .origin
        .repository
        .as_deref()
        .or(contract.map(|contract| contract.image.repository.as_str()));
    let (registry_account, region) = match contract {
        Some(contract) => (&contract.build.account, &contract.build.region),
        None => (&account.id, &account.region),
    };
    let current = |name: &String| {
        let image = running.image(name).or_else(|| base.image(name));
        image.unwrap_or_default()
    };
    let given = match given {
        None => None,
        Some(given) => {
            let images: Vec<String> = base.containers().iter().map(current).collect();
            let registry = Registry {
                host: args.origin.registry.as_deref(),
                account: registry_account,
                region,
            };
            Some(repository(given, &images, &registry)?)
        }
    };
    let selection = containers(&named, usual, given.as_deref(), base, &running)?;
    let repository = given.unwrap_or_else(|| {
        let image = selection.containers.first().map(current);
        ecs::repository_of(&image.unwrap_or_default()).to_owned()
    });
    Ok(Observed {
        image: format!("{repository}@{digest}"),
        seen,
        newest,
        selection,
        running,
    })
}

/// The task definition the service uses.
///
/// # Errors
/// ECS does not answer with it. It forgets a revision once it is deleted, although the service goes on with it.
async fn running(client: &Client, seen: &Seen) -> Result<Definition> {
    let arn = &seen.service.task_definition;
    let read = client.definition(arn.as_str()).await;
    Ok(read.map_err(|error| match error.failure {
        Failure::Rejected => error
            .hint("if it was deleted, register the task definition again, by infrastructure")
            .hint(format!(
                "then point the service at it: aws ecs update-service --cluster {} --service {} --task-definition FAMILY",
                client.cluster, client.service
            )),
        _ => error,
    })?)
}

/// The newest active revision of the family, if it is newer than the one in use. An older one is what is left where newer
/// ones were deregistered, and lacks what they brought.
///
/// # Errors
/// ECS does not answer.
async fn newer(client: &Client, running: &Definition) -> Result<Option<Definition>> {
    match client.definition(&running.family()).await {
        Ok(newest) => Ok((newest.arn.revision() > running.arn.revision()).then_some(newest)),
        // None is active: all were deregistered.
        Err(error) if error.failure == Failure::Rejected && !running.is_active() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
