//! The primary repository as arguments and contract name it: its account, the ledger beside it, and the accounts that pull
//! from it.

use crate::args;
use crate::input;
use kit::aws::{AccountId, KmsKey, RoleArn};
use kit::contract::{Contract, Image};
use kit::env::Env;
use kit::step::Cx;
use kit::{Defaults, Result};
use ledger::Trust;
use net::Target;
use std::collections::BTreeSet;

/// The primary repository, before any call is made.
#[derive(Debug)]
pub(crate) struct Primary {
    pub(crate) repository: String,
    pub(crate) target: Target,
    /// The contract's `image`, if there is a contract.
    pub(crate) image: Option<Image>,
    /// The contract's key that signs provenance, if it names one.
    pub(crate) provenance_key: Option<KmsKey>,
    /// The ledger of the contract's service, if there is a contract.
    pub(crate) ledger: Option<LedgerTable>,
    contract: Option<(Contract, Env)>,
}

/// The ledger of the contract's service.
#[derive(Debug)]
pub(crate) struct LedgerTable {
    /// The key and the anchor that prove the ledger's chains.
    pub(crate) trust: Trust,
    pub(crate) table: String,
    pub(crate) service: String,
    pub(crate) environments: Vec<String>,
    /// Credentials that may read it.
    pub(crate) reader: Target,
}

impl Primary {
    /// Reads arguments and contract.
    ///
    /// # Errors
    /// An argument or a part of the contract is missing or malformed (exit 2).
    pub(crate) fn new(args: &args::RepositoryName, cx: &Cx) -> Result<Self> {
        let Defaults::Contract(contract) = cx.whole_contract(args.repository.is_none())? else {
            return Ok(Self {
                repository: input::repository(args.repository.clone(), None)?,
                target: Target::ambient(),
                image: None,
                provenance_key: None,
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
            repository: input::repository(args.repository.clone(), Some(&publishing.image))?,
            target: target(build.publish.clone()),
            image: Some(publishing.image),
            provenance_key: build.keys.provenance.clone(),
            ledger: Some(LedgerTable {
                table: build.ledger.clone(),
                trust: Trust::from(&build),
                service: contract.service().to_owned(),
                environments: contract
                    .environments()
                    .into_iter()
                    .map(|overview| overview.environment)
                    .collect(),
                reader: target(build.publish.clone()),
            }),
            contract: Some((*contract, cx.env.clone())),
        })
    }

    /// The accounts of the contract's environments.
    ///
    /// # Errors
    /// A reference that leads nowhere (exit 2).
    pub(crate) fn accounts(&self) -> Result<BTreeSet<AccountId>> {
        let Some((contract, env)) = &self.contract else {
            return Ok(BTreeSet::new());
        };
        Ok(contract
            .accounts(env)
            .map_err(|error| {
                error.hint("the account of every environment may pull from the repository; name other accounts with --pull-account")
            })?
            .into_iter()
            .collect())
    }
}
