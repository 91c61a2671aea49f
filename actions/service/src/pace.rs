//! How often to look: at once after something moved, seldom while nothing does.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
/// The end is seen within this time. A look is five calls, so a quiet deployment costs about three
/// a second, far below what ECS allows a role (20 a second: ECS, "Request throttling").
const LAST: Duration = Duration::from_secs(2);

/// The waits between looks.
#[derive(Debug)]
pub(crate) struct Pace {
    wait: Duration,
    random: RandomState,
    looks: u64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            wait: FIRST,
            random: RandomState::new(),
            looks: 0,
        }
    }

    /// How long to wait after a look that saw a change or did not; shortened by up to a fifth, so
    /// that deploys that began together do not ask together.
    pub(crate) fn next(&mut self, changed: bool) -> Duration {
        self.looks += 1;
        self.wait = if changed {
            FIRST
        } else {
            self.wait.mul_f64(1.25).min(LAST)
        };
        let spread = u32::try_from(self.random.hash_one(self.looks) % 201).unwrap_or_default();
        self.wait.mul_f64(0.8 + f64::from(spread) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_slows_down_to_a_limit_and_starts_over_on_a_change() {
        let mut pace = Pace::new();
        let waits: Vec<Duration> = (0..40).map(|_| pace.next(false)).collect();
        assert!(waits[0] <= Duration::from_millis(750), "{waits:?}");
        assert!(
            waits[39] >= Duration::from_millis(1600)
                && waits.iter().all(|wait| *wait <= Duration::from_secs(2)),
            "{waits:?}"
        );
        assert!(pace.next(true) <= FIRST);
    }
}
