//! The decision about a lock that `unlock` names. Pure.

use crate::lease::{Lease, Phase};
use crate::lock::Held;

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unlocking {
    /// It is removed.
    Remove,
    /// This very job left it behind with its command, which is ended first.
    EndAndRemove,
    /// A command of another run is at work.
    InUse,
    /// Its state has to be repaired first.
    Broken,
    /// It tells everybody that locking has moved.
    Moved,
    /// It is not one of ours.
    NotOurs,
}

/// The decision about `held`; `ours` is a lease as this job would write it.
pub(super) fn unlocking(held: &Held, ours: &Lease) -> Unlocking {
    let Some(lease) = &held.lease else {
        return Unlocking::NotOurs;
    };
    match lease.phase {
        Phase::Kept | Phase::Parked => Unlocking::Remove,
        Phase::Running if lease.is_of_a_run() && lease.same_job(ours) => Unlocking::EndAndRemove,
        Phase::Running => Unlocking::InUse,
        Phase::NeedsRepair | Phase::Repairing => Unlocking::Broken,
        Phase::Moved => Unlocking::Moved,
        Phase::Waiting | Phase::Unknown => Unlocking::NotOurs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::tests::held;
    use crate::lease::tests::lease;

    #[test]
    fn the_phase_decides_whether_and_how_a_lock_is_released() {
        let ours = lease(Phase::Kept);
        for (phase, answer) in [
            (Phase::Kept, Unlocking::Remove),
            (Phase::Parked, Unlocking::Remove),
            (Phase::Running, Unlocking::EndAndRemove),
            (Phase::NeedsRepair, Unlocking::Broken),
            (Phase::Repairing, Unlocking::Broken),
            (Phase::Moved, Unlocking::Moved),
            (Phase::Waiting, Unlocking::NotOurs),
            (Phase::Unknown, Unlocking::NotOurs),
        ] {
            let held = held("3f", Some(lease(phase)));
            assert_eq!(unlocking(&held, &ours), answer, "{phase:?}");
        }
        assert_eq!(unlocking(&held("3f", None), &ours), Unlocking::NotOurs);
    }

    #[test]
    fn a_command_is_ended_by_its_own_job_only() {
        let running = lease(Phase::Running);
        let other = Lease {
            job: Some("plan".into()),
            ..running.clone()
        };
        // At a terminal one run cannot be told from another.
        let terminal = Lease {
            attempt: None,
            build_arn: None,
            job: None,
            runner: None,
            ..running.clone()
        };
        for (found, ours) in [(&running, &other), (&terminal, &terminal)] {
            let held = held("3f", Some(found.clone()));
            assert_eq!(unlocking(&held, ours), Unlocking::InUse);
        }
    }
}
