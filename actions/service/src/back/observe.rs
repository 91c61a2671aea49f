//! What is read before a service goes back: the deployment in progress, what runs, and which versions were healthy: by the
//! ledger where the environment has one, else by what ECS kept of the last 90 days.

use super::decide::{Current, Ended, Version};
use crate::args::ServiceSelector;
use ecs::{Client, Past, Seen, containers, is_over};
use kit::aws::{Arn, TaskDefinitionArn};
use kit::contract::Resolved;
use kit::error::Result;
use ledger::{Chain, Ledger, Trust, Verdict};
use net::{Net, Purpose, Target};

/// How many records of the ledger are read.
const RECORDS: usize = 500;

/// The deployment that is in progress.
pub(super) struct InProgress {
    pub(super) arn: Arn,
    status: String,
    pub(super) task_definition: Option<TaskDefinitionArn>,
    deploys: Option<Version>,
    replaces: bool,
}

impl InProgress {
    pub(super) fn view(&self) -> Current<'_> {
        Current {
            status: &self.status,
            deploys: self.deploys.as_deref(),
            replaces: self.replaces,
        }
    }

    pub(super) fn name(&self) -> String {
        let named = self.task_definition.as_ref();
        named.map_or_else(|| "a version".to_owned(), |it| it.name().to_owned())
    }
}

/// Everything that the way back is decided by.
pub(super) struct Observed {
    pub(super) current: Option<InProgress>,
    /// The version that runs, where its digest is known.
    pub(super) runs: Option<Version>,
    pub(super) ended: Ended,
    /// The versions that were deployed successfully, newest first.
    pub(super) successes: Vec<Version>,
    /// The versions that were healthy, newest first.
    pub(super) healthy: Vec<Version>,
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
    let version = |past: &Past| {
        let digest = past.digests.get(&first).cloned();
        digest.or_else(|| past.task_definition.as_ref().map(|it| it.name().to_owned()))
    };
    let current = seen.service.current.clone();
    let newest = history.iter().find(|past| !is_over(&past.status));
    let in_progress = match (&current, newest) {
        (Some(arn), _) => history.iter().find(|past| past.arn == *arn).or(newest),
        (None, newest) => newest,
    };
    let current = match in_progress {
        Some(past) => Some(InProgress {
            arn: past.arn.clone(),
            status: past.status.clone(),
            task_definition: past.task_definition.clone(),
            deploys: version(past),
            replaces: replaces(client, &past.arn).await?,
        }),
        None => None,
    };
    let succeeded = history.iter().filter(|past| past.status == "SUCCESSFUL");
    let successes: Vec<Version> = succeeded.filter_map(version).collect();
    let over = history.iter().find(|past| is_over(&past.status));
    let ended = match over.map_or("SUCCESSFUL", |past| past.status.as_str()) {
        "SUCCESSFUL" => Ended::Well,
        "ROLLBACK_FAILED" => Ended::Stuck,
        _ => Ended::Back,
    };
    let image = running.image(&first).unwrap_or_default();
    let digest = image.split_once('@').map(|(_, digest)| digest.to_owned());
    // An image by tag has the digest that its tasks agree on.
    let runs = digest.or_else(|| agreed(&seen, &first));
    // ECS forgets; the ledger does not.
    let asks = current.is_none() || successes.is_empty();
    let healthy = match contract.filter(|_| asks) {
        Some(contract) => recorded(net, contract).await?,
        None => successes
            .iter()
            .filter(|version| version.starts_with("sha256:"))
            .cloned()
            .collect(),
    };
    let successes = match successes.is_empty() {
        true => healthy.clone(),
        false => successes,
    };
    Ok(Observed {
        current,
        runs,
        ended,
        successes,
        healthy,
        containers,
    })
}

/// Returns true if another revision was in service before the deployment with this record.
async fn replaces(client: &Client, arn: &Arn) -> Result<bool> {
    let found = client.record_at(arn).await?;
    Ok(found.is_none_or(|(record, _)| record.sources > 0))
}

/// The digest that all running tasks report for a container.
fn agreed(seen: &Seen, container: &str) -> Option<String> {
    let mut digests = seen.tasks.iter().filter_map(|task| task.digest(container));
    let first = digests.next()?;
    digests
        .all(|digest| digest == first)
        .then(|| first.to_owned())
}

/// The digests that the environment's chain has as healthy, newest first.
async fn recorded(net: &Net, contract: &Resolved) -> Result<Vec<Version>> {
    let account = net
        .account(&Target::of(contract, Purpose::ReadLedger))
        .await?;
    let trust = Trust::from(&contract.build);
    let ledger = Ledger::new(&account, &contract.build.ledger).trusting(net, &account, &trust);
    let chain = Chain::new(&contract.service, &contract.environment)?;
    let records = ledger.recent(&chain, RECORDS, |_| false).await?;
    let healthy = records
        .into_iter()
        .filter(|it| it.record.verdict == Verdict::Healthy);
    Ok(healthy.map(|it| it.record.digest.to_string()).collect())
}
