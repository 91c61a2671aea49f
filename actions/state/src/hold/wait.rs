//! Waiting for a lock that somebody holds: what counts as proof that the holder is gone, and when
//! to look again, ask or give up. Pure; time and answers are handed in.

use super::proof::Run;
use crate::lease::{Lease, Phase};
use crate::lock::Held;
use kit::Lenient;
use kit::aws::Arn;
use std::time::Duration;
use time::OffsetDateTime;

/// How far a hold's own end must lie back. AWS refuses a call that is signed more than five minutes
/// off its own time (IAM User Guide, "Signature Version 4 troubleshooting"), S3 fifteen. So this is
/// how far two clocks that both just spoke to AWS can lie apart, on either side of its own.
const SKEW: Duration = Duration::from_secs(30 * 60);
/// The longest lease of a waiter. It is short because GitHub is not asked about each of many waiters.
pub(super) const ALIVE: Duration = Duration::from_secs(60);
/// How often the holder's host is asked at most.
const ASK: Duration = Duration::from_secs(30);
/// The longest pause of a waiter in a long queue.
const FAR: Duration = Duration::from_secs(15);
/// The longest pause of a waiter without a queue. Sixty-four waiters then make 13 calls a second.
const SELDOM: Duration = Duration::from_secs(5);

/// Proof that a holder is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Its host reports that its run has ended, and the hold is not renewed.
    RunEnded(String),
    /// Its version number did not change for a whole lease while it was watched.
    Silent(Duration),
    /// The end that it set for itself has passed.
    Expired(OffsetDateTime),
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Proof::RunEnded(summary) => f.write_str(summary),
            Proof::Silent(length) => write!(
                f,
                "it sent no heartbeat for {} while it was watched",
                kit::clock::human(*length)
            ),
            Proof::Expired(at) => write!(f, "it ended at {}", kit::clock::rfc3339(*at)),
        }
    }
}

/// The next action of a waiter that watches a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask its host whether its run is over.
    Ask,
    /// Take its lock over, if that is still as it was seen.
    Break(Proof),
    /// Wait.
    Wait,
}

/// The observations of one holder: of the lock, or of a ticket ahead.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The last look, and since when nothing has changed.
    seen: Option<(Sight, Duration)>,
    asked: Option<(Duration, Run)>,
}

/// The values by which one look at a lock differs from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sight {
    id: String,
    rvn: String,
    /// The run that holds it. An adopted lock keeps its ID, but has another run.
    run: (Option<String>, Option<Lenient<Arn>>),
}

impl Sight {
    fn new(id: &str, lease: Option<&Lease>) -> Self {
        Self {
            id: id.to_owned(),
            rvn: lease.map(|lease| lease.rvn.clone()).unwrap_or_default(),
            run: lease
                .map(|lease| (lease.attempt.clone(), lease.build_arn.clone()))
                .unwrap_or_default(),
        }
    }

    fn same_holder(&self, other: &Self) -> bool {
        (&self.id, &self.run) == (&other.id, &other.run)
    }
}

impl Watch {
    /// The next action after a look at a holder. `now` never jumps; `wall` may.
    pub(crate) fn seen(
        &mut self,
        now: Duration,
        wall: OffsetDateTime,
        id: &str,
        lease: Option<&Lease>,
    ) -> Next {
        let sight = Sight::new(id, lease);
        let since = match &self.seen {
            Some((same, since)) if *same == sight => *since,
            before => {
                let same_holder = before
                    .as_ref()
                    .is_some_and(|(before, _)| before.same_holder(&sight));
                // A holder that changes its lock is alive, whatever was said of its run.
                if !same_holder || matches!(self.asked, Some((_, Run::Ended { .. }))) {
                    self.asked = None;
                }
                self.seen = Some((sight, now));
                now
            }
        };
        // Terraform's own lock says nothing about whether its holder lives; nor does the object of one
        // that stands in the table too, since only the item there is renewed.
        let Some(lease) = lease.filter(|lease| !lease.second_half) else {
            return Next::Wait;
        };
        let renews = match lease.phase {
            Phase::Running | Phase::Waiting => true,
            Phase::Kept | Phase::Parked => false,
            Phase::NeedsRepair | Phase::Repairing | Phase::Moved | Phase::Unknown => {
                return Next::Wait;
            }
        };
        let length = lease.length();
        if renews && now.saturating_sub(since) >= length {
            return Next::Break(Proof::Silent(length));
        }
        if !renews
            && let Some(end) = lease.ends()
            && wall > end + SKEW
        {
            return Next::Break(Proof::Expired(end));
        }
        match &self.asked {
            // A run that is over may have left its command behind, on a runner that lost its host or
            // whose step was killed. Only the end of the lease, as its holder and its guard count it,
            // is sure to end that command, so nothing shorter is proof.
            Some((_, Run::Ended { .. })) if renews => Next::Wait,
            // A run that parks its lock and succeeds leaves it to another run.
            Some((
                _,
                Run::Ended {
                    succeeded: true, ..
                },
            )) if lease.phase == Phase::Parked => Next::Wait,
            Some((_, Run::Ended { summary, .. })) => Next::Break(Proof::RunEnded(summary.clone())),
            Some((at, _)) if now.saturating_sub(*at) < ASK => Next::Wait,
            _ => Next::Ask,
        }
    }

    /// For how long the holder has not changed.
    pub(crate) fn still(&self, now: Duration) -> Duration {
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        now.saturating_sub(since)
    }

    pub(crate) fn answered(&mut self, now: Duration, run: Run) {
        self.asked = Some((now, run));
    }

    /// The message that says whether the holder is alive, as far as is known.
    pub(crate) fn known(&self, lease: Option<&Lease>) -> String {
        let Some(lease) = lease else {
            return "Terraform acquired this lock itself, and nothing shows whether its run is still active"
                .to_owned();
        };
        if lease.second_half {
            return "its other half is in the lock table, which --locking both looks at".to_owned();
        }
        match (lease.phase, &self.asked) {
            (Phase::NeedsRepair, _) => {
                "its command could not write its state; a person has to look before anything else runs"
                    .to_owned()
            }
            (Phase::Repairing, _) => {
                "a command repairs its state; a person has to look before anything else runs"
                    .to_owned()
            }
            (Phase::Moved, _) => "locking has moved to .tflock".to_owned(),
            (Phase::Unknown, _) => "a later version of slipway-state wrote it".to_owned(),
            (_, Some((_, Run::Ended { summary, .. } | Run::Active(summary)))) => summary.clone(),
            (_, Some((_, Run::Unknown(why)))) => {
                format!("cannot tell whether its run is still active: {why}")
            }
            (_, None) => "its host was not asked".to_owned(),
        }
    }
}

/// The pause until the next look, never past the timeout; `None` once that is over. `ahead` is the number of
/// waiters in front, `None` without a queue. The first waiter looks often, the rest less often the more are in
/// front of them: each sees its turn in time, and a crowd asks hardly more often than a few.
///
/// Without a queue no waiter knows of the others. So each pauses for an eighth of the time that it has waited:
/// a crowd has waited long, and asks hardly more often than a few who just came. A new holder does not shorten
/// the pause again, because with many waiters there is a new holder every second.
pub(crate) fn pause(
    waited: Duration,
    timeout: Duration,
    lease: Duration,
    ahead: Option<u64>,
) -> Option<Duration> {
    let remaining = timeout
        .checked_sub(waited)
        .filter(|remaining| !remaining.is_zero())?;
    let step = (lease / 20).min(Duration::from_secs(1));
    let pause = match ahead {
        None => (waited / 8).clamp(step / 2, SELDOM),
        Some(0) => step / 2,
        // A waiter that looks too seldom counts as gone.
        Some(ahead) => step
            .saturating_mul(u32::try_from(ahead).unwrap_or(u32::MAX))
            .min(lease.min(ALIVE) / 2)
            .min(FAR),
    };
    Some(pause.min(remaining))
}

/// The lock ID and the lease by which a holder is watched.
pub(crate) fn sight(held: &Held) -> (&str, Option<&Lease>) {
    (held.id(), held.lease.as_deref())
}

#[cfg(test)]
mod tests;
