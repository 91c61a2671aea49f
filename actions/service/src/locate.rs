//! The location of the service: from arguments, else from the contract.

use crate::args::ServiceSelector;
use ecs::{Client, RetryPolicy};
use kit::error::Result;
use kit::{Cx, Defaults};
use net::{Account, Net, Purpose, Target};

/// The account with its credentials, and the clients for the service.
pub(crate) struct Found {
    pub(crate) account: Account,
    pub(crate) client: Client,
}

/// Gets credentials for the account and clients for the service.
///
/// # Errors
/// Something is missing (exit 2), or the credentials are not what the contract says (exit 3).
pub(crate) async fn find(
    cx: &Cx,
    net: &Net,
    defaults: &Defaults,
    selector: &ServiceSelector,
    purpose: Purpose,
    policy: impl FnOnce() -> RetryPolicy,
) -> Result<Found> {
    let cluster = selector.cluster.as_ref().map(String::from);
    let cluster = defaults.required("cluster", cluster, |it| it.deploy.cluster.clone())?;
    let service = selector.service.as_ref().map(String::from);
    let service = defaults.required("service", service, |it| it.deploy.service.clone())?;
    let target = Target::chosen(defaults.contract(), purpose, None, None);
    let account = net.account(&target).await?;
    let client = Client::new(&account, cluster, service, policy(), &cx.host);
    Ok(Found { account, client })
}

/// The command that shows what the service runs, as a hint.
pub(crate) fn status_hint(client: &Client) -> String {
    format!(
        "see what it runs: slipway-service status --cluster {} --service {}",
        client.cluster, client.service
    )
}
