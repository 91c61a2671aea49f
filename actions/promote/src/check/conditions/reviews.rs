//! Rollbacks and break-glass that nobody else has reviewed yet. Pure.

use super::Conditions;
use crate::check::Subject;
use crate::check::answer::{Finding, fail, not_asked, pass, unknown};
use crate::check::approved::NamedContributors;
use crate::check::fact::{Fact, Unknown};
use crate::environment_history::{Debt, EnvironmentHistory};
use crate::person::logins;
use crate::setting::Setting;
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
    let contributors = conditions.contributors.get(&subject.digest);
    let unasked = Err(unseen(&subject.digest));
    refused(
        setting,
        &conditions.history,
        &subject.digest,
        &conditions.promoter,
        Some(contributors.unwrap_or(&unasked)),
    )
}

/// A digest that an environment was rolled back from comes back, by a promotion or by another
/// rollback, only after a review by somebody other than the promoter, who did not force it through before, nor contributed to it, as
/// far as GitHub was asked.
pub(in crate::check) fn refused(
    setting: &Setting,
    history: &EnvironmentHistory,
    digest: &Digest,
    promoter: &Fact<Vec<Actor>>,
    contributors: Option<&Fact<NamedContributors>>,
) -> Finding {
    let environment = &setting.environment;
    let mut newest_first = history.refused.iter().rev();
    let Some(refused) = newest_first.find(|it| it.digest == *digest) else {
        return not_asked(format!("{environment} was not rolled back from it"));
    };
    let record = &refused.rollback;
    let fact = format!(
        "{environment} was rolled back from it at {} (record {})",
        record.at, record.seq
    );
    let next = format!(
        "choose another digest, or have somebody review this one who neither promotes it nor contributed to it: {}",
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
                own_contribution(&refused.reviewers, "forced it through")
            ),
            next,
        );
    };
    let contributors = match contributors {
        None => {
            return pass(format!(
                "{fact}; reviewed by {}, and GitHub did not tell who contributed to it",
                reviewer.login
            ));
        }
        Some(Err(reason)) => return unknown(reason),
        Some(Ok(contributors)) => contributors,
    };
    match clearing(setting, &counting, contributors) {
        Ok(reviewers) => pass(format!("{fact}; reviewed by {}", logins(reviewers))),
        Err(why) => fail(format!("{fact}; {why}"), next + &or_list(contributors)),
    }
}

fn unseen(digest: &Digest) -> Unknown {
    Unknown::new(
        format!("nobody looked at who contributed to {digest}"),
        "run this again",
    )
}

/// The reviewers whose reviews clear a version that these contributed to. An app that the contract does not list may be anybody's, so with
/// one in it a second person has to review the version, as a pull request of such an app needs one more approval.
///
/// # Errors
/// There are too few, with the reason.
fn clearing<'a>(
    setting: &Setting,
    reviewers: &[&'a Actor],
    contributors: &NamedContributors,
) -> Result<Vec<&'a Actor>, String> {
    let persons = setting.persons();
    let others = reviewers.iter().copied();
    let others = others.filter(|it| persons.is_other(it, &contributors.people));
    let others = persons.distinct(others);
    let needed = 1 + usize::from(!contributors.unattributed.is_empty());
    if others.len() >= needed {
        return Ok(others);
    }
    Err(match others.is_empty() {
        true => own_contribution(reviewers.iter().copied(), "contributed to it"),
        false => format!(
            "only {} has reviewed that, and {needed} people have to: {} contributed to it, which the contract does not list",
            logins(others),
            contributors.unattributed.join(", ")
        ),
    })
}

/// The other way out where the contract does not list an app that contributed to it.
fn or_list(contributors: &NamedContributors) -> String {
    match contributors.unattributed.as_slice() {
        [] => String::new(),
        names => format!(
            "; or say under `apps` of the contract who stands for {}",
            names.join(", ")
        ),
    }
}

/// Whose review alone there is, and why it does not count.
fn own_contribution<'a>(reviewers: impl IntoIterator<Item = &'a Actor>, why: &str) -> String {
    format!("only {}, who {why}, has reviewed that", logins(reviewers))
}

/// Each break-glass needs a review by somebody who neither used it nor contributed to what it brought.
pub(super) fn debt(setting: &Setting, _: &Subject, conditions: &Conditions) -> Finding {
    let persons = setting.persons();
    let history = &conditions.history;
    if let Some(debt) = history.open_debts(persons).next() {
        return unreviewed(&setting.environment, debt);
    }
    for debt in &history.debts {
        match conditions.contributors.get(&debt.record.digest) {
            None => {
                return unknown(&unseen(&debt.record.digest));
            }
            Some(Err(reason)) => return unknown(reason),
            Some(Ok(contributors)) => {
                if let Err(why) = clearing(setting, &debt.others(persons), contributors) {
                    return reviewed_too_little(&setting.environment, debt, &why, contributors);
                }
            }
        }
    }
    not_asked("no break-glass waits for a review")
}

/// The refusal for a break-glass that too few people have reviewed who did not contribute to what it brought.
fn reviewed_too_little(
    environment: &str,
    debt: &Debt,
    why: &str,
    contributors: &NamedContributors,
) -> Finding {
    let by = &debt.glass.by.login;
    fail(
        format!(
            "{by} used break-glass for {} at {} (record {}): {}; {why}",
            debt.record.digest, debt.record.at, debt.record.seq, debt.glass.reason
        ),
        format!(
            "have somebody review it who neither wrote, committed nor pushed any of it: {}{}",
            review(environment, &debt.record.digest),
            or_list(contributors)
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
