//! Break-glass: a listed person overrides rules that refuse, for a short time and on record. Pure.

use super::Subject;
use super::answer::{Answer, Decision, Finding, Rule, fail, not_asked, pass, unknown};
use super::conditions::{Conditions, unreviewed};
use super::fact::Fact;
use crate::person::logins;
use crate::setting::Setting;
use kit::clock::human;
use ledger::Actor;
use std::time::Duration;

/// Rules that nobody overrides: what is deployed must be an image of ours, and this rule itself. An old
/// contract does not say who may use break-glass either, unless GitHub cannot tell that it is old.
const UNBREAKABLE: [&str; 2] = ["provenance", RULE];
const RULE: &str = "break-glass";

/// Overrides the rules that refuse, if the promoter may. Returns the people who do.
pub(super) fn apply_break_glass(
    decision: &mut Decision,
    reason: &str,
    setting: &Setting,
    subject: &Subject,
    conditions: Option<&Conditions>,
) -> Option<Vec<Actor>> {
    let finding = match conditions {
        Some(conditions) if !decision.allowed() => may_break_glass(reason, setting, conditions),
        _ => not_asked("every rule passes, so break-glass is not needed"),
    };
    let allowed = finding.answer == Answer::Pass;
    let unseen = setting.follows.is_some() && subject.evidence.is_none();
    decision.rules.push(finding.named(RULE));
    if !allowed {
        return None;
    }
    override_refusals(decision, |rule| {
        // A digest that was never deployed before is nothing anybody has seen run.
        let kept = UNBREAKABLE.contains(&rule.rule)
            || (rule.rule == "digest" && unseen)
            || (rule.rule == "policy" && rule.answer == Answer::Fail);
        !kept
    });
    let allowed = decision.allowed();
    let people = conditions.and_then(|it| it.promoter.clone().ok());
    people.filter(|_| allowed)
}

/// Overrides two rules of a rollback, if the promoter may: `approvals`, since nobody else may be awake to
/// review the digest, and what the ledger alone says against the gate, since GitHub, which does not
/// answer, may have the gate as it is here. Returns the people who do.
pub(super) fn apply_break_glass_to_rollback(
    decision: &mut Decision,
    reason: &str,
    setting: &Setting,
    promoter: &Fact<Vec<Actor>>,
    by_ledger: bool,
) -> Option<Vec<Actor>> {
    let finding = match decision.allowed() {
        true => not_asked("every rule passes, so break-glass is not needed"),
        false => listed(reason, setting, promoter),
    };
    let allowed = finding.answer == Answer::Pass;
    decision.rules.push(finding.named(RULE));
    if !allowed {
        return None;
    }
    override_refusals(decision, |rule| match rule.rule {
        "approvals" => true,
        "policy" => by_ledger,
        _ => false,
    });
    let allowed = decision.allowed();
    promoter.clone().ok().filter(|_| allowed)
}

/// Overrides the rules that refuse and can be broken.
fn override_refusals(decision: &mut Decision, breakable: impl Fn(&Rule) -> bool) {
    for rule in &mut decision.rules {
        let refuses = matches!(rule.answer, Answer::Fail | Answer::Unknown);
        if refuses && breakable(rule) {
            rule.fact = format!("{}: {}", rule.answer.as_str(), rule.fact);
            rule.answer = Answer::Broken;
        }
    }
}

fn may_break_glass(reason: &str, setting: &Setting, conditions: &Conditions) -> Finding {
    let finding = listed(reason, setting, &conditions.promoter);
    if finding.answer != Answer::Pass {
        return finding;
    }
    let mut debts = conditions.history.open_debts(setting.persons());
    match debts.find(|debt| debt.expired(conditions.now)) {
        Some(debt) => unreviewed(&setting.environment, debt),
        None => finding,
    }
}

/// Judges whether everybody who promotes is one of the people of `break-glass`.
fn listed(reason: &str, setting: &Setting, promoter: &Fact<Vec<Actor>>) -> Finding {
    let environment = &setting.environment;
    let Some(glass) = &setting.gate.break_glass else {
        return fail(
            format!("the contract lets nobody use break-glass in {environment}"),
            "resolve the rules that refuse",
        );
    };
    let promoter = match promoter {
        Ok(promoter) => promoter,
        Err(reason) => return unknown(reason),
    };
    let persons = setting.persons();
    let listed = |actor: &&Actor| {
        let mut people = glass.people.iter();
        people.any(|login| persons.is(actor, login))
    };
    if let Some(stranger) = promoter.iter().find(|actor| !listed(actor)) {
        return fail(
            format!(
                "{} may not use break-glass in {environment}",
                stranger.login
            ),
            format!(
                "have one of these people start the promotion: {}",
                glass.people.join(", ")
            ),
        );
    }
    pass(format!(
        "{} uses break-glass for {}: {reason}",
        logins(promoter),
        human(Duration::from_secs(glass.expires))
    ))
}
