//! Rollbacks and break-glass that nobody else has reviewed yet. Pure.

use super::Conditions;
use crate::check::Subject;
use crate::check::answer::{Finding, fail, not_asked, pass, unknown};
use crate::check::fact::{Fact, Unknown};
use crate::person::logins;
use crate::setting::Setting;
use crate::standing::{Debt, EnvironmentHistory};
use kit::id::Digest;
use ledger::Actor;

pub(super) fn rolled_back(
    setting: &Setting,
    subject: &Subject,
    conditions: &Conditions,
) -> Finding {
    if let (Some(record), Some(before)) = (&subject.trail.rolled_back, &setting.follows) {
        return fail(
            format!(
                "{before} was rolled back from it at {} (record {})",
                record.at, record.seq
            ),
            format!("promote another digest, or deploy this one to {before} again"),
        );
    }
    let hands = conditions.hands.get(&subject.digest);
    let unasked = Err(unseen(&subject.digest));
    refused(
        setting,
        &conditions.standing,
        &subject.digest,
        &conditions.promoter,
        Some(hands.unwrap_or(&unasked)),
    )
}

/// A digest that an environment was rolled back from comes back, by a promotion or by another
/// rollback, only after a review by somebody other than the promoter, who did not force it through before, nor had a hand in it, as
/// far as GitHub was asked.
pub(in crate::check) fn refused(
    setting: &Setting,
    standing: &EnvironmentHistory,
    digest: &Digest,
    promoter: &Fact<Vec<Actor>>,
    hands: Option<&Fact<Vec<Actor>>>,
) -> Finding {
    let environment = &setting.environment;
    let mut newest_first = standing.refused.iter().rev();
    let Some(refused) = newest_first.find(|it| it.digest == *digest) else {
        return not_asked(format!("{environment} was not rolled back from it"));
    };
    let record = &refused.rollback;
    let fact = format!(
        "{environment} was rolled back from it at {} (record {})",
        record.at, record.seq
    );
    let next = format!(
        "choose another digest, or have somebody review this one who neither promotes it nor had a hand in it: {}",
        review(environment, digest)
    );
    if refused.reviewers.is_empty() {
        return fail(format!("{fact}, and nobody has reviewed that"), next);
    }
    let promoter = match promoter {
        Ok(promoter) => promoter,
        Err(reason) => return unknown(reason),
    };
    let persons = setting.persons();
    let others = |barred: &[Actor]| {
        let reviewers = refused.reviewers.iter();
        let others = reviewers.filter(|it| persons.is_other(it, barred));
        others.collect::<Vec<&Actor>>()
    };
    if others(promoter).is_empty() {
        return fail(
            format!("{fact}, and only {} has reviewed that", logins(promoter)),
            next,
        );
    }
    let barred = [promoter.as_slice(), &refused.forced_by].concat();
    let counting = others(&barred);
    let Some(reviewer) = counting.first() else {
        return fail(
            format!(
                "{fact}; {}",
                own_hand(&refused.reviewers, "forced it through")
            ),
            next,
        );
    };
    let hands = match hands {
        None => return pass(format!("{fact}; reviewed by {}", reviewer.login)),
        Some(Err(reason)) => return unknown(reason),
        Some(Ok(hands)) => hands,
    };
    match counting.iter().find(|it| persons.is_other(it, hands)) {
        Some(reviewer) => pass(format!("{fact}; reviewed by {}", reviewer.login)),
        None => fail(
            format!("{fact}; {}", own_hand(counting, "had a hand in it")),
            next,
        ),
    }
}

fn unseen(digest: &Digest) -> Unknown {
    Unknown::new(
        format!("nobody looked at who had a hand in {digest}"),
        "run this again",
    )
}

/// Whose review alone there is, and why it does not count.
fn own_hand<'a>(reviewers: impl IntoIterator<Item = &'a Actor>, why: &str) -> String {
    format!("only {}, who {why}, has reviewed that", logins(reviewers))
}

/// Each break-glass needs a review by somebody who neither used it nor had a hand in what it brought.
pub(super) fn debt(setting: &Setting, _: &Subject, conditions: &Conditions) -> Finding {
    let persons = setting.persons();
    let standing = &conditions.standing;
    if let Some(debt) = standing.open_debts(persons).next() {
        return unreviewed(&setting.environment, debt);
    }
    for debt in &standing.debts {
        match conditions.hands.get(&debt.record.digest) {
            None => {
                return unknown(&unseen(&debt.record.digest));
            }
            Some(Err(reason)) => return unknown(reason),
            Some(Ok(hands)) => {
                let others = debt.others(persons);
                if !others.iter().any(|it| persons.is_other(it, hands)) {
                    return by_its_author(&setting.environment, debt, others);
                }
            }
        }
    }
    not_asked("no break-glass waits for a review")
}

/// The refusal for a break-glass that only people with a hand in what it brought have reviewed.
fn by_its_author(environment: &str, debt: &Debt, reviewers: Vec<&Actor>) -> Finding {
    let by = &debt.glass.by.login;
    fail(
        format!(
            "{by} used break-glass for {} at {} (record {}): {}; {}",
            debt.record.digest,
            debt.record.at,
            debt.record.seq,
            debt.glass.reason,
            own_hand(reviewers, "had a hand in it")
        ),
        format!(
            "have somebody review it who neither wrote, committed nor pushed any of it: {}",
            review(environment, &debt.record.digest)
        ),
    )
}

/// The refusal for a break-glass that nobody else has reviewed.
pub(in crate::check) fn unreviewed(environment: &str, debt: &Debt) -> Finding {
    let by = &debt.glass.by.login;
    fail(
        format!(
            "{by} used break-glass for {} at {} (record {}): {}; nobody else has reviewed it",
            debt.record.digest, debt.record.at, debt.record.seq, debt.glass.reason
        ),
        format!(
            "have somebody other than {by} review it: {}",
            review(environment, &debt.record.digest)
        ),
    )
}

/// The command of a review, here and as a run of the workflow that takes it on GitHub.
pub(crate) fn review(environment: &str, digest: &Digest) -> String {
    format!(
        "slipway-promote review --environment {environment} --digest {digest} --reason TEXT, or on GitHub: gh workflow run approve.yml -f command=review -f environment={environment} -f digest={digest} -f reason=TEXT"
    )
}
