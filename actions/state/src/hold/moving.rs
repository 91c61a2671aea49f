//! Moving from one way of locking to the other. First all clients lock in both ways, then in the new one alone, so
//! that every client sees the locks of every other at all times.
//!
//! A lock beside Terraform's own is stored in one place only, so it cannot be held in both ways: it has to be free
//! when the way changes, and the marker of the move is written there as well.

use super::contention::unsettled;
use super::opened::{Opened, open};
use super::take;
use crate::backend::{Hold, Locking};
use crate::lease::{Lease, Phase};
use crate::locate::LocatedState;
use crate::lock::{Changed, Held, Lock, Put, Record, Release};
use crate::object::kept_digest;
use crate::report;
use kit::error::{Error, ErrorKind, Result};
use kit::report::Report;
use kit::step::Cx;
use std::time::Duration;

/// How long the lock of a step that dies during the move blocks other runs.
const LEASE: Duration = Duration::from_secs(180);

/// The locks of a state, one for each place where one is stored.
struct Places {
    opened: Opened,
    table: Lock,
    object: Lock,
    table_beside: Lock,
    object_beside: Lock,
}

impl Places {
    async fn open(both: &LocatedState, cx: &Cx) -> Result<Self> {
        let opened = open(both, Hold::Native, cx).await?;
        let alone = |locking: Locking, hold: Hold| {
            let mut located = both.clone();
            located.backend.locking = locking;
            opened.other(&located, hold)
        };
        Ok(Self {
            table: alone(Locking::Dynamodb, Hold::Native),
            object: alone(Locking::File, Hold::Native),
            table_beside: alone(Locking::Dynamodb, Hold::Beside),
            object_beside: alone(Locking::File, Hold::Beside),
            opened,
        })
    }

    /// The record of the lock that this step holds during the move.
    fn record(&self, lock: &Lock, cx: &Cx) -> Record {
        let mut record = take::record(&self.opened, "move-lock", Phase::Running, LEASE, cx);
        record.info.path.clone_from(&lock.id);
        record
    }

    /// Writes the marker into the lock beside Terraform's own, unless that is held.
    async fn close_beside(&self, cx: &Cx) -> Result<()> {
        let lock = &self.table_beside;
        if marker_at(lock).await?.is_some() {
            return Ok(());
        }
        let record = self.record(lock, cx);
        require_taken(lock, lock.take(&record).await?)?;
        require_unchanged(lock, lock.renew(&record, &marker(&record)).await?)
    }

    /// Removes the marker from the lock beside Terraform's own, while that is not held in the new way.
    async fn open_beside(&self, cx: &Cx) -> Result<()> {
        let Some(marker) = marker_at(&self.table_beside).await? else {
            return Ok(());
        };
        let lock = &self.object_beside;
        let record = self.record(lock, cx);
        require_taken(lock, lock.take(&record).await?)?;
        let removed = self.table_beside.remove(&marker).await;
        lock.release(&record).await?;
        require_unchanged(&self.table_beside, removed?)
    }
}

/// The verb `move-lock`.
pub(crate) async fn move_lock(located: &LocatedState, to: Locking, cx: &Cx) -> Result<Report> {
    if located.backend.table.is_empty() {
        return Err(Error::usage("--table is missing")
            .hint("moving needs both ways: name the lock table, and leave --locking out"));
    }
    let mut both = located.clone();
    both.backend.locking = Locking::Both;
    let places = Places::open(&both, cx).await?;
    let lock = &places.opened.lock;
    let record = places.record(lock, cx);
    if let Some(marker) = marker_at(&places.table).await? {
        // A `move-lock` that died between the steps below left the digest.
        forget_digest(lock, &both).await?;
        if to == Locking::File {
            places.close_beside(cx).await?;
            return Ok(report::moved(lock, to, true));
        }
        places.open_beside(cx).await?;
        // Clients that lock with the object alone are kept out while the table opens again.
        require_taken(&places.object, places.object.take(&record).await?)?;
        let removed = places.table.remove(&marker).await;
        places.object.release(&record).await?;
        require_unchanged(lock, removed?)?;
        return Ok(report::moved(lock, to, false));
    }
    require_taken(lock, lock.take(&record).await?)?;
    let mut result = require_conditional_writes(&places, cx).await;
    if result.is_ok() {
        result = match to {
            Locking::File => places.close_beside(cx).await,
            Locking::Both | Locking::Dynamodb => places.open_beside(cx).await,
        };
    }
    if result.is_ok() && to == Locking::File {
        match places.table.renew(&record, &marker(&record)).await? {
            Changed::Done => {
                // The digest would stay the same while the state changes, and Terraform would report a broken state to
                // every client that returns to the table. The clients need it until the marker is written.
                forget_digest(lock, &both).await?;
                places.object.release(&record).await?;
                return Ok(report::moved(lock, to, false));
            }
            moved => result = require_unchanged(lock, moved),
        }
    }
    match lock.release(&record).await? {
        Release::Released | Release::Absent => result.map(|()| report::moved(lock, to, false)),
        Release::NotOurs(held) => Err(busy(lock, &held)),
    }
}

/// The record that stops clients of the lock table, and tells them that locking has moved.
fn marker(record: &Record) -> Record {
    let mut marker = record.clone();
    marker.info.operation = "moved to .tflock".to_owned();
    marker.info.info = "locking has moved to .tflock: in the backend, set use_lockfile = true and remove dynamodb_table".to_owned();
    marker.lease = Lease {
        phase: Phase::Moved,
        ..record.lease.renewed()
    };
    marker
}

async fn marker_at(lock: &Lock) -> Result<Option<Held>> {
    let is_marker = |held: &Held| {
        let lease = held.lease.as_ref();
        lease.is_some_and(|lease| lease.phase == Phase::Moved)
    };
    Ok(lock.places().await?.item.filter(is_marker))
}

fn require_unchanged(lock: &Lock, changed: Changed) -> Result<()> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Moved(Some(held)) => Err(busy(lock, &held)),
        Changed::Moved(None) => Err(Error::failed(format!(
            "the lock {} was removed while it was moved",
            lock.id
        ))),
    }
}

fn require_taken(lock: &Lock, put: Put) -> Result<()> {
    match put {
        Put::Taken => Ok(()),
        Put::Held(held) => Err(busy(lock, &held)),
        Put::Missed => Err(unsettled(lock).hint("move when nobody works on this state")),
    }
}

fn busy(lock: &Lock, held: &Held) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!("the state lock {} is held", lock.id),
    )
    .cause(format!("held by {held}"))
    .hint("move when nobody works on this state")
}

/// Refuses a store that ignores conditional writes: it must reject a second writer of the object. Stores that only
/// resemble S3 may accept the header and ignore it.
async fn require_conditional_writes(places: &Places, cx: &Cx) -> Result<()> {
    let object = &places.object;
    let second = take::record(
        &places.opened,
        "move-lock",
        Phase::Running,
        Duration::from_secs(2),
        cx,
    );
    match object.take(&second).await? {
        Put::Held(_) => Ok(()),
        // The first writer's object was removed by force meanwhile, which proves nothing about the store.
        missed @ Put::Missed => require_taken(object, missed),
        Put::Taken => {
            object.release(&second).await?;
            Err(Error::refused(format!(
                "the bucket of {} ignores conditional writes, so .tflock would not lock",
                object.id
            ))
            .hint("stay with the lock table"))
        }
    }
}

/// Removes the digest, which is no longer kept up to date, unless it changes meanwhile.
async fn forget_digest(lock: &Lock, located: &LocatedState) -> Result<()> {
    use aws_sdk_dynamodb::types::AttributeValue::S;
    use net::AwsContext;
    let Some(item) = lock.item() else {
        return Ok(());
    };
    let Some(digest) = kept_digest(item).await? else {
        return Ok(());
    };
    let id = format!("{}-md5", located.backend.lock_id());
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
        // A client still writes states under the table's lock, and needs the digest.
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
