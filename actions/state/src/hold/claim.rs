//! The next action of a waiter: whether it may look at the lock, whether it may take it over, and how long it waits.
//! Pure.

use super::wait::pause;
use std::time::Duration;

/// The progress of a waiter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// How long it waits.
    pub(super) timeout: Duration,
    /// The length of its lease.
    pub(super) lease: Duration,
    /// True if the lock has a queue.
    pub(super) queued: bool,
    /// True if it has tried yet: without other waiters the first attempt needs no place in the queue.
    pub(super) asked: bool,
}

/// The attempt that a waiter may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    /// Take the lock, unless the queue has waiters.
    First,
    /// Look at the lock, and take it if it is free.
    Look,
    /// Nothing: other waiters are ahead.
    Nothing,
}

/// The next action after a look that did not get the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Join the queue.
    Join,
    /// Wait this long, a part of it at random, and look again.
    Pause(Duration),
    /// Stop waiting: the timeout is over.
    GiveUp,
}

impl Claim {
    /// The attempt that a waiter may make while `ahead` others are ahead of it.
    pub(super) fn attempt(&self, ahead: u64) -> Try {
        match (self.asked, ahead) {
            (false, _) => Try::First,
            (true, 0) => Try::Look,
            (true, _) => Try::Nothing,
        }
    }

    /// Returns true if the lock of a dead holder may be taken over: a new waiter may not do so before those in the queue.
    pub(super) fn may_take_over(&self) -> bool {
        self.asked || !self.queued || self.timeout.is_zero()
    }

    /// The next action after a look, `waited` after the first one.
    pub(super) fn after(&mut self, waited: Duration, ahead: u64) -> After {
        let waiters = self.queued.then_some(ahead);
        let Some(pause) = pause(waited, self.timeout, self.lease, waiters) else {
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
        for (asked, ahead, wanted) in [
            (false, 0, Try::First),
            (false, 3, Try::First),
            (true, 0, Try::Look),
            (true, 1, Try::Nothing),
        ] {
            assert_eq!(claim(60, true, asked).attempt(ahead), wanted);
        }
    }

    #[test]
    fn a_dead_holder_is_followed_in_turn() {
        for (timeout, queued, asked, wanted) in [
            (60, true, false, false),
            (60, true, true, true),
            // The lock file has no queue, and a run that does not wait does not join one.
            (60, false, false, true),
            (0, true, false, true),
        ] {
            assert_eq!(claim(timeout, queued, asked).may_take_over(), wanted);
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
