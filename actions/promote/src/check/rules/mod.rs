//! The rules of the gate, a file for each group, and what they share. Pure.

mod history;
mod image;
mod promoter;
mod reviews;
mod run;

pub(super) use history::brought_in;
pub(super) use reviews::approvers;

use super::Subject;
use super::answer::{Finding, not_examined};
use super::facts::{Change, Facts};
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
            ("approvals", Context::approvals),
            ("checks", Context::checks),
            ("promoter", Context::promoter),
            ("separation", Context::separation),
            ("run", Context::run),
        ]
    }

    /// Asks the rule of every pull request that brought the commit in; the worst answer counts.
    pub(super) fn each_change(&self, rule: impl Fn(&Change) -> Finding) -> Finding {
        if self.facts.changes.is_empty() {
            return not_examined("there is no pull request to examine");
        }
        worst(self.facts.changes.iter().map(rule))
    }
}

/// The worst of several answers.
pub(in crate::check) fn worst(answers: impl Iterator<Item = Finding>) -> Finding {
    answers
        .reduce(|one, other| {
            let (worse, better) = if other.answer > one.answer {
                (other, one)
            } else {
                (one, other)
            };
            Finding {
                fact: if worse.answer == better.answer {
                    format!("{}; {}", worse.fact, better.fact)
                } else {
                    worse.fact
                },
                ..worse
            }
        })
        .unwrap_or_else(|| not_examined("there is nothing to examine"))
}
