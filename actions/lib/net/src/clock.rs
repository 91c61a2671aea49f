//! AWS's time, and how far this machine's clock is from it, by the `Date` of AWS's answers. The SDK signs requests with AWS's time where
//! the two differ, so a wrong clock is noticed almost nowhere else.

use crate::prose;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::retry::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, OffsetDateTime};

/// The code by which S3 refuses the time of a request (S3 API Reference, "Error responses").
pub(crate) const S3_CODE: &str = "RequestTimeTooSkewed";

/// Has a client make a call again that was refused for its time although the clock is right when the refusal comes. So it is where the
/// clock was off and has just been set: the SDK signed with the difference that it had measured before, measures none now, and takes
/// the refusal for that of a wrong signature.
#[derive(Debug, Clone, Copy)]
pub struct ClockWasSet;

impl ClassifyRetry for ClockWasSet {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let body = context
            .response()
            .filter(|answer| matches!(answer.status().as_u16(), 400 | 403))
            .and_then(|answer| answer.body().bytes());
        let text = body.map(String::from_utf8_lossy).unwrap_or_default();
        match text.contains(S3_CODE) || prose::holds_refused_time(&text) {
            true => RetryAction::retryable_error(ErrorKind::ServerError),
            false => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "clock was set"
    }
}

/// How far, in seconds, the two clocks may be apart and count as one: the dates of answers are whole seconds, and answers take a while.
const SAME: i64 = 5;

/// By how much the machine is ahead of an answer's `Date`, negative if it is behind; nothing if that is not a date.
pub(crate) fn ahead(date: Option<&str>, now: OffsetDateTime) -> Option<Duration> {
    Some(now - instant(date?)?)
}

/// The instant that a `Date` names.
fn instant(date: &str) -> Option<OffsetDateTime> {
    let date = DateTime::from_str(date, Format::HttpDate).ok()?;
    OffsetDateTime::from_unix_timestamp(date.secs()).ok()
}

/// AWS's clock, by the newest answer that said the time. Between answers it goes on with the time since the machine started, which
/// nobody sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct AwsClock(Arc<Mutex<Option<Answered>>>);

/// The time that an answer said, and how long the machine had run when it came.
#[derive(Clone, Copy, Debug)]
struct Answered {
    date: OffsetDateTime,
    uptime: std::time::Duration,
}

impl AwsClock {
    /// Takes the `Date` of an answer that came when the machine had run for so long. One that is not a date says nothing.
    pub(crate) fn answered(&self, date: Option<&str>, uptime: std::time::Duration) {
        if let Some(date) = date.and_then(instant) {
            let answered = Answered { date, uptime };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answered);
        }
    }

    /// AWS's time; nothing if no answer said one. `own` is the machine's, which is finer, and taken where the two agree.
    pub(crate) fn time(
        &self,
        own: OffsetDateTime,
        uptime: std::time::Duration,
    ) -> Option<OffsetDateTime> {
        let ahead = self.ahead(own, uptime)?;
        Some(match ahead.abs() > Duration::seconds(SAME) {
            true => own - ahead,
            false => own,
        })
    }

    /// By how much the machine's time `own` is ahead, negative if it is behind; nothing if no answer said the time.
    pub(crate) fn ahead(
        &self,
        own: OffsetDateTime,
        uptime: std::time::Duration,
    ) -> Option<Duration> {
        let answered = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Answered { date, uptime: then } = answered?;
        Some(own - (date + uptime.saturating_sub(then)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration as Std;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    /// RFC 9110, 5.6.7.
    fn date() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(784_111_777).unwrap()
    }

    #[test]
    fn the_newest_date_of_an_answer_tells_how_far_the_clock_is_off() {
        let clock = AwsClock::default();
        for (date_said, uptime, own, wanted) in [
            (None, 100, 0, None),
            (Some("yesterday"), 100, 0, None),
            (Some(DATE), 100, 90, Some(90)),
            (Some(DATE), 200, -600, Some(-600)),
            (None, 230, -570, Some(-600)),
        ] {
            let uptime = Std::from_secs(uptime);
            clock.answered(date_said, uptime);
            let ahead = clock.ahead(date() + Duration::seconds(own), uptime);
            assert_eq!(ahead, wanted.map(Duration::seconds), "{date_said:?}");
        }
    }

    #[test]
    fn the_time_is_awss_whatever_the_machine_says() {
        let clock = AwsClock::default();
        assert_eq!(clock.time(date(), Std::ZERO), None);
        clock.answered(Some(DATE), Std::from_secs(100));
        // The machine's clock, and AWS's a minute after the answer.
        for (own, wanted) in [
            (60, 60),
            (63, 63),
            (57, 57),
            (1260, 60),
            (-1140, 60),
            (1_000_000, 60),
        ] {
            let own = date() + Duration::seconds(own);
            let wanted = date() + Duration::seconds(wanted);
            assert_eq!(clock.time(own, Std::from_secs(160)), Some(wanted), "{own}");
        }
    }
}
