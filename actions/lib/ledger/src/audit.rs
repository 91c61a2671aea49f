//! Reads a whole chain, oldest record first: to verify it, or to take it elsewhere.

use crate::anchor::{Anchor, Versions};
use crate::chain::Chain;
use crate::entry::Entry;
use crate::fault::Fault;
use crate::store::Ledger;
use crate::walk::{Walked, Walker, examine};
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, TryStreamExt, stream};
use kit::error::{Error, ErrorKind, Result};
use net::AwsContext;
use time::OffsetDateTime;

/// How often the head and the anchor are read while runs append.
const LOOKS: usize = 100;
/// Hashes that are read from the anchor at once.
const AT_ONCE: usize = 32;

/// How many seconds the clock of a run may be ahead of S3's.
const AHEAD: i64 = 300;

/// The result of verifying a chain at the source.
#[derive(Debug)]
pub struct Audit {
    /// The faults, and the records that were read.
    pub walked: Walked,
    /// The key that signatures were held against, by the hash of its public half; `None` if no key is
    /// named.
    pub key: Option<String>,
    /// The comparison with the anchor; `None` if no anchor is named.
    pub anchor: Option<Anchors>,
}

/// The part of a chain that was compared with the anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors {
    /// The first record whose hash is there.
    pub from: Option<u64>,
    /// How many hashes were compared.
    pub compared: usize,
}

impl Ledger {
    /// Reads the whole chain and verifies everything that can be: hashes, positions, and where they
    /// are named, signatures and anchor. `take` gets each entry.
    ///
    /// # Errors
    /// The table, the key or the anchor cannot be read, or `take` fails. A defect of the chain is not an error but a fault.
    pub async fn audit(
        &self,
        chain: &Chain,
        mut take: impl FnMut(&Entry) -> Result<()>,
    ) -> Result<Audit> {
        let key = self.public_key().await?;
        let (head, versions) = self.ends(chain).await?;
        let mut walker = Walker::new(true, key.is_some());
        let (mut hashes, mut late) = (Vec::new(), Vec::new());
        if let Some(head) = head {
            self.forward(chain, head, |entry| {
                let examined = examine(chain, entry, key);
                if let Some(versions) = &versions {
                    hashes.push((entry.seq, entry.hash.clone()));
                    late.extend(postdated(versions, entry.seq, examined.at));
                }
                walker.add(examined);
                take(entry)
            })
            .await?;
        }
        let mut walked = walker.finish();
        let anchor = match (&self.anchor, versions) {
            (Some(anchor), Some(versions)) => {
                let (faults, found) = compare(anchor, chain, &versions, hashes).await?;
                walked.find(faults.into_iter().chain(late));
                Some(found)
            }
            _ => None,
        };
        Ok(Audit {
            walked,
            key: key.map(attest::PublicKey::id),
            anchor,
        })
    }

    /// The position of the head, and what the anchor has. Records come before their anchors, so
    /// where the anchor is ahead even of a head that was read afterwards, the end is cut off.
    async fn ends(&self, chain: &Chain) -> Result<(Option<u64>, Option<Versions>)> {
        let head = |found: Option<Entry>| found.map(|entry| entry.seq);
        let mut seq = head(self.raw_head(chain).await?);
        let Some(anchor) = &self.anchor else {
            return Ok((seq, None));
        };
        for _ in 0..LOOKS {
            let versions = anchor.all(chain).await?;
            if versions.last() <= seq {
                return Ok((seq, Some(versions)));
            }
            let now = head(self.raw_head(chain).await?);
            if now == seq {
                return Ok((seq, Some(versions)));
            }
            seq = now;
        }
        Err(Error::new(
            ErrorKind::Busy,
            format!("chain {chain} of the ledger {} keeps growing", self.table),
        )
        .hint("run the step again"))
    }

    /// Every entry up to `last`, oldest first.
    async fn forward(
        &self,
        chain: &Chain,
        last: u64,
        mut take: impl FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        let mut start = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#chain = :chain AND #seq <= :last")
                .expression_attribute_names("#chain", "chain")
                .expression_attribute_names("#seq", "seq")
                .expression_attribute_values(":chain", AttributeValue::S(chain.to_string()))
                .expression_attribute_values(":last", AttributeValue::N(last.to_string()))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .cannot(format!("read the ledger {} ({chain})", self.table))?;
            for item in answer.items.unwrap_or_default() {
                take(&self.entry(chain, &item)?)?;
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }
}

/// Holds records against what is in the anchor, from the first that is there: what is wrong by that alone, and
/// the records whose hash is to be compared. Pure.
fn listed(versions: &Versions, hashes: Vec<(u64, String)>) -> (Vec<Fault>, Vec<(u64, String)>) {
    let from = versions.first();
    let head = hashes.last().map_or(0, |(seq, _)| *seq);
    let mut faults = Vec::new();
    let mut wanted = Vec::new();
    for (seq, hash) in hashes {
        if from.is_some_and(|from| seq < from) {
            continue;
        }
        match versions.kept.get(&seq) {
            Some(1) if !versions.deleted.contains(&seq) => wanted.push((seq, hash)),
            None if !versions.deleted.contains(&seq) => {
                // Where nothing is anchored, the head stands for all.
                if from.is_some() || seq == head {
                    faults.push(Fault::Unanchored { seq });
                }
            }
            _ => faults.push(Fault::Replaced { seq }),
        }
    }
    (faults, wanted)
}

/// That a record says a later time than S3 says of its object, which is created after the record. An earlier time shows
/// nothing: a run that appends may create the object that a run which was killed left out. Pure.
fn postdated(versions: &Versions, seq: u64, at: Option<OffsetDateTime>) -> Option<Fault> {
    let (written, at) = (versions.written.get(&seq)?, at?);
    (at.unix_timestamp() > written + AHEAD).then_some(Fault::Postdated { seq })
}

/// That the anchor has more than the chain, which ends with `head`. Pure.
fn cut_off(versions: &Versions, head: u64) -> Option<Fault> {
    (versions.last() > Some(head)).then_some(Fault::CutOff { seq: head })
}

/// Holds records against their hashes in the anchor, from the first that is there.
async fn compare(
    anchor: &Anchor,
    chain: &Chain,
    versions: &Versions,
    hashes: Vec<(u64, String)>,
) -> Result<(Vec<Fault>, Anchors)> {
    let from = versions.first();
    let head = hashes.last().map_or(0, |(seq, _)| *seq);
    let (mut faults, wanted) = listed(versions, hashes);
    let compared = wanted.len();
    let replaced: Vec<Option<Fault>> = stream::iter(wanted)
        .map(|(seq, hash)| async move {
            let there = anchor.get(chain, seq).await?;
            Ok::<_, Error>((there.as_ref() != Some(&hash)).then_some(Fault::Replaced { seq }))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    faults.extend(replaced.into_iter().flatten());
    faults.extend(cut_off(versions, head));
    Ok((faults, Anchors { from, compared }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The faults of `records` records with these versions in the anchor, and the records whose hashes are compared.
    fn of(records: u64, kept: &[(u64, usize)], deleted: &[u64]) -> (Vec<Fault>, Vec<u64>) {
        let versions = Versions {
            kept: kept.iter().copied().collect(),
            written: BTreeMap::new(),
            deleted: deleted.to_vec(),
        };
        let hashes = (1..=records).map(|seq| (seq, format!("hash-{seq}")));
        let (mut faults, wanted) = listed(&versions, hashes.collect());
        faults.extend(cut_off(&versions, records));
        (faults, wanted.into_iter().map(|(seq, _)| seq).collect())
    }

    #[test]
    fn a_record_is_not_later_than_its_object_in_the_anchor() {
        let mut versions = Versions::default();
        versions.written.insert(1, 1_700_000_000);
        let late = |seq, at: i64| {
            let at = OffsetDateTime::from_unix_timestamp(at).unwrap();
            postdated(&versions, seq, Some(at))
        };
        assert_eq!(late(1, 1_600_000_000), None);
        assert_eq!(late(1, 1_700_000_300), None);
        assert_eq!(late(1, 1_700_000_301), Some(Fault::Postdated { seq: 1 }));
        assert_eq!(late(2, 1_800_000_000), None);
        assert_eq!(postdated(&versions, 1, None), None);
    }

    #[test]
    fn every_record_is_in_the_anchor_once_from_the_first_that_is_there() {
        let replaced = |seq| Fault::Replaced { seq };
        let unanchored = |seq| Fault::Unanchored { seq };
        let cut = |seq| Fault::CutOff { seq };
        let all = [(1, 1), (2, 1), (3, 1)];
        assert_eq!(of(3, &all, &[]), (vec![], vec![1, 2, 3]));
        // The anchor is newer than the chain.
        assert_eq!(of(3, &all[1..], &[]), (vec![], vec![2, 3]));
        assert_eq!(of(3, &all[..2], &[]), (vec![unanchored(3)], vec![1, 2]));
        let gap = [all[0], all[2]];
        assert_eq!(of(3, &gap, &[]), (vec![unanchored(2)], vec![1, 3]));
        // Written once more, deleted, or both.
        let twice = [(1, 1), (2, 2), (3, 1)];
        assert_eq!(of(3, &twice, &[]), (vec![replaced(2)], vec![1, 3]));
        assert_eq!(of(3, &all, &[2]), (vec![replaced(2)], vec![1, 3]));
        assert_eq!(of(3, &gap, &[2]), (vec![replaced(2)], vec![1, 3]));
        assert_eq!(of(3, &all[1..], &[1]), (vec![replaced(1)], vec![2, 3]));
        // Nothing is there, and the head stands for all.
        assert_eq!(of(3, &[], &[]), (vec![unanchored(3)], vec![]));
        assert_eq!(of(0, &[], &[]), (vec![], vec![]));
        // It has more than the table.
        assert_eq!(of(2, &all, &[]), (vec![cut(2)], vec![1, 2]));
        assert_eq!(of(0, &all, &[]), (vec![cut(0)], vec![]));
        assert_eq!(of(2, &all[..2], &[3]), (vec![cut(2)], vec![1, 2]));
    }
}
