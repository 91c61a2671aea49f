//! Which approvals of a pull request count, and why the others do not. Pure.

use super::facts::{Change, Fact, Unknown};
use super::people::{contributors, opinions, short};
use github::{Review, User};

/// The reviews of one pull request, judged.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    /// People whose approval counts.
    pub(super) valid: Vec<User>,
    /// People with write access who request changes.
    pub(super) objections: Vec<User>,
    /// Approvals that do not count, with the reason.
    pub(super) ignored: Vec<String>,
    /// Facts that could not be determined and might have counted either way.
    pub(super) unknown: Vec<Unknown>,
}

/// Judges each review. An approval counts if it is the reviewer's latest opinion, was given to the
/// final head, and comes from a person with write access who did not contribute to the change.
///
/// # Errors
/// The reviews or the contributors are unknown.
pub(super) fn approvals(change: &Change) -> Fact<Approvals> {
    let reviews = change.reviews.clone()?;
    let contributors = contributors(change)?;
    let mut found = Approvals::default();
    for (user, review) in opinions(&reviews) {
        match review.state.as_str() {
            "APPROVED" => {
                if let Some(reason) = reason_to_ignore(change, user, review, &contributors) {
                    found.ignored.push(reason);
                    continue;
                }
                match may_write(change, user) {
                    Ok(true) => found.valid.push(user.clone()),
                    Ok(false) => found
                        .ignored
                        .push(format!("{} has no write access", user.login)),
                    Err(unknown) => found.unknown.push(unknown),
                }
            }
            "CHANGES_REQUESTED" if user.is_person() => match may_write(change, user) {
                Ok(true) => found.objections.push(user.clone()),
                Ok(false) => {}
                Err(unknown) => found.unknown.push(unknown),
            },
            "DISMISSED" => found
                .ignored
                .push(format!("{}'s review was dismissed", user.login)),
            _ => {}
        }
    }
    Ok(found)
}

fn reason_to_ignore(
    change: &Change,
    user: &User,
    review: &Review,
    contributors: &[User],
) -> Option<String> {
    let head = &change.pull.head.sha;
    if !user.is_person() {
        return Some(format!("{} is not a person", user.login));
    }
    if contributors.iter().any(|other| other.id == user.id) {
        return Some(format!("{} contributed to the change", user.login));
    }
    match &review.commit_id {
        Some(seen) if seen == head => None,
        Some(seen) => Some(format!(
            "{} approved {}, which is not the final head {}",
            user.login,
            short(seen),
            short(head)
        )),
        None => Some(format!(
            "{} approved a commit that no longer exists, not the final head {}",
            user.login,
            short(head)
        )),
    }
}

fn may_write(change: &Change, user: &User) -> Fact<bool> {
    let not_looked_up = || {
        Unknown::new(
            format!("{}'s permission was not looked up", user.login),
            "try again",
        )
    };
    let permission = change
        .permissions
        .get(&user.id)
        .cloned()
        .ok_or_else(not_looked_up)??;
    match &permission.user {
        // The login may have passed to another account since the review.
        Some(owner) if owner.id != user.id => Err(Unknown::new(
            format!("the login {} now belongs to another account", user.login),
            "have another person approve",
        )),
        _ => Ok(permission.can_write()),
    }
}
