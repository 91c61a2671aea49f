//! Where the image goes: the repository, the account it is in, and the accounts that pull from
//! it, from arguments and contract.

use crate::args;
use crate::request::{self, given};
use kit::contract::{AccountId, Contract, Image};
use kit::step::Cx;
use kit::{Error, Result};
use net::Target;
use std::collections::BTreeSet;

/// Everything known before anything is asked.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) repository: String,
    pub(crate) target: Target,
    /// The accounts that are to pull.
    pub(crate) pull: BTreeSet<String>,
    /// What the contract says of the image.
    pub(crate) image: Option<Image>,
}

impl Place {
    /// # Errors
    /// What is missing or malformed, in arguments or contract (exit 2).
    pub(crate) fn new(args: &args::Repository, cx: &Cx) -> Result<Self> {
        let pull = given(args.pull_account.clone())
            .iter()
            .map(|text| {
                AccountId::parse(text)
                    .map(|account| account.to_string())
                    .ok_or_else(|| {
                        Error::usage(format!("--pull-account {text:?} is no account ID"))
                            .hint("an account ID has twelve digits; one a line")
                    })
            })
            .collect::<Result<BTreeSet<_>>>()?;
        let Some(contract) = contract(cx, args.repository.is_none())? else {
            return Ok(Self {
                repository: request::repository(args.repository.clone(), None)?,
                target: Target::ambient(),
                pull,
                image: None,
            });
        };
        let publishing = contract.publishing(&cx.env)?;
        let pull = if pull.is_empty() {
            contract
                .accounts(&cx.env)
                .map_err(|error| {
                    error.hint("every environment's account is let pull from the repository; --pull-account names others instead")
                })?
                .into_iter()
                .map(|account| account.to_string())
                .collect()
        } else {
            pull
        };
        Ok(Self {
            repository: request::repository(args.repository.clone(), Some(&publishing.image))?,
            target: Target {
                account: Some(publishing.build.account.to_string()),
                role: Some(publishing.build.publish),
                region: Some(publishing.build.region),
                allow_long_lived_keys: publishing.allow_long_lived_keys,
            },
            pull,
            image: Some(publishing.image),
        })
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
