//! Pauses between attempts and between looks. All have jitter: many who were refused in the same
//! moment come back at different ones.

use backon::{BackoffBuilder, ConstantBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// Pauses that double from `first` to `last`, at most `times` of them.
pub(crate) fn doubling(first: Duration, last: Duration, times: usize) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(first)
        .with_max_delay(last)
        .with_max_times(times)
        .build()
}

/// Between half and all of a pause.
pub(crate) fn spread(pause: Duration) -> Duration {
    let mut drawn = ConstantBuilder::new()
        .with_jitter()
        .with_delay(pause / 2)
        .build();
    drawn.next().unwrap_or(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_and_stay_within_half_of_what_was_asked_for() {
        let pause = Duration::from_secs(4);
        let drawn: Vec<Duration> = (0..100).map(|_| spread(pause)).collect();
        assert!(drawn.iter().all(|it| *it >= pause / 2 && *it <= pause));
        assert!(drawn.iter().any(|it| *it != drawn[0]));
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
