//! A permit's chain, as somebody who verified it knows it, and what of it a decision is held against.

use super::{Replayed, differs, written};
use crate::check::kept::{DecisionInputs, Kept};
use crate::check::rollback::passed;
use crate::environment_history::{at, reaches_back};
use crate::record::{healthy_until_now, marks::left_by};
use attest::PublicKey;
use kit::clock::seconds_after;
use kit::id::Digest;
use ledger::{Chain, Entry, LOOK_BACK, Record, Recorded, Verdict, permit};
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;

/// How many seconds after its time a permit may have been appended: another run may have appended first, several times. So
/// much may clocks differ, too.
const APPENDED_WITHIN: u64 = 300;
/// How many seconds before a decision its records of the previous environment may have been read: GitHub is asked in between.
const READ_WITHIN: u64 = 900;

/// The chain of the permit, as somebody who verified it knows it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The hash of each record.
    hashes: BTreeMap<u64, String>,
    /// The deployments, and what may be one, by their numbers.
    deployments: BTreeMap<u64, Deployed>,
    /// The records that passed a gate, and the hash of the gate's rules.
    passed: Vec<(u64, String)>,
    /// The ends of requests that were not approved.
    closed: Vec<u64>,
    /// The beginnings of deployments.
    started: Vec<Recorded>,
    /// The order of the permits' times with those of all other records.
    times: Times,
    /// When it is that somebody verifies.
    now: Option<OffsetDateTime>,
}

/// The times that permits say, held against those of all records before and after them. Those of the neighbors alone would not do:
/// whoever may write a permit with a false time may write one more record with the same beside it.
#[derive(Debug, Default)]
struct Times {
    /// The latest time so far, and its record.
    latest: Option<(OffsetDateTime, u64)>,
    /// The permits that no later record contradicts so far, by their times.
    permits: BTreeSet<(OffsetDateTime, u64)>,
    /// For each permit that says an earlier time than a record before it, that record.
    early: BTreeMap<u64, u64>,
    /// For each permit that says a later time than a record after it, that record.
    late: BTreeMap<u64, u64>,
}

impl Times {
    /// Takes the next record's time.
    fn add(&mut self, seq: u64, at: OffsetDateTime, permit: bool) {
        let late = self.permits.split_off(&(latest_append(at), u64::MAX));
        self.late.extend(late.into_iter().map(|(_, it)| (it, seq)));
        if permit {
            self.permits.insert((at, seq));
            if let Some((_, before)) = self.latest.filter(|it| latest_append(at) < it.0) {
                self.early.insert(seq, before);
            }
        }
        self.latest = self.latest.max(Some((at, seq)));
    }
}

/// A deployment, as far as later records follow from it.
#[derive(Debug)]
struct Deployed {
    at: Option<OffsetDateTime>,
    /// Its digest, and the one that was healthy after it; nothing if nobody can read it.
    left: Option<(Digest, Option<Digest>)>,
}

/// The answers that the ledger could have given about passed gates while it was asked: at each time the newest promotion, if it
/// was by another gate, and the newest by this one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PassedThen(Vec<(Option<u64>, Option<u64>)>);

impl PassedThen {
    pub(super) fn has(&self, newest: Option<u64>, own: Option<u64>) -> bool {
        self.0.contains(&(newest, own))
    }
}

impl Known {
    /// Nothing yet, at the time at which somebody verifies.
    pub(crate) fn at(now: OffsetDateTime) -> Self {
        Self {
            now: Some(now),
            ..Self::default()
        }
    }

    /// Takes the next record, whose number is above those before.
    pub(crate) fn add(&mut self, entry: &Entry, record: &Record) {
        let (seq, at) = (entry.seq, at(&record.at));
        self.hashes.insert(seq, entry.hash.clone());
        if record.is_deployment() {
            let left = Some((record.digest.clone(), healthy_until_now(record)));
            self.deployments.insert(seq, Deployed { at, left });
        }
        if let Some(at) = at {
            self.times
                .add(seq, at, record.verdict == Verdict::Permitted);
        }
        if let Some(policy) = record.policy.as_ref().filter(|_| passed(record)) {
            self.passed.push((seq, policy.clone()));
        }
        match record.verdict {
            Verdict::Rejected | Verdict::Withdrawn => self.closed.push(seq),
            Verdict::Started => self.started.push(Recorded {
                record: record.clone(),
                hash: entry.hash.clone(),
            }),
            _ => {}
        }
    }

    /// Takes a record that nobody can read, or that stands where it does not belong: it may be any.
    pub(crate) fn add_unread(&mut self, seq: u64) {
        let unread = Deployed {
            at: None,
            left: None,
        };
        self.deployments.insert(seq, unread);
    }

    /// The answers that the ledger could give a rollback about passed gates between its newest record and its permit.
    pub(super) fn passed(&self, own: &[Entry], permit: &Record) -> PassedThen {
        let policy = permit.policy.as_deref().unwrap_or_default();
        let last = own.first().map_or(0, |entry| entry.seq);
        let look_back = LOOK_BACK as u64;
        let then = |end: u64| {
            let seen = self.passed.iter().rev();
            let mut seen = seen.filter(|(seq, _)| *seq <= end && seq + look_back > end);
            let (newest, by) = seen.next()?;
            if by == policy {
                return None;
            }
            let own = seen.find(|(_, by)| by == policy);
            Some((*newest, own.map(|(seq, _)| *seq)))
        };
        // It was asked after the records were read, and before the permit was appended.
        let since = self.passed.iter().map(|(seq, _)| *seq);
        let ends = since.filter(|seq| *seq > last && *seq < permit.seq);
        let all = std::iter::once(last).chain(ends).map(then);
        PassedThen(
            all.map(|found| (found.map(|it| it.0), found.and_then(|it| it.1)))
                .collect(),
        )
    }

    /// Checks that no record between `last`, the newest that was judged, and the permit would have kept `grant` from
    /// granting it.
    fn check_nothing_intervened(&self, permit: &Record, last: u64) -> Result<(), Replayed> {
        let between = |seq: &&u64| **seq > last && **seq < permit.seq;
        if let Some(seq) = self.deployments.keys().find(between) {
            return Err(differs(format!(
                "it was judged before deployment {seq} was recorded"
            )));
        }
        if let Some(seq) = self.closed.iter().find(between) {
            return Err(differs(format!(
                "a request was closed in between (record {seq})"
            )));
        }
        let began: Vec<Recorded> = self.began(permit).cloned().collect();
        let now = latest_append(written(permit)?);
        match permit::underway(&began, now) {
            Some(underway)
                if !permit::supersedes(permit, permit.run.as_deref(), &underway.started.record) =>
            {
                Err(differs(format!(
                    "a deployment was under way (record {})",
                    underway.started.record.seq
                )))
            }
            _ => Ok(()),
        }
    }

    /// The newest deployment before the permit, and its number.
    fn deployed(&self, permit: &Record) -> Option<(u64, &Deployed)> {
        let (seq, newest) = self.deployments.range(..permit.seq).next_back()?;
        Some((*seq, newest))
    }

    /// The beginnings of deployments between that and the permit, newest first.
    fn began(&self, permit: &Record) -> impl Iterator<Item = &Recorded> {
        let (deployed, seq) = (self.deployed(permit).map_or(0, |it| it.0), permit.seq);
        let began = self.started.iter().rev();
        began.filter(move |it| it.record.seq > deployed && it.record.seq < seq)
    }

    /// Checks that the permit names the digests it leaves as the records before it do.
    fn leaves(&self, permit: &Record) -> Result<(), Replayed> {
        let (last, previous) = match self.deployed(permit).map(|it| it.1) {
            None => (None, None),
            // That nobody can read it is a fault of its own.
            Some(Deployed { left: None, .. }) => return Ok(()),
            Some(Deployed {
                left: Some((last, healthy)),
                ..
            }) => (Some(last), healthy.as_ref()),
        };
        if permit.previous.as_ref() != previous {
            return Err(differs("its `previous` is another one"));
        }
        let mut began = self.began(permit).map(|it| &it.record);
        let began = began.find(|it| it.rollback.is_none());
        let from = left_by(&permit.digest, [began.map(|it| &it.digest), previous, last]);
        match &permit.rollback {
            Some(rollback) if rollback.from != from => {
                Err(differs("its `rollback.from` is another one"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the permit's time is not before that of a record before it, after that of one after it, or in the future.
    fn check_time(&self, permit: &Record) -> Result<(), Replayed> {
        let written = written(permit)?;
        let problem = if let Some(before) = self.times.early.get(&permit.seq) {
            format!("is before that of record {before}, which it follows")
        } else if let Some(after) = self.times.late.get(&permit.seq) {
            format!("is after that of record {after}, which follows it")
        } else if self.now.is_some_and(|now| written > latest_append(now)) {
            "has not come, by the clock of this machine".to_owned()
        } else {
            return Ok(());
        };
        Err(differs(format!("its time, {}, {problem}", permit.at)))
    }

    /// Checks that the lines, newest first, are this chain's, and that no deployment long before `now` was left out.
    pub(super) fn has(&self, lines: &[Entry], now: OffsetDateTime) -> Result<(), Replayed> {
        for line in lines {
            if self.hashes.get(&line.seq) != Some(&line.hash) {
                return Err(differs(format!(
                    "record {} of the previous environment is not what it was judged by",
                    line.seq
                )));
            }
        }
        let last = lines.first().map_or(0, |line| line.seq);
        let early =
            |at: &OffsetDateTime| seconds_after(*at, READ_WITHIN).is_some_and(|at| at < now);
        let mut later = self.deployments.iter();
        match later.find(|(seq, it)| **seq > last && it.at.as_ref().is_some_and(early)) {
            None => Ok(()),
            Some((seq, _)) => Err(differs(format!(
                "deployment {seq} of the previous environment was left out"
            ))),
        }
    }
}

/// The latest time at which a record of this time was appended.
fn latest_append(at: OffsetDateTime) -> OffsetDateTime {
    seconds_after(at, APPENDED_WITHIN).unwrap_or(at)
}

impl Kept {
    /// Checks that the environment's own records are the chain's, and that nothing that matters came between them and the permit.
    pub(super) fn check_in_chain(&self, permit: &Record, known: &Known) -> Result<(), Replayed> {
        let more: Vec<&Entry> = match &self.judged {
            DecisionInputs::Promotion(_) => Vec::new(),
            DecisionInputs::Rollback(rollback) => {
                [&rollback.healthy, &rollback.newest, &rollback.by_this_gate]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        };
        for line in self.own.iter().chain(more) {
            let there = known.hashes.get(&line.seq);
            if there != Some(&line.hash) || line.seq >= permit.seq {
                return Err(differs(format!(
                    "record {} is not what it was judged by",
                    line.seq
                )));
            }
        }
        let chain = Chain::new(&self.contract.service, &self.contract.environment)
            .map_err(|error| differs(error.message))?;
        let records: Vec<Recorded> = (self.own.iter())
            .filter_map(|line| line.recorded(&chain).ok())
            .collect();
        if self.own.len() < LOOK_BACK && !reaches_back(&records) {
            return Err(differs(
                "older records were left out of what it was judged by",
            ));
        }
        known.check_time(permit)?;
        known.check_nothing_intervened(permit, self.own.first().map_or(0, |line| line.seq))?;
        known.leaves(permit)
    }

    /// Records of a chain that are what was stored, newest first.
    pub(super) fn part(
        &self,
        environment: &str,
        entries: &[Entry],
        key: Option<&PublicKey>,
    ) -> Result<Vec<Entry>, Replayed> {
        let chain = Chain::new(&self.contract.service, environment)
            .map_err(|error| differs(error.message))?;
        match ledger::part(&chain, entries, key).first() {
            None => Ok(entries.to_vec()),
            Some(fault) => Err(differs(format!("its evidence of {environment}: {fault}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::tests::{deployed, stored};

    #[test]
    fn records_of_the_previous_environment_are_its_chains_and_its_newest() {
        let chain = Chain::new("storefront", "production").unwrap();
        let entries = stored(&[deployed('a'), deployed('b')]);
        let mut known = Known::default();
        for entry in &entries {
            known.add(entry, &entry.record(&chain).unwrap());
        }
        let lines: Vec<Entry> = entries.iter().rev().cloned().collect();
        let has = |lines: &[Entry], now: &str| known.has(lines, at(now).unwrap());
        has(&lines, "2026-11-21T18:30:00Z").unwrap();
        // It was read before the second was recorded.
        has(&lines[1..], "2026-11-21T18:14:00Z").unwrap();
        let late = has(&lines[1..], "2026-11-21T18:16:00Z").unwrap_err();
        let why = "deployment 2 of the previous environment was left out";
        assert_eq!(late, differs(why));
        let mut other = lines.clone();
        other[1].hash = "0".repeat(64);
        has(&other, "2026-11-21T18:14:00Z").unwrap_err();
    }
}
