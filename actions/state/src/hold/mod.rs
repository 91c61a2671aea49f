//! Holding the lock of a state: opened, taken in turn, kept while a command runs, handed from job
//! to job, and released.

mod adopt;
mod claim;
mod claimant;
mod contention;
mod end;
mod handover;
mod held;
mod held_lock;
mod keep;
mod left;
mod manual;
mod moving;
mod opened;
mod post;
mod proof;
mod queue_position;
mod repair;
mod run;
mod supervise;
mod take;
mod unlock;
mod wait;

pub(crate) use handover::{park, unlock};
pub(crate) use held::{Runs, held};
pub(crate) use held_lock::HeldLock;
pub(crate) use left::release_left;
pub(crate) use manual::{force_unlock, status};
pub(crate) use moving::move_lock;
pub(crate) use opened::{Opened, open};
pub(crate) use run::{Job, run};
pub(crate) use take::lock;

#[cfg(test)]
mod tests {
    use crate::info::LockInfo;
    use crate::lease::Lease;
    use crate::lock::{Held, ObservedItem, Witness};

    /// The lock `id` as it is in the lock table, with or without a lease of ours.
    pub(super) fn held(id: &str, lease: Option<Lease>) -> Held {
        let mut info = LockInfo::new(
            "states/shop/dev/terraform.tfstate".into(),
            "apply",
            String::new(),
            "ada".into(),
            time::OffsetDateTime::UNIX_EPOCH,
        );
        info.id = id.into();
        Held {
            info: Some(Box::new(info)),
            lease: lease.map(Box::new),
            witness: Witness::Item(ObservedItem::default()),
        }
    }
}
