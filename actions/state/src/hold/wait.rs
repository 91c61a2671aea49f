//! Waiting for a lock that somebody holds: what counts as proof that the holder is gone, and when
//! to look again, ask or give up. Pure; time and answers are handed in.

use super::proof::Run;
use crate::lease::{Lease, Phase};
use crate::lock::Held;
use std::time::Duration;
use time::OffsetDateTime;

/// How far a hold's own end must lie back. AWS refuses a call that is signed more than five minutes
/// off its own time (IAM User Guide, "Signature Version 4 troubleshooting"), S3 fifteen. So this is
/// how far two clocks that both just spoke to AWS can lie apart, on either side of its own.
const SKEW: Duration = Duration::from_secs(30 * 60);
/// How long somebody who waits counts as alive at most. Nobody asks GitHub about each of many.
pub(super) const ALIVE: Duration = Duration::from_secs(60);
/// How often the holder's host is asked at most.
const ASK: Duration = Duration::from_secs(30);
/// How long the last of many looks away at most.
const FAR: Duration = Duration::from_secs(15);
/// How long one looks away at most who waits without a queue. Sixty-four who wait ask 13 times a
/// second then.
const SELDOM: Duration = Duration::from_secs(5);

/// Proof that a holder is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Its host says that its run has ended, and nobody renews the hold.
    RunOver(String),
    /// Its version number did not move for a whole lease while we watched.
    Still(Duration),
    /// Its own end lies back.
    Ended(OffsetDateTime),
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Proof::RunOver(how) => f.write_str(how),
            Proof::Still(length) => write!(
                f,
                "it sent no heartbeat for {} while it was watched",
                kit::clock::human(*length)
            ),
            Proof::Ended(at) => write!(f, "it ended at {}", kit::clock::rfc3339(*at)),
        }
    }
}

/// The next action of a waiter that watches a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask its host whether its run is over.
    Ask,
    /// Take its place, on the condition of what was seen.
    Break(Proof),
    /// Nothing but wait.
    Wait,
}

/// One holder as it is watched: of the lock, or of the place in front of ours.
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
    /// Whose it is. Adoption leaves the lock its ID, and gives it another run.
    run: (Option<String>, Option<String>),
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
                if !same_holder || matches!(self.asked, Some((_, Run::Over { .. }))) {
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
            return Next::Break(Proof::Still(length));
        }
        if !renews
            && let Some(end) = lease.ends()
            && wall > end + SKEW
        {
            return Next::Break(Proof::Ended(end));
        }
        match &self.asked {
            // A run that is over may have left its command behind, on a runner that lost its host or
            // whose step was killed. Only the end of the lease, as its holder and its guard count it,
            // is sure to end that command, so nothing shorter is proof.
            Some((_, Run::Over { .. })) if renews => Next::Wait,
            // A run that parks its lock and succeeds leaves it to another run.
            Some((_, Run::Over { well: true, .. })) if lease.phase == Phase::Parked => Next::Wait,
            Some((_, Run::Over { how, .. })) => Next::Break(Proof::RunOver(how.clone())),
            Some((at, _)) if now.saturating_sub(*at) < ASK => Next::Wait,
            _ => Next::Ask,
        }
    }

    /// For how long what is watched did not move.
    pub(crate) fn still(&self, now: Duration) -> Duration {
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        now.saturating_sub(since)
    }

    pub(crate) fn answered(&mut self, now: Duration, run: Run) {
        self.asked = Some((now, run));
    }

    /// Whether the holder is alive, as far as is known, for people.
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
            (_, Some((_, Run::Over { how, .. } | Run::Going(how)))) => how.clone(),
            (_, Some((_, Run::Blind(why)))) => {
                format!("cannot tell whether its run is still active: {why}")
            }
            (_, None) => "its host was not asked".to_owned(),
        }
    }
}

/// The pause until the next look, never past the timeout; `None` once that is over. `before` is the number of
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
    before: Option<u64>,
) -> Option<Duration> {
    let left = timeout.checked_sub(waited).filter(|left| !left.is_zero())?;
    let step = (lease / 20).min(Duration::from_secs(1));
    let pause = match before {
        None => (waited / 8).clamp(step / 2, SELDOM),
        Some(0) => step / 2,
        // A waiter that looks too seldom counts as gone.
        Some(before) => step
            .saturating_mul(u32::try_from(before).unwrap_or(u32::MAX))
            .min(lease.min(ALIVE) / 2)
            .min(FAR),
    };
    Some(pause.min(left))
}

/// Who stands there, for the one who watches.
pub(crate) fn sight(held: &Held) -> (&str, Option<&Lease>) {
    (held.id(), held.lease.as_deref())
}

#[cfg(test)]
mod tests;
