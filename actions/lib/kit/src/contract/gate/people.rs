//! The people whom a gate names: those whose reviews count, those who approve promotions, and those who may use break-glass.

use super::seconds;
use crate::contract::declared::{Approve, BreakGlass, Declared, Gate};
use crate::contract::diagnostics::{At, Mistake, Mistakes, SourceSpan, nearest};
use crate::contract::text::{Approver, Text};

/// How long a break-glass may stay open at most: a day.
const LONGEST: u64 = 86_400;
/// How long a request stays open at least, so that people can answer it, and at most: a week.
const REQUEST_SPAN: std::ops::RangeInclusive<u64> = 60..=604_800;

/// Those whose reviews count are people that the contract knows, each once, and there are enough of them.
pub(super) fn check_reviewers(
    declared: &Declared,
    gate: &Gate,
    named: &At<Vec<At<Text<Approver>>>>,
    mistakes: &mut Mistakes,
) {
    let empty = (
        "`reviewers` is empty, so no review could count",
        "name at least one, or remove `reviewers`: then the reviews of everybody with write access count",
    );
    check_named(declared, named, empty, "a person reviews once", mistakes);
    let Some(approvals) = &gate.approvals else {
        return;
    };
    if approvals.value == 0 {
        let message = "no review is asked for, so it does not matter whose would count";
        mistakes.add(
            Mistake::new(named.span.clone(), message)
                .related(approvals.span.clone(), "none is asked for here")
                .hint("ask for at least 1, or remove `reviewers`"),
        );
    } else if are_too_few(named, approvals.value) {
        let message = format!(
            "{} are asked to approve each pull request, and the reviews of {} count",
            approvals.value,
            named.value.len()
        );
        mistakes.add(
            Mistake::new(approvals.span.clone(), message)
                .related(named.span.clone(), "these count")
                .hint("name more people, or ask for fewer"),
        );
    }
}

/// Returns true if fewer people are named than are asked. How many are in a team only GitHub knows.
fn are_too_few(named: &At<Vec<At<Text<Approver>>>>, asked: u32) -> bool {
    let most = named.value.len();
    let teams = named.value.iter().any(|entry| is_team(&entry.value.0));
    usize::try_from(asked).is_ok_and(|asked| asked > most) && most > 0 && !teams
}

/// Checks that each of those named is a team, or a person that the contract knows, once.
fn check_named(
    declared: &Declared,
    named: &At<Vec<At<Text<Approver>>>>,
    (empty, instead): (&str, &str),
    once: &str,
    mistakes: &mut Mistakes,
) {
    if named.value.is_empty() && named.span != SourceSpan::default() {
        mistakes.add(Mistake::new(named.span.clone(), empty).hint(instead));
    }
    for (index, person) in named.value.iter().enumerate() {
        let login = person.value.0.as_str();
        let earlier = named.value[..index].iter();
        if let Some(first) = earlier.into_iter().find(|person| person.value.0 == login) {
            mistakes.add(
                Mistake::new(person.span.clone(), format!("{login} is named twice"))
                    .related(first.span.clone(), "first here")
                    .hint(format!("keep one of them: {once}")),
            );
        } else if !is_team(login) {
            check_known(declared, person, mistakes);
        }
    }
}

pub(super) fn check_break_glass(declared: &Declared, glass: &BreakGlass, mistakes: &mut Mistakes) {
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
pub(super) fn is_team(name: &str) -> bool {
    name.contains('/')
}

/// A person who decides is known by the number of the account: a login can pass to somebody else, who would decide then.
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
pub(super) fn check_approve(declared: &Declared, approve: &Approve, mistakes: &mut Mistakes) {
    let named = &approve.people;
    let empty = (
        "`people` is empty, so nobody could approve anything",
        "name at least one, or remove `approve`",
    );
    check_named(declared, named, empty, "a person approves once", mistakes);
    if let Some(count) = &approve.count {
        let most = named.value.len();
        if count.value == 0 {
            mistakes.add(
                Mistake::new(count.span.clone(), "no approvals are asked for here")
                    .hint("at least 1, or remove `approve`"),
            );
        } else if are_too_few(named, count.value) {
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
    if let (Some(notify), Some(repository)) = (&approve.notify, &approve.repository)
        && notify.value.0 == "issue"
    {
        mistakes.add(
            Mistake::new(
                notify.span.clone(),
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
