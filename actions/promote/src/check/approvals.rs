//! The approvals of a pull request that count, and why the others do not. Pure.

use super::change::Change;
use super::fact::{Fact, Unknown};
use super::people::{Contributors, contributors, opinions, short};
use super::persons::{Key, Persons};
use crate::setting::Setting;
use github::{Event, Review, User};

/// The reviews of one pull request, judged.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    /// People whose approval counts, each once.
    pub(super) valid: Vec<User>,
    /// The objections of people with write access, and why each still counts.
    pub(super) objections: Vec<String>,
    /// Approvals that do not count, with the reason.
    pub(super) ignored: Vec<String>,
    /// Facts that could not be determined and might have counted either way.
    pub(super) unknown: Vec<Unknown>,
    /// Contributors of whom no person is known; with any, one more person must approve.
    pub(super) unattributed: Vec<String>,
}

impl Approvals {
    /// The persons whose approval counts.
    pub(super) fn keys(&self, persons: &Persons<'_>) -> Vec<Key> {
        self.valid.iter().map(|user| persons.key(user)).collect()
    }
}

/// Judges each review. An approval counts if it is the reviewer's latest opinion, was given to the
/// final head and for the branch that the change went to, and comes from a person with write access who
/// did not contribute to the change, and whom the gate's `reviewers` names if it names anybody. Everybody
/// with write access may object.
///
/// # Errors
/// The contributors are unknown.
pub(super) fn approvals(change: &Change, setting: &Setting) -> Fact<Approvals> {
    let persons = &setting.persons();
    let contributors = contributors(change, persons)?;
    let mut found = Approvals {
        unattributed: contributors.unattributed.clone(),
        ..Approvals::default()
    };
    for (user, review) in opinions(&change.pull.reviews) {
        match review.state.as_str() {
            "APPROVED" => {
                let reason = reason_to_ignore(change, user, review, &contributors, persons)
                    .or_else(|| same_person(&found.valid, user, persons));
                match (reason, is_reviewer(setting, change, user)) {
                    (Some(reason), _) => found.ignored.push(reason),
                    (None, Ok(true)) => found.valid.push(user.clone()),
                    (None, Ok(false)) => found.ignored.push(format!(
                        "{} is not one of the gate's `reviewers`",
                        user.login
                    )),
                    (None, Err(unknown)) => found.unknown.push(unknown),
                }
            }
            "CHANGES_REQUESTED" if user.is_person() && review.may_push => {
                found
                    .objections
                    .push(format!("{} requested changes", user.login));
            }
            "DISMISSED" => dismissed(change, user, review, &contributors, persons, &mut found),
            _ => {}
        }
    }
    Ok(found)
}

/// Returns true if reviews of this account's person count: the gate's `reviewers` names the person, or a team that the person is in, or
/// the gate names nobody.
///
/// # Errors
/// The members of such a team are unknown.
fn is_reviewer(setting: &Setting, change: &Change, user: &User) -> Fact<bool> {
    let Some(reviewers) = &setting.gate.reviewers else {
        return Ok(true);
    };
    let persons = setting.persons();
    let key = persons.key(user);
    let listed = |name: &String| key == Key::Listed(name.clone());
    if reviewers.people.iter().any(listed) {
        return Ok(true);
    }
    let mut members = change
        .team_reviewers
        .as_deref()
        .map_err(Clone::clone)?
        .iter();
    Ok(members.any(|member| member.is_person() && persons.key(member) == key))
}

fn reason_to_ignore(
    change: &Change,
    user: &User,
    review: &Review,
    contributors: &Contributors,
    persons: &Persons<'_>,
) -> Option<String> {
    let head = &change.pull.head;
    let login = &user.login;
    if !user.is_person() {
        return Some(format!("{login} is not a person"));
    }
    if let Some(name) = contributors.persons.get(&persons.key(user)) {
        return Some(match name == login {
            true => format!("{login} contributed to the change"),
            false => format!("{login} is {name}, who contributed to the change"),
        });
    }
    if !review.may_push {
        return Some(format!("{login} has no write access"));
    }
    match &review.commit {
        Some(seen) if seen == head => {}
        Some(seen) => {
            return Some(format!(
                "{login} approved {}, which is not the final head {}",
                short(seen),
                short(head)
            ));
        }
        None => {
            return Some(format!(
                "{login} approved a commit that no longer exists, not the final head {}",
                short(head)
            ));
        }
    }
    // An approval is for a base branch too. Times are whole seconds, so an approval in the same second may have come before.
    let retargeted = change.pull.events.iter().find_map(|event| match event {
        Event::BaseChanged { at, from, .. }
            if review.submitted_at.as_ref().is_none_or(|given| given <= at) =>
        {
            Some(from)
        }
        _ => None,
    });
    retargeted.map(|from| {
        format!(
            "{login} approved it for {from}, before it was pointed at {}",
            change.pull.base_branch
        )
    })
}

fn same_person(valid: &[User], user: &User, persons: &Persons<'_>) -> Option<String> {
    let key = persons.key(user);
    let other = valid.iter().find(|other| persons.key(other) == key)?;
    Some(format!(
        "{} is the same person as {}",
        user.login, other.login
    ))
}

/// A dismissed review: an objection that a contributor dismissed still stands.
fn dismissed(
    change: &Change,
    user: &User,
    review: &Review,
    contributors: &Contributors,
    persons: &Persons<'_>,
    found: &mut Approvals,
) {
    let event = change
        .pull
        .events
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::Dismissed {
                actor,
                review: Some(id),
                was,
            } if *id == review.id => Some((actor.as_ref(), was.as_str())),
            _ => None,
        });
    let login = &user.login;
    match event {
        Some((_, was)) if was != "CHANGES_REQUESTED" => {
            found
                .ignored
                .push(format!("{login}'s review was dismissed"));
        }
        _ if !review.may_push || !user.is_person() => {}
        Some((Some(actor), _)) => {
            if contributors.persons.contains_key(&persons.key(actor)) || !actor.is_person() {
                found.objections.push(format!(
                    "{login} requested changes, and {}, who contributed, dismissed that",
                    actor.login
                ));
            }
        }
        Some((None, _)) | None => found.unknown.push(Unknown::new(
            format!("GitHub does not tell who dismissed {login}'s review, or what it said"),
            format!("have {login} review it again"),
        )),
    }
}
