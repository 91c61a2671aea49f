//! Freeze windows in local time. A window is a matter of what the clock on the wall shows: an hour
//! that a change of the clocks repeats is frozen twice, and one that it leaves out is not frozen.
//! Pure.

use super::Conditions;
use crate::check::Subject;
use crate::check::answer::{Finding, fail, not_asked, pass, unknown};
use crate::check::fact::{Fact, Unknown};
use crate::setting::Setting;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};
use kit::contract::{Freeze, Weekday};

/// Ends of windows that are followed to find the next opening: a year of daily windows and more.
const STEPS: usize = 1000;

pub(super) fn freeze(setting: &Setting, _: &Subject, conditions: &Conditions) -> Finding {
    if setting.gate.freeze.is_empty() {
        return not_asked("the contract has no freeze windows");
    }
    let frozen = Timestamp::from_second(conditions.now.unix_timestamp())
        .map_err(|error| unreadable(&error.to_string()))
        .and_then(|now| Windows::of(&setting.gate.freeze)?.at(now));
    match frozen {
        Err(reason) => unknown(&reason),
        Ok(None) => pass("no freeze window is open now".to_owned()),
        Ok(Some(frozen)) => {
            let next = match &frozen.opens {
                Some(opens) => format!(
                    "promote from {} on ({})",
                    opens.timestamp(),
                    opens.strftime("%A %H:%M %Z")
                ),
                None => "change `freeze` in the contract: no end of it can be found".to_owned(),
            };
            fail(format!("frozen: {}", frozen.windows.join("; ")), next)
        }
    }
}

fn unreadable(why: &str) -> Unknown {
    Unknown::new(
        format!("the freeze windows cannot be read: {why}"),
        "correct `freeze` in the contract",
    )
}

/// That nothing is promoted now.
#[derive(Debug)]
struct Frozen {
    /// The windows that say so.
    windows: Vec<String>,
    /// When none does any more, in the time zone of the window that ends last.
    opens: Option<Zoned>,
}

struct Windows<'a>(Vec<Window<'a>>);

impl<'a> Windows<'a> {
    fn of(freezes: &'a [Freeze]) -> Fact<Self> {
        Ok(Self(
            freezes.iter().map(Window::of).collect::<Fact<Vec<_>>>()?,
        ))
    }

    fn at(&self, now: Timestamp) -> Fact<Option<Frozen>> {
        let mut windows = Vec::new();
        for window in &self.0 {
            if window.end(now)?.is_some() {
                windows.push(window.to_string());
            }
        }
        if windows.is_empty() {
            return Ok(None);
        }
        let opens = self.opens(now)?;
        Ok(Some(Frozen { windows, opens }))
    }

    /// Follows one window's end to the next window that is open then.
    fn opens(&self, now: Timestamp) -> Fact<Option<Zoned>> {
        let mut last: Option<Zoned> = None;
        for _ in 0..STEPS {
            let then = last.as_ref().map_or(now, Zoned::timestamp);
            let mut end = None;
            for window in &self.0 {
                end = window.end(then)?;
                if end.is_some() {
                    break;
                }
            }
            match end {
                None => return Ok(last),
                Some(end) => last = Some(end),
            }
        }
        Ok(None)
    }
}

/// A freeze whose texts were read.
struct Window<'a> {
    declared: &'a Freeze,
    zone: TimeZone,
    from: Time,
    /// `None` is the end of the day.
    to: Option<Time>,
    days: Option<(Date, Date)>,
}

impl<'a> Window<'a> {
    fn of(declared: &'a Freeze) -> Fact<Self> {
        let read = || -> Result<Self, jiff::Error> {
            let to = declared.to.as_deref().filter(|to| *to != "24:00");
            let from = declared.from.as_deref();
            let days = declared.days.as_ref();
            Ok(Self {
                declared,
                zone: TimeZone::get(&declared.time_zone)?,
                from: from.map_or(Ok(Time::midnight()), str::parse)?,
                to: to.map(str::parse).transpose()?,
                days: days
                    .map(|(first, last)| Ok::<_, jiff::Error>((first.parse()?, last.parse()?)))
                    .transpose()?,
            })
        };
        read().map_err(|error| unreadable(&error.to_string()))
    }

    /// When the window ends that is open at `now`, if one is.
    fn end(&self, now: Timestamp) -> Fact<Option<Zoned>> {
        let local = now.to_zoned(self.zone.clone()).datetime();
        let Some(end) = self.local_end(local)? else {
            return Ok(None);
        };
        let instant = self.instant(end, now)?;
        Ok(Some(instant.to_zoned(self.zone.clone())))
    }

    /// The same on the clock on the wall.
    fn local_end(&self, local: DateTime) -> Fact<Option<DateTime>> {
        let (today, time) = (local.date(), local.time());
        let tomorrow = today.tomorrow().map_err(out_of_range)?;
        let end = match self.to {
            None => (time >= self.from && self.is_on(today))
                .then(|| tomorrow.to_datetime(Time::midnight())),
            Some(to) if self.from < to => {
                (time >= self.from && time < to && self.is_on(today)).then(|| today.to_datetime(to))
            }
            // Over midnight: it belongs to the day on which it begins.
            Some(to) if time >= self.from && self.is_on(today) => Some(tomorrow.to_datetime(to)),
            Some(to) => {
                let yesterday = today.yesterday().map_err(out_of_range)?;
                (time < to && self.is_on(yesterday)).then(|| today.to_datetime(to))
            }
        };
        Ok(end)
    }

    fn is_on(&self, day: Date) -> bool {
        let weekdays = &self.declared.weekdays;
        let weekday = weekdays.is_empty() || weekdays.contains(&weekday(day));
        weekday
            && self
                .days
                .is_none_or(|(first, last)| day >= first && day <= last)
    }

    /// The first instant after `now` at which the clock on the wall shows `end` or is already past
    /// it.
    fn instant(&self, end: DateTime, now: Timestamp) -> Fact<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(end);
        if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
            // The clock never shows it: it is past it from the change on.
            let before = ambiguous.earlier().map_err(out_of_range)?;
            let change = self.zone.following(before).next();
            return change
                .map(|change| change.timestamp())
                .ok_or_else(|| unreadable("a change of the clocks is not known"));
        }
        let earlier = ambiguous.earlier().map_err(out_of_range)?;
        if earlier > now {
            return Ok(earlier);
        }
        self.zone
            .to_ambiguous_timestamp(end)
            .later()
            .map_err(out_of_range)
    }
}

fn out_of_range(error: jiff::Error) -> Unknown {
    unreadable(&error.to_string())
}

fn weekday(day: Date) -> Weekday {
    match day.weekday() {
        jiff::civil::Weekday::Monday => Weekday::Monday,
        jiff::civil::Weekday::Tuesday => Weekday::Tuesday,
        jiff::civil::Weekday::Wednesday => Weekday::Wednesday,
        jiff::civil::Weekday::Thursday => Weekday::Thursday,
        jiff::civil::Weekday::Friday => Weekday::Friday,
        jiff::civil::Weekday::Saturday => Weekday::Saturday,
        jiff::civil::Weekday::Sunday => Weekday::Sunday,
    }
}

impl std::fmt::Display for Window<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let declared = self.declared;
        let mut parts = Vec::new();
        if let Some((first, last)) = &declared.days {
            parts.push(format!("from {first} to {last}"));
        }
        if !declared.weekdays.is_empty() {
            let days: Vec<String> = declared
                .weekdays
                .iter()
                .map(|day| format!("{day:?}"))
                .collect();
            parts.push(days.join(", "));
        }
        if declared.from.is_some() || declared.to.is_some() {
            let from = declared.from.as_deref().unwrap_or("00:00");
            let to = declared.to.as_deref().unwrap_or("24:00");
            parts.push(format!("{from} to {to}"));
        }
        write!(f, "{} in {}", parts.join(", "), declared.time_zone)?;
        match &declared.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TORONTO: &str = "America/Toronto";

    fn window(zone: &str, from: Option<&str>, to: Option<&str>) -> Freeze {
        Freeze {
            time_zone: zone.to_owned(),
            weekdays: Vec::new(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            days: None,
            reason: None,
        }
    }

    /// When it opens again, if it is frozen.
    fn opens(freezes: &[Freeze], now: &str) -> Option<String> {
        let windows = Windows::of(freezes).unwrap();
        let frozen = windows.at(now.parse().unwrap()).unwrap();
        frozen.map(|frozen| frozen.opens.unwrap().timestamp().to_string())
    }

    #[track_caller]
    fn table(freezes: &[Freeze], rows: &[(&str, Option<&str>)]) {
        for (now, wanted) in rows {
            assert_eq!(opens(freezes, now).as_deref(), *wanted, "{now}");
        }
    }

    #[test]
    fn a_window_of_a_day_begins_at_its_first_minute_and_ends_before_its_last() {
        // In winter Toronto is five hours behind.
        table(
            &[window(TORONTO, Some("16:00"), Some("18:30"))],
            &[
                ("2026-12-01T20:59:59Z", None),
                ("2026-12-01T21:00:00Z", Some("2026-12-01T23:30:00Z")),
                ("2026-12-01T23:29:59Z", Some("2026-12-01T23:30:00Z")),
                ("2026-12-01T23:30:00Z", None),
            ],
        );
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        let mut friday = window("UTC", Some("22:00"), Some("06:00"));
        friday.weekdays = vec![Weekday::Friday];
        // The fourth is a Friday.
        table(
            &[friday],
            &[
                ("2026-12-04T05:00:00Z", None),
                ("2026-12-04T22:00:00Z", Some("2026-12-05T06:00:00Z")),
                ("2026-12-05T05:59:00Z", Some("2026-12-05T06:00:00Z")),
                ("2026-12-05T06:00:00Z", None),
                ("2026-12-05T22:00:00Z", None),
            ],
        );
    }

    #[test]
    fn windows_that_follow_one_another_open_after_the_last() {
        let mut evening = window(TORONTO, Some("16:00"), None);
        evening.weekdays = vec![Weekday::Friday];
        let mut weekend = window(TORONTO, None, None);
        weekend.weekdays = vec![Weekday::Saturday, Weekday::Sunday];
        let mut holidays = window("UTC", None, None);
        holidays.days = Some(("2026-12-07".to_owned(), "2026-12-08".to_owned()));
        table(
            &[weekend, holidays, evening],
            &[
                ("2026-12-04T20:59:00Z", None),
                // Friday, the weekend, then two days of holidays, which begin before the weekend ends.
                ("2026-12-04T21:00:00Z", Some("2026-12-09T00:00:00Z")),
                ("2026-12-08T23:59:59Z", Some("2026-12-09T00:00:00Z")),
                ("2026-12-09T00:00:00Z", None),
            ],
        );
    }

    /// On 2026-03-08 the clock goes from 02:00 EST (07:00 UTC) to 03:00 EDT.
    #[test]
    fn an_hour_that_the_clock_leaves_out_is_not_frozen() {
        table(
            &[window(TORONTO, Some("02:00"), Some("03:00"))],
            &[
                ("2026-03-07T07:30:00Z", Some("2026-03-07T08:00:00Z")),
                ("2026-03-08T06:59:59Z", None),
                ("2026-03-08T07:00:00Z", None),
            ],
        );
        // A window that ends in that hour ends when the clock changes; one that begins in it begins then.
        table(
            &[window(TORONTO, Some("01:00"), Some("02:30"))],
            &[
                ("2026-03-08T06:30:00Z", Some("2026-03-08T07:00:00Z")),
                ("2026-03-08T07:00:00Z", None),
            ],
        );
        table(
            &[window(TORONTO, Some("02:30"), Some("04:00"))],
            &[
                ("2026-03-08T06:59:59Z", None),
                ("2026-03-08T07:00:00Z", Some("2026-03-08T08:00:00Z")),
            ],
        );
    }

    /// On 2026-11-01 the clock goes from 02:00 EDT (06:00 UTC) back to 01:00 EST.
    #[test]
    fn an_hour_that_the_clock_repeats_is_frozen_twice() {
        table(
            &[window(TORONTO, Some("01:00"), Some("01:30"))],
            &[
                ("2026-11-01T05:00:00Z", Some("2026-11-01T05:30:00Z")),
                ("2026-11-01T05:30:00Z", None),
                ("2026-11-01T06:00:00Z", Some("2026-11-01T06:30:00Z")),
                ("2026-11-01T06:30:00Z", None),
            ],
        );
        // A whole day of 25 hours, and what ends where the repeated hour does.
        table(
            &[window(TORONTO, Some("00:00"), Some("02:00"))],
            &[
                ("2026-11-01T04:00:00Z", Some("2026-11-01T07:00:00Z")),
                ("2026-11-01T06:59:59Z", Some("2026-11-01T07:00:00Z")),
                ("2026-11-01T07:00:00Z", None),
            ],
        );
    }

    #[test]
    fn a_window_that_ends_when_it_begins_is_a_whole_day() {
        let all = [window("UTC", Some("10:00"), Some("10:00"))];
        let windows = Windows::of(&all).unwrap();
        for now in ["09:59:59", "10:00:00", "10:00:01"] {
            let now = format!("2026-12-01T{now}Z").parse().unwrap();
            assert!(windows.at(now).unwrap().is_some(), "{now}");
        }
    }

    #[test]
    fn an_endless_freeze_has_no_end_and_an_unknown_time_zone_is_an_error() {
        let all: Vec<Freeze> = vec![
            window("UTC", Some("00:00"), Some("12:00")),
            window("UTC", Some("12:00"), None),
        ];
        let windows = Windows::of(&all).unwrap();
        let frozen = windows.at("2026-12-01T00:00:00Z".parse().unwrap()).unwrap();
        assert!(frozen.unwrap().opens.is_none());
        assert!(Windows::of(&[window("Mars/Olympus", None, None)]).is_err());
    }

    #[test]
    fn a_window_is_described_as_it_is_declared() {
        let mut window = window(TORONTO, Some("16:00"), None);
        window.weekdays = vec![Weekday::Friday, Weekday::Saturday];
        window.days = Some(("2026-12-01".to_owned(), "2026-12-31".to_owned()));
        window.reason = Some("sales".to_owned());
        assert_eq!(
            Window::of(&window).unwrap().to_string(),
            "from 2026-12-01 to 2026-12-31, Friday, Saturday, 16:00 to 24:00 in America/Toronto (sales)"
        );
    }
}
