//! How often, how long and with what pauses a request is tried again. Pure.

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
    /// The pause after the `failed`-th failure (from 1) and `waited` in pauses before it, `None` to give up. `jitter` in 0..1 spreads those who were refused
    /// at the same time; what the registry asks for is never undercut.
    pub(crate) fn pause(
        &self,
        failed: u32,
        waited: Duration,
        asked: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        let doubled = self
            .first
            .saturating_mul(1 << failed.saturating_sub(1).min(16));
        let whole = doubled.min(self.longest);
        let own = whole.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        let asked = asked.map(|asked| asked + self.first.mul_f64(jitter.clamp(0.0, 1.0)));
        let pause = own.max(asked.unwrap_or_default());
        (waited + pause <= self.within).then_some(pause)
    }
}

/// A number in 0..1. Not for secrets.
pub(crate) fn jitter() -> f64 {
    let bits = u32::try_from(uuid::Uuid::new_v4().as_u128() >> 96).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
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
        let pause = |failed, jitter| {
            RETRIES
                .pause(failed, Duration::ZERO, None, jitter)
                .map(|pause| pause.as_millis())
        };
        assert_eq!(
            [1, 2, 3, 4].map(|failed| pause(failed, 1.0)),
            [Some(1000), Some(2000), Some(3000), None]
        );
        assert_eq!(pause(1, 0.0), Some(500));
    }

    #[test]
    fn retry_after_is_honored_unless_it_exceeds_the_retry_time_limit() {
        let asked = |seconds, waited| {
            RETRIES
                .pause(
                    1,
                    Duration::from_secs(waited),
                    Some(Duration::from_secs(seconds)),
                    0.0,
                )
                .map(|pause| pause.as_secs())
        };
        assert_eq!(asked(7, 0), Some(7));
        assert_eq!(asked(101, 0), None);
        assert_eq!(asked(7, 94), None);
    }

    #[test]
    fn jitter_fall_within_their_range() {
        for _ in 0..1000 {
            assert!((0.0..=1.0).contains(&jitter()));
        }
    }
}
