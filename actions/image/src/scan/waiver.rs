//! Findings that are let pass until a day. Pure.

use kit::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use time::Date;
use time::macros::format_description;

/// The waivers that were given, seen from today.
#[derive(Debug)]
pub(crate) struct Waivers {
    today: Date,
    until: BTreeMap<String, Date>,
}

impl Waivers {
    /// # Errors
    /// Something that is not ID=DAY, or one finding with two days (exit 2).
    pub(crate) fn parse(texts: &[String], today: Date) -> Result<Self> {
        let mut until = BTreeMap::new();
        for text in texts {
            let wrong = |why: &str| {
                Error::usage(format!("--waive `{text}` {why}"))
                    .hint("the finding's ID and the last day it may pass, e.g. CVE-2026-1234=2026-12-31; one per line")
            };
            let Some((id, day)) = text.split_once('=') else {
                return Err(wrong("is not ID=DAY"));
            };
            let day = Date::parse(day.trim(), format_description!("[year]-[month]-[day]"))
                .map_err(|_| wrong("does not end with a day"))?;
            let id = id.trim();
            if id.is_empty() || id.contains(char::is_whitespace) {
                return Err(wrong("names no finding"));
            }
            if until.insert(id.to_owned(), day).is_some() {
                return Err(wrong("names a finding a second time"));
            }
        }
        Ok(Self { today, until })
    }

    /// Until when the finding may pass, today included; `None` where it may not.
    pub(crate) fn passes(&self, id: &str) -> Option<Date> {
        self.until.get(id).copied().filter(|day| self.today <= *day)
    }

    /// The notes about the waivers, when these are all IDs that were found.
    pub(crate) fn notes(&self, found: &BTreeSet<&str>) -> Vec<String> {
        self.until
            .iter()
            .filter_map(|(id, day)| match found.contains(id.as_str()) {
                true if self.today > *day => Some(format!(
                    "the waiver of {id} ended on {day}; it no longer passes"
                )),
                true => None,
                false => Some(format!(
                    "the waiver of {id} until {day} is not needed: nothing of that ID was found"
                )),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    fn of(texts: &[&str]) -> Result<Waivers> {
        let texts: Vec<String> = texts.iter().map(|one| (*one).to_owned()).collect();
        Waivers::parse(&texts, date!(2026 - 11 - 21))
    }

    #[test]
    fn a_waiver_holds_through_its_last_day() {
        let waivers = of(&[
            "CVE-2026-1=2026-11-20",
            "CVE-2026-2=2026-11-21",
            "CVE-2026-3 = 2027-01-01",
        ])
        .unwrap();
        assert_eq!(waivers.passes("CVE-2026-1"), None);
        assert_eq!(waivers.passes("CVE-2026-2"), Some(date!(2026 - 11 - 21)));
        assert_eq!(waivers.passes("CVE-2026-3"), Some(date!(2027 - 01 - 01)));
        assert_eq!(waivers.passes("CVE-2026-4"), None);
        assert_eq!(
            waivers.notes(&BTreeSet::from(["CVE-2026-1", "CVE-2026-2"])),
            [
                "the waiver of CVE-2026-1 ended on 2026-11-20; it no longer passes",
                "the waiver of CVE-2026-3 until 2027-01-01 is not needed: nothing of that ID was found",
            ]
        );
    }

    #[test]
    fn a_waiver_without_an_end_is_none() {
        for texts in [
            &["CVE-1"][..],
            &["CVE-1="],
            &["CVE-1=never"],
            &["CVE-1=2026-02-30"],
            &["CVE-1=2026-1-1"],
            &["=2026-12-31"],
            &["CVE 1=2026-12-31"],
            &["CVE-1=2026-12-31", "CVE-1=2027-12-31"],
        ] {
            assert_eq!(of(texts).unwrap_err().exit(), kit::Exit::Usage, "{texts:?}");
        }
    }
}
