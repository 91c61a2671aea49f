//! Taking the lock: at once if it is free, in turn if there is a queue, as a takeover if its holder is proven gone.

use super::claim::{After, Claim, Try};
use super::claimant::Claimant;
use super::contention::{Announced, busy, unsettled};
use super::handover;
use super::opened::{Opened, open};
use super::proof::{Asker, Run};
use super::queue_position::QueuePosition;
use super::wait::{Next, Watch, sight};
use crate::args::{Adopt, Keep, Wait};
use crate::backend::Hold;
use crate::info::LockInfo;
use crate::lease::{Lease, Phase};
use crate::locate::LocatedState;
use crate::lock::{Changed, Held, Put, Record};
use crate::note;
use crate::report;
use kit::backoff::spread;
use kit::clock::uptime;
use kit::error::{Error, ErrorKind, Result};
use kit::report::Report;
use kit::signal::{interrupted, unless_interrupted};
use kit::step::Cx;
use std::time::Duration;

/// How long a free lock is left to earlier waiters: the next one in the queue looks twice a second.
const TURN: Duration = Duration::from_secs(5);
/// The timeout for a holder's host to report the status of its run.
const ANSWER: Duration = Duration::from_secs(10);
/// The pause between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// How long a call that is under way when a signal comes has for its answer. A runner gives a step
/// 7.5 seconds between its first signal and its second.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// The verb `lock`: takes it, or adopts one, and keeps it for later steps.
pub(crate) async fn lock(
    located: &LocatedState,
    wait: &Wait,
    hold: Option<Hold>,
    adopted: &Adopt,
    keep: &Keep,
    cx: &Cx,
) -> Result<Report> {
    if adopted.which.lock_id.is_some() {
        let (opened, held) = unless_interrupted(handover::find(located, adopted, cx)).await?;
        let max = Some(keep.max);
        let record = handover::adopt(&opened, &held, Phase::Kept, max, wait.lease, cx).await?;
        note::remember(located, &record.info.id, opened.hold, None, cx)?;
        handover::put(&opened.lock, &held, &record).await?;
        return Ok(report::locked(&opened.lock, &record));
    }
    let hold = hold.unwrap_or(Hold::Native);
    let agreed = match &located.directory {
        Some(folder) if hold == Hold::Native && folder.is_dir() => located.agreed(folder, cx)?,
        _ => located.clone(),
    };
    let located = &agreed;
    let opened = unless_interrupted(open(located, hold, cx)).await?;
    let mut record = record(&opened, "lock", Phase::Kept, wait.lease, cx);
    record.lease.until = handover::hold_end(keep.max, cx);
    take(&opened, &record, wait, located, cx).await?;
    Ok(report::locked(&opened.lock, &record))
}

/// The record of a lock that this run has not taken yet.
pub(crate) fn record(
    opened: &Opened,
    verb: &str,
    phase: Phase,
    lease: Duration,
    cx: &Cx,
) -> Record {
    let actor = opened.actor(cx);
    Record {
        info: LockInfo::new(
            opened.lock.id.clone(),
            &format!("slipway-state {verb}"),
            cx.host.run_url().unwrap_or_default(),
            actor.clone(),
            cx.clock.now(),
        ),
        lease: Lease::new(phase, lease, Some(actor), cx),
    }
}

/// Writes the note to the post step and then takes the lock: in the other order the job could be killed between the
/// two. Returns when the lease began.
///
/// # Errors
/// Still held when the time is over (exit 4, naming the holder), interrupted, or AWS's.
pub(crate) async fn take(
    opened: &Opened,
    record: &Record,
    wait: &Wait,
    located: &LocatedState,
    cx: &Cx,
) -> Result<Duration> {
    let lock = &opened.lock;
    note::remember(located, &record.info.id, opened.hold, None, cx)?;
    let waiting = Lease {
        phase: Phase::Waiting,
        until: None,
        ..record.lease.clone()
    };
    let mut position = QueuePosition::new(lock.queue(), waiting);
    let allowed = located.target.allow_long_lived_keys.clone();
    let claimant = Claimant {
        lock,
        record,
        wait,
        asker: Asker::new(cx, &opened.net, allowed),
        cx,
    };
    let taken = {
        let mut acquiring = std::pin::pin!(claimant.acquire(&mut position));
        tokio::select! {
            biased;
            // A write may be under way: it is answered first, so that what it wrote is known.
            signal = interrupted() => {
                let _ = tokio::time::timeout(UNDER_WAY, acquiring).await;
                Err(Error::new(
                    ErrorKind::Interrupted,
                    format!("interrupted by {signal} while waiting for {}", lock.id),
                ))
            }
            taken = &mut acquiring => taken,
        }
    };
    let since = match taken {
        Ok(since) => since,
        Err(error) if error.kind == ErrorKind::Busy => {
            position.leave().await;
            return Err(error);
        }
        Err(error) => {
            // A write that got no answer may have arrived.
            let ((), released) = tokio::join!(position.leave(), lock.release(record));
            return match released {
                // A lock that cannot be released is what the person has to know of.
                Err(kept) if error.kind == ErrorKind::Interrupted => Err(kept),
                _ => Err(error),
            };
        }
    };
    cx.host.info(format!(
        "holding {} with lock ID {}",
        lock.id, record.info.id
    ));
    Ok(since)
}

impl Claimant<'_> {
    async fn acquire(&self, position: &mut QueuePosition) -> Result<Duration> {
        let began = uptime();
        let mut watch = Watch::default();
        let mut announced = Announced::default();
        let mut claim = Claim {
            timeout: self.wait.lock_timeout,
            lease: self.wait.lease,
            queued: position.has_queue(),
            asked: false,
        };
        loop {
            let ahead = match claim.asked {
                true => position.count_ahead(self.cx.clock.now()).await?,
                false => 0,
            };
            let since = uptime();
            let put = match claim.attempt(ahead) {
                Try::First => self.take_first(position).await?,
                Try::Look => match self.lock.look().await? {
                    Some(held) => Some(Put::Held(held)),
                    None => Some(self.lock.take(self.record).await?),
                },
                Try::Nothing => None,
            };
            let held = match put {
                Some(Put::Taken) => {
                    position.leave().await;
                    return Ok(since);
                }
                Some(Put::Held(held)) => Some(held),
                // It is free, but other runs are ahead; or it was taken and released meanwhile.
                None | Some(Put::Missed) => None,
            };
            if let Some(held) = &held
                && claim.may_take_over()
                && self.take_over(held, &mut watch).await?
            {
                position.leave().await;
                return Ok(since);
            }
            match claim.after(uptime().saturating_sub(began), ahead) {
                After::Join => position.join().await?,
                After::Pause(pause) => {
                    let ahead = claim.queued.then_some(ahead);
                    announced.say(self, ahead, held.as_ref(), &watch).await?;
                    sleep(spread(pause)).await?;
                }
                After::GiveUp => {
                    let held = match held {
                        Some(held) => Some(held),
                        None => self.lock.look().await?,
                    };
                    return match held {
                        Some(held) => Err(busy(self.lock, &held, ahead, claim.timeout, &watch)),
                        None => self.take_after_timeout(position, ahead, &watch).await,
                    };
                }
            }
        }
    }

    /// Takes a free lock with one write, and reads meanwhile whether the queue has waiters: then it releases the lock, and
    /// this run joins the queue. `None`: there are waiters.
    async fn take_first(&self, position: &QueuePosition) -> Result<Option<Put>> {
        let (put, waiters) = tokio::join!(self.lock.take(self.record), position.has_waiters());
        match (put?, waiters) {
            (Put::Taken, Ok(false)) => Ok(Some(Put::Taken)),
            (Put::Taken, waiters) => {
                self.lock.release(self.record).await?;
                waiters.map(|_| None)
            }
            (held, _) => Ok(Some(held)),
        }
    }

    /// Takes a free lock after the timeout, unless a waiter in front does. A live one takes it at once; if none does,
    /// they are dead, and their tickets would keep out everyone who does not wait for as long as a ticket lives.
    async fn take_after_timeout(
        &self,
        position: &mut QueuePosition,
        ahead: u64,
        watch: &Watch,
    ) -> Result<Duration> {
        let timeout = self.wait.lock_timeout;
        let began = uptime();
        let found = loop {
            match self.lock.look().await? {
                Some(held) => break held,
                None if uptime().saturating_sub(began) < TURN => sleep(LOOK).await?,
                None => {
                    let since = uptime();
                    match self.lock.take(self.record).await? {
                        Put::Taken => {
                            position.leave().await;
                            return Ok(since);
                        }
                        Put::Held(held) => break held,
                        Put::Missed if uptime().saturating_sub(began) >= TURN * 2 => {
                            return Err(unsettled(self.lock)
                                .hint("run this again, or wait longer with --lock-timeout"));
                        }
                        // Each attempt disturbs the others where it writes to two places.
                        Put::Missed => sleep(spread(LOOK)).await?,
                    }
                }
            }
        };
        Err(busy(self.lock, &found, ahead, timeout, watch))
    }

    /// Takes the lock over if its holder is proven gone.
    async fn take_over(&self, held: &Held, watch: &mut Watch) -> Result<bool> {
        let (id, lease) = sight(held);
        let wall = self.cx.clock.now();
        let mut next = watch.seen(uptime(), wall, id, lease);
        if next == Next::Ask {
            let run = match lease {
                // A waiter that spends too long here counts as gone itself.
                Some(lease) => tokio::time::timeout(ANSWER, self.asker.ask(lease))
                    .await
                    .unwrap_or_else(|_| {
                        Run::Unknown("the host of its run does not answer".to_owned())
                    }),
                None => Run::Unknown(String::new()),
            };
            watch.answered(uptime(), run);
            next = watch.seen(uptime(), wall, id, lease);
        }
        let Next::Break(proof) = next else {
            return Ok(false);
        };
        // A run that is being cancelled would release the lock at once, and the next one would not see who held it.
        if kit::signal::seen().is_some()
            || self.lock.replace(held, self.record).await? != Changed::Done
        {
            return Ok(false);
        }
        self.cx.host.warn(format!(
            "took over the lock of {held}: {proof}; compare the state with what was planned before the next apply: terraform plan",
        ));
        Ok(true)
    }
}

/// The pause before the next look, which a signal ends.
async fn sleep(pause: Duration) -> Result<()> {
    unless_interrupted(async {
        tokio::time::sleep(pause).await;
        Ok(())
    })
    .await
}
