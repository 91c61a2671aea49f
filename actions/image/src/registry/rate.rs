//! A rate limit: so many calls at once, then one at each interval.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// ECR's default rate of `PutImage` is 10 a second for an account and region ("Amazon ECR service quotas"). No second
/// has more than `BURST` + 1000/`EVERY` = 9 of ours; other runs take the rest, or a pause.
const EVERY: Duration = Duration::from_millis(143);
const BURST: u32 = 2;

/// Lets callers through at the limited rate (a token bucket, kept as the time at which it is full again).
#[derive(Debug)]
pub(crate) struct RateLimit(Mutex<Instant>);

impl RateLimit {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// Waits for a turn.
    pub(crate) async fn turn(&self) {
        let at = {
            let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (at, next) = reserve(Instant::now(), *full);
            *full = next;
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

/// When the caller may go, and when the bucket is full again.
fn reserve(now: Instant, full: Instant) -> (Instant, Instant) {
    let next = full.max(now) + EVERY;
    let at = next.checked_sub(EVERY * BURST).unwrap_or(now).max(now);
    (at, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_ten() {
        let start = Instant::now();
        let mut full = start;
        let mut starts = Vec::new();
        // Callers that come all at once, and again after a rest.
        for pause in [0, 5000] {
            let now = start + Duration::from_millis(pause);
            for _ in 0..30 {
                let (at, next) = reserve(now, full);
                full = next;
                starts.push(at);
            }
        }
        assert_eq!(starts[0], start);
        assert_eq!(starts[1], start);
        assert!(starts[2] > start);
        for from in &starts {
            let second = starts
                .iter()
                .filter(|at| **at >= *from && **at < *from + Duration::from_secs(1))
                .count();
            assert!(second < 10, "{second}");
        }
    }
}
