//! Where the image goes: the repository, the account it is in, and the accounts that pull from
//! it, from arguments and contract.

use crate::args;
use crate::request;
use kit::Result;
use kit::aws::RoleArn;
use kit::contract::{Contract, Image};
use kit::env::Env;
use kit::step::Cx;
use net::Target;
use std::collections::BTreeSet;

/// Everything known before anything is asked.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) repository: String,
    pub(crate) target: Target,
    /// What the contract says of the image.
    pub(crate) image: Option<Image>,
    /// Where it is written what runs where, if the contract says so.
    pub(crate) ledger: Option<LedgerPlace>,
    contract: Option<(Contract, Env)>,
}

/// The ledger of the contract's service.
#[derive(Debug)]
pub(crate) struct LedgerPlace {
    pub(crate) table: String,
    pub(crate) service: String,
    pub(crate) environments: Vec<String>,
    /// Credentials that may read it.
    pub(crate) permit: Target,
}

impl Place {
    /// # Errors
    /// What is missing or malformed, in arguments or contract (exit 2).
    pub(crate) fn new(args: &args::Place, cx: &Cx) -> Result<Self> {
        let Some(contract) = contract(cx, args.repository.is_none())? else {
            return Ok(Self {
                repository: request::repository(args.repository.clone(), None)?,
                target: Target::ambient(),
                image: None,
                ledger: None,
                contract: None,
            });
        };
        let publishing = contract.publishing(&cx.env)?;
        let build = publishing.build;
        let target = |role: RoleArn| Target {
            account: Some(build.account.clone()),
            role: Some(role),
            region: Some(build.region.clone()),
            allow_long_lived_keys: publishing.allow_long_lived_keys.clone(),
        };
        Ok(Self {
            repository: request::repository(args.repository.clone(), Some(&publishing.image))?,
            target: target(build.publish.clone()),
            image: Some(publishing.image),
            ledger: Some(LedgerPlace {
                table: build.ledger.clone(),
                service: contract.service().to_owned(),
                environments: contract
                    .environments()
                    .into_iter()
                    .map(|overview| overview.environment)
                    .collect(),
                permit: target(build.permit.clone()),
            }),
            contract: Some((contract, cx.env.clone())),
        })
    }

    /// The accounts of the contract's environments.
    ///
    /// # Errors
    /// A reference that leads nowhere (exit 2).
    pub(crate) fn accounts(&self) -> Result<BTreeSet<String>> {
        let Some((contract, env)) = &self.contract else {
            return Ok(BTreeSet::new());
        };
        Ok(contract
            .accounts(env)
            .map_err(|error| {
                error.hint("every environment's account is let pull from the repository; --pull-account names others instead")
            })?
            .into_iter()
            .map(|account| account.to_string())
            .collect())
    }
}

/// The contract, if it was named, or if it is in its usual place and `needed`. An image is the
/// same for all environments, so one that is named only has to be there.
fn contract(cx: &Cx, needed: bool) -> Result<Option<Contract>> {
    let named = cx.common.environment.is_some() || cx.common.contract.is_some();
    let found = needed && cx.contract_path().is_file();
    if !(named || found) {
        return Ok(None);
    }
    let contract = cx.contract()?;
    if let Some(environment) = &cx.common.environment {
        contract.has(environment)?;
    }
    Ok(Some(contract))
}
