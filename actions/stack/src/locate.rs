//! Where the stack is: from arguments, else from the contract.

use crate::args::{StackName, names};
use crate::client::Client;
use crate::seen;
use kit::aws::Region;
use kit::contract::{Stack, WithStack};
use kit::error::{Error, Result};
use kit::id::CommitId;
use kit::{Cx, Defaults};
use net::{Account, Net, Purpose, Target};
use std::path::{Path, PathBuf};

/// The account with its credentials, and the client for the stack.
pub(crate) struct Found {
    pub(crate) account: Account,
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Found {
    /// The stack, for a verb that needs one; `arguments` are those that lead to it, for the hint.
    ///
    /// # Errors
    /// There is no such stack, or CloudFormation does not answer.
    pub(crate) async fn existing(&self, arguments: &str) -> Result<seen::Stack> {
        let stack = self.client.stack(&self.name).await?;
        stack.ok_or_else(|| {
            Error::failed(format!(
                "there is no stack {} in account {}, region {}",
                self.name, self.account.id, self.account.region
            ))
            .hint(format!("create it: slipway-stack plan {arguments}"))
        })
    }
}

/// The stack's name.
///
/// # Errors
/// It is missing, or no stack can have it (exit 2).
pub(crate) fn name(defaults: &Defaults<WithStack>, given: &StackName) -> Result<String> {
    let declared = declared(defaults).map(|stack| stack.name.clone());
    let Some(name) = given.name.clone().or(declared) else {
        return Err(Error::usage("--name is missing").hint(match defaults {
            Defaults::None => "give --name, or --environment NAME to take it from the contract",
            Defaults::Contract(_) => "give --name, or add `stack:` to the contract",
        }));
    };
    let letters = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
    if begins && name.len() <= 128 && name.chars().all(letters) {
        return Ok(name);
    }
    Err(Error::usage(format!("`{name}` is not the name of a stack"))
        .hint("letters, digits and hyphens, beginning with a letter, at most 128"))
}

/// Gets credentials for the account, and a client for the stack in each of its regions, in the order in which they are changed.
///
/// # Errors
/// The credentials are not what the contract says (exit 3), or there are none; or a region is not one, or named twice (exit 2).
pub(crate) async fn find(
    cx: &Cx,
    defaults: &Defaults<WithStack>,
    given: &StackName,
    purpose: Purpose,
) -> Result<Vec<Found>> {
    let name = name(defaults, given)?;
    let regions = regions(defaults, given)?;
    let net = Net::new(cx)?;
    let contract = defaults.contract().map(|contract| &contract.resolved);
    let mut all = Vec::new();
    for region in regions {
        let target = Target::chosen(contract, purpose, None, region.as_ref());
        let account = net.account(&target).await?;
        all.push(Found {
            client: Client::new(&account),
            account,
            name: name.clone(),
        });
    }
    Ok(all)
}

/// The regions of the stack; without any it is the one of the credentials.
fn regions(defaults: &Defaults<WithStack>, given: &StackName) -> Result<Vec<Option<Region>>> {
    let mut found: Vec<Region> = Vec::new();
    for name in names(&given.region) {
        found.push(name.parse().map_err(|_| {
            Error::usage(format!("`{name}` is not a region"))
                .hint("a region's name looks like `ca-central-1`")
        })?);
    }
    if found.is_empty() {
        found = declared(defaults).map_or_else(Vec::new, |stack| stack.regions.clone());
    }
    for (index, region) in found.iter().enumerate() {
        if found[..index].contains(region) {
            return Err(Error::usage(format!("the region {region} is named twice"))
                .hint("name each region once, the one first that is changed first"));
        }
    }
    Ok(match found.is_empty() {
        true => vec![None],
        false => found.into_iter().map(Some).collect(),
    })
}

/// The commit of the template: the one that was given, else the run's.
pub(crate) fn commit(given: Option<&CommitId>, cx: &Cx) -> Option<CommitId> {
    let host = || cx.host.commit().ok().flatten();
    given.cloned().or_else(host)
}

/// The stack that the contract declares.
pub(crate) fn declared(defaults: &Defaults<WithStack>) -> Option<&Stack> {
    defaults.contract()?.stack.as_ref()
}

/// The path that the contract names, in this folder, else in the contract's own.
pub(crate) fn located(
    defaults: &Defaults<WithStack>,
    folder: Option<&Path>,
    named: impl FnOnce(&Stack) -> Option<&str>,
) -> Option<PathBuf> {
    let contract = defaults.contract()?;
    let path = named(contract.stack.as_ref()?)?;
    Some(folder.unwrap_or(&contract.resolved.directory).join(path))
}
