//! The hash chain: each entry's hash covers the previous hash and the bytes of its own record, so
//! that a change in the middle breaks every later entry. Pure.

use crate::record::Record;
use kit::contract::reserved;
use kit::error::{Error, Result};
use std::fmt;

/// The `prev` of a chain's first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// SHA-256 as lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    kit::hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

/// The name of a chain: one service in one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(String);

impl Chain {
    /// The chain of `service` in `environment`.
    ///
    /// # Errors
    /// A name is empty or contains `#`, with which two chains could share a key, or builds may write
    /// the key (exit 2).
    pub fn new(service: &str, environment: &str) -> Result<Self> {
        for name in [service, environment] {
            if name.is_empty() || name.contains('#') {
                return Err(Error::usage(format!(
                    "{name:?} cannot be part of a ledger chain's name"
                ))
                .hint("use a name that is not empty and contains no `#`"));
            }
        }
        reserved::service(service)?;
        Ok(Self(format!("{service}#{environment}")))
    }

    /// The partition key of the chain's items, `SERVICE#ENVIRONMENT`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its position in the chain, from 1.
    pub seq: u64,
    /// The hash of the previous entry; 64 zeros for the first.
    pub prev: String,
    /// SHA-256 over `prev` (64 hex digits as text) and `bytes`.
    pub hash: String,
    /// The record's JSON exactly as it was written.
    pub bytes: String,
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
        }
    }

    /// The record, if the entry is intact.
    ///
    /// # Errors
    /// The bytes do not match the hash, are not a record, or belong to another position or chain.
    pub fn record(&self, chain: &Chain) -> Result<Record, Fault> {
        if link(&self.prev, &self.bytes) != self.hash {
            return Err(Fault::Altered { seq: self.seq });
        }
        let record: Record =
            serde_json::from_str(&self.bytes).map_err(|_| Fault::Altered { seq: self.seq })?;
        let own = format!("{}#{}", record.service, record.environment);
        if record.seq == self.seq && own == chain.0 {
            Ok(record)
        } else {
            Err(Fault::Reordered { seq: self.seq })
        }
    }
}

fn link(prev: &str, bytes: &str) -> String {
    sha256(format!("{prev}{bytes}").as_bytes())
}

/// What is wrong with a chain, and at which position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The entry's bytes do not match its hash.
    Altered {
        /// The entry.
        seq: u64,
    },
    /// Entries are missing.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The entry is at another position than it was written for.
    Reordered {
        /// Its actual position.
        seq: u64,
    },
    /// The entry does not follow the previous one: two histories meet here.
    Forked {
        /// The first entry of the other history.
        seq: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Altered { seq } => write!(f, "record {seq} was altered"),
            Fault::Missing { from, to } if from == to => write!(f, "record {from} is missing"),
            Fault::Missing { from, to } => write!(f, "records {from} to {to} are missing"),
            Fault::Reordered { seq } => write!(f, "record {seq} is at the wrong position"),
            Fault::Forked { seq } => {
                write!(f, "record {seq} does not follow the record before it")
            }
        }
    }
}

/// What is wrong with a range of a chain's entries, oldest first. The range may begin anywhere,
/// unless it is known to contain the `first`. The chain itself does not show that entries are
/// missing at its end: compare the last hash with the one in the GitHub Deployment's payload.
pub(crate) fn verify(chain: &Chain, entries: &[Entry], first: bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut before: Option<&Entry> = None;
    for entry in entries {
        if let Err(fault) = entry.record(chain) {
            faults.push(fault);
        }
        match before {
            Some(before) if entry.seq > before.seq + 1 => faults.push(Fault::Missing {
                from: before.seq + 1,
                to: entry.seq - 1,
            }),
            Some(before) if entry.prev != before.hash => {
                faults.push(Fault::Forked { seq: entry.seq });
            }
            None if first && entry.seq > 1 => faults.push(Fault::Missing {
                from: 1,
                to: entry.seq - 1,
            }),
            None if entry.seq == 1 && entry.prev != GENESIS => {
                faults.push(Fault::Forked { seq: 1 });
            }
            _ => {}
        }
        before = Some(entry);
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    fn dev() -> Chain {
        Chain::new("storefront", "dev").unwrap()
    }

    fn chain(digests: &[u8]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for (seq, digest) in (1..).zip(digests) {
            let bytes = serde_json::to_string(&sample(seq, *digest)).unwrap();
            entries.push(Entry::after(entries.last(), bytes));
        }
        entries
    }

    #[test]
    fn sha256_is_the_published_one() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn an_untouched_chain_has_no_fault() {
        assert_eq!(verify(&dev(), &chain(&[1, 2, 3, 4]), true), []);
        assert_eq!(verify(&dev(), &[], true), []);
    }

    #[test]
    fn an_altered_record_is_named() {
        let mut entries = chain(&[1, 2, 3, 4]);
        entries[1].bytes = entries[1].bytes.replace("alice", "mallory");
        assert_eq!(verify(&dev(), &entries, true), [Fault::Altered { seq: 2 }]);
    }

    #[test]
    fn altering_a_record_and_its_hash_breaks_the_next() {
        let mut entries = chain(&[1, 2, 3, 4]);
        let bytes = entries[1].bytes.replace("alice", "mallory");
        entries[1] = Entry::after(Some(&entries[0].clone()), bytes);
        assert_eq!(verify(&dev(), &entries, true), [Fault::Forked { seq: 3 }]);
    }

    #[test]
    fn missing_records_are_named_wherever_they_were() {
        let mut entries = chain(&[1, 2, 3, 4, 5]);
        entries.drain(1..3);
        assert_eq!(
            verify(&dev(), &entries, true),
            [Fault::Missing { from: 2, to: 3 }]
        );
        let mut entries = chain(&[1, 2, 3]);
        entries.remove(0);
        assert_eq!(
            verify(&dev(), &entries, true),
            [Fault::Missing { from: 1, to: 1 }]
        );
        assert_eq!(verify(&dev(), &entries, false), []);
    }

    #[test]
    fn swapped_contents_are_named() {
        let mut entries = chain(&[1, 2, 3, 4]);
        let (second, third) = (entries[1].clone(), entries[2].clone());
        entries[1] = Entry { seq: 2, ..third };
        entries[2] = Entry { seq: 3, ..second };
        let faults = verify(&dev(), &entries, true);
        assert!(faults.contains(&Fault::Reordered { seq: 2 }), "{faults:?}");
        assert!(faults.contains(&Fault::Reordered { seq: 3 }), "{faults:?}");
    }

    #[test]
    fn two_histories_are_named_where_they_part() {
        // The end was written on another beginning.
        let mut entries = chain(&[1, 2, 3]);
        entries[2] = chain(&[9, 2, 3])[2].clone();
        assert_eq!(verify(&dev(), &entries, true), [Fault::Forked { seq: 3 }]);

        let mut entries = chain(&[1]);
        entries[0].prev = "1".repeat(64);
        entries[0].hash = link(&entries[0].prev, &entries[0].bytes);
        assert_eq!(verify(&dev(), &entries, true), [Fault::Forked { seq: 1 }]);
    }

    #[test]
    fn a_record_that_is_no_record_is_altered_even_if_it_hashes() {
        let entry = Entry::after(None, "{}".to_owned());
        assert_eq!(entry.record(&dev()), Err(Fault::Altered { seq: 1 }));
    }

    #[test]
    fn a_record_carried_over_from_another_environment_is_not_in_its_place() {
        let production = Chain::new("storefront", "production").unwrap();
        let fault = Fault::Reordered { seq: 1 };
        assert_eq!(verify(&production, &chain(&[1]), true), [fault]);
    }

    #[test]
    fn two_services_cannot_share_a_chain_by_their_names() {
        assert_eq!(dev().as_str(), "storefront#dev");
        assert!(Chain::new("a#b", "c").is_err());
        assert!(Chain::new("a", "").is_err());
        // Builds may write every key that begins with `content#`.
        assert!(Chain::new("content", "dev").is_err());
    }
}
