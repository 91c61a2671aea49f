//! How often to ask: the one retry policy, and the interval between looks.

use kit::backoff;
use kit::error::Failure;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A call that is made again and again is reported this often.
const REMIND: Duration = Duration::from_secs(30);

/// Until when calls that AWS does not answer for the moment are made again.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// For throttled calls and errors of the service: these pass.
    pub until: Instant,
    /// For calls without any answer. A network or an endpoint that is set up wrongly does not pass, so this is
    /// shorter until there is a deployment to follow.
    pub unanswered: Duration,
}

impl RetryPolicy {
    /// Retries for `time` from now on.
    pub fn within(time: Duration) -> Self {
        Self {
            until: Instant::now() + time,
            unanswered: Duration::from_secs(20).min(time),
        }
    }

    /// The same for calls without an answer too: there is a deployment that was seen, and it is followed to the end.
    #[must_use]
    pub fn following(time: Duration) -> Self {
        Self {
            until: Instant::now() + time,
            unanswered: time,
        }
    }

    /// Makes a call, and makes it again for as long as AWS does not take it and the time is not over. `failure` says how it failed, if the
    /// same call may succeed later, and `again` reports that it is made again.
    ///
    /// # Errors
    /// The first failure that does not pass, or the last one.
    pub async fn run<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        send: impl Fn() -> F,
        failure: impl Fn(&E) -> Option<Failure>,
        again: impl Fn(&E),
    ) -> Result<T, E> {
        let began = Instant::now();
        let mut waits = backoff::endless(Duration::from_millis(250), 2.0, Duration::from_secs(8));
        let mut reported: Option<Instant> = None;
        loop {
            let error = match send().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let retries = |wait: &Duration| {
                failure(&error).is_some_and(|failure| self.retries(failure, began, *wait))
            };
            let Some(wait) = waits.next().filter(retries) else {
                return Err(error);
            };
            if reported.is_none_or(|at| at.elapsed() >= REMIND) {
                again(&error);
                reported = Some(Instant::now());
            }
            sleep(wait).await;
        }
    }

    /// Returns true if a call that began at `began` and failed like this is to be made again after `wait`.
    fn retries(&self, failure: Failure, began: Instant, wait: Duration) -> bool {
        let next = Instant::now() + wait;
        match failure {
            Failure::Throttled | Failure::Unavailable => next < self.until,
            // The SDK measured the difference to AWS's clock, and signs the next try with AWS's time.
            Failure::NoAnswer | Failure::Skewed => {
                next < self.until && next < began + self.unanswered
            }
            Failure::Denied | Failure::Expired | Failure::Missing | Failure::Rejected => false,
        }
    }
}

/// The longest wait between two looks, without jitter.
const LONGEST: Duration = Duration::from_millis(750);

/// The waits between looks at a service: short after something changed, longer while nothing does.
pub struct PollInterval(Box<dyn Iterator<Item = Duration>>);

impl PollInterval {
    /// Begins short.
    #[expect(clippy::new_without_default, reason = "it begins, it is not empty")]
    pub fn new() -> Self {
        // The end is seen within two seconds: jitter makes the longest wait 1.5 s at most, which leaves half a second for the
        // calls of a look. A look at a deployment is five calls, so a quiet one costs about four a second, far below what ECS
        // allows an account (20 a second: ECS, "Request throttling").
        Self(Box::new(backoff::endless(
            Duration::from_millis(400),
            1.25,
            LONGEST,
        )))
    }

    /// How long to wait after a look that saw a change or did not.
    pub fn next(&mut self, changed: bool) -> Duration {
        if changed {
            *self = Self::new();
        }
        self.0.next().unwrap_or(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_slow_down_to_a_limit_and_start_over_on_a_change() {
        let mut interval = PollInterval::new();
        let waits: Vec<Duration> = (0..40).map(|_| interval.next(false)).collect();
        assert!(waits[0] <= Duration::from_millis(800), "{waits:?}");
        // Two seconds after the event there is to be a verdict, and the calls of the look that sees it take some of them.
        assert!(
            waits[39] >= LONGEST
                && waits
                    .iter()
                    .all(|wait| *wait <= Duration::from_millis(1500)),
            "{waits:?}"
        );
        assert!(interval.next(true) <= Duration::from_millis(800));
    }

    #[tokio::test]
    async fn transient_failures_are_retried_until_the_deadline_and_refusals_are_not() {
        let policy = RetryPolicy::within(Duration::from_secs(600));
        let began = Instant::now();
        let (soon, late) = (Duration::from_secs(60), Duration::from_secs(601));
        for (failure, wait, again) in [
            (Failure::Throttled, soon, true),
            (Failure::Throttled, late, false),
            (Failure::Unavailable, soon, true),
            (Failure::NoAnswer, Duration::from_secs(1), true),
            (Failure::NoAnswer, soon, false),
            (Failure::Skewed, Duration::from_secs(1), true),
            (Failure::Skewed, soon, false),
            (Failure::Denied, Duration::ZERO, false),
            (Failure::Missing, Duration::ZERO, false),
            (Failure::Rejected, Duration::ZERO, false),
        ] {
            assert_eq!(
                policy.retries(failure, began, wait),
                again,
                "{failure:?} {wait:?}"
            );
        }
        let following = RetryPolicy::following(Duration::from_secs(600));
        assert!(following.retries(Failure::NoAnswer, began, soon));
    }
}
