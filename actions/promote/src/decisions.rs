//! The decisions of a chain's permits, made again from what they were made from.

use crate::check::{Against, Known, Replayed, replay};
use crate::setting::Setting;
use attest::PublicKey;
use futures_util::stream::{self, StreamExt};
use kit::error::Result;
use kit::report::count;
use ledger::{Chain, Entry, Fault, Record, Verdict, evidence_hash, sha256};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// Evidence that is read at once.
const AT_ONCE: usize = 4;
/// Permits that are named with what keeps them from being decided again; `--json` has all.
const SHOWN: usize = 5;

/// A chain's permits, and what their decisions are held against.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    known: Known,
    permits: Vec<(Record, Entry)>,
    /// The highest number so far.
    newest: u64,
    /// The faults of entries that are not records.
    faults: Vec<Fault>,
}

/// The result of making the decisions again.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    permits: usize,
    followed: usize,
    /// Those that could not be decided again, and why.
    undecided: Vec<(u64, String)>,
    /// Those that were decided by what the contract says otherwise by now.
    otherwise: Vec<(u64, Vec<&'static str>)>,
}

/// The result for one permit's evidence.
enum Found {
    Replayed(Replayed),
    /// It names none.
    Unnamed,
    /// It is not there.
    Gone,
    /// It is something else.
    Swapped,
}

/// The facts that decisions are checked against besides their own chain.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Beside<'a> {
    /// The ledger's key.
    pub(crate) key: Option<&'a PublicKey>,
    /// An environment that may come before, with its chain.
    pub(crate) before: Option<(&'a str, &'a Decisions)>,
    /// The setting from this run's contract.
    pub(crate) contract: Option<&'a Setting>,
    /// The last permit whose decision need not be made again.
    pub(crate) accepted: u64,
}

impl Decisions {
    /// Nothing yet, at the time at which somebody verifies.
    pub(crate) fn at(now: OffsetDateTime) -> Self {
        Self {
            known: Known::at(now),
            ..Self::default()
        }
    }

    /// Takes the next entry of the chain. One that is not a record, also by the members at which no walk looks, is a fault,
    /// and as much of a deployment as any could be. So is one that stands where it does not belong.
    pub(crate) fn add(&mut self, chain: &Chain, entry: &Entry) {
        let seq = entry.seq;
        let in_order = seq > self.newest;
        self.newest = self.newest.max(seq);
        let record = match entry.record(chain) {
            Ok(record) if in_order => record,
            Ok(_) => {
                self.faults.push(Fault::Reordered { seq });
                self.known.add_unread(seq);
                return;
            }
            Err(fault) => {
                self.faults.push(fault);
                self.known.add_unread(seq);
                return;
            }
        };
        self.known.add(entry, &record);
        if record.verdict == Verdict::Permitted {
            self.permits.push((record, entry.clone()));
        }
    }

    /// The hashes of the evidence that the permits name.
    pub(crate) fn evidence(&self) -> impl Iterator<Item = &str> {
        self.permits.iter().filter_map(|(record, _)| named(record))
    }

    /// Makes the decisions again. `read` gets evidence by its hash. A decision that cannot be read or made again is a fault of
    /// its permit, unless the permit is an accepted one.
    pub(crate) async fn judge(
        &self,
        chain: &Chain,
        beside: Beside<'_>,
        read: impl AsyncFn(&str) -> Result<Option<Vec<u8>>>,
    ) -> (Decided, Vec<Fault>) {
        let replay_permit = |(record, entry)| self.found(chain, record, entry, beside, &read);
        let permits = self.permits.iter().map(|(record, entry)| (record, entry));
        let found: Vec<(u64, Found)> = stream::iter(permits.map(replay_permit))
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut decided = Decided {
            permits: found.len(),
            ..Decided::default()
        };
        let mut faults = self.faults.clone();
        let permits = self.permits.iter();
        let first = permits.clone().find(|(record, _)| named(record).is_some());
        let first = first.map(|(_, entry)| entry.seq);
        for (seq, found) in found {
            match found {
                Found::Replayed(Replayed::Follows(members)) => {
                    decided.followed += 1;
                    if !members.is_empty() {
                        decided.otherwise.push((seq, members));
                    }
                }
                Found::Replayed(Replayed::Differs(why)) => {
                    faults.push(Fault::DecisionDiffers { seq, why });
                }
                Found::Replayed(Replayed::Unreadable(why)) => decided.undecided.push((seq, why)),
                // Once evidence is kept, every permit has some.
                Found::Unnamed if first.is_some_and(|first| first < seq) => {
                    faults.push(Fault::EvidenceMissing { seq });
                }
                Found::Unnamed => {
                    let why = "it names no evidence".to_owned();
                    decided.undecided.push((seq, why));
                }
                Found::Gone => faults.push(Fault::EvidenceMissing { seq }),
                Found::Swapped => faults.push(Fault::EvidenceReplaced { seq }),
            }
        }
        let refused = decided
            .undecided
            .iter()
            .filter(|(seq, _)| *seq > beside.accepted);
        faults.extend(refused.map(|(seq, why)| Fault::Undecided {
            seq: *seq,
            why: why.clone(),
        }));
        (decided, faults)
    }

    /// For each permit whose evidence `read` has, what follows without the rules.
    #[cfg(test)]
    pub(crate) fn bound<'a>(
        &self,
        read: impl Fn(&str) -> Option<&'a Vec<u8>>,
    ) -> Vec<(u64, Option<bool>)> {
        let against = Against {
            own: &self.known,
            before: None,
            contract: None,
            key: None,
        };
        let permits = self.permits.iter().filter_map(|(record, entry)| {
            let bytes = read(named(record)?)?;
            Some((entry.seq, crate::check::bound(bytes, record, against)))
        });
        permits.collect()
    }

    async fn found(
        &self,
        chain: &Chain,
        record: &Record,
        entry: &Entry,
        beside: Beside<'_>,
        read: &impl AsyncFn(&str) -> Result<Option<Vec<u8>>>,
    ) -> (u64, Found) {
        let seq = entry.seq;
        let Some(hash) = named(record) else {
            return (seq, Found::Unnamed);
        };
        let bytes = match read(hash).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return (seq, Found::Gone),
            Err(error) => {
                let causes = error.causes();
                let why = std::iter::once(&error.message).chain(&causes);
                let why: Vec<&str> = why.map(String::as_str).collect();
                let unread = Replayed::Unreadable(why.join(": "));
                return (seq, Found::Replayed(unread));
            }
        };
        if sha256(&bytes) != hash {
            return (seq, Found::Swapped);
        }
        let before = beside.before;
        let against = Against {
            own: &self.known,
            before: before.map(|(environment, it)| (environment, &it.known)),
            contract: beside.contract,
            key: beside.key.filter(|key| entry.is_signed_by(chain, key)),
        };
        let replayed = replay(&bytes, record, against).await;
        (seq, Found::Replayed(replayed))
    }
}

/// The hash of the evidence that a permit names.
fn named(record: &Record) -> Option<&str> {
    let evidence = record.permit.as_ref()?.evidence.as_deref()?;
    // A name of another form names nothing that could be read.
    evidence_hash(evidence)
}

impl Decided {
    /// Returns true if the permit was decided again, and follows.
    pub(crate) fn has(&self, seq: u64) -> bool {
        !self.undecided.iter().any(|(other, _)| *other == seq)
    }

    /// Says in a line which decisions were made again and which were not.
    pub(crate) fn line(&self) -> String {
        if self.permits == 0 {
            return "there is no permit".to_owned();
        }
        let mut line = format!(
            "{} of {} made again",
            self.followed,
            count(self.permits, "permit")
        );
        let some = self.undecided.iter().take(SHOWN);
        for (seq, why) in some {
            line.push_str(&format!("; not record {seq}: {why}"));
        }
        if self.undecided.len() > SHOWN {
            line.push_str(&format!("; and {} more", self.undecided.len() - SHOWN));
        }
        if let Some((seq, members)) = self.otherwise.last() {
            line.push_str(&format!(
                "; {} by what the contract here says otherwise, the last record {seq}: {}",
                self.otherwise.len(),
                members.join(", ")
            ));
        }
        line
    }

    pub(crate) fn json(&self) -> Value {
        let undecided = self.undecided.iter();
        let undecided: Vec<Value> = undecided
            .map(|(seq, why)| json!({ "seq": seq, "why": why }))
            .collect();
        let otherwise = self.otherwise.iter();
        let otherwise: Vec<Value> = otherwise
            .map(|(seq, members)| json!({ "seq": seq, "members": members }))
            .collect();
        json!({
            "permits": self.permits,
            "followed": self.followed,
            "left": undecided,
            "otherwise": otherwise,
        })
    }
}
