//! Which approvals of a pull request count, and why the others do not. Pure.

use super::facts::{Change, Fact, Unknown};
use super::people::{contributors, opinions, short};
use github::{Review, User};

/// The judgement on one pull request.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    /// People whose approval counts.
    pub(super) valid: Vec<User>,
    /// People who may write here and ask for changes.
    pub(super) objections: Vec<User>,
    /// Approvals that do not count, with the reason.
    pub(super) ignored: Vec<String>,
    /// What could not be seen, and might have counted either way.
    pub(super) unknown: Vec<Unknown>,
}

/// Judges each review. An approval counts when it stands, was given to the final head, comes from
/// a person who may write here, and that person had no hand in the change.
///
/// # Errors
/// Reviews or contributors are unknown, so that nothing can be said of any.
pub(super) fn approvals(change: &Change) -> Fact<Approvals> {
    let reviews = change.reviews.clone()?;
    let contributors = contributors(change)?;
    let mut found = Approvals::default();
    for (user, review) in opinions(&reviews) {
        match review.state.as_str() {
            "APPROVED" => {
                if let Some(reason) = worthless(change, user, review, &contributors) {
                    found.ignored.push(reason);
                    continue;
                }
                match may_write(change, user) {
                    Ok(true) => found.valid.push(user.clone()),
                    Ok(false) => found
                        .ignored
                        .push(format!("{} may not write here", user.login)),
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
                .push(format!("the review of {} was dismissed", user.login)),
            _ => {}
        }
    }
    Ok(found)
}

fn worthless(
    change: &Change,
    user: &User,
    review: &Review,
    contributors: &[User],
) -> Option<String> {
    let head = &change.pull.head.sha;
    if !user.is_person() {
        return Some(format!("{} is no person", user.login));
    }
    if contributors.iter().any(|other| other.id == user.id) {
        return Some(format!("{} had a hand in it", user.login));
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
            "{} approved a head that is gone, not the final {}",
            user.login,
            short(head)
        )),
    }
}

fn may_write(change: &Change, user: &User) -> Fact<bool> {
    let unseen = || {
        Unknown::new(
            format!("what {} may do here was not seen", user.login),
            "try again",
        )
    };
    let permission = change
        .permissions
        .get(&user.id)
        .cloned()
        .ok_or_else(unseen)??;
    match &permission.user {
        // The login in the question may belong to somebody else by now.
        Some(owner) if owner.id != user.id => Err(Unknown::new(
            format!("the login {} belongs to another account now", user.login),
            "let somebody else approve",
        )),
        _ => Ok(permission.can_write()),
    }
}
