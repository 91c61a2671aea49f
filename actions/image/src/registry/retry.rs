//! How often, how long and with what pauses a request is tried again.

use kit::backoff::{doubling, spread};
use std::time::Duration;

/// The bounds of trying again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// Tries in all.
    pub(crate) tries: u32,
    /// The first pause; each further one is twice as long.
    pub(crate) first: Duration,
    /// The longest pause of our own choosing.
    pub(crate) longest: Duration,
    /// The longest that all pauses together may take.
    pub(crate) within: Duration,
    /// A transfer that moves nothing for so long is given up.
    pub(crate) stall: Duration,
}

impl Default for RetryPolicy {
    /// ECR's rates are counted by the second, so a storm is over in a minute or it is over for good.
    fn default() -> Self {
        Self {
            tries: 8,
            first: Duration::from_millis(400),
            longest: Duration::from_secs(20),
            within: Duration::from_secs(300),
            stall: Duration::from_secs(120),
        }
    }
}

impl RetryPolicy {
    /// The pause after the `failed`-th failure (from 1) and `waited` in pauses before it, `None` to give up. Part of it is
    /// random, to spread those who were refused at the same time; what the registry asks for is never undercut.
    pub(crate) fn pause(
        &self,
        failed: u32,
        waited: Duration,
        asked: Option<Duration>,
    ) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        // backon adds up to the wait itself.
        let mut own = doubling(self.first / 2, self.longest / 2, failed.max(1) as usize);
        let own = own.nth(failed.saturating_sub(1) as usize)?;
        let asked = asked.map(|asked| asked + spread(self.first));
        let pause = own.max(asked.unwrap_or_default());
        (waited + pause <= self.within).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIES: RetryPolicy = RetryPolicy {
        tries: 4,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(3),
        within: Duration::from_secs(100),
        stall: Duration::from_secs(1),
    };

    #[test]
    fn pauses_double_up_to_a_bound_and_end() {
        let pause = |failed| RETRIES.pause(failed, Duration::ZERO, None);
        for (failed, whole) in [(1, 1000), (2, 2000), (3, 3000)] {
            let pause = pause(failed).unwrap().as_millis();
            assert!((whole / 2..=whole).contains(&pause), "{pause}");
        }
        assert_eq!(pause(4), None);
    }

    #[test]
    fn retry_after_is_honored_unless_it_exceeds_the_retry_time_limit() {
        let asked = |seconds, waited| {
            RETRIES
                .pause(
                    1,
                    Duration::from_secs(waited),
                    Some(Duration::from_secs(seconds)),
                )
                .map(|pause| pause.as_secs())
        };
        assert!(matches!(asked(7, 0), Some(7 | 8)));
        assert_eq!(asked(101, 0), None);
        assert_eq!(asked(7, 94), None);
    }
}
