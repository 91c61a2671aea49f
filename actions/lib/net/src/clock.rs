//! How far this machine's clock is from AWS's, by the `Date` of AWS's answers. The SDK signs requests with AWS's time where the two
//! differ, so a wrong clock is noticed nowhere else.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, OffsetDateTime};

/// The difference by the newest answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockOffset(Arc<Mutex<Option<Duration>>>);

impl ClockOffset {
    /// Takes the `Date` of an answer that came at this time of the machine. One that is not a date says nothing.
    pub(crate) fn answered(&self, date: Option<&str>, now: OffsetDateTime) {
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        let date = date.and_then(|date| OffsetDateTime::from_unix_timestamp(date.secs()).ok());
        if let Some(date) = date {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now - date);
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
