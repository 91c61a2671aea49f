//! Walks a chain, record by record, and names each one that is not what was written. Pure.

use crate::chain::Chain;
use crate::entry::{Entry, GENESIS, Signed};
use crate::fault::Fault;
use attest::PublicKey;
use kit::clock::instant;
use time::OffsetDateTime;

/// The result of examining one entry by itself. Entries can be examined in any order and in parallel.
#[derive(Debug)]
pub(crate) struct Examined {
    seq: u64,
    prev: String,
    hash: String,
    fault: Option<Fault>,
    signed: Signed,
    signed_from: Option<u64>,
    /// When the record was written, as it says.
    pub(crate) at: Option<OffsetDateTime>,
}

/// Examines one entry; with `key`, its signature too.
pub(crate) fn examine(chain: &Chain, entry: &Entry, key: Option<&PublicKey>) -> Examined {
    let signed = key.map_or(Signed::No, |key| entry.signed(chain, key));
    let (fault, signed_from, at) = match entry.envelope(chain) {
        Ok(envelope) => (None, envelope.signed_from, instant(&envelope.at)),
        Err(fault) => (Some(fault), None, None),
    };
    Examined {
        seq: entry.seq,
        prev: entry.prev.clone(),
        hash: entry.hash.clone(),
        fault,
        signed,
        signed_from,
        at,
    }
}

/// The result of a walk over a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// Everything that is wrong, in the order of the positions.
    pub faults: Vec<Fault>,
    /// The entries that were seen.
    pub records: u64,
    /// Position and hash of the last one.
    pub head: Option<(u64, String)>,
    /// The first record that had to be signed, where signatures were checked and one was good.
    pub signed_from: Option<u64>,
}

impl Walked {
    /// Adds what was found otherwise than by walking, in its place.
    pub fn find(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.extend(faults);
        self.faults.sort_by_key(Fault::position);
        self.faults.dedup();
    }
}

/// The walk, oldest entry first.
#[derive(Debug)]
pub(crate) struct Walker {
    /// True if the first entry that comes has to be the chain's first.
    whole: bool,
    keyed: bool,
    faults: Vec<Fault>,
    records: u64,
    head: Option<(u64, String)>,
    /// Entries without a good signature, which may be too old to need one.
    unproven: Vec<Fault>,
    signed_from: Option<u64>,
}

impl Walker {
    pub(crate) fn new(whole: bool, keyed: bool) -> Self {
        Self {
            whole,
            keyed,
            faults: Vec::new(),
            records: 0,
            head: None,
            unproven: Vec::new(),
            signed_from: None,
        }
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Position and hash of the last entry so far.
    pub(crate) fn head(&self) -> Option<&(u64, String)> {
        self.head.as_ref()
    }

    pub(crate) fn add(&mut self, entry: Examined) {
        let seq = entry.seq;
        self.records += 1;
        self.sign(&entry);
        let sound = entry.fault.is_none();
        self.faults.extend(entry.fault);
        match &self.head {
            // It was moved here from before; what follows is held against the newest so far.
            Some((last, _)) if seq <= *last => {
                if sound {
                    self.faults.push(Fault::Reordered { seq });
                }
                return;
            }
            Some((last, _)) if seq > last + 1 => self.faults.push(Fault::Missing {
                from: last + 1,
                to: seq - 1,
            }),
            Some((_, hash)) if *hash != entry.prev => self.faults.push(Fault::Forked { seq }),
            None if self.whole && seq > 1 => self.faults.push(Fault::Missing {
                from: 1,
                to: seq - 1,
            }),
            None if seq == 1 && entry.prev != GENESIS => self.faults.push(Fault::Forked { seq }),
            _ => {}
        }
        self.head = Some((seq, entry.hash));
    }

    /// A signed record says from where on records have to be signed. The last one counts: it covers
    /// everything before it, and was written by somebody who had the key.
    fn sign(&mut self, entry: &Examined) {
        if !self.keyed {
            return;
        }
        let seq = entry.seq;
        match entry.signed {
            Signed::Valid if entry.fault.is_none() => {
                self.signed_from = Some(entry.signed_from.unwrap_or(1).min(seq));
            }
            Signed::Valid => {}
            Signed::No => self.unproven.push(Fault::Unsigned { seq }),
            Signed::Invalid => self.unproven.push(Fault::Forged { seq }),
        }
    }

    pub(crate) fn finish(mut self) -> Walked {
        let from = self.signed_from.unwrap_or(1);
        self.faults.extend(self.unproven.into_iter().filter(
            |fault| matches!(fault, Fault::Unsigned { seq } | Fault::Forged { seq } if *seq >= from),
        ));
        self.faults.sort_by_key(Fault::position);
        self.faults.dedup();
        Walked {
            faults: self.faults,
            records: self.records,
            head: self.head,
            signed_from: self.signed_from,
        }
    }
}

/// Walks over entries of a chain, oldest first. They may begin anywhere, unless they are known to be
/// the `whole` chain. The chain itself does not show that entries are missing at its end.
pub(crate) fn walk(
    chain: &Chain,
    entries: impl IntoIterator<Item = impl std::borrow::Borrow<Entry>>,
    whole: bool,
    key: Option<&PublicKey>,
) -> Walked {
    let mut walker = Walker::new(whole, key.is_some());
    for entry in entries {
        walker.add(examine(chain, entry.borrow(), key));
    }
    walker.finish()
}

#[cfg(test)]
pub(crate) mod tests;
