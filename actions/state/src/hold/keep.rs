//! Keeping a lock while a command runs: when to renew, and what to do when that does not succeed.
//! Pure; time and answers are handed in.

use std::time::Duration;

/// The next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send a heartbeat.
    Renew,
    /// Ask the command to stop.
    Interrupt,
    /// End the command.
    Kill,
    /// Nothing for this long.
    Sleep(Duration),
}

/// The stage of a lease that is being kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The lease is renewed.
    Kept,
    /// The lock is gone or another run's, and the command was not interrupted yet.
    Lost,
    /// The command was asked to stop. Unless the lock is lost, the lease is renewed meanwhile.
    Stopping { lost: bool },
    /// The command was ended.
    Killed,
}

/// A lease that is being kept. Its end is counted from before the last write that succeeded: those
/// who watch saw that write later, so for them it ends later.
#[derive(Debug)]
pub(crate) struct Keeper {
    length: Duration,
    alive: Duration,
    due: Duration,
    stage: Stage,
}

impl Keeper {
    /// A lease whose taking began at `since`.
    pub(crate) fn new(length: Duration, since: Duration) -> Self {
        Self {
            length,
            alive: since,
            due: since + length / 4,
            stage: Stage::Kept,
        }
    }

    /// A tenth of the lease before others may take the lock.
    pub(crate) fn last_moment(&self) -> Duration {
        self.alive + self.length * 9 / 10
    }

    /// When the guard ends the command: after this process would have.
    pub(crate) fn end(&self) -> Duration {
        self.alive + self.length * 19 / 20
    }

    /// How long a renewal may take that begins now: no answer is worth more than the moment at which
    /// something else is to be done.
    pub(crate) fn timeout(&self, now: Duration) -> Duration {
        let deadline = match self.stage {
            Stage::Kept | Stage::Lost => self.renewal_deadline(),
            Stage::Stopping { .. } | Stage::Killed => self.last_moment(),
        };
        (self.length / 5)
            .max(Duration::from_millis(500))
            .min(deadline.saturating_sub(now))
    }

    /// When the command is stopped if no renewal has succeeded.
    fn renewal_deadline(&self) -> Duration {
        self.alive + self.length / 2
    }

    pub(crate) fn next(&mut self, now: Duration) -> Next {
        let last = self.last_moment();
        let wake = match self.stage {
            Stage::Killed => return Next::Sleep(self.length),
            _ if now >= last => {
                self.stage = Stage::Killed;
                return Next::Kill;
            }
            Stage::Lost => {
                self.stage = Stage::Stopping { lost: true };
                return Next::Interrupt;
            }
            Stage::Kept if now >= self.renewal_deadline() => {
                self.stage = Stage::Stopping { lost: false };
                return Next::Interrupt;
            }
            Stage::Kept | Stage::Stopping { lost: false } if now >= self.due => return Next::Renew,
            Stage::Kept => last.min(self.due).min(self.renewal_deadline()),
            Stage::Stopping { lost: false } => last.min(self.due),
            Stage::Stopping { lost: true } => last,
        };
        Next::Sleep(wake.saturating_sub(now))
    }

    /// A renewal succeeded that began at `began`.
    pub(crate) fn renewed(&mut self, began: Duration) {
        self.alive = began;
        self.due = began + self.length / 4;
    }

    /// A renewal failed, and whether it arrived is unknown.
    pub(crate) fn unanswered(&mut self, now: Duration) {
        self.due = now + self.length / 20;
    }

    /// The lock is gone or another run's.
    pub(crate) fn lost(&mut self) {
        self.stage = match self.stage {
            Stage::Kept | Stage::Lost => Stage::Lost,
            Stage::Stopping { .. } => Stage::Stopping { lost: true },
            Stage::Killed => Stage::Killed,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_renewed_four_times_a_lease() {
        let mut keeper = Keeper::new(s(100), s(0));
        assert_eq!(keeper.next(s(0)), Next::Sleep(s(25)));
        assert_eq!(keeper.next(s(25)), Next::Renew);
        keeper.renewed(s(25));
        assert_eq!(keeper.next(s(26)), Next::Sleep(s(24)));
    }

    #[test]
    fn without_answers_the_command_is_interrupted_once_and_ended_before_the_lease() {
        let mut keeper = Keeper::new(s(100), s(0));
        let mut done = Vec::new();
        for now in 0..100 {
            match keeper.next(s(now)) {
                Next::Sleep(pause) => assert!(pause > Duration::ZERO),
                Next::Renew => keeper.unanswered(s(now)),
                next => done.push((now, next)),
            }
        }
        assert_eq!(done, [(50, Next::Interrupt), (90, Next::Kill)]);
    }

    #[test]
    fn a_lost_lease_interrupts_at_once_and_is_not_renewed() {
        let mut keeper = Keeper::new(s(100), s(0));
        keeper.lost();
        assert_eq!(keeper.next(s(10)), Next::Interrupt);
        assert_eq!(keeper.next(s(10)), Next::Sleep(s(80)));
        assert_eq!(keeper.next(s(90)), Next::Kill);
    }

    #[test]
    fn a_renewal_that_hangs_delays_neither_interrupt_nor_end() {
        let mut keeper = Keeper::new(s(100), s(0));
        for (now, timeout) in [(25, 20), (45, 5), (50, 0)] {
            assert_eq!(keeper.timeout(s(now)), s(timeout), "{now}");
        }
        assert_eq!(keeper.next(s(50)), Next::Interrupt);
        for (now, timeout) in [(60, 20), (85, 5), (95, 0)] {
            assert_eq!(keeper.timeout(s(now)), s(timeout), "{now}");
        }
    }

    #[test]
    fn a_holder_that_slept_past_its_lease_ends_the_command_first() {
        let mut keeper = Keeper::new(s(100), s(0));
        assert_eq!(keeper.next(s(500)), Next::Kill);
        assert!(matches!(keeper.next(s(501)), Next::Sleep(_)));
    }

    #[test]
    fn the_end_counts_from_when_a_renewal_began_not_from_its_answer() {
        let mut keeper = Keeper::new(s(100), s(0));
        assert_eq!(keeper.next(s(25)), Next::Renew);
        // The answer took 40 s.
        keeper.renewed(s(25));
        assert_eq!(keeper.next(s(65)), Next::Renew);
        keeper.unanswered(s(65));
        assert_eq!(keeper.next(s(70)), Next::Renew);
        keeper.unanswered(s(70));
        assert_eq!(keeper.next(s(75)), Next::Interrupt);
        assert_eq!(keeper.end(), s(120));
    }
}
