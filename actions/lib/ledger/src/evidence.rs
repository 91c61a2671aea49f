//! Evidence: what a decision was made from, as an object beside the anchor. Its name is the hash of its bytes, which the
//! signed record of the decision names too. It is not in the table, because each reader of a chain would read it along with
//! the records.

use crate::anchor::Anchor;
use crate::chain::Chain;
use crate::entry::{Entry, sha256};
use crate::fault::Fault;
use crate::store::Ledger;
use crate::walk::walk;
use attest::PublicKey;
use kit::error::{Error, Result};
use time::OffsetDateTime;

/// The largest evidence that is written or read. Several are read at once.
pub const LARGEST_EVIDENCE: usize = 32 << 20;

/// The hash that a record's `evidence` names, without what stands before it.
pub fn evidence_hash(named: &str) -> Option<&str> {
    let hash = named.strip_prefix("sha256:")?;
    kit::hex::is_hex(hash, 64).then_some(hash)
}

/// How a record names these bytes.
pub fn evidence_name(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

impl Ledger {
    /// Returns true if there is a place for evidence.
    pub fn keeps_evidence(&self) -> bool {
        self.anchor.is_some()
    }

    /// When the anchor got the hash of a record, by S3's clock; nothing if no bucket is named, or it has none.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn anchored_at(&self, chain: &Chain, seq: u64) -> Result<Option<OffsetDateTime>> {
        match &self.anchor {
            None => Ok(None),
            Some(anchor) => anchor.written_at(chain, seq).await,
        }
    }

    /// Keeps evidence, where there is a place for it. It has to be there before a record names it.
    ///
    /// # Errors
    /// It cannot be written, or is too large.
    pub async fn keep_evidence(&self, chain: &Chain, bytes: &[u8]) -> Result<()> {
        let Some(anchor) = &self.anchor else {
            return Ok(());
        };
        if bytes.len() > LARGEST_EVIDENCE {
            return Err(Error::failed(format!(
                "the evidence of the decision has {} bytes, more than the {LARGEST_EVIDENCE} that are kept",
                bytes.len()
            ))
            .hint("promote fewer commits at once"));
        }
        let key = anchor.evidence_key(chain, &sha256(bytes))?;
        anchor.create(&key, "application/json", bytes).await
    }

    /// The evidence of this hash as it is there; whether it is what the hash says is the caller's question.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub async fn evidence(&self, chain: &Chain, hash: &str) -> Result<Option<Vec<u8>>> {
        match &self.anchor {
            None => Ok(None),
            Some(anchor) => {
                let key = anchor.evidence_key(chain, hash)?;
                anchor.read(&key, LARGEST_EVIDENCE).await
            }
        }
    }
}

/// The faults of some of a chain's newest entries as they were read, newest first: of their hashes and positions, and
/// with `key` of their signatures.
pub fn part(chain: &Chain, entries: &[Entry], key: Option<&PublicKey>) -> Vec<Fault> {
    let mut faults = walk(chain, entries.iter().rev(), false, None).faults;
    if let Some(key) = key
        && let Err(unproven) = crate::proof::signatures(chain, entries, key, None)
    {
        faults.extend(unproven);
    }
    faults
}

/// An object that is not the evidence of any decision. A caller that may write it may also write evidence.
const TRIAL: &[u8] = b"{\"format\":\"slipway-trial/1\"}\n";

impl Ledger {
    /// Checks that evidence of the chain could be kept: writes an object that is always the same and that no record names.
    /// `false` if no bucket is named.
    ///
    /// # Errors
    /// The caller may not write it.
    pub async fn would_keep(&self, chain: &Chain) -> Result<bool> {
        self.keep_evidence(chain, TRIAL).await?;
        Ok(self.keeps_evidence())
    }
}

impl Anchor {
    /// Where evidence of a chain is: beside the folders of the chains, in which there are hashes alone.
    fn evidence_key(&self, chain: &Chain, hash: &str) -> Result<String> {
        Ok(self.within(&format!("{}/", crate::anchor::EVIDENCE), chain)? + hash)
    }
}
