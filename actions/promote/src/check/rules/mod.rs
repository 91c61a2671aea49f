//! The rules of the gate, a file for each group, and what they share. Pure.

mod history;
mod image;
mod promoter;
mod reviews;
mod run;

pub(super) use reviews::people_of;

use super::Subject;
use super::answer::{Finding, not_examined};
use super::facts::{Change, Facts};
use super::persons::Persons;
use crate::setting::Setting;

/// A rule's name and its function.
type NamedRule<'a> = (&'static str, fn(&Context<'a>) -> Finding);

/// What the rules judge.
pub(super) struct Context<'a> {
    pub(super) setting: &'a Setting,
    pub(super) subject: &'a Subject,
    pub(super) facts: &'a Facts,
}

impl<'a> Context<'a> {
    /// Every rule, in the order of the report.
    pub(super) fn rules() -> Vec<NamedRule<'a>> {
        vec![
            ("digest", Context::digest),
            ("branch", Context::branch),
            ("pull request", Context::pull_request),
            ("range", Context::range),
            ("merge", Context::merges),
            ("approvals", Context::approvals),
            ("checks", Context::checks),
            ("promoter", Context::promoter),
            ("separation", Context::separation),
            ("run", Context::run),
            ("policy", Context::policy),
        ]
    }

    /// Asks the rule of every pull request of the promotion; the worst answer counts.
    pub(super) fn each_change(&self, rule: impl Fn(&Change) -> Finding) -> Finding {
        match self.facts.changes.as_deref() {
            Err(_) => not_examined("the pull requests are unknown"),
            Ok([]) => not_examined("there is no pull request to examine"),
            Ok(changes) => worst(changes.iter().map(rule)),
        }
    }

    /// Who is who, according to the contract.
    pub(super) fn persons(&self) -> Persons<'_> {
        self.setting.persons()
    }
}

/// Facts of equal answers that are spelled out; more are counted.
const SPELLED_OUT: usize = 5;

/// The worst of several answers. The facts of all that are as bad are joined, and the first one's next
/// step is the next step.
pub(in crate::check) fn worst(answers: impl Iterator<Item = Finding>) -> Finding {
    let mut answers: Vec<Finding> = answers.collect();
    let worst = answers.iter().map(|one| one.answer).max();
    answers.retain(|one| Some(one.answer) == worst);
    let mut facts: Vec<String> = answers.iter().map(|one| one.fact.clone()).collect();
    let more = facts.len().saturating_sub(SPELLED_OUT);
    facts.truncate(SPELLED_OUT);
    if more > 0 {
        facts.push(format!("and {more} more pull requests alike"));
    }
    match answers.into_iter().next() {
        None => not_examined("there is nothing to examine"),
        Some(first) => Finding {
            fact: facts.join("; "),
            ..first
        },
    }
}
