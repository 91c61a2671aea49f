//! Decides whether a later step or job can adopt a lock by its ID. Pure.

use crate::lease::Phase;
use crate::lock::Held;

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adoption {
    /// It is adopted, in this phase.
    Into(Phase),
    /// The same, once it showed no sign of life for its whole lease. A command repairs its state, and
    /// nothing else tells that it died.
    WithoutHeartbeat(Phase),
    /// A command runs under it.
    InUse,
    /// Its other half is in the lock table, which was not asked.
    Half,
    /// It is not one of ours.
    NotOurs,
}

/// Decides whether `held` can be adopted in the phase `wanted`. `in_table`: the lock table was asked. A state
/// that has to be repaired stays so: only a command that succeeds under the lock can have repaired it.
pub(super) fn adoption(held: &Held, in_table: bool, wanted: Phase) -> Adoption {
    let (Some(_), Some(lease)) = (&held.info, &held.lease) else {
        return Adoption::NotOurs;
    };
    if lease.second_half && !in_table {
        return Adoption::Half;
    }
    let repairing = match wanted {
        Phase::Running => Phase::Repairing,
        _ => Phase::NeedsRepair,
    };
    match lease.phase {
        Phase::Kept | Phase::Parked => Adoption::Into(wanted),
        Phase::NeedsRepair => Adoption::Into(repairing),
        Phase::Repairing => Adoption::WithoutHeartbeat(repairing),
        Phase::Running => Adoption::InUse,
        Phase::Moved | Phase::Waiting | Phase::Unknown => Adoption::NotOurs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::tests::held;
    use crate::lease::Lease;
    use crate::lease::tests::lease;
    use Adoption::{Half, InUse, Into, NotOurs, WithoutHeartbeat};
    use Phase::{Kept, Moved, NeedsRepair, Parked, Repairing, Running, Unknown, Waiting};

    #[test]
    fn kept_and_parked_locks_are_adopted_and_broken_ones_stay_broken() {
        for (found, wanted, answer) in [
            (Kept, Running, Into(Running)),
            (Kept, Parked, Into(Parked)),
            (Parked, Kept, Into(Kept)),
            (Parked, Running, Into(Running)),
            (NeedsRepair, Running, Into(Repairing)),
            (NeedsRepair, Kept, Into(NeedsRepair)),
            (NeedsRepair, Parked, Into(NeedsRepair)),
            (Repairing, Running, WithoutHeartbeat(Repairing)),
            (Repairing, Kept, WithoutHeartbeat(NeedsRepair)),
            (Running, Running, InUse),
            (Running, Kept, InUse),
            (Moved, Kept, NotOurs),
            (Waiting, Kept, NotOurs),
            (Unknown, Running, NotOurs),
        ] {
            let held = held("3f", Some(lease(found)));
            assert_eq!(
                adoption(&held, true, wanted),
                answer,
                "{found:?} {wanted:?}"
            );
        }
    }

    #[test]
    fn neither_terraforms_own_lock_nor_half_of_one_is_adopted() {
        assert_eq!(adoption(&held("3f", None), true, Running), NotOurs);
        let mut unreadable = held("3f", Some(lease(Kept)));
        unreadable.info = None;
        assert_eq!(adoption(&unreadable, true, Running), NotOurs);
        let half = Lease {
            second_half: true,
            ..lease(Kept)
        };
        for (in_table, answer) in [(false, Half), (true, Into(Running))] {
            let held = held("3f", Some(half.clone()));
            assert_eq!(adoption(&held, in_table, Running), answer);
        }
    }
}
