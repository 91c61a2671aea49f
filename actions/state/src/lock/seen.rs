//! The lock as it was read, the record that is written to it, and the outcome of a change.

use crate::backend::quoted;
use crate::info::LockInfo;
use crate::lease::Lease;
use crate::rescue::Copies;

/// The content that is written: Terraform's part and ours.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) info: LockInfo,
    pub(crate) lease: Lease,
}

/// The lock as it was read from the item or the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Terraform's part; `None` where it cannot be read, by Terraform neither.
    pub(crate) info: Option<Box<LockInfo>>,
    /// Ours; `None` where Terraform took the lock itself.
    pub(crate) lease: Option<Box<Lease>>,
    pub(crate) witness: Witness,
}

/// The observation on which a later write is conditional.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Witness {
    Item(ObservedItem),
    Object(ETag),
}

impl Held {
    /// The lock's ID, empty where it cannot be read.
    pub(crate) fn id(&self) -> &str {
        self.info.as_ref().map_or("", |info| &info.id)
    }

    /// The lock's ID as a person types it: whoever may write to the table may have chosen it.
    pub(crate) fn typed_id(&self) -> String {
        match self.id() {
            "" => "\"\"".to_owned(),
            id => quoted(id),
        }
    }

    /// The copies of states that could not be written under this lock.
    pub(crate) fn rescued(&self) -> Copies {
        let lease = self.lease.as_ref();
        lease.map_or_else(Copies::default, |lease| lease.rescued.clone())
    }

    pub(super) fn is(&self, record: &Record) -> bool {
        self.id() == record.info.id
    }

    /// Returns true if it is this run's hold: the same lock, in the state in which `record` left it.
    pub(crate) fn is_exactly(&self, record: &Record) -> bool {
        self.is(record)
            && self
                .lease
                .as_ref()
                .is_some_and(|lease| lease.rvn == record.lease.rvn)
    }
}

/// How giving it back ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// It was ours and is gone.
    Released,
    /// Nothing was there.
    Absent,
    /// The lock is somebody else's.
    NotOurs(Held),
}

/// How a conditional change ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Done,
    /// The lock is no longer as it was seen; with the lock as it is now, if there is one.
    Moved(Option<Held>),
}

/// The item as it was seen: its very `Info` and version number, or that there were none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ObservedItem {
    pub(crate) info: Option<String>,
    pub(crate) rvn: Option<String>,
}

/// The object as it was seen: its very bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ETag(pub(crate) String);

/// How an attempt to take the lock ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Taken,
    Held(Held),
    /// It was refused, but the lock was free again when it was read.
    Missed,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(info) = &self.info else {
            return f
                .write_str("an item without readable lock information, and so without a lock ID");
        };
        write!(
            f,
            "{} ({}) since {}, lock ID {}",
            info.who, info.operation, info.created, info.id
        )?;
        // Adoption leaves the lock what Terraform wrote or we did first; the lease is the adopter's.
        let Some(lease) = &self.lease else {
            return match info.info.is_empty() {
                true => Ok(()),
                false => write!(f, ", {}", info.info),
            };
        };
        if let Some(actor) = lease.actor.as_ref().filter(|actor| **actor != info.who) {
            write!(f, ", now {actor}")?;
        }
        match &lease.run_url {
            Some(run) => write!(f, ", {run}"),
            None => Ok(()),
        }
    }
}
