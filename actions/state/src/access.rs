//! Access to a state: the credentials that commands are given, and those that reach bucket and
//! table, which may be in another account.

use kit::aws::RoleArn;
use kit::error::Result;
use net::{Account, Net, Target};

/// Credentials around one state.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Given to commands: the environment's account.
    pub(crate) account: Account,
    /// Reaches bucket and table.
    pub(crate) state: Account,
}

/// Credentials for `target`, and of `role`, if the state is reached by one. Terraform's backend goes
/// the same way: it assumes the role with the credentials that the command is given.
///
/// # Errors
/// No credentials, a role that may not be assumed, or another account's.
pub(crate) async fn access(net: &Net, target: &Target, role: Option<&RoleArn>) -> Result<Access> {
    let account = net.account(target).await?;
    let state = match role {
        Some(role) => net.account_through(&account, target, role).await?,
        None => account.clone(),
    };
    Ok(Access { account, state })
}
