//! A hold that outlives the process that took it: kept from step to step, parked for a later job,
//! adopted and released.

use super::adopt::{Adoption, adoption};
use super::left::{end_command, own_lease};
use super::opened::{Opened, open};
use super::repair::repair;
use super::unlock::{Unlocking, unlocking};
use crate::args::{Adopt, Keep};
use crate::backend::Hold;
use crate::lease::{Lease, Phase};
use crate::locate::LocatedState;
use crate::lock::{Changed, Held, Lock, Record};
use crate::report;
use kit::clock::uptime;
use kit::error::{Error, ErrorKind, Result};
use kit::report::Report;
use kit::step::Cx;
use std::time::Duration;

/// The lock that an ID names, of either kind.
///
/// # Errors
/// No ID, or no lock with this ID (exit 3).
pub(super) async fn find(located: &LocatedState, adopt: &Adopt, cx: &Cx) -> Result<(Opened, Held)> {
    let id = adopt.which.id()?;
    let mut opened = open(located, Hold::Native, cx).await?;
    let native = opened.lock.look().await?;
    let found = match native {
        Some(held) if held.id() == id => held,
        native => {
            let beside = opened.other(located, Hold::Beside);
            match beside.look().await? {
                Some(held) if held.id() == id => {
                    opened.lock = beside;
                    opened.hold = Hold::Beside;
                    held
                }
                beside => return Err(wrong_lock(&opened.lock, id, native.or(beside).as_ref())),
            }
        }
    };
    if let (Some(wanted), Some(lease)) = (&adopt.rvn, &found.lease)
        && *wanted != lease.rvn
    {
        return Err(Error::refused(format!(
            "the lock {} was used since: its version number is {}, not {wanted}",
            opened.lock.id, lease.rvn
        ))
        .hint("compare the state with what was planned: terraform plan")
        .hint("to go on all the same, leave --rvn out"));
    }
    Ok((opened, found))
}

fn wrong_lock(lock: &Lock, id: &str, held: Option<&Held>) -> Error {
    let error = Error::refused(format!("the lock {} is not the one with ID {id}", lock.id));
    match held {
        Some(held) => error.cause(format!("held by {held}")),
        None => error.cause("nobody holds it: its run ended, or somebody released it"),
    }
    .hint(format!(
        "see who holds it: {}; then plan again, since somebody may have changed the state",
        lock.command("status")
    ))
}

/// The record of the lock once this run has adopted it.
///
/// # Errors
/// The lock is not ours, or its holder is at work.
pub(super) async fn adopt(
    opened: &Opened,
    held: &Held,
    wanted: Phase,
    max: Option<Duration>,
    length: Duration,
    cx: &Cx,
) -> Result<Record> {
    let lock = &opened.lock;
    let (Some(info), Some(lease)) = (&held.info, &held.lease) else {
        return Err(lock_not_ours(lock, held));
    };
    let phase = match adoption(held, lock.item().is_some(), wanted) {
        Adoption::Into(phase) => phase,
        Adoption::WithoutHeartbeat(phase) => {
            wait_until_silent(lock, held, lease, cx).await?;
            phase
        }
        Adoption::InUse => return Err(in_use(lock, held)),
        Adoption::Half => {
            return Err(Error::refused(format!(
                "{} is half of a lock whose other half is in the lock table",
                lock.id
            ))
            .cause(format!("held by {held}"))
            .hint("give --locking both and the table, as whoever took it did"));
        }
        Adoption::NotOurs => return Err(lock_not_ours(lock, held)),
    };
    let ours = Lease::new(phase, length, Some(opened.actor(cx)), cx);
    Ok(Record {
        info: (**info).clone(),
        lease: Lease {
            until: max.map_or(lease.until, |max| hold_end(max, cx)),
            rescued: lease.rescued.clone(),
            ..ours
        },
    })
}

fn in_use(lock: &Lock, held: &Held) -> Error {
    Error::new(ErrorKind::Busy, format!("the lock {} is in use", lock.id))
        .cause(format!("held by {held}"))
        .hint("wait for the command that runs under it")
}

/// Waits until a command that repairs a state has sent no heartbeat for a whole lease. Nothing else proves that it
/// died, and its lock is never taken over.
async fn wait_until_silent(lock: &Lock, held: &Held, lease: &Lease, cx: &Cx) -> Result<()> {
    let length = lease.length();
    let began = uptime();
    cx.host.info(format!(
        "{} is being repaired by {held}: watching for {} whether that command lives",
        lock.id,
        kit::clock::human(length)
    ));
    loop {
        let pause = tokio::time::sleep((length / 20).max(Duration::from_millis(50)));
        tokio::select! {
            () = pause => {}
            signal = kit::signal::interrupted() => {
                return Err(Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}")));
            }
        }
        if lock.look().await?.as_ref() != Some(held) {
            return Err(in_use(lock, held));
        }
        if uptime().saturating_sub(began) >= length {
            return Ok(());
        }
    }
}

/// Replaces `held` by `record`, if it is still as it was seen.
///
/// # Errors
/// Somebody else was quicker (exit 3), or AWS's.
pub(super) async fn put(lock: &Lock, held: &Held, record: &Record) -> Result<()> {
    match lock.replace(held, record).await? {
        Changed::Done => Ok(()),
        Changed::Moved(held) => Err(wrong_lock(lock, &record.info.id, held.as_ref())
            .cause("it changed after this step read it")),
    }
}

/// The end of a hold that is kept for `max`, in seconds since 1970.
pub(super) fn hold_end(max: Duration, cx: &Cx) -> Option<i64> {
    i64::try_from(max.as_secs())
        .ok()
        .map(|max| cx.clock.now().unix_timestamp().saturating_add(max))
}

fn lock_not_ours(lock: &Lock, held: &Held) -> Error {
    Error::refused(format!(
        "the lock {} was not taken by slipway-state",
        lock.id
    ))
    .cause(format!("held by {held}"))
    .hint(format!(
        "only if you are certain that its holder has ended: {}",
        lock.command(&format!("force-unlock --lock-id {}", held.typed_id()))
    ))
}

/// The verb `park`: leaves a kept hold to a later job.
pub(crate) async fn park(
    located: &LocatedState,
    args: &Adopt,
    keep: &Keep,
    cx: &Cx,
) -> Result<Report> {
    let (opened, held) = find(located, args, cx).await?;
    let length = held.lease.as_ref().map_or(Duration::ZERO, |it| it.length());
    let record = adopt(&opened, &held, Phase::Parked, Some(keep.max), length, cx).await?;
    put(&opened.lock, &held, &record).await?;
    Ok(report::parked(&opened.lock, &record))
}

/// The verb `unlock`: releases a hold of ours.
pub(crate) async fn unlock(located: &LocatedState, args: &Adopt, cx: &Cx) -> Result<Report> {
    let lock_id = args.which.lock_id.clone().unwrap_or_default();
    let (opened, held) = match find(located, args, cx).await {
        Ok(found) => found,
        // A lock that was released before counts as released.
        Err(error) if error.kind == ErrorKind::Refused && args.rvn.is_none() => {
            let opened = open(located, Hold::Native, cx).await?;
            return match opened.lock.look().await? {
                None => Ok(report::unlocked(&opened.lock, "already free")),
                Some(_) => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    let lock = &opened.lock;
    match unlocking(&held, &own_lease(cx)) {
        Unlocking::Remove => {}
        Unlocking::EndAndRemove => end_command(None, lock, &lock_id, cx).await?,
        refused => return Err(unlock_refusal(lock, &held, refused)),
    }
    match lock.remove(&held).await? {
        Changed::Done => Ok(report::unlocked(lock, "released")),
        Changed::Moved(None) => Ok(report::unlocked(lock, "already free")),
        Changed::Moved(Some(held)) => Err(wrong_lock(lock, &lock_id, Some(&held))),
    }
}

/// The error for a lock that `unlock` does not remove.
fn unlock_refusal(lock: &Lock, held: &Held, reason: Unlocking) -> Error {
    let force = lock.command(&format!("force-unlock --lock-id {}", held.typed_id()));
    match reason {
        Unlocking::InUse => Error::refused(format!("a command runs under the lock {}", lock.id))
            .cause(format!("held by {held}"))
            .hint(format!(
                "only if you are certain that the run has ended: {force}"
            )),
        Unlocking::Broken => Error::refused(format!(
            "the lock {} stays until its state is repaired",
            lock.id
        ))
        .cause(format!("held by {held}"))
        .hint(repair(lock, held.id(), &held.rescued()))
        .hint(format!(
            "only if you are certain that the state is restored: {force}"
        )),
        Unlocking::Moved => Error::refused(format!(
            "the lock {} stays: it marks that locking has moved to .tflock",
            lock.id
        ))
        .hint(format!(
            "to go back: {}",
            lock.command("move-lock --to dynamodb")
        )),
        Unlocking::NotOurs | Unlocking::Remove | Unlocking::EndAndRemove => {
            lock_not_ours(lock, held)
        }
    }
}
