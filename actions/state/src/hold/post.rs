//! The post step's decision about the lock that its step took. Pure.

use crate::lease::{Lease, Phase};
use crate::lock::Held;

/// The condition in which the post step finds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// It was released.
    Released,
    /// Another run has the lock by now.
    AnotherHolder,
    /// It was left to a later job, which has not adopted it yet.
    Parked,
    /// A later job has adopted it.
    Adopted,
    /// Its state has to be repaired, and is in a safe place.
    Broken,
    /// It is the step's. Processes that the step left running are ended, and then the lock is settled.
    Ours,
}

/// The condition of the lock `id`; `ours` is a lease as this job would write it. `unwritten`: the
/// step's command left a state that it could not write.
pub(super) fn condition(held: Option<&Held>, id: &str, ours: &Lease, unwritten: bool) -> Condition {
    let Some(held) = held else {
        return Condition::Released;
    };
    if held.id() != id {
        return Condition::AnotherHolder;
    }
    match &held.lease {
        Some(lease) if lease.phase == Phase::Parked => Condition::Parked,
        Some(lease) if !lease.same_job(ours) => Condition::Adopted,
        Some(lease)
            if lease.phase == Phase::NeedsRepair && (!lease.rescued.is_empty() || !unwritten) =>
        {
            Condition::Broken
        }
        _ => Condition::Ours,
    }
}

/// How the step's lock is settled once none of its commands runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settling {
    /// The state is brought to a safe place, and the lock stays until it is repaired.
    Rescue,
    /// It is released. `meant`: that is how a lock over several steps is meant to end.
    Release { meant: bool },
}

/// How to settle `held`. `unwritten`: as in [`left`], after the command has ended.
pub(super) fn settling(held: &Held, unwritten: bool) -> Settling {
    let phase = held.lease.as_ref().map(|lease| lease.phase);
    let ours = held.info.is_some() && held.lease.is_some();
    if ours && (phase == Some(Phase::Repairing) || unwritten) {
        return Settling::Rescue;
    }
    Settling::Release {
        meant: phase == Some(Phase::Kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::tests::held;
    use crate::lease::tests::lease;

    #[test]
    fn only_the_jobs_own_lock_is_touched() {
        let ours = lease(Phase::Kept);
        let other = Lease {
            job: Some("apply".into()),
            ..ours.clone()
        };
        assert_eq!(condition(None, "3f", &ours, false), Condition::Released);
        for (id, lease, answer) in [
            ("4a", Some(lease(Phase::Running)), Condition::AnotherHolder),
            ("3f", Some(lease(Phase::Parked)), Condition::Parked),
            ("3f", Some(other), Condition::Adopted),
            ("3f", Some(lease(Phase::Kept)), Condition::Ours),
            ("3f", Some(lease(Phase::Running)), Condition::Ours),
            ("3f", Some(lease(Phase::Repairing)), Condition::Ours),
            ("3f", None, Condition::Ours),
        ] {
            let held = held(id, lease);
            assert_eq!(
                condition(Some(&held), "3f", &ours, false),
                answer,
                "{held:?}"
            );
        }
    }

    #[test]
    fn a_broken_state_is_left_alone_once_it_is_safe() {
        let ours = lease(Phase::Kept);
        for (rescued, unwritten, answer) in [
            (true, true, Condition::Broken),
            (true, false, Condition::Broken),
            (false, false, Condition::Broken),
            // The step was killed before it could bring the state to a safe place.
            (false, true, Condition::Ours),
        ] {
            let mut broken = lease(Phase::NeedsRepair);
            if rescued {
                broken.rescued = "s3://b/k.errored-3f".to_owned().into();
            }
            let held = held("3f", Some(broken));
            assert_eq!(condition(Some(&held), "3f", &ours, unwritten), answer);
        }
    }

    #[test]
    fn an_unwritten_state_keeps_the_lock() {
        for (phase, unwritten, answer) in [
            (Phase::Running, true, Settling::Rescue),
            (Phase::NeedsRepair, true, Settling::Rescue),
            (Phase::Repairing, false, Settling::Rescue),
            (Phase::Running, false, Settling::Release { meant: false }),
            (Phase::Kept, false, Settling::Release { meant: true }),
        ] {
            let held = held("3f", Some(lease(phase)));
            assert_eq!(settling(&held, unwritten), answer, "{phase:?}");
        }
        let without_lease = held("3f", None);
        let released = Settling::Release { meant: false };
        assert_eq!(settling(&without_lease, true), released);
    }
}
