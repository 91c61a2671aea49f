//! The chain that a verb reads, and the credentials it reads it with.

use crate::setting::Setting;
use kit::error::Result;
use ledger::{Chain, Ledger};
use net::Net;

/// The ledger and the chain of a setting.
///
/// # Errors
/// There are no credentials for the ledger, or a name cannot be part of a chain's.
pub(crate) async fn open(net: &Net, setting: &Setting) -> Result<(Ledger, Chain)> {
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let account = net.account(&setting.ledger_reader).await?;
    Ok((setting.ledger(net, &account), chain))
}
