//! Rollbacks and break-glass that nobody else has reviewed yet. Pure.

use super::Conditions;
use crate::check::Subject;
use crate::check::answer::{Finding, fail, not_asked, pass, unknown};
use crate::check::fact::Fact;
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
    refused(
        setting,
        &conditions.standing,
        &subject.digest,
        &conditions.promoter,
    )
}

/// A digest that an environment was rolled back from comes back, by a promotion or by another
/// rollback, only after a review by somebody other than the promoter.
pub(in crate::check) fn refused(
    setting: &Setting,
    standing: &EnvironmentHistory,
    digest: &Digest,
    promoter: &Fact<Vec<Actor>>,
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
        "choose another digest, or have somebody other than the promoter review this one: {}",
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
    let mut reviewers = refused.reviewers.iter();
    match reviewers.find(|it| persons.is_other(it, promoter)) {
        Some(reviewer) => pass(format!("{fact}; reviewed by {}", reviewer.login)),
        None => fail(
            format!("{fact}, and only {} has reviewed that", logins(promoter)),
            next,
        ),
    }
}

pub(super) fn debt(setting: &Setting, _: &Subject, conditions: &Conditions) -> Finding {
    let mut open = conditions.standing.open_debts(setting.persons());
    match open.next() {
        None => not_asked("no break-glass waits for a review"),
        Some(debt) => unreviewed(&setting.environment, debt),
    }
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
