//! The GitHub Deployments that mirror a chain's records, held against the chain. A person who may write Deployments can write any,
//! so one that fits proves nothing more than the chain does, and one that does not is something to look at.

use crate::check::Unknown;
use crate::mirrored::Mirrored;
use crate::record::connected;
use crate::setting::Setting;
use github::{Deployment, GitHub};
use kit::Cx;
use kit::error::{Error, Result};
use ledger::{Entry, Fault};
use net::Net;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The records that the Deployments state, and those that the chain has for them.
#[derive(Debug)]
pub(super) struct Mirrors {
    repository: String,
    named: Vec<Named>,
    /// The chain's hashes of the records that are named.
    seen: BTreeMap<u64, Option<String>>,
}

/// Why the Deployments were not compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Uncompared {
    /// GitHub has Deployments for records that came after an export.
    #[error("an export is not compared with it")]
    Export,
    #[error("there is no GitHub token or repository")]
    NoGitHub,
    #[error("{}", .0.why)]
    Unread(Unknown),
}

/// A record as one Deployment names it.
#[derive(Debug)]
struct Named {
    deployment: u64,
    by: String,
    seq: u64,
    hash: String,
}

/// Reads the Deployments. The chain has to be read afterwards: a record comes before its Deployment. If they cannot be read,
/// the answer is why.
///
/// # Errors
/// The caller named the repository, and it cannot be read.
pub(super) async fn read(
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    given: &crate::args::GitHub,
) -> Result<Result<Mirrors, Uncompared>> {
    let demanded = given.github_repository.is_some();
    let github = match demanded {
        true => Some(GitHub::connect(cx, net, given.repository())?),
        false => connected(cx, net, given)?,
    };
    let Some(github) = github else {
        return Ok(Err(Uncompared::NoGitHub));
    };
    let repository = github.repository().to_string();
    let unread = match github.all_deployments(&setting.environment).await {
        Ok(all) => return Ok(Ok(Mirrors::of(repository, &setting.service, &all))),
        Err(unknown) => Unknown::or_too_many(
            unknown,
            "delete those to this environment that mirror nothing, or verify against the anchor alone",
        ),
    };
    if demanded {
        return Err(Error::refused(format!(
            "the chain was not compared with the GitHub Deployments of {repository}"
        ))
        .cause(unread.why)
        .hint(unread.next));
    }
    cx.host.warn(format!(
        "the chain is not compared with the GitHub Deployments of {repository}: {}; {}",
        unread.why, unread.next
    ));
    Ok(Err(Uncompared::Unread(unread)))
}

impl Mirrors {
    fn of(repository: String, service: &str, all: &[Deployment]) -> Self {
        let named = all.iter().filter_map(|deployment| {
            let mirrored = Mirrored::read(deployment).filter(|it| it.service == service)?;
            let by = deployment.creator.as_ref();
            Some(Named {
                deployment: deployment.id,
                by: by.map_or_else(|| "an unknown account".to_owned(), |by| by.login.clone()),
                seq: mirrored.record,
                hash: mirrored.hash,
            })
        });
        let named: Vec<Named> = named.collect();
        Self {
            repository,
            seen: named.iter().map(|it| (it.seq, None)).collect(),
            named,
        }
    }

    /// Takes the chain's next record.
    pub(super) fn add(&mut self, entry: &Entry) {
        if let Some(seen) = self.seen.get_mut(&entry.seq) {
            *seen = Some(entry.hash.clone());
        }
    }

    /// The disagreements, after the whole chain was taken.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let fault = |named: &Named| {
            let (seq, deployment, by) = (named.seq, named.deployment, named.by.clone());
            match self.seen.get(&seq)? {
                None => Some(Fault::Lost {
                    seq,
                    deployment,
                    by,
                }),
                Some(hash) if *hash == named.hash => None,
                Some(_) => Some(Fault::Mismatched {
                    seq,
                    deployment,
                    by,
                }),
            }
        };
        self.named.iter().filter_map(fault).collect()
    }

    /// The last record that a Deployment names.
    pub(super) fn newest(&self) -> Option<u64> {
        self.named.iter().map(|it| it.seq).max()
    }

    /// The result of the comparison, in a line.
    pub(super) fn line(&self) -> String {
        match self.newest() {
            Some(newest) => format!(
                "compared, {} in {}, the newest of record {newest}",
                self.named.len(),
                self.repository
            ),
            None => format!("{} has none of this chain", self.repository),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "repository": self.repository,
            "compared": self.named.len(),
            "newest": self.newest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::tests::{deployed, failed, stored};
    use std::slice::from_ref;

    fn deployment(id: u64, service: &str, seq: u64, hash: &str) -> Deployment {
        Deployment {
            id,
            sha: String::new(),
            payload: json!({"service": service, "record": seq, "hash": hash}),
            creator: None,
        }
    }

    #[test]
    fn each_deployment_names_a_record_of_the_chain_or_is_a_fault() {
        let entries = stored(&[deployed('a'), failed('b'), deployed('c')]);
        let hash = |seq: usize| entries[seq - 1].hash.clone();
        let by = || "an unknown account".to_owned();
        let compared = |all: &[Deployment]| {
            let mut mirrors = Mirrors::of("acme/storefront".to_owned(), "storefront", all);
            entries.iter().for_each(|entry| mirrors.add(entry));
            (mirrors.faults(), mirrors.newest(), mirrors.line())
        };
        let one = deployment(5, "storefront", 1, &hash(1));
        let other = deployment(6, "another", 2, "0");
        let mirrors = Mirrors::of("acme/storefront".to_owned(), "storefront", from_ref(&one));
        let wanted = json!({"repository": "acme/storefront", "compared": 1, "newest": 1});
        assert_eq!(mirrors.json(), wanted);
        let (faults, newest, line) = compared(&[one.clone(), other.clone()]);
        assert_eq!((faults, newest), (Vec::new(), Some(1)));
        assert_eq!(
            line,
            "compared, 1 in acme/storefront, the newest of record 1"
        );
        let (faults, newest, line) = compared(&[other]);
        assert_eq!((faults, newest), (Vec::new(), None));
        assert_eq!(line, "acme/storefront has none of this chain");

        let swapped = deployment(7, "storefront", 2, &hash(3));
        let beyond = deployment(8, "storefront", 4, &hash(3));
        let nothing = deployment(9, "storefront", 0, &hash(1));
        let lost = |seq, deployment| Fault::Lost {
            seq,
            deployment,
            by: by(),
        };
        let mismatched = Fault::Mismatched {
            seq: 2,
            deployment: 7,
            by: by(),
        };
        let (faults, newest, _) = compared(&[beyond, one, swapped, nothing]);
        assert_eq!(faults, [lost(4, 8), mismatched, lost(0, 9)]);
        assert_eq!(newest, Some(4));
    }
}
