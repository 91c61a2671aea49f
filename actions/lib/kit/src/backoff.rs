//! The waits between attempts: they double, and have jitter, so that runs that failed together do
//! not try again together.

use backon::{BackoffBuilder, ConstantBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

pub use backon::Retryable;

/// The longest wait of [`policy`] and [`attempts`].
const LONGEST: Duration = Duration::from_secs(2);

/// The policy of a call that is made up to `attempts` times, for [`Retryable::retry`].
pub fn policy(attempts: usize, first: Duration) -> ExponentialBuilder {
    builder(first, 2.0, LONGEST).with_max_times(attempts.saturating_sub(1))
}

/// The wait before each of several attempts; the first one does not wait.
pub fn attempts(attempts: usize, first: Duration) -> impl Iterator<Item = Duration> {
    std::iter::once(Duration::ZERO).chain(policy(attempts, first).build())
}

/// At most `times` waits that double from `first` to `last`.
pub fn doubling(first: Duration, last: Duration, times: usize) -> ExponentialBackoff {
    builder(first, 2.0, last).with_max_times(times).build()
}

/// A random wait between half of `pause` and all of it.
pub fn spread(pause: Duration) -> Duration {
    let mut drawn = ConstantBuilder::new()
        .with_jitter()
        .with_delay(pause / 2)
        .build();
    drawn.next().unwrap_or(pause)
}

/// Waits without an end that grow from `first` to `last`.
pub fn endless(first: Duration, factor: f32, last: Duration) -> ExponentialBackoff {
    builder(first, factor, last).without_max_times().build()
}

fn builder(first: Duration, factor: f32, last: Duration) -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(first)
        .with_factor(factor)
        .with_max_delay(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_not_the_same_twice() {
        let first = Duration::from_millis(100);
        let waits: Vec<Duration> = attempts(4, first).collect();
        assert_eq!((waits.len(), waits[0]), (4, Duration::ZERO));
        for (doubled, wait) in [1, 2, 4].into_iter().zip(&waits[1..]) {
            // backon adds up to the wait itself.
            assert!(
                (first * doubled..=first * doubled * 2).contains(wait),
                "{waits:?}"
            );
        }
        // Eight equal draws of a nanosecond's jitter do not happen.
        let firsts: Vec<Duration> = (0..8).filter_map(|_| attempts(2, first).nth(1)).collect();
        assert!(firsts.iter().any(|wait| *wait != firsts[0]), "{firsts:?}");
        assert_eq!(endless(first, 2.0, first).take(100).count(), 100);
    }

    #[test]
    fn pauses_differ_and_stay_within_half_of_what_was_asked_for() {
        let pause = Duration::from_secs(4);
        let drawn: Vec<Duration> = (0..100).map(|_| spread(pause)).collect();
        assert!(
            drawn
                .iter()
                .all(|wait| *wait >= pause / 2 && *wait <= pause)
        );
        assert!(drawn.iter().any(|wait| *wait != drawn[0]));
        assert_eq!(spread(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn retries_end() {
        let (first, last) = (Duration::from_millis(200), Duration::from_secs(1));
        let pauses: Vec<Duration> = doubling(first, last, 5).collect();
        assert_eq!(pauses.len(), 5);
        assert!(pauses[0] >= first && pauses[4] >= last && pauses[4] <= last * 2);
    }
}
