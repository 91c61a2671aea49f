//! Whose credentials are wanted, and for what.

use kit::aws::{AccountId, Region, RoleArn};
use kit::contract::Resolved;

/// The reason credentials are requested; each purpose has a role of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Looking at an environment.
    Read,
    /// Changing an environment's infrastructure and service.
    Deploy,
    /// Reading the ledger, in the build account.
    ReadLedger,
    /// Creating repositories, pushing images and reading the ledger, in the build account.
    Publish,
    /// Reading the ledger and appending to the environment's chain, in the build account.
    Permit,
}

/// The account, role and region that credentials must be for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The account they must belong to, if known.
    pub account: Option<AccountId>,
    /// The role to assume; `None` uses the ambient credentials as they are.
    pub role: Option<RoleArn>,
    /// The region to work in; `None` takes the environment's.
    pub region: Option<Region>,
    /// Access key IDs without an end that are allowed all the same.
    pub allow_long_lived_keys: Vec<String>,
}

impl Target {
    /// The target that the contract names for `purpose`.
    pub fn of(resolved: &Resolved, purpose: Purpose) -> Self {
        let (account, role, region) = match purpose {
            Purpose::Read => (&resolved.account, &resolved.roles.read, &resolved.region),
            Purpose::Deploy => (&resolved.account, &resolved.roles.deploy, &resolved.region),
            Purpose::ReadLedger => (
                &resolved.build.account,
                &resolved.build.read,
                &resolved.build.region,
            ),
            Purpose::Publish => (
                &resolved.build.account,
                &resolved.build.publish,
                &resolved.build.region,
            ),
            Purpose::Permit => (
                &resolved.build.account,
                &resolved.permit,
                &resolved.build.region,
            ),
        };
        Self {
            account: Some(account.clone()),
            role: Some(role.clone()),
            region: Some(region.clone()),
            allow_long_lived_keys: resolved.allow_long_lived_keys.clone(),
        }
    }

    /// The target that the contract names for `purpose`, or without a contract the credentials at hand; a given role or
    /// region replaces the contract's.
    pub fn chosen(
        resolved: Option<&Resolved>,
        purpose: Purpose,
        role: Option<&RoleArn>,
        region: Option<&Region>,
    ) -> Self {
        let mut target =
            resolved.map_or_else(Self::ambient, |resolved| Self::of(resolved, purpose));
        if let Some(role) = role {
            target.role = Some(role.clone());
        }
        if let Some(region) = region {
            target.region = Some(region.clone());
        }
        target
    }

    /// Whatever credentials the process already has.
    pub fn ambient() -> Self {
        Self {
            account: None,
            role: None,
            region: None,
            allow_long_lived_keys: Vec::new(),
        }
    }
}
