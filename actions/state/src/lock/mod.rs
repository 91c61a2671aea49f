//! The lock of one state: a DynamoDB item, an S3 object, or both, each in the form that Terraform
//! itself writes, taken, replaced and removed on the condition of exactly what was seen.
//! Source: terraform `internal/backend/remote-state/s3/client.go`.

mod item;
mod object;
mod queue;
mod seen;
mod ticket;

pub(crate) use item::Item;
pub(crate) use object::Object;
pub(crate) use queue::Queue;
pub(crate) use seen::{Changed, Held, ObservedItem, Put, Record, Release, Witness};
pub(crate) use ticket::Ticket;

use kit::error::Result;

/// The lock of one state object.
#[derive(Debug, Clone)]
pub(crate) struct Lock {
    pub(crate) location: Location,
    /// `bucket/key`, as people name it; a hold beside Terraform's own lock ends with `#hold`.
    pub(crate) id: String,
    /// The arguments that name this lock to a command of Slipway.
    pub(crate) arguments: String,
}

/// Where a lock is.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// In the lock table (`dynamodb_table`).
    Table(Item),
    /// In an object beside the state (`use_lockfile`).
    File(Object),
    /// In both; the item decides who holds the lock.
    Both { item: Item, object: Object },
}

/// The lock's item and object, read together to find half a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) item: Option<Held>,
    pub(crate) object: Option<Held>,
}

impl Location {
    /// The item, if the lock is in the table.
    pub(crate) fn item(&self) -> Option<&Item> {
        match self {
            Self::Table(item) | Self::Both { item, .. } => Some(item),
            Self::File(_) => None,
        }
    }

    /// The object, if the lock is beside the state.
    pub(crate) fn object(&self) -> Option<&Object> {
        match self {
            Self::File(object) | Self::Both { object, .. } => Some(object),
            Self::Table(_) => None,
        }
    }
}

impl Lock {
    /// Takes the lock with one conditional write. With both ways of locking the item comes first:
    /// an object that one of ours left, while the item is ours now, is half of a lock whose other
    /// half is gone, and goes too. Terraform writes the object first and waits for nothing in
    /// between, so the other order cannot block anybody for good.
    ///
    /// # Errors
    /// DynamoDB's or S3's.
    pub(crate) async fn take(&self, record: &Record) -> Result<Put> {
        match &self.location {
            Location::Table(item) => item.put_new(record).await,
            Location::File(object) => object.put_new(record, false).await,
            Location::Both { item, object } => match item.put_new(record).await? {
                Put::Taken => {
                    let outcome = put_second_half(object, record).await;
                    if !matches!(outcome, Ok(Put::Taken)) {
                        item.remove_ours(record).await?;
                    }
                    outcome
                }
                put => Ok(put),
            },
        }
    }

    /// The lock's holder: the item's, or else the object's.
    ///
    /// # Errors
    /// DynamoDB's or S3's.
    pub(crate) async fn look(&self) -> Result<Option<Held>> {
        match &self.location {
            Location::Table(item) => item.read().await,
            Location::File(object) => object.read().await,
            Location::Both { item, object } => match item.read().await? {
                Some(held) => Ok(Some(held)),
                // Without its item, an object of both ways is nobody's lock.
                None => Ok(object
                    .read()
                    .await?
                    .filter(|held| !object::is_second_half(held))),
            },
        }
    }

    /// The lock's item and object, as they are now.
    ///
    /// # Errors
    /// DynamoDB's or S3's.
    pub(crate) async fn places(&self) -> Result<Places> {
        let item = match self.location.item() {
            Some(item) => item.read().await?,
            None => None,
        };
        let object = match self.location.object() {
            Some(object) => object.read().await?,
            None => None,
        };
        Ok(Places { item, object })
    }

    /// Replaces `seen` by `record`: a renewal, a change of phase, or a takeover.
    ///
    /// # Errors
    /// DynamoDB's or S3's.
    pub(crate) async fn replace(&self, seen: &Held, record: &Record) -> Result<Changed> {
        match (&self.location, &seen.witness) {
            (Location::Table(item), Witness::Item(observed)) => {
                item.replace(observed, record).await
            }
            (Location::File(object), Witness::Object(etag)) => {
                object.replace(etag, record, false).await
            }
            (Location::Both { item, object }, Witness::Item(observed)) => {
                let changed = item.replace(observed, record).await?;
                if changed != Changed::Done || seen.is(record) {
                    return Ok(changed);
                }
                // A takeover has to bring the other half along.
                let other = match put_second_half(object, record).await? {
                    Put::Taken => return Ok(Changed::Done),
                    Put::Held(other) => Some(other),
                    Put::Missed => None,
                };
                item.remove_ours(record).await?;
                Ok(Changed::Moved(other))
            }
            // A lock of the object alone, where both are used: out of the way, and then taken as a
            // free one is, the item first.
            (Location::Both { object, .. }, Witness::Object(etag)) if !seen.is(record) => {
                match object.remove(etag).await? {
                    Changed::Done => Ok(Changed::Moved(None)),
                    moved => Ok(moved),
                }
            }
            (Location::Both { object, .. }, Witness::Object(etag)) => {
                object.replace(etag, record, false).await
            }
            // It was seen where this lock has no place.
            (Location::Table(_), Witness::Object(_)) | (Location::File(_), Witness::Item(_)) => {
                Ok(Changed::Moved(None))
            }
        }
    }

    /// Replaces `record` by `renewed`: a heartbeat.
    ///
    /// # Errors
    /// DynamoDB's or S3's.
    pub(crate) async fn renew(&self, record: &Record, renewed: &Record) -> Result<Changed> {
        match &self.location {
            Location::Table(item) | Location::Both { item, .. } => {
                item.replace(&ObservedItem::of(record), renewed).await
            }
            Location::File(object) => object.renew(record, renewed).await,
        }
    }

    /// Releases what `record` says is ours, without looking first.
    ///
    /// # Errors
    /// DynamoDB's or S3's.
    pub(crate) async fn release(&self, record: &Record) -> Result<Release> {
        match &self.location {
            Location::Table(item) => item.remove_ours(record).await,
            Location::File(object) => object.remove_ours(record).await,
            Location::Both { item, object } => {
                // The table decides who holds the lock. A second half without the item belongs to no lock.
                let released = item.remove_ours(record).await?;
                if !matches!(released, Release::NotOurs(_)) {
                    object.remove_ours(record).await?;
                }
                Ok(released)
            }
        }
    }

    /// Removes the very lock that was seen. With both ways of locking, the other half too, if it
    /// has the same ID.
    ///
    /// # Errors
    /// DynamoDB's or S3's.
    pub(crate) async fn remove(&self, seen: &Held) -> Result<Changed> {
        match (&self.location, &seen.witness) {
            (Location::Table(item), Witness::Item(observed)) => {
                item.remove(observed, seen.id()).await
            }
            (Location::Both { item, object }, Witness::Item(observed)) => {
                let changed = item.remove(observed, seen.id()).await?;
                if matches!(changed, Changed::Done | Changed::Moved(None)) && !seen.id().is_empty()
                {
                    object.remove_id(seen.id(), false).await?;
                }
                Ok(changed)
            }
            (Location::File(object) | Location::Both { object, .. }, Witness::Object(etag)) => {
                object.remove(etag).await
            }
            // It was seen where this lock has no place.
            (Location::Table(_), Witness::Object(_)) | (Location::File(_), Witness::Item(_)) => {
                Ok(Changed::Moved(None))
            }
        }
    }

    /// The item in the lock table, if one is used.
    pub(crate) fn item(&self) -> Option<&Item> {
        self.location.item()
    }

    /// The queue of waiters.
    pub(crate) fn queue(&self) -> Option<Queue> {
        self.item().map(|item| Queue {
            client: item.client.clone(),
            table: item.table.clone(),
            id: item.queue_id(),
        })
    }

    /// The command line that runs `verb` on this lock.
    pub(crate) fn command(&self, verb: &str) -> String {
        format!("slipway-state {verb} {}", self.arguments)
    }
}

/// The object, once the item is ours.
async fn put_second_half(object: &Object, record: &Record) -> Result<Put> {
    let held = match object.put_new(record, true).await? {
        Put::Held(held) if object::is_second_half(&held) => held,
        put => return Ok(put),
    };
    let Witness::Object(etag) = &held.witness else {
        return Ok(Put::Held(held));
    };
    match object.replace(etag, record, true).await? {
        Changed::Done => Ok(Put::Taken),
        Changed::Moved(Some(held)) => Ok(Put::Held(held)),
        Changed::Moved(None) => Ok(Put::Missed),
    }
}
