//! Looking at a lock and tending it by hand: who holds it and whether that one lives, removing one
//! that nobody gives back, and moving from one way of locking to the other.

use super::proof::Asker;
use super::wait::Watch;
use super::{Opened, open, take};
use crate::args::Hold;
use crate::backend::Locking;
use crate::lease::{Lease, Phase};
use crate::lock::{Changed, Held, Lock, Put, Release};
use crate::object::kept_digest;
use crate::place::Placed;
use crate::report::{self, Seen};
use kit::clock::uptime;
use kit::error::{Error, Result};
use kit::exit::Exit;
use kit::report::Report;
use kit::step::Cx;
use std::time::Duration;

/// The verb `status`.
pub(crate) async fn status(placed: &Placed, cx: &Cx) -> Result<Report> {
    let opened = open(placed, Hold::Native, cx).await?;
    let beside = opened.other(placed, Hold::Beside);
    let native = look(&opened, &opened.lock, placed, cx).await?;
    let beside = look(&opened, &beside, placed, cx).await?;
    Ok(report::status(&native, &beside))
}

async fn look<'a>(opened: &Opened, lock: &'a Lock, placed: &Placed, cx: &Cx) -> Result<Seen<'a>> {
    let places = lock.places().await?;
    let half = half(lock, places.item.as_ref(), places.object.as_ref());
    let held = lock.look().await?;
    let mut known = None;
    if let Some(held) = &held {
        let mut watch = Watch::default();
        if let Some(lease) = &held.lease {
            let allowed = placed.target.allow_long_lived_keys.clone();
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
    Ok(Seen {
        lock,
        held,
        known,
        waiting,
        half,
    })
}

/// What is wrong where a lock should stand at two places and stands at one.
fn half(lock: &Lock, item: Option<&Held>, object: Option<&Held>) -> Option<String> {
    if lock.item.is_none() || lock.object.is_none() {
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
pub(crate) async fn force_unlock(placed: &Placed, id: &str, cx: &Cx) -> Result<Report> {
    let opened = open(placed, Hold::Native, cx).await?;
    let beside = opened.other(placed, Hold::Beside);
    let mut others = Vec::new();
    let mut removed = Vec::new();
    for lock in [&opened.lock, &beside] {
        let places = lock.places().await?;
        // Both halves, also where they are halves of different locks.
        for held in [places.item, places.object].into_iter().flatten() {
            if held.id() != id {
                others.push(held);
                continue;
            }
            cx.host.info(format!("removing the lock of {held}"));
            if held
                .lease
                .as_ref()
                .is_some_and(|lease| lease.phase.is_broken())
            {
                cx.host.warn(format!(
                    "the state of this lock was never written; without {} the next apply creates everything again",
                    held.rescued().unwrap_or("the errored.tfstate of the machine that ran it")
                ));
            }
            match lock.remove(&held).await? {
                Changed::Done => removed.push(held),
                // The item's removal took the object along.
                Changed::Moved(None) => {}
                Changed::Moved(Some(other)) => others.push(other),
            }
        }
    }
    match (removed.first(), others.first()) {
        (Some(held), _) => Ok(report::forced(&opened.lock, held, cx.host.actor())),
        (None, Some(other)) => Err(Error::refused(format!(
            "the lock {} is not the one with ID {id}",
            opened.lock.id
        ))
        .cause(format!("held by {other}"))
        .hint("look again who holds it now, and whether that one is gone")),
        (None, None) => Ok(report::unlocked(&opened.lock, "held by nobody already")),
    }
}

/// The verb `move-lock`. First everybody locks in both ways, then in the new one alone: at no time
/// do two ways exclude each other's users from knowing of one another. Holds beside have one place
/// in each way, and are not moved.
pub(crate) async fn move_lock(placed: &Placed, to: Locking, cx: &Cx) -> Result<Report> {
    if placed.backend.table.is_empty() {
        return Err(Error::usage("--table is missing")
            .hint("moving needs both ways: name the lock table, and leave --locking out"));
    }
    let mut both = placed.clone();
    both.backend.locking = Locking::Both;
    let opened = open(&both, Hold::Native, cx).await?;
    let lock = &opened.lock;
    let Some(item) = &lock.item else {
        return Err(Error::failed("no lock of both ways"));
    };
    let table_alone = Lock {
        object: None,
        ..lock.clone()
    };
    let object_alone = Lock {
        item: None,
        ..lock.clone()
    };
    let places = lock.places().await?;
    let tombstone = places.item.as_ref().filter(|held| {
        held.lease
            .as_ref()
            .is_some_and(|lease| lease.phase == Phase::Moved)
    });
    let lease = Duration::from_secs(180);
    let mut record = take::record(&opened, "move-lock", Phase::Running, lease, cx);
    if let Some(tombstone) = tombstone {
        // Whoever died between the two steps below left it.
        forget_digest(item, &both).await?;
        if to == Locking::File {
            return Ok(report::moved(lock, to, true));
        }
        // Whoever locks with the object alone is kept out while the table opens again.
        taken(&object_alone, object_alone.take(&record).await?)?;
        let opened = table_alone.remove(tombstone).await;
        object_alone.release(&record).await?;
        return match opened? {
            Changed::Done | Changed::Moved(None) => Ok(report::moved(lock, to, false)),
            Changed::Moved(Some(held)) => Err(busy(lock, &held)),
        };
    }
    // A step that dies here leaves a lock whose lease ends.
    taken(lock, lock.take(&record).await?)?;
    let proven = proves_conditions(&object_alone, &opened, cx).await;
    let result = match (proven, to) {
        (Err(error), _) => Err(error),
        (Ok(()), Locking::File) => {
            let standing = record.clone();
            record.info.operation = "moved to .tflock".to_owned();
            record.info.info = "locking has moved to .tflock: in the backend, set use_lockfile = true and remove dynamodb_table".to_owned();
            record.lease = Lease {
                phase: Phase::Moved,
                ..record.lease.renewed()
            };
            match table_alone.renew(&standing, &record).await? {
                Changed::Done => {
                    // It would stay what it is while states move on, and everybody who comes back to
                    // the table would be told that the state is broken. Until the sign stands, they
                    // need it.
                    forget_digest(item, &both).await?;
                    object_alone.release(&standing).await?;
                    return Ok(report::moved(lock, to, false));
                }
                Changed::Moved(held) => Err(held.map_or_else(
                    || Error::failed("the lock was taken away while it was moved"),
                    |held| busy(lock, &held),
                )),
            }
        }
        (Ok(()), Locking::Both | Locking::Dynamodb) => Ok(report::moved(lock, to, false)),
    };
    match lock.release(&record).await? {
        Release::Released | Release::Absent => result,
        Release::NotOurs(held) => Err(busy(lock, &held)),
    }
}

fn taken(lock: &Lock, put: Put) -> Result<()> {
    match put {
        Put::Taken => Ok(()),
        Put::Held(held) => Err(busy(lock, &held)),
    }
}

fn busy(lock: &Lock, held: &Held) -> Error {
    Error::new(Exit::Busy, format!("the state lock {} is held", lock.id))
        .cause(format!("held by {held}"))
        .hint("move when nobody works on this state")
}

/// Whether this store keeps conditions: a second writer of the object must be refused. Stores that
/// only resemble S3 may take the header and ignore it.
async fn proves_conditions(object: &Lock, opened: &Opened, cx: &Cx) -> Result<()> {
    let second = take::record(
        opened,
        "move-lock",
        Phase::Running,
        Duration::from_secs(2),
        cx,
    );
    match object.take(&second).await? {
        Put::Held(_) => Ok(()),
        _ => {
            object.release(&second).await?;
            Err(Error::refused(format!(
                "the bucket of {} let two writers have one object: .tflock would be no lock there",
                object.id
            ))
            .hint("stay with the lock table"))
        }
    }
}

/// Removes the digest that nobody keeps any more, if it is the one that stands there now.
async fn forget_digest(item: &crate::lock::Item, placed: &Placed) -> Result<()> {
    use aws_sdk_dynamodb::types::AttributeValue::S;
    use net::AwsContext;
    let Some(digest) = kept_digest(item).await? else {
        return Ok(());
    };
    let id = format!("{}-md5", placed.backend.lock_id());
    let answer = item
        .client
        .delete_item()
        .table_name(&item.table)
        .key("LockID", S(id.clone()))
        .condition_expression("Digest = :digest")
        .expression_attribute_values(":digest", S(digest))
        .send()
        .await;
    match answer {
        // Somebody writes states by the table all the same, and needs it.
        Err(error)
            if error
                .as_service_error()
                .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
        {
            Ok(())
        }
        answer => answer
            .cannot(format!("remove {id} from {}", item.table))
            .map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::LockInfo;
    use crate::lock::Witness;

    fn lock() -> Lock {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version_latest()
            .build();
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version_latest()
            .build();
        Lock {
            item: Some(crate::lock::Item {
                client: aws_sdk_dynamodb::Client::from_conf(config),
                table: "t".into(),
                id: "b/k".into(),
            }),
            object: Some(crate::lock::Object {
                client: aws_sdk_s3::Client::from_conf(s3),
                bucket: "b".into(),
                key: "k.tflock".into(),
            }),
            id: "b/k".into(),
            arguments: String::new(),
        }
    }

    fn held(id: &str) -> Held {
        let mut info = LockInfo::new(
            "b/k".into(),
            "apply",
            String::new(),
            "ada".into(),
            time::OffsetDateTime::UNIX_EPOCH,
        );
        info.id = id.into();
        Held {
            info: Some(Box::new(info)),
            lease: None,
            witness: Witness::Item {
                info: None,
                rvn: None,
            },
        }
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
        let one = Lock {
            object: None,
            ..both
        };
        assert_eq!(half(&one, Some(&a), None), None);
    }
}
