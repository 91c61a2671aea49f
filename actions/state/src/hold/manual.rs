//! Showing a lock, and removing by hand a lock that is not released.

use super::opened::{Opened, open};
use super::proof::Asker;
use super::wait::Watch;
use crate::backend::Hold;
use crate::lease::Phase;
use crate::locate::LocatedState;
use crate::lock::{Changed, Held, Location, Lock};
use crate::report::{self, LockStatus};
use kit::clock::uptime;
use kit::error::{Error, Result};
use kit::report::Report;
use kit::step::Cx;

/// The number of attempts to remove a lock that its holder keeps renewing.
const REMOVALS: usize = 5;

/// The verb `status`.
pub(crate) async fn status(located: &LocatedState, cx: &Cx) -> Result<Report> {
    let opened = open(located, Hold::Native, cx).await?;
    let beside = opened.other(located, Hold::Beside);
    let native = look(&opened, &opened.lock, located, cx).await?;
    let beside = look(&opened, &beside, located, cx).await?;
    Ok(report::status(&native, &beside))
}

async fn look<'a>(
    opened: &Opened,
    lock: &'a Lock,
    located: &LocatedState,
    cx: &Cx,
) -> Result<LockStatus<'a>> {
    let places = lock.places().await?;
    let half = half(lock, places.item.as_ref(), places.object.as_ref());
    let held = lock.look().await?;
    let mut known = None;
    if let Some(held) = &held {
        let mut watch = Watch::default();
        if let Some(lease) = &held.lease {
            let allowed = located.target.allow_long_lived_keys.clone();
            let run = Asker::new(cx, &opened.net, allowed).ask(lease).await;
            watch.seen(uptime(), cx.clock.now(), held.id(), Some(lease));
            watch.answered(uptime(), run);
        }
        known = Some(watch.known(held.lease.as_deref()));
    }
    let waiting = match lock.queue() {
        Some(queue) => queue.length().await?,
        None => 0,
    };
    Ok(LockStatus {
        lock,
        held,
        known,
        waiting,
        half,
    })
}

/// The mismatch between the table and the object of a lock that should be in both.
fn half(lock: &Lock, item: Option<&Held>, object: Option<&Held>) -> Option<String> {
    if !matches!(lock.location, Location::Both { .. }) {
        return None;
    }
    let moved = item.is_some_and(|held| {
        held.lease
            .as_ref()
            .is_some_and(|lease| lease.phase == Phase::Moved)
    });
    match (item, object) {
        _ if moved => None,
        (None, None) => None,
        (Some(item), Some(object)) if item.id() == object.id() => None,
        (Some(item), Some(object)) => Some(format!(
            "the table names lock {}, the object lock {}: two holders, or halves of two locks",
            item.id(),
            object.id()
        )),
        (Some(item), None) => Some(format!(
            "only the table names lock {}: whoever took it locks with the table alone, or died between the two",
            item.id()
        )),
        (None, Some(object)) => Some(format!(
            "only the object names lock {}: whoever took it locks with .tflock alone, or died between the two",
            object.id()
        )),
    }
}

/// The verb `force-unlock`: removes the very lock that a person has looked at.
pub(crate) async fn force_unlock(located: &LocatedState, id: &str, cx: &Cx) -> Result<Report> {
    let opened = open(located, Hold::Native, cx).await?;
    let beside = opened.other(located, Hold::Beside);
    let mut other_locks = Vec::new();
    let mut removed = Vec::new();
    for lock in [&opened.lock, &beside] {
        let places = lock.places().await?;
        // Both halves, also where they are halves of different locks.
        for held in [places.item, places.object].into_iter().flatten() {
            if held.id() != id {
                other_locks.push(held);
                continue;
            }
            match remove(lock, held, id, cx).await? {
                Removal::Done(held) => removed.push(held),
                // The item's removal took the object along.
                Removal::Gone => {}
                Removal::Other(other) => other_locks.push(other),
            }
        }
    }
    match (removed.first(), other_locks.first()) {
        (Some(held), _) => Ok(report::forced(&opened.lock, held, cx.host.actor())),
        (None, Some(other)) => Err(Error::refused(format!(
            "the lock {} is not the one with {}",
            opened.lock.id,
            match id {
                "" => "an empty ID".to_owned(),
                id => format!("ID {id}"),
            }
        ))
        .cause(format!("held by {other}"))
        .hint(match other.id() {
            "" => "it has no ID: if you are certain that nobody uses it, give --lock-id \"\"",
            _ => "check who holds it now, and whether that run is over",
        })),
        (None, None) => Ok(report::unlocked(&opened.lock, "already free")),
    }
}

/// How the removal of one half of a lock ended.
enum Removal {
    Done(Held),
    /// Nothing is there any more.
    Gone,
    /// Somebody else's lock is there by now.
    Other(Held),
}

/// Removes the lock with this ID. A live holder may renew it between the look and the removal; it is still the lock
/// that the person means.
async fn remove(lock: &Lock, mut held: Held, id: &str, cx: &Cx) -> Result<Removal> {
    for _ in 0..REMOVALS {
        cx.host.info(format!("removing the lock of {held}"));
        if held
            .lease
            .as_ref()
            .is_some_and(|lease| lease.phase.is_broken())
        {
            let rescued = match held.rescued() {
                none if none.is_empty() => {
                    "the errored.tfstate of the machine that ran it".to_owned()
                }
                copies => copies.to_string(),
            };
            cx.host.warn(format!(
                "the state of this lock was never written; without {rescued} the next apply creates everything again"
            ));
        }
        match lock.remove(&held).await? {
            Changed::Done => return Ok(Removal::Done(held)),
            Changed::Moved(None) => return Ok(Removal::Gone),
            // A lock without an ID cannot be recognized again.
            Changed::Moved(Some(now)) if !id.is_empty() && now.id() == id => held = now,
            Changed::Moved(Some(other)) => return Ok(Removal::Other(other)),
        }
    }
    Err(Error::failed(format!(
        "the lock {} is still there: its holder renewed it during all {REMOVALS} attempts to remove it",
        lock.id
    ))
    .cause(format!("held by {held}"))
    .hint("run this again, or cancel the run that holds it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version_latest()
            .build();
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version_latest()
            .build();
        Lock {
            location: Location::Both {
                item: crate::lock::Item {
                    client: aws_sdk_dynamodb::Client::from_conf(config),
                    table: "t".into(),
                    id: "b/k".into(),
                },
                object: crate::lock::Object::new(
                    aws_sdk_s3::Client::from_conf(s3),
                    "b".into(),
                    "k.tflock".into(),
                ),
            },
            id: "b/k".into(),
            arguments: String::new(),
        }
    }

    fn held(id: &str) -> Held {
        crate::hold::tests::held(id, None)
    }

    #[tokio::test]
    async fn half_a_lock_is_found_whichever_half_it_is() {
        let both = lock();
        let (a, b) = (held("a"), held("b"));
        for (item, object, wanted) in [
            (None, None, None),
            (Some(&a), Some(&a), None),
            (Some(&a), Some(&b), Some("two holders")),
            (Some(&a), None, Some("only the table names lock a")),
            (None, Some(&b), Some("only the object names lock b")),
        ] {
            let found = half(&both, item, object);
            match wanted {
                None => assert_eq!(found, None),
                Some(wanted) => assert!(found.unwrap().contains(wanted)),
            }
        }
        let table_only = Lock {
            location: Location::Table(both.item().unwrap().clone()),
            ..both
        };
        assert_eq!(half(&table_only, Some(&a), None), None);
    }
}
