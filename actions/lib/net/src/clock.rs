//! How far this machine's clock is from AWS's, by the `Date` of AWS's answers. The SDK signs requests with AWS's time where the two
//! differ, so a wrong clock is noticed almost nowhere else.

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::retry::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, OffsetDateTime};

/// The code by which S3 refuses the time of a request (S3 API Reference, "Error responses").
pub(crate) const S3_CODE: &str = "RequestTimeTooSkewed";

/// The beginnings of the messages by which other services do, under a code that also means a wrong signature (IAM User Guide,
/// "Troubleshoot Signature Version 4 signing").
pub(crate) const MESSAGES: [&str; 2] = ["Signature expired", "Signature not yet current"];

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
        let mut words = MESSAGES.iter().chain([&S3_CODE]);
        match words.any(|words| text.contains(words)) {
            true => RetryAction::retryable_error(ErrorKind::ServerError),
            false => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "clock was set"
    }
}

/// The difference by the newest answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockOffset(Arc<Mutex<Option<Duration>>>);

/// By how much the machine is ahead of an answer's `Date`, negative if it is behind; nothing if that is not a date.
pub(crate) fn ahead(date: Option<&str>, now: OffsetDateTime) -> Option<Duration> {
    let date = DateTime::from_str(date?, Format::HttpDate).ok()?;
    let date = OffsetDateTime::from_unix_timestamp(date.secs()).ok()?;
    Some(now - date)
}

impl ClockOffset {
    /// Takes the `Date` of an answer that came at this time of the machine. One that is not a date says nothing.
    pub(crate) fn answered(&self, date: Option<&str>, now: OffsetDateTime) {
        if let Some(ahead) = ahead(date, now) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
    }

    /// By how much the machine is ahead, negative if it is behind; nothing if no answer said the time.
    pub(crate) fn ahead(&self) -> Option<Duration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_date_of_an_answer_tells_how_far_the_clock_is_off() {
        let offset = ClockOffset::default();
        // RFC 9110, 5.6.7.
        let noon = OffsetDateTime::from_unix_timestamp(784_111_777).unwrap();
        for (date, now, wanted) in [
            (None, 0, None),
            (Some("yesterday"), 0, None),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), 90, Some(90)),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), -600, Some(-600)),
            (None, 0, Some(-600)),
        ] {
            offset.answered(date, noon + Duration::seconds(now));
            assert_eq!(offset.ahead(), wanted.map(Duration::seconds), "{date:?}");
        }
    }
}
