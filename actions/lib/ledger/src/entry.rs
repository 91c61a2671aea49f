//! One record as it is stored: its hash covers the hash before it and the bytes of its own record,
//! so that a change in the middle breaks every later entry. Its signature covers the hash, the chain
//! and the position. Pure.

use crate::chain::Chain;
use crate::fault::Fault;
use crate::record::Record;
use crate::strict::{self, Envelope};
use attest::{PublicKey, Signature};
use serde::{Deserialize, Serialize};

/// The `prev` of a chain's first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The type of what is signed. It is part of the signed bytes, so that no signature that the key
/// made for another purpose is taken for a record's.
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.slipway.ledger.record.v1";

/// SHA-256 as lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    kit::hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

/// One record as it is stored. As JSON it is a line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Line", into = "Line")]
pub struct Entry {
    /// Its position in the chain, from 1.
    pub seq: u64,
    /// The hash of the previous entry; 64 zeros for the first.
    pub prev: String,
    /// SHA-256 over `prev` (64 hex digits as text) and `bytes`.
    pub hash: String,
    /// The record's JSON exactly as it was written.
    pub bytes: String,
    /// The signature of the ledger's key, if there was one when the record was written.
    pub signature: Option<Signature>,
}

/// An entry as exports and evidence hold it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seq: u64,
    prev: String,
    hash: String,
    record: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

impl From<Line> for Entry {
    fn from(line: Line) -> Self {
        let keyid = line.key;
        Self {
            seq: line.seq,
            prev: line.prev,
            hash: line.hash,
            bytes: line.record,
            signature: line.signature.map(|sig| Signature { keyid, sig }),
        }
    }
}

impl From<Entry> for Line {
    fn from(entry: Entry) -> Self {
        let signature = entry.signature;
        let (key, signature) = signature.map_or((None, None), |it| (it.keyid, Some(it.sig)));
        Self {
            seq: entry.seq,
            prev: entry.prev,
            hash: entry.hash,
            record: entry.bytes,
            key,
            signature,
        }
    }
}

/// A record of a chain, with the hash that the chain has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// SHA-256 of the entry, 64 hexadecimal digits.
    pub hash: String,
    /// The record.
    pub record: Record,
}

/// How an entry stands to the ledger's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    /// It has no signature.
    No,
    /// It is signed by the key.
    Valid,
    /// Its signature is not the key's over this entry.
    Invalid,
}

impl Entry {
    /// The entry that appends `bytes` after `head`.
    pub(crate) fn after(head: Option<&Entry>, bytes: String) -> Self {
        let prev = head.map_or(GENESIS, |head| &head.hash).to_owned();
        Self {
            seq: head.map_or(1, |head| head.seq + 1),
            hash: link(&prev, &bytes),
            prev,
            bytes,
            signature: None,
        }
    }

    /// The record, if the entry is intact.
    ///
    /// # Errors
    /// The bytes do not match the hash, are not a record, or belong to another position or chain.
    pub fn record(&self, chain: &Chain) -> Result<Record, Fault> {
        self.envelope(chain)?;
        serde_json::from_str(&self.bytes).map_err(|_| Fault::Altered { seq: self.seq })
    }

    /// The record with its hash, if the entry is intact.
    ///
    /// # Errors
    /// As [`Entry::record`].
    pub fn recorded(&self, chain: &Chain) -> Result<Recorded, Fault> {
        Ok(Recorded {
            record: self.record(chain)?,
            hash: self.hash.clone(),
        })
    }

    /// The part of the record that verification looks at, if the entry is intact.
    pub(crate) fn envelope(&self, chain: &Chain) -> Result<Envelope, Fault> {
        let altered = Fault::Altered { seq: self.seq };
        if link(&self.prev, &self.bytes) != self.hash {
            return Err(altered);
        }
        let envelope = strict::envelope(&self.bytes).ok_or(altered)?;
        let own = envelope.service == chain.service()
            && envelope.environment == chain.environment()
            && envelope.seq == self.seq;
        match own {
            true => Ok(envelope),
            false => Err(Fault::Reordered { seq: self.seq }),
        }
    }

    /// Returns true if the entry is signed by `key`.
    pub fn is_signed_by(&self, chain: &Chain, key: &PublicKey) -> bool {
        self.signed(chain, key) == Signed::Valid
    }

    /// How the entry stands to `key`.
    pub(crate) fn signed(&self, chain: &Chain, key: &PublicKey) -> Signed {
        let Some(signature) = &self.signature else {
            return Signed::No;
        };
        // DSSE allows either alphabet; the ledger's format has one form of each signature.
        if signature.sig.contains(['-', '_']) {
            return Signed::Invalid;
        }
        let payload = payload(chain, self.seq, &self.hash);
        match key.verify(PAYLOAD_TYPE, payload.as_bytes(), signature) {
            Ok(()) => Signed::Valid,
            Err(_) => Signed::Invalid,
        }
    }
}

/// The bytes that a record's signature covers, beside [`PAYLOAD_TYPE`].
pub(crate) fn payload(chain: &Chain, seq: u64, hash: &str) -> String {
    format!("{chain}\n{seq}\n{hash}\n")
}

pub(crate) fn link(prev: &str, bytes: &str) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(prev.as_bytes());
    context.update(bytes.as_bytes());
    kit::hex::encode(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_the_published_one() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
        assert_eq!(link("a", "bc"), abc);
    }

    #[test]
    fn text_that_is_not_a_record_is_altered_even_if_its_hash_matches() {
        let dev = Chain::new("storefront", "dev").unwrap();
        for bytes in ["{}", "[]", "", "null"] {
            let entry = Entry::after(None, bytes.to_owned());
            assert_eq!(entry.record(&dev), Err(Fault::Altered { seq: 1 }));
        }
    }
}
