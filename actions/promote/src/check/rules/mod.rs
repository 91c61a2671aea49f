//! The rules of the gate, a file for each group, and what they share. Pure.

mod history;
mod image;
mod promoter;
mod reviews;
mod run;

pub(super) use history::not_renamed_yet;
pub(super) use reviews::{judge_approvals, judge_checks, people_of};
pub(super) use run::judge_policy;

use super::Subject;
use super::answer::{Finding, not_examined};
use super::change::Change;
use super::fact::Fact;
use super::facts::Facts;
use super::persons::Persons;
use crate::setting::Setting;

/// A rule's name and its function.
type NamedRule<'a> = (&'static str, fn(&Context<'a>) -> Finding);

/// The inputs of the rules.
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

    /// The persons and apps that the contract lists.
    pub(super) fn persons(&self) -> Persons<'_> {
        self.setting.persons()
    }
}

/// Asks a rule of every pull request; the worst answer counts.
fn each_change(changes: &Fact<Vec<Change>>, rule: impl Fn(&Change) -> Finding) -> Finding {
    match changes.as_deref() {
        Err(_) => not_examined("the pull requests are unknown"),
        Ok([]) => not_examined("there is no pull request to examine"),
        Ok(changes) => worst(changes.iter().map(rule)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::answer::{Answer, fail, pass};

    #[test]
    fn the_worst_answers_are_joined_and_the_first_says_what_to_do() {
        let wrong = |number: usize| fail(format!("#{number} is wrong"), format!("mend #{number}"));
        let mixed = [pass("#1 is well"), wrong(2), pass("#3 is well"), wrong(4)];
        let found = worst(mixed.into_iter());
        assert_eq!(found.answer, Answer::Fail);
        assert_eq!(found.fact, "#2 is wrong; #4 is wrong");
        assert_eq!(found.next.as_deref(), Some("mend #2"));
        let five = worst((1..=5).map(wrong)).fact;
        assert!(five.ends_with("; #5 is wrong"), "{five}");
        let seven = worst((1..=7).map(wrong)).fact;
        let end = "; #5 is wrong; and 2 more pull requests alike";
        assert!(seven.ends_with(end), "{seven}");
        let nothing = worst(std::iter::empty());
        assert_eq!(nothing.answer, Answer::Unknown);
    }
}
