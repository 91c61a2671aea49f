//! A ledger whose chains are proven: its key, its anchor, and what a reader does about them.

use crate::anchor::{Anchor, AnchorLocation};
use crate::chain::Chain;
use crate::entry::Entry;
use crate::fault::Fault;
use crate::keyed::Keyed;
use crate::proof::{self, Anchored, HeadProof};
use crate::store::Ledger;
use attest::PublicKey;
use kit::aws::KmsKey;
use kit::error::{Error, Result};
use net::{Account, Net};
use std::sync::Arc;

/// The proofs of a ledger's chains, besides their hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The KMS key that signs each record.
    pub key: Option<KmsKey>,
    /// Where the hash of each record is.
    pub anchor: Option<AnchorLocation>,
}

impl From<&kit::contract::Build> for Trust {
    fn from(build: &kit::contract::Build) -> Self {
        Self {
            key: build.keys.ledger.clone(),
            anchor: build.anchor.as_ref().map(|anchor| AnchorLocation {
                bucket: anchor.bucket.clone(),
                prefix: anchor.prefix.clone(),
            }),
        }
    }
}

impl Trust {
    /// Returns true if nothing is named, so that a chain is only as good as the table.
    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.anchor.is_none()
    }
}

impl Ledger {
    /// The same ledger, whose chains are believed only as far as `trust` proves them.
    #[must_use]
    pub fn trusting(mut self, net: &Net, account: &Account, trust: &Trust) -> Self {
        let keyed = |key| Arc::new(Keyed::new(net, account, key));
        self.key = trust.key.as_ref().map(keyed);
        let path_style = net.path_style();
        self.anchor = trust
            .anchor
            .clone()
            .map(|location| Anchor::new(account, location, path_style));
        self
    }

    /// The same ledger, for a run that may append: where a killed run left the head's hash out of the anchor, it is written.
    /// A run that only reads believes such a head if it follows what is anchored, and writes nothing.
    #[must_use]
    pub fn completing(mut self) -> Self {
        self.completes = true;
        self
    }

    /// The same ledger, for a chain that this run does not append to: its role may not write to that chain's anchor.
    #[must_use]
    pub fn only_reading(mut self) -> Self {
        self.completes = false;
        self
    }

    /// The same ledger, in which a person accepts the head with this hash although it is not proven:
    /// the chain began before its key or anchor was named.
    #[must_use]
    pub fn accepting(mut self, hash: Option<String>) -> Self {
        self.accept = hash;
        self
    }

    /// Returns true if `head` is the one that a person accepts, or a record that says it was written on that one.
    pub fn accepts(&self, chain: &Chain, head: Option<&Entry>) -> bool {
        let accepted = |head: &Entry| {
            let own = head.envelope(chain).ok();
            self.accept.as_ref() == Some(&head.hash)
                || self.accept == own.and_then(|own| own.accepted_head)
        };
        self.accept.is_some() && head.is_some_and(accepted)
    }

    /// Returns true if `head` is the one that a person accepts, so that the next record has to say so.
    pub fn is_accepting(&self, head: &Entry) -> bool {
        self.accept.as_ref() == Some(&head.hash)
    }

    /// Returns true if the head has this hash and proves itself, so that nobody has to accept it: the key signed
    /// it, or without a key the anchor has it.
    ///
    /// # Errors
    /// The table, the key or the anchor cannot be read.
    pub async fn is_proven(&self, chain: &Chain, hash: &str) -> Result<bool> {
        let head = self.raw_head(chain).await?;
        let Some(head) = head.filter(|head| head.hash == hash) else {
            return Ok(false);
        };
        if let Some(key) = self.public_key().await? {
            return Ok(head.signed(chain, key) == crate::entry::Signed::Valid);
        }
        Ok(match &self.anchor {
            Some(anchor) => anchor.get(chain, head.seq).await?.as_ref() == Some(&head.hash),
            None => false,
        })
    }

    /// The public half of the key, if one is named.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn public_key(&self) -> Result<Option<&PublicKey>> {
        match &self.key {
            Some(key) => Ok(Some(key.signer().await?.public_key())),
            None => Ok(None),
        }
    }

    /// Checks that the records read from a chain, newest first, are proven. Returns `false` if they were outrun by a newer
    /// head and has to be read again. Writes the head's hash to the anchor if a killed run left it out
    /// and this ledger is a completing one.
    ///
    /// # Errors
    /// It is not proven (exit 3).
    pub(crate) async fn proven(
        &self,
        chain: &Chain,
        entries: &[Entry],
        key: Option<&PublicKey>,
    ) -> Result<bool> {
        let accept = self.accept.as_deref();
        let head_proof = match key {
            Some(key) => proof::signatures(chain, entries, key, accept)
                .map_err(|faults| self.unproven(chain, entries.first(), &faults))?,
            None => HeadProof::NotAsked,
        };
        let Some(anchor) = &self.anchor else {
            return Ok(true);
        };
        let head = entries.first();
        let seen = anchor.look(chain, head.map_or(0, |head| head.seq)).await?;
        match (proof::anchored(head, &seen), head) {
            (Anchored::Yes, _) | (Anchored::Missing, None) => Ok(true),
            (Anchored::Later(_), _) => {
                // Records come before their anchors, so a newer head is in the table by now.
                let newer = self.raw_head(chain).await?;
                let seq = head.map_or(0, |head| head.seq);
                match newer.is_some_and(|newer| newer.seq > seq) {
                    true => Ok(false),
                    false => Err(self.unproven(chain, head, &[Fault::CutOff { seq }])),
                }
            }
            (Anchored::No(fault), _) => Err(self.unproven(chain, head, &[fault])),
            (Anchored::Missing, Some(head)) => {
                let empty = anchor.look(chain, 0).await?.later.is_none();
                let before = match head.seq {
                    1 => None,
                    seq => anchor.get(chain, seq - 1).await?,
                };
                let judged =
                    proof::may_complete(head, before.as_deref(), empty, &head_proof, accept);
                if let Err(fault) = judged {
                    // Another run may have written it between the two looks: then all is read again.
                    return match anchor.get(chain, head.seq).await? {
                        Some(_) => Ok(false),
                        None => Err(self.unproven(chain, Some(head), &[fault])),
                    };
                }
                if self.completes {
                    anchor.put(chain, head.seq, &head.hash).await?;
                }
                Ok(true)
            }
        }
    }

    /// Writes the hash of a record that was just appended.
    pub(crate) async fn anchor_new(&self, chain: &Chain, entry: &Entry) -> Result<()> {
        let Some(anchor) = &self.anchor else {
            return Ok(());
        };
        anchor
            .put(chain, entry.seq, &entry.hash)
            .await
            .map_err(|error| {
                let seq = entry.seq;
                error
                    .under(format!("record {seq} is in the ledger, but not anchored"))
                    .hint("run the step again: it completes the anchor and writes no second record")
            })
    }

    /// The refusal of a chain whose hashes do not fit.
    pub(crate) fn broken(&self, chain: &Chain, faults: &[Fault]) -> Error {
        let table = &self.table;
        Error::refused(format!(
            "chain {chain} of the ledger table {table} is broken, so its records prove nothing"
        ))
        .with_causes(faults.iter().take(20).map(Fault::to_string))
        .hint("compare with the hashes in the payloads of the GitHub Deployments, and find out in CloudTrail who wrote to the table")
    }

    fn unproven(&self, chain: &Chain, head: Option<&Entry>, faults: &[Fault]) -> Error {
        let error = self.broken(chain, faults);
        let unsigned = |fault: &Fault| {
            matches!(
                fault,
                Fault::Unsigned { .. } | Fault::Forged { .. } | Fault::Unanchored { .. }
            )
        };
        let Some(head) = head.filter(|_| faults.iter().all(unsigned)) else {
            return error;
        };
        error
            .hint(format!(
                "if the chain began before the contract named this key or bucket, verify it (slipway-promote verify --environment {}) and accept its head with the next record: --accept-head {}",
                chain.environment(),
                head.hash
            ))
    }
}
