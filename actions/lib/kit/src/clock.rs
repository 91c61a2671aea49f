//! Time, injected, so that tests decide what it is.

use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The source of a step's time.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A fixed instant, for tests.
    Fixed(OffsetDateTime),
}

impl Clock {
    /// Now, in UTC.
    pub fn now(self) -> OffsetDateTime {
        match self {
            Clock::System => OffsetDateTime::now_utc(),
            Clock::Fixed(at) => at,
        }
    }
}

/// Time since the machine started, suspended time included: the same for every process of the
/// machine, and untouched by whoever sets its clock (clock_gettime(2), `CLOCK_BOOTTIME`).
pub fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

/// `at` as RFC 3339 in UTC with whole seconds, as reports and records write it.
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC)
        .replace_nanosecond(0)
        .unwrap_or(at)
        .format(&Rfc3339)
        .unwrap_or_else(|_| at.unix_timestamp().to_string())
}

/// The last year whose times are read. Callers add hours or years to such a time, and there are no times after 9999.
const LAST_YEAR: i32 = 9000;

/// The instant that an RFC 3339 text names, if it is one.
pub fn instant(text: &str) -> Option<OffsetDateTime> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    (1..=LAST_YEAR).contains(&instant.year()).then_some(instant)
}

/// So many seconds after an instant; nothing if there is no such time.
pub fn seconds_after(instant: OffsetDateTime, seconds: u64) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(seconds).ok()?;
    instant.checked_add(time::Duration::seconds(seconds))
}

/// A duration as people say it: `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 2 h`.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (big, big_unit, small, small_unit) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3600 => (seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => (seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => (seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    };
    if small == 0 {
        format!("{big} {big_unit}")
    } else {
        format!("{big} {big_unit} {small} {small_unit}")
    }
}

/// Reads `600` (seconds), `90s`, `10m` or `1h30m`, as arguments take durations.
///
/// # Errors
/// Anything else, with the form that is expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write 600, 90s, 10m or 1h30m");
    let mut total: u64 = 0;
    // Units go from large to small, each once.
    let mut largest = u64::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let mut units = after.chars();
        let factor = match units.next() {
            Some('d') => 86_400,
            Some('h') => 3600,
            Some('m') => 60,
            Some('s') => 1,
            None if largest == u64::MAX => 1,
            _ => return Err(wrong()),
        };
        if factor >= largest {
            return Err(wrong());
        }
        largest = factor;
        rest = units.as_str();
        total += u64::from(number) * factor;
    }
    match largest {
        u64::MAX => Err(wrong()),
        _ => Ok(Duration::from_secs(total)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_spoken() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (200, "3 min 20 s"),
            (7500, "2 h 5 min"),
            (352_800, "4 d 2 h"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn durations_are_numbers_with_units_or_seconds() {
        for (text, seconds) in [
            ("600", 600),
            ("0", 0),
            ("0s", 0),
            ("10m", 600),
            ("1h30m", 5400),
            ("1d1s", 86_401),
            ("2h", 7200),
            ("4294967295d", 371_085_174_288_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in [
            "",
            "m",
            "-1s",
            "+1s",
            "1.5h",
            "1 h",
            "1ü",
            "1h30",
            "1m1h",
            "1m1m",
            "1h 30m",
            "4294967296s",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
