//! The decision: every rule is applied to the facts. Pure.

use super::Subject;
use super::answer::{Decision, not_asked};
use super::approved;
use super::conditions::{self, Conditions};
use super::fact::Fact;
use super::facts::Facts;
use super::provenance::{self, Found};
use super::rules::{Context, not_renamed_yet};
use crate::setting::Setting;

/// Applies every rule, those about time, approvals and provenance too.
pub(super) fn all(
    setting: &Setting,
    subject: &Subject,
    facts: &Facts,
    conditions: Option<&Conditions>,
    proof: Option<&Fact<Found>>,
) -> Decision {
    let mut decision = decide(setting, subject, facts);
    // A condition of the commits' rule that needs the time.
    let early = conditions.and_then(|conditions| not_renamed_yet(setting, conditions.now));
    if let Some(early) = early
        && let Some(range) = decision.rules.iter_mut().find(|it| it.rule == "range")
    {
        *range = early.named("range");
    }
    let more = conditions::rules(setting, subject, conditions);
    decision.rules.extend(more);
    let approved = approved::rule(setting, subject, facts, conditions);
    decision.rules.push(approved);
    // Before all else: without it, every other answer may be about another image.
    let proven = provenance::rule(setting, subject, proof);
    decision.rules.insert(0, proven);
    decision
}

/// Applies the rules about the commits and the run.
pub(crate) fn decide(setting: &Setting, subject: &Subject, facts: &Facts) -> Decision {
    let context = Context {
        setting,
        subject,
        facts,
    };
    let rules = Context::rules().into_iter().map(|(name, rule)| {
        let finding = if setting.asks_nothing() {
            not_asked(format!("{} has no gate", setting.environment))
        } else {
            rule(&context)
        };
        finding.named(name)
    });
    Decision {
        rules: rules.collect(),
    }
}
