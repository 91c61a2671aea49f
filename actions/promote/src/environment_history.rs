//! Where an environment stands by its own records: what runs there, what it was rolled back from,
//! and whose break-glass nobody else has reviewed. Pure, except for reading the records.

use crate::check::Persons;
use kit::Result;
/// The instant of a record's time.
pub(crate) use kit::clock::instant as at;
use kit::id::Digest;
use ledger::{
    Actor, BreakGlass, Chain, GENESIS, LOOK_BACK, Ledger, Record, Recorded, Verdict, permit,
};
use time::OffsetDateTime;

/// The newest records of an environment, and what follows from them.
#[derive(Debug, Default)]
pub(crate) struct EnvironmentHistory {
    /// Newest first.
    records: Vec<Recorded>,
    /// Digests that were rolled back from, and that no regular promotion followed.
    pub(crate) refused: Vec<Refused>,
    /// Promotions that overrode rules, in the order in which they happened.
    pub(crate) debts: Vec<Debt>,
}

/// A digest that was rolled back from.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) digest: Digest,
    /// The record of the rollback.
    pub(crate) rollback: Record,
    /// The reviewers of the digest since.
    pub(crate) reviewers: Vec<Actor>,
    /// The people who had promoted it past the rules.
    pub(crate) forced_by: Vec<Actor>,
}

/// A promotion that overrode rules.
#[derive(Debug)]
pub(crate) struct Debt {
    pub(crate) record: Record,
    pub(crate) glass: BreakGlass,
    /// The reviewers of the digest since.
    reviewers: Vec<Actor>,
}

impl Debt {
    /// Returns true if nobody but the person who used break-glass has reviewed it.
    pub(crate) fn is_open(&self, persons: Persons<'_>) -> bool {
        self.others(persons).is_empty()
    }

    /// Its reviewers, but for the person who used break-glass.
    pub(crate) fn others(&self, persons: Persons<'_>) -> Vec<&Actor> {
        let reviewers = self.reviewers.iter();
        let others = reviewers.filter(|reviewer| !persons.same(reviewer, &self.glass.by));
        others.collect()
    }

    /// Returns true if another account than that of the person who used break-glass has reviewed it. A regular promotion that
    /// follows was then judged to be free of it; without such a review it cannot have been.
    fn was_reviewed(&self) -> bool {
        let by = &self.glass.by;
        let mut reviewers = self.reviewers.iter();
        reviewers.any(|it| {
            !it.login.eq_ignore_ascii_case(&by.login) && (it.id.is_none() || it.id != by.id)
        })
    }

    /// Returns true if the same person may no longer go on, or if the time cannot be read.
    pub(crate) fn expired(&self, now: OffsetDateTime) -> bool {
        at(&self.glass.expires).is_none_or(|expires| expires <= now)
    }
}

impl EnvironmentHistory {
    /// Reads an environment's records.
    ///
    /// # Errors
    /// As [`Ledger::recent`], and [`permit::require_deployment`].
    pub(crate) async fn read(ledger: &Ledger, chain: &Chain) -> Result<Self> {
        let records = ledger.recent(chain, LOOK_BACK, ends).await?;
        permit::require_deployment(chain, &records)?;
        Ok(Self::of(records))
    }

    /// The history that follows from records, newest first.
    pub(crate) fn of(records: Vec<Recorded>) -> Self {
        let mut history = Self::following_from(&records);
        history.records = records;
        history
    }

    /// The history that follows from records, without them.
    fn following_from(records: &[Recorded]) -> Self {
        let mut history = Self::default();
        for Recorded { record, .. } in records.iter().rev() {
            history.apply(record, permit_of(records, record));
        }
        history
    }

    /// The digests of which somebody has reviewed that they were rolled back from or forced through.
    fn reviewed(&self) -> impl Iterator<Item = &Digest> {
        let refused = self.refused.iter().map(|it| (&it.digest, &it.reviewers));
        let debts = self.debts.iter();
        let debts = debts.map(|it| (&it.record.digest, &it.reviewers));
        let reviewed = refused.chain(debts);
        reviewed.filter_map(|(digest, reviewers)| (!reviewers.is_empty()).then_some(digest))
    }

    fn add_debt(&mut self, record: &Record, glass: &BreakGlass) {
        self.debts.push(Debt {
            record: record.clone(),
            glass: glass.clone(),
            reviewers: Vec::new(),
        });
    }

    /// Everybody who promoted the digest past the rules since the newest promotion by them.
    fn forced_by(&self, digest: &Digest) -> Vec<Actor> {
        let of = self
            .debts
            .iter()
            .filter(|debt| debt.record.digest == *digest);
        of.map(|debt| debt.glass.by.clone()).collect()
    }

    /// Forgets the debt from when a deployment began whose next record this is: it is owed once.
    fn drop_started_debt(&mut self, record: &Record) {
        let began = |debt: &Debt| {
            debt.record.verdict == Verdict::Started
                && debt.record.under.is_some()
                && debt.record.under == record.under
        };
        self.debts.retain(|debt| !began(debt));
    }

    fn apply(&mut self, record: &Record, permit: Option<&Record>) {
        if record.verdict == Verdict::Reviewed {
            let refused = self
                .refused
                .iter_mut()
                .map(|it| (&it.digest, &mut it.reviewers));
            let debts = self.debts.iter_mut();
            let debts = debts.map(|it| (&it.record.digest, &mut it.reviewers));
            for (digest, reviewers) in refused.chain(debts) {
                if *digest == record.digest {
                    reviewers.push(record.actor.clone());
                }
            }
            return;
        }
        if record.verdict == Verdict::Started {
            // It counts although nobody may ever record how the deployment ended.
            if let Some(glass) = permit.and_then(|permit| permit.break_glass.as_ref()) {
                self.drop_started_debt(record);
                self.add_debt(record, glass);
            }
            return;
        }
        if !record.is_deployment() {
            return;
        }
        if let Some(glass) = &record.break_glass {
            self.drop_started_debt(record);
            self.add_debt(record, glass);
        }
        if record.verdict != Verdict::Healthy {
            return;
        }
        match &record.rollback {
            // A regular promotion of another digest followed, or this one was promoted after a review. A break-glass settles neither.
            None if ends(record) => {
                self.refused.clear();
                self.debts.retain(|debt| !debt.was_reviewed());
            }
            None => {}
            Some(rollback) => {
                if let Some(from) = &rollback.from {
                    self.refused.retain(|refused| refused.digest != *from);
                    self.refused.push(Refused {
                        digest: from.clone(),
                        rollback: record.clone(),
                        reviewers: Vec::new(),
                        forced_by: self.forced_by(from),
                    });
                }
            }
        }
    }

    /// The number of the chain's last record; 0 where there is none.
    pub(crate) fn last(&self) -> u64 {
        self.records.first().map_or(0, |last| last.record.seq)
    }

    /// The records since the newest deployment, newest first.
    fn since(&self) -> impl Iterator<Item = &Record> {
        let records = self.records.iter().map(|it| &it.record);
        records.take_while(|record| !record.is_deployment())
    }

    /// The record with which a deployment began that is not recorded yet.
    pub(crate) fn underway(&self, now: OffsetDateTime) -> Option<&Record> {
        let underway = permit::underway(&self.records, now)?;
        Some(&underway.started.record)
    }

    /// Permits under which a deployment can still begin, newest first; none while one is under way.
    pub(crate) fn permits(&self, now: OffsetDateTime) -> Vec<&Record> {
        if self.underway(now).is_some() {
            return Vec::new();
        }
        let used = |permit: &Record| {
            let mut since = self.since();
            since.any(|it| it.verdict == Verdict::Started && it.under == Some(permit.seq))
        };
        let open = |permit: &&Record| {
            let content = permit.permit.as_ref();
            permit.verdict == Verdict::Permitted
                && content.is_some_and(|content| !permit::expired(content, now))
                && !used(permit)
                && permit::objection(&self.records, permit).is_none()
        };
        self.since().filter(open).collect()
    }

    /// The same with one record more, which deploys nothing.
    pub(crate) fn with(mut self, recorded: Recorded) -> Self {
        self.records.insert(0, recorded);
        self
    }

    /// The records that were read, oldest first.
    pub(crate) fn records(&self) -> impl DoubleEndedIterator<Item = &Recorded> {
        self.records.iter().rev()
    }

    /// The newest permit or deployment that says which contract judged, with that one's path.
    pub(crate) fn judging(&self) -> Option<(&Record, &str)> {
        permit::judging(&self.records)
    }

    /// The newest permit that says at which commit of the branch it was judged, by its number, with that commit.
    pub(crate) fn judged_at(&self) -> Option<(u64, &str)> {
        let permits = self.records.iter().filter_map(|it| {
            let tip = it.record.permit.as_ref()?.tip.as_ref()?.parsed()?;
            Some((it.record.seq, tip.as_str()))
        });
        let mut permits = permits;
        permits.next()
    }

    /// Returns true if no older record can say at which commit of the branch a permit was judged last.
    pub(crate) fn reaches_back(&self) -> bool {
        reaches_back(&self.records)
    }

    /// The newest deployment, however it ended.
    pub(crate) fn newest(&self) -> Option<&Recorded> {
        self.records.iter().find(|it| it.record.is_deployment())
    }

    /// The newest healthy deployment: the version that runs.
    pub(crate) fn current(&self) -> Option<&Record> {
        self.healthy().next()
    }

    /// The newest version of a regular promotion. The commits of a break-glass were not examined, and those of a rollback's version
    /// may not have been either.
    pub(crate) fn examined(&self) -> Option<&Record> {
        self.healthy().find(|record| ends(record))
    }

    /// How a digest came here; nothing if that may be among older records than those that were read.
    pub(crate) fn arrival(&self, digest: &Digest) -> Option<Arrival<'_>> {
        arrival(&self.records, digest)
    }

    fn healthy(&self) -> impl Iterator<Item = &Record> {
        self.records
            .iter()
            .map(|it| &it.record)
            .filter(|record| record.verdict == Verdict::Healthy)
    }

    /// The hash of the newest deployment's record; 64 zeros where there is none. Reviews do not
    /// change it, because they deploy nothing.
    pub(crate) fn head(&self) -> &str {
        self.newest().map_or(GENESIS, |newest| &newest.hash)
    }

    /// The record of the digest that a rollback without a digest goes to: the one that ran before a deployment that failed or
    /// that nobody recorded, and otherwise the newest other one that was not itself rolled back from.
    pub(crate) fn rollback_target(&self) -> Option<&Record> {
        let newest = &self.newest()?.record;
        let current = self.current()?;
        let other = |record: &Record| record.digest != current.digest;
        let failed = newest.verdict != Verdict::Healthy && other(newest);
        if failed || unrecorded(&self.records).is_some_and(other) {
            return Some(current);
        }
        self.healthy().find(|record| {
            record.digest != current.digest
                && !self.refused.iter().any(|it| it.digest == record.digest)
        })
    }

    /// The newest healthy record of a digest among those that were read.
    pub(crate) fn healthy_record(&self, digest: &Digest) -> Option<&Record> {
        self.healthy().find(|record| record.digest == *digest)
    }

    /// The reviewers of a digest since the newest deployment.
    pub(crate) fn reviewers_since(&self, digest: &Digest) -> Vec<&Actor> {
        self.since()
            .filter(|record| record.verdict == Verdict::Reviewed && record.digest == *digest)
            .map(|record| &record.actor)
            .collect()
    }

    /// Debts that nobody else has reviewed.
    pub(crate) fn open_debts<'s>(&'s self, persons: Persons<'s>) -> impl Iterator<Item = &'s Debt> {
        self.debts.iter().filter(move |debt| debt.is_open(persons))
    }
}

/// The newest promotion that began since the newest deployment, if any did: nobody recorded how it
/// ended, so its version may run. Newest first.
pub(crate) fn unrecorded(records: &[Recorded]) -> Option<&Record> {
    let records = records.iter().map(|it| &it.record);
    let mut since = records.take_while(|record| !record.is_deployment());
    since.find(|record| record.verdict == Verdict::Started && record.rollback.is_none())
}

/// The permit that a record says it ran under, if it is among these.
fn permit_of<'r>(records: &'r [Recorded], record: &Record) -> Option<&'r Record> {
    let number = record.under?;
    let found = records.iter().find(|it| it.record.seq == number)?;
    (found.record.verdict == Verdict::Permitted).then_some(&found.record)
}

/// Returns true if the record settles all that is older. A regular promotion does: no open debt lets it pass, and no digest stays
/// refused beyond it.
pub(crate) fn ends(record: &Record) -> bool {
    record.verdict == Verdict::Healthy && record.rollback.is_none() && record.break_glass.is_none()
}

/// Returns true if the newest records of a chain, newest first, are all that what follows from it rests on: they reach back to the newest
/// regular promotion and to the permit that it ran under, or to the first record.
pub(crate) fn reaches_back(records: &[Recorded]) -> bool {
    let Some(oldest) = records.last().map(|it| it.record.seq) else {
        return true;
    };
    let mut settling = records.iter().map(|it| &it.record);
    oldest == 1
        || settling
            .find(|record| ends(record))
            .is_some_and(|record| record.under.is_none_or(|permit| oldest <= permit))
}

/// Returns true if the newest records of a chain, newest first, are all that a decision rests on: as [`reaches_back`], and they
/// say how each digest came that a review may clear.
pub(crate) fn far_enough(records: &[Recorded]) -> bool {
    let arrived = |digest: &Digest| arrival(records, digest).is_some();
    reaches_back(records)
        && EnvironmentHistory::following_from(records)
            .reviewed()
            .all(arrived)
}

/// How a digest came to an environment. The commit alone does not say that: an image with the same content may be recorded under another
/// commit later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival<'r> {
    /// The commit of the first promotion of the digest, however that ended.
    pub(crate) by: Option<&'r str>,
    /// The commits of the versions of regular promotions before it, newest first.
    pub(crate) after: Vec<&'r str>,
}

/// How a digest came here, by the newest records of the chain, newest first: by the oldest promotion of it that has a regular one before
/// it. Nothing if that may be among older records.
fn arrival<'r>(records: &'r [Recorded], digest: &Digest) -> Option<Arrival<'r>> {
    let brings = |record: &Record| {
        record.digest == *digest
            && record.rollback.is_none()
            && (record.is_deployment() || record.verdict == Verdict::Started)
    };
    let first = records.iter().rposition(|it| brings(&it.record));
    let by = first.map(|first| records[first].record.commit.as_str());
    let before = first.map_or(&records[..0], |first| &records[first + 1..]);
    let mut after: Vec<&str> = Vec::new();
    for Recorded { record, .. } in before.iter().filter(|it| ends(&it.record)) {
        let commit = record.commit.as_str();
        if by != Some(commit) && !after.contains(&commit) {
            after.push(commit);
        }
    }
    let whole = records.last().is_none_or(|oldest| oldest.record.seq == 1);
    (whole || !after.is_empty()).then_some(Arrival { by, after })
}

#[cfg(test)]
pub(crate) mod tests;
