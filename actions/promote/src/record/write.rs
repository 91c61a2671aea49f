//! Appends a deployment's record to its chain, as often as another run is faster.

use super::under::is_same;
use super::{marks, under};
use crate::check::judging::require_own_contract;
use crate::environment_history::at;
use crate::live::Live;
use crate::setting::Setting;
use kit::clock::rfc3339;
use kit::error::Result;
use kit::id::Digest;
use ledger::{Append, Chain, Entry, Ledger, Record, Recorded, Rollback, Verdict, permit};
use net::Net;
use time::Duration;

/// The record in the ledger after this run.
pub(crate) struct Written {
    pub(crate) record: Record,
    /// Its hash; `None` if nothing was written.
    pub(crate) hash: Option<String>,
    /// True if this run wrote it before.
    pub(crate) already: bool,
}

impl Written {
    /// The record that this run wrote before.
    pub(crate) fn before(own: &Recorded) -> Self {
        Self {
            record: own.record.clone(),
            hash: Some(own.hash.clone()),
            already: true,
        }
    }
}

/// How a record is appended.
pub(super) struct Write<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) chain: &'a Chain,
    /// Where the service is seen running the digest.
    pub(super) live: Option<(&'a Live, &'a Digest)>,
    /// The hash of the deployment that the promotion was judged against.
    pub(super) expected: Option<&'a str>,
    /// True if nothing but an accepted head stands in for a permit.
    pub(super) only_accepts: bool,
    /// Tells by how much this machine's clock is off.
    pub(super) net: &'a Net,
    pub(super) setting: &'a Setting,
    pub(super) dry_run: bool,
}

impl Write<'_> {
    /// Appends the record. If another run appends first, it starts over from the new head.
    pub(super) async fn append(&self, draft: Record) -> Result<Written> {
        let (ledger, chain) = (self.ledger, self.chain);
        let mut head = ledger.head(chain).await?;
        for wait in ledger::attempts() {
            tokio::time::sleep(wait).await;
            let records = marks::since(ledger, chain, head.as_ref()).await?;
            let newest = newest(&records);
            let accepting = head.as_ref().is_some_and(|head| ledger.is_accepting(head));
            let own = newest
                .filter(|newest| is_same(&newest.record, &draft))
                // Nothing says yet that its head is accepted.
                .filter(|_| !accepting);
            // Meanwhile another run may have closed it.
            if let Some(number) = draft.under {
                under::permit(ledger, chain, number, &draft).await?;
            }
            if own.is_none() {
                self.judge(accepting, &records, &draft)?;
            }
            // Verified each time: the run that was faster may have deployed another digest.
            let seen = match self.live {
                Some((live, digest)) => Some((live.prove(digest).await?, &live.account)),
                None => None,
            };
            if let Some(own) = own {
                return Ok(Written::before(own));
            }
            let mut record = after(head.as_ref(), &records, draft.clone());
            record.contract_path = judged_by(&records, &record);
            record.at = by_aws(&record.at, self.net.ahead());
            if let Some((seen, account)) = seen {
                record.task_definition = Some(seen.revision);
                record.account = Some(account.clone());
            }
            let hash = match self.dry_run {
                true => None,
                false => match ledger.append(chain, head.as_ref(), record.clone()).await? {
                    Append::Done(entry) => Some(entry.hash),
                    Append::Conflict(newer) => {
                        head = newer;
                        continue;
                    }
                },
            };
            return Ok(Written {
                record,
                hash,
                already: false,
            });
        }
        Err(ledger::busy(chain, "nothing was recorded"))
    }

    /// Refuses what no longer stands, by the newest deployment.
    fn judge(&self, accepting: bool, records: &[Recorded], draft: &Record) -> Result<()> {
        let newest = newest(records);
        // A failure is always recorded: it can make nothing look better than it is.
        if draft.verdict == Verdict::Healthy {
            permit::require_deployment(self.chain, records)?;
            // A record under a permit is judged by the permit's contract.
            if draft.under.is_none() {
                require_own_contract(permit::judging(records), self.setting)?;
            }
            marks::compare(self.expected, newest, draft)?;
        }
        if self.only_accepts {
            marks::check_accepts_only(accepting, newest, draft)?;
        }
        Ok(())
    }
}

/// A record's time by AWS's clock: a soak counts from it, permits are held against it, and this machine's may be off. The dates of
/// answers are whole seconds, and answers take a while.
fn by_aws(own: &str, ahead: Option<Duration>) -> String {
    let wrong = ahead.filter(|ahead| ahead.abs() > Duration::seconds(5));
    match (at(own), wrong) {
        (Some(own), Some(ahead)) => rfc3339(own - ahead),
        _ => own.to_owned(),
    }
}

/// The draft as the record after the head: with its number, what was healthy until now, and what a rollback
/// leaves, by the records since the newest deployment, newest first and with that one.
pub(crate) fn after(head: Option<&Entry>, records: &[Recorded], mut record: Record) -> Record {
    record.seq = head.map_or(1, |head| head.seq + 1);
    record.previous = newest(records).and_then(|newest| healthy_until_now(&newest.record));
    if record.rollback.is_some() {
        let from = marks::rolled_back_from(records, &record);
        record.rollback = Some(Rollback { from });
    }
    record
}

/// The path of the contract that the record is by. A failure without a permit was judged by none: it leaves the environment to the one
/// that judged before, whichever contract it was recorded with.
fn judged_by(records: &[Recorded], record: &Record) -> Option<String> {
    let before = || permit::judging(records).map(|(_, path)| path.to_owned());
    let own = || record.contract_path.clone();
    match record.under.is_none() && record.verdict != Verdict::Healthy {
        true => before().or_else(own),
        false => own().or_else(before),
    }
}

/// The newest deployment among records, newest first.
fn newest(records: &[Recorded]) -> Option<&Recorded> {
    records.iter().find(|it| it.record.is_deployment())
}

/// The newest healthy digest as of `record`.
pub(crate) fn healthy_until_now(record: &Record) -> Option<Digest> {
    match record.verdict {
        Verdict::Healthy => Some(record.digest.clone()),
        _ => record.previous.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_time_is_that_of_aws() {
        for (seconds, wanted) in [
            (None, "18:00:00"),
            (Some(5), "18:00:00"),
            (Some(-5), "18:00:00"),
            (Some(3600), "17:00:00"),
            (Some(-60), "18:01:00"),
        ] {
            let ahead = seconds.map(Duration::seconds);
            let found = by_aws("2026-11-21T18:00:00Z", ahead);
            assert_eq!(found, format!("2026-11-21T{wanted}Z"));
        }
    }
    use crate::environment_history::tests::{chain, deployed, digest, failed, started, stored};

    fn record(digit: char, verdict: Verdict, previous: Option<char>, run: Option<&str>) -> Record {
        Record {
            verdict,
            run: run.map(str::to_owned),
            previous: previous.map(digest),
            ..deployed(digit)
        }
    }

    #[test]
    fn the_same_run_records_once_and_another_run_again() {
        let head = record('a', Verdict::Healthy, None, Some("run/5/attempts/1"));
        assert!(is_same(&head, &head.clone()));
        for other in [
            record('b', Verdict::Healthy, None, Some("run/5/attempts/1")),
            record('a', Verdict::Failed, None, Some("run/5/attempts/1")),
            record('a', Verdict::Healthy, None, Some("run/5/attempts/2")),
            record('a', Verdict::Healthy, None, None),
        ] {
            assert!(!is_same(&head, &other));
        }
        let under = |number: u64, mut record: Record| {
            record.under = Some(number);
            record
        };
        let again = record('a', Verdict::Healthy, None, Some("run/5/attempts/2"));
        let closed = under(7, head.clone());
        assert!(is_same(&closed, &under(7, again.clone())));
        let earlier = under(7, again.clone());
        for (record, other) in [
            (&closed, under(8, again.clone())),
            (&closed, again),
            (
                &closed,
                under(
                    7,
                    record('a', Verdict::Healthy, None, Some("run/6/attempts/2")),
                ),
            ),
            // The earlier attempt of a run that recorded it in a later one.
            (&earlier, closed.clone()),
        ] {
            assert!(!is_same(record, &other));
        }
    }

    #[test]
    fn a_record_follows_the_head_and_the_newest_deployment() {
        let drafted = || Record {
            rollback: Some(Rollback { from: None }),
            ..deployed('a')
        };
        let first = after(None, &[], drafted());
        assert_eq!((first.seq, first.previous), (1, None));
        let all = [
            deployed('a'),
            deployed('b'),
            started('c', 1),
            started('c', 1),
        ];
        let entries = stored(&all);
        let next = after(entries.last(), &chain(&all[..2]), drafted());
        assert_eq!((next.seq, next.previous), (5, Some(digest('b'))));
        let from = Some(digest('b'));
        assert_eq!(next.rollback, Some(Rollback { from }));
    }

    #[test]
    fn a_failure_keeps_the_previous_healthy_digest() {
        let healthy = record('a', Verdict::Healthy, Some('f'), None);
        assert_eq!(healthy_until_now(&healthy), Some(digest('a')));
        for verdict in [Verdict::Failed, Verdict::RolledBack, Verdict::Other] {
            let failed = record('b', verdict, Some('a'), None);
            assert_eq!(healthy_until_now(&failed), Some(digest('a')));
        }
    }

    #[test]
    fn a_failure_without_a_permit_leaves_the_contract_that_judged() {
        let by = |path: Option<&str>, under, record: Record| Record {
            contract_path: path.map(str::to_owned),
            under,
            ..record
        };
        let (own, other) = (Some("delivery.yaml"), Some("other.yaml"));
        let before = [Recorded {
            hash: "1".repeat(64),
            record: by(own, Some(1), deployed('a')),
        }];
        for (records, record, wanted) in [
            (&before[..], by(other, None, failed('b')), own),
            (&before, by(None, None, failed('b')), own),
            (&[], by(other, None, failed('b')), other),
            // A verdict of healthy, and a record that closes a permit, were compared.
            (&before, by(other, None, deployed('b')), other),
            (&before, by(other, Some(2), failed('b')), other),
            (&before, by(None, None, deployed('b')), own),
        ] {
            let found = judged_by(records, &record);
            assert_eq!(found.as_deref(), wanted, "{record:?}");
        }
    }
}
