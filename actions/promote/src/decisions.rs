//! The decisions of a chain's permits, made again from what they were made from.

use crate::check::{Known, Replayed, replay};
use attest::PublicKey;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use kit::error::Result;
use kit::report::count;
use ledger::{Chain, Entry, Fault, Record, Verdict, evidence_hash, sha256};
use serde_json::{Value, json};

/// Evidence that is read at once.
const AT_ONCE: usize = 16;
/// Permits that are named with what keeps them from being decided again; `--json` has all.
const SHOWN: usize = 5;

/// A chain's permits, and what their decisions are held against.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    known: Known,
    permits: Vec<(Record, Entry)>,
}

/// What came of them.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    permits: usize,
    followed: usize,
    /// Those that could not be decided again, and why.
    left: Vec<(u64, String)>,
}

/// What one permit's evidence came to.
enum Found {
    Replayed(Replayed),
    /// It names none.
    Unnamed,
    /// It is not there.
    Gone,
    /// It is something else.
    Swapped,
}

impl Decisions {
    /// Takes the next entry of the chain. One that is not a record is the walk's to name.
    pub(crate) fn add(&mut self, chain: &Chain, entry: &Entry) {
        let Ok(record) = entry.record(chain) else {
            return;
        };
        self.known.hashes.insert(entry.seq, entry.hash.clone());
        if record.is_deployment() {
            self.known.deployments.push(entry.seq);
        }
        if record.verdict == Verdict::Permitted {
            self.permits.push((record, entry.clone()));
        }
    }

    /// The hashes of the evidence that the permits name.
    pub(crate) fn evidence(&self) -> impl Iterator<Item = &str> {
        self.permits.iter().filter_map(|(record, _)| named(record))
    }

    /// Decides again. `read` gets evidence by its hash.
    ///
    /// # Errors
    /// `read` fails.
    pub(crate) async fn judge(
        &self,
        chain: &Chain,
        key: Option<&PublicKey>,
        read: impl AsyncFn(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<(Decided, Vec<Fault>)> {
        let one = |(record, entry)| self.found(chain, record, entry, key, &read);
        let permits = self.permits.iter().map(|(record, entry)| (record, entry));
        let found: Vec<(u64, Found)> = stream::iter(permits.map(one))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut decided = Decided {
            permits: found.len(),
            ..Decided::default()
        };
        let mut faults = Vec::new();
        for (seq, found) in found {
            match found {
                Found::Replayed(Replayed::Follows) => decided.followed += 1,
                Found::Replayed(Replayed::Differs(why)) => {
                    faults.push(Fault::Unfounded { seq, why });
                }
                Found::Replayed(Replayed::Unreadable(why)) => decided.left.push((seq, why)),
                Found::Unnamed => {
                    let why = "it names no evidence".to_owned();
                    decided.left.push((seq, why));
                }
                Found::Gone => faults.push(Fault::Unkept { seq }),
                Found::Swapped => faults.push(Fault::Swapped { seq }),
            }
        }
        Ok((decided, faults))
    }

    async fn found(
        &self,
        chain: &Chain,
        record: &Record,
        entry: &Entry,
        key: Option<&PublicKey>,
        read: &impl AsyncFn(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<(u64, Found)> {
        let seq = entry.seq;
        let Some(hash) = named(record) else {
            return Ok((seq, Found::Unnamed));
        };
        let Some(bytes) = read(hash).await? else {
            return Ok((seq, Found::Gone));
        };
        if sha256(&bytes) != hash {
            return Ok((seq, Found::Swapped));
        }
        let signer = key.filter(|key| entry.is_signed_by(chain, key));
        let replayed = replay(&bytes, record, &self.known, signer).await;
        Ok((seq, Found::Replayed(replayed)))
    }
}

/// The hash of the evidence that a permit names.
fn named(record: &Record) -> Option<&str> {
    let evidence = record.permit.as_ref()?.evidence.as_deref()?;
    // A name of another form names nothing that could be read.
    evidence_hash(evidence)
}

impl Decided {
    /// What was decided again and what was not, in a line.
    pub(crate) fn line(&self) -> String {
        if self.permits == 0 {
            return "there is no permit".to_owned();
        }
        let mut line = format!(
            "{} of {} made again",
            self.followed,
            count(self.permits, "permit")
        );
        let some = self.left.iter().take(SHOWN);
        for (seq, why) in some {
            line.push_str(&format!("; not record {seq}: {why}"));
        }
        if self.left.len() > SHOWN {
            line.push_str(&format!("; and {} more", self.left.len() - SHOWN));
        }
        line
    }

    pub(crate) fn json(&self) -> Value {
        let left = self.left.iter();
        let left: Vec<Value> = left
            .map(|(seq, why)| json!({ "seq": seq, "why": why }))
            .collect();
        json!({ "permits": self.permits, "followed": self.followed, "left": left })
    }
}
