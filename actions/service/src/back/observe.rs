//! What is read before a service goes back: the deployment in progress, what runs, and which versions served, by ECS's own
//! records. The ledger adds what ECS has forgotten, and which versions were not healthy although ECS completed them.

use super::decide::{Current, LastEnd, Past};
use super::served::{Served, Version};
use crate::args::ServiceSelector;
use ecs::{Client, Definition, InProgress, Revision, Seen, containers, is_over};
use kit::aws::ServiceName;
use kit::clock::instant;
use kit::contract::Resolved;
use kit::error::Result;
use ledger::{Chain, Ledger, Record, Trust, Verdict};
use net::{Net, Purpose, Target};
use std::collections::BTreeSet;

/// How many records of the ledger are read.
const RECORDS: usize = 500;

/// The deployment that is in progress.
pub(super) struct Deploying {
    pub(super) found: InProgress,
    version: Option<Version>,
}

impl Deploying {
    pub(super) fn view(&self) -> Current<'_> {
        Current {
            status: &self.found.record.status,
            deploys: self.version.as_deref(),
            replaces: self.found.record.sources > 0,
        }
    }

    pub(super) fn name(&self) -> String {
        let named = self.found.deploys.as_ref();
        named.map_or_else(|| "a version".to_owned(), |it| it.name().to_owned())
    }
}

/// Everything that the way back is decided by.
pub(super) struct Observed {
    pub(super) seen: Seen,
    pub(super) current: Option<Deploying>,
    /// The version that runs, where its digest is known.
    pub(super) runs: Option<Version>,
    pub(super) past: Past,
    pub(super) containers: Vec<String>,
}

/// Reads it.
///
/// # Errors
/// AWS does not answer, or the ledger cannot be read.
pub(super) async fn observe(
    net: &Net,
    client: &Client,
    selector: &ServiceSelector,
    contract: Option<&Resolved>,
) -> Result<Observed> {
    let seen = client.look().await?;
    let running = client.definition(seen.service.task_definition.as_str());
    let running = running.await?;
    let usual = contract.map(|contract| contract.deploy.container.as_str());
    let named = selector.containers();
    let containers = containers(&named, usual, None, &running, &running)?.containers;
    let first = containers.first().cloned().unwrap_or_default();
    let history = client.history().await?;
    let current = client.in_progress(&seen.service).await?;
    let over: Vec<&ecs::Past> = history
        .deployments
        .iter()
        .filter(|past| is_over(&past.status))
        .collect();
    let deploying = current.map(|found| Deploying {
        version: history
            .deployments
            .iter()
            .find(|past| past.arn == found.arn)
            .map(|past| version(&past.target, &first)),
        found,
    });
    let successes: Vec<&Revision> = over
        .iter()
        .filter(|past| past.status == "SUCCESSFUL")
        .map(|past| &past.target)
        .collect();
    let newest = successes.first().copied();
    let known: Vec<Version> = successes
        .into_iter()
        .chain(&history.before)
        .map(|revision| version(revision, &first))
        .rev()
        .collect();
    let deploys = deploying.as_ref().and_then(|it| it.version.as_ref());
    let contract = contract.filter(|contract| is_of(contract, selector));
    let ledger = match contract.filter(|_| asks(&known, deploying.is_some(), deploys)) {
        Some(contract) => recorded(net, contract).await?,
        None => Vec::new(),
    };
    let oldest = history.deployments.last().map(|past| past.created_at);
    Ok(Observed {
        runs: runs(&seen, &running, newest, &first),
        past: Past {
            served: Served::by(forgotten(&ledger, oldest).into_iter().chain(known)),
            last_end: last_end(&over),
            unhealthy: unhealthy(&ledger),
        },
        current: deploying,
        seen,
        containers,
    })
}

/// The version that a revision runs in a container.
fn version(revision: &Revision, container: &str) -> Version {
    let digest = revision.digests.get(container).cloned();
    let named = || {
        let named = revision.task_definition.as_ref();
        named.map(|named| named.name().to_owned())
    };
    digest
        .or_else(named)
        .unwrap_or_else(|| revision.arn.clone())
}

/// Returns true if the ledger of the contract is about the service that was asked for.
fn is_of(contract: &Resolved, selector: &ServiceSelector) -> bool {
    let named = selector.service.as_ref().map(ServiceName::as_str);
    named.is_none_or(|named| named.rsplit('/').next() == Some(contract.deploy.service.as_str()))
}

/// Returns true if the ledger has to be read. Stopping a deployment needs nothing of it where ECS knows the versions before
/// and the deployment is of none of them.
fn asks(known: &[Version], in_progress: bool, deploys: Option<&Version>) -> bool {
    let earlier = Served::by(known.to_vec());
    !in_progress
        || earlier.earlier().next().is_none()
        || earlier.earlier().any(|version| Some(version) == deploys)
}

/// How the newest deployment ended that no other one replaced: its record then is `STOPPED`, and it changed nothing of what
/// served.
fn last_end(over: &[&ecs::Past]) -> LastEnd {
    let mut ends = over.iter().map(|past| past.status.as_str());
    match ends.find(|status| *status != "STOPPED") {
        None | Some("SUCCESSFUL") => LastEnd::Succeeded,
        Some("ROLLBACK_FAILED") => LastEnd::Stuck,
        Some(_) => LastEnd::RolledBack,
    }
}

/// The version that runs. An image by tag has the digest that ECS's record or its tasks agree on.
fn runs(
    seen: &Seen,
    running: &Definition,
    newest: Option<&Revision>,
    container: &str,
) -> Option<Version> {
    let newest = newest.filter(|it| it.task_definition.as_ref() == Some(&running.arn));
    if let Some(newest) = newest {
        return Some(version(newest, container));
    }
    let image = running.image(container).unwrap_or_default();
    let digest = image.split_once('@').map(|(_, digest)| digest.to_owned());
    digest.or_else(|| agreed(seen, container))
}

/// The digest that all running tasks report for a container.
fn agreed(seen: &Seen, container: &str) -> Option<String> {
    let mut digests = seen.tasks.iter().filter_map(|task| task.digest(container));
    let first = digests.next()?;
    digests
        .all(|digest| digest == first)
        .then(|| first.to_owned())
}

/// The newest deployments on the environment's chain, newest first.
async fn recorded(net: &Net, contract: &Resolved) -> Result<Vec<Record>> {
    let account = net
        .account(&Target::of(contract, Purpose::ReadLedger))
        .await?;
    let trust = Trust::from(&contract.build);
    let ledger = Ledger::new(&account, &contract.build.ledger).trusting(net, &account, &trust);
    let chain = Chain::new(&contract.service, &contract.environment)?;
    let records = ledger.recent(&chain, RECORDS, |_| false).await?;
    let records = records.into_iter().map(|it| it.record);
    Ok(records.filter(Record::is_deployment).collect())
}

/// The healthy versions that the ledger has from before ECS's oldest record, oldest first.
fn forgotten(ledger: &[Record], oldest: Option<i64>) -> Vec<Version> {
    let before = |record: &&Record| {
        let at = instant(&record.at).map(|at| at.unix_timestamp());
        oldest.is_none_or(|oldest| at.is_some_and(|at| at < oldest))
    };
    let healthy = |record: &&Record| record.verdict == Verdict::Healthy;
    let records = ledger.iter().rev().filter(healthy).filter(before);
    records.map(|record| record.digest.to_string()).collect()
}

/// The versions that the ledger has, and never as healthy.
fn unhealthy(ledger: &[Record]) -> BTreeSet<Version> {
    let digests = |healthy: bool| -> BTreeSet<Version> {
        let records = ledger.iter();
        let of = records.filter(|it| (it.verdict == Verdict::Healthy) == healthy);
        of.map(|record| record.digest.to_string()).collect()
    };
    &digests(false) - &digests(true)
}
