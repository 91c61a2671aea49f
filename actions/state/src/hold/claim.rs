//! The next action of a waiter: whether it is its turn to look, whether it may take over from a dead
//! holder, and how long it waits. Pure.

use super::wait::pause;
use std::time::Duration;

/// One who wants the lock, and how far it has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// How long it waits.
    pub(super) timeout: Duration,
    /// The length of its lease.
    pub(super) lease: Duration,
    /// Whether those who wait stand in the queue.
    pub(super) queued: bool,
    /// Whether it has asked yet: who comes while nobody waits needs no place in the queue.
    pub(super) asked: bool,
}

/// The attempt that a waiter may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    /// To take the lock, unless others stand in the queue.
    First,
    /// To look who has it, and to take it if nobody does.
    Look,
    /// Nothing: others are in front.
    Nothing,
}

/// The next action after a look that did not get the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// To stand in the queue.
    Join,
    /// To wait this long, a part of it at random, and to look again.
    Pause(Duration),
    /// The time is over.
    GiveUp,
}

impl Claim {
    /// The attempt that a waiter with `place` others in front may make.
    pub(super) fn tries(&self, place: u64) -> Try {
        match (self.asked, place) {
            (false, _) => Try::First,
            (true, 0) => Try::Look,
            (true, _) => Try::Nothing,
        }
    }

    /// Whether a dead holder's place may be taken: who came last does not take it before those who
    /// stand in the queue.
    pub(super) fn may_follow(&self) -> bool {
        self.asked || !self.queued || self.timeout.is_zero()
    }

    /// The next action after a look, `waited` after the first one.
    pub(super) fn after(&mut self, waited: Duration, place: u64) -> After {
        let before = self.queued.then_some(place);
        let Some(pause) = pause(waited, self.timeout, self.lease, before) else {
            return After::GiveUp;
        };
        let first = !std::mem::replace(&mut self.asked, true);
        match first && self.queued {
            true => After::Join,
            false => After::Pause(pause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(timeout: u64, queued: bool, asked: bool) -> Claim {
        Claim {
            timeout: Duration::from_secs(timeout),
            lease: Duration::from_secs(180),
            queued,
            asked,
        }
    }

    #[test]
    fn a_claim_tries_at_once_and_then_only_in_its_turn() {
        for (asked, place, wanted) in [
            (false, 0, Try::First),
            (false, 3, Try::First),
            (true, 0, Try::Look),
            (true, 1, Try::Nothing),
        ] {
            assert_eq!(claim(60, true, asked).tries(place), wanted);
        }
    }

    #[test]
    fn a_dead_holder_is_followed_in_turn() {
        for (timeout, queued, asked, wanted) in [
            (60, true, false, false),
            (60, true, true, true),
            // Nobody stands in the queue for a file, nor who does not wait.
            (60, false, false, true),
            (0, true, false, true),
        ] {
            assert_eq!(claim(timeout, queued, asked).may_follow(), wanted);
        }
    }

    #[test]
    fn after_the_first_look_one_stands_in_line_where_there_is_one() {
        let ms = Duration::from_millis;
        let zero = Duration::ZERO;
        let mut queued = claim(60, true, false);
        assert_eq!(queued.after(zero, 0), After::Join);
        assert_eq!(queued.after(zero, 0), After::Pause(ms(500)));
        assert_eq!(queued.after(zero, 2), After::Pause(ms(2000)));
        assert_eq!(queued.after(ms(60_000), 0), After::GiveUp);
        let mut alone = claim(60, false, false);
        assert_eq!(alone.after(zero, 0), After::Pause(ms(500)));
        assert_eq!(claim(0, true, false).after(zero, 0), After::GiveUp);
    }
}
