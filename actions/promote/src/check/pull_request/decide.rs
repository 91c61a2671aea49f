//! The answers of the gate's rules for a pull request before its merge. Pure.

use super::contract::ContractChange;
use super::observe::PullRequestFacts;
use crate::check::answer::{Decision, Finding, Rule, fail, not_asked, not_examined, pass, unknown};
use crate::check::names;
use crate::check::people::contributors;
use crate::check::rules::{judge_approvals, judge_checks, judge_policy};
use crate::setting::Setting;
use github::{Pull, PullState};
use kit::id::CommitId;

/// The fact of a rule that only a merged commit, its image or its promotion can answer.
pub(super) const LATER: &str = "judged after the merge";

/// Applies what can be applied, and names the rules that are left to the promotion.
pub(super) fn decide(
    setting: &Setting,
    number: u64,
    expected: Option<&CommitId>,
    seen: &PullRequestFacts,
) -> Decision {
    let mut rules = vec![
        mergeable(setting, number, expected, seen).named("pull request"),
        known(setting, seen).named("contributors"),
        judge_approvals(setting, &seen.changes).named("approvals"),
        judge_checks(setting, &seen.changes).named("checks"),
        judged_by(setting, seen).named("policy"),
        contract(setting, number, seen).named("contract"),
    ];
    let left = names().into_iter();
    let left = left.filter(|name| rules.iter().all(|rule| rule.rule != *name));
    let left: Vec<Rule> = left.map(|name| not_asked(LATER).named(name)).collect();
    rules.extend(left);
    Decision { rules }
}

/// Judges whether it can be merged into the branch that promotions come from, and has the head that the answer is for: GitHub shows the
/// result of a run at the head that started it, also where the run is run again after a push.
fn mergeable(
    setting: &Setting,
    number: u64,
    expected: Option<&CommitId>,
    seen: &PullRequestFacts,
) -> Finding {
    let branch = &setting.gate.branch;
    let (state, change) = match (&seen.state, &seen.changes) {
        (Err(reason), _) | (_, Err(reason)) => return unknown(reason),
        (Ok(state), Ok(_)) => (state, seen.change()),
    };
    let Some(change) = change else {
        return not_examined("there is no pull request to examine");
    };
    let pull = &change.pull;
    match state {
        PullState::Merged => fail(
            format!("#{number} is merged already"),
            merged(setting, pull),
        ),
        PullState::Closed => fail(
            format!("#{number} was closed without a merge"),
            format!("reopen #{number}, or open another pull request with the change"),
        ),
        _ if expected.is_some_and(|head| head.as_str() != pull.head) => fail(
            format!(
                "#{number} has the head {} by now, which is not the one to judge",
                pull.head
            ),
            format!(
                "look at the check of {}, which has a run of its own",
                pull.head
            ),
        ),
        _ if pull.base_branch != *branch => fail(
            format!(
                "#{number} goes to {}, and {} takes only what was merged into {branch}",
                pull.base_branch, setting.environment
            ),
            format!(
                "point #{number} at {branch}, and have it approved after that: an approval for another branch does not count"
            ),
        ),
        PullState::Draft => fail(
            format!("#{number} is a draft, which GitHub does not merge"),
            format!("mark #{number} as ready for review"),
        ),
        PullState::Open => pass(format!("#{number} is open, and goes to {branch}")),
    }
}

/// The command to run for a pull request that is merged: from then on the gate judges the promotion.
fn merged(setting: &Setting, pull: &Pull) -> String {
    let environment = &setting.environment;
    let commit = pull.merge_commit.as_deref().unwrap_or(&pull.head);
    match &setting.follows {
        Some(before) => format!(
            "once {before} runs {commit} or a later commit, check the promotion instead: slipway-promote check --environment {environment}"
        ),
        None => format!(
            "check the image that was built of {commit} instead: slipway-promote check --environment {environment} --digest DIGEST"
        ),
    }
}

/// Judges whether everybody who contributed to it is known.
fn known(setting: &Setting, seen: &PullRequestFacts) -> Finding {
    if setting.gate.approvals == 0 && setting.gate.approve.is_none() {
        return not_asked("no approval is required, so it does not matter who contributed");
    }
    let Some(change) = seen.change() else {
        return not_examined("the pull request is unknown");
    };
    match contributors(change, &setting.persons()) {
        Err(reason) => unknown(&reason),
        Ok(found) if found.unattributed.is_empty() => pass(format!(
            "{}, whose approval does not count",
            found.names().join(", ")
        )),
        Ok(found) => pass(format!(
            "{}, whose approval does not count; no person is known for {}, so one more has to approve",
            found.names().join(", "),
            found.unattributed.join(", ")
        )),
    }
}

/// Judges whether the contract that judges is the branch's.
fn judged_by(setting: &Setting, seen: &PullRequestFacts) -> Finding {
    match &seen.policy {
        None => not_asked("no contract is read: the arguments judge"),
        Some(Err(reason)) => unknown(reason),
        Some(Ok(policy)) => judge_policy(policy, &setting.gate.branch),
    }
}

/// The change it makes to the contract. A change of the rules is not refused: it is reviewed like everything else, and named.
fn contract(setting: &Setting, number: u64, seen: &PullRequestFacts) -> Finding {
    let environment = &setting.environment;
    let change = match &seen.contract {
        None => return not_asked("no contract is read"),
        Some(Err(reason)) => return unknown(reason),
        Some(Ok(change)) => change,
    };
    match change {
        ContractChange::Unchanged => pass(format!("#{number} leaves the contract as it is")),
        ContractChange::Changed { judged, others } => {
            let beside = match others.is_empty() {
                true => String::new(),
                false => format!(
                    "; other values of the contract change: {}",
                    others.join(", ")
                ),
            };
            pass(match (judged.is_empty(), others.is_empty()) {
                (true, true) => {
                    format!("#{number} changes the contract's text, and none of its values")
                }
                (true, false) => {
                    format!("#{number} changes nothing that {environment} is judged by{beside}")
                }
                (false, _) => format!(
                    "#{number} changes what {environment} is judged by: {}; the branch's contract judged here, and the new one judges after the merge, this pull request too{beside}",
                    judged.join(", ")
                ),
            })
        }
        ContractChange::Removed => fail(
            format!("#{number} removes the contract, and nothing is promoted without it"),
            "put the contract back where it was",
        ),
        ContractChange::Wrong(why) => fail(
            format!("nobody can be judged by the contract of #{number}: {why}"),
            "correct it: slipway-contract check names every mistake",
        ),
    }
}
