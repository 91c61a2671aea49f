//! The decision: every rule is applied to the facts. Pure.

use super::Subject;
use super::answer::{Decision, not_asked};
use super::facts::Facts;
use super::rules::Context;
use crate::setting::Setting;

/// Whether the environment has no gate: it follows no other, and the gate is off.
pub(crate) fn asks_nothing(setting: &Setting) -> bool {
    setting.follows.is_none() && !setting.gate.required
}

/// Applies every rule.
pub(crate) fn decide(setting: &Setting, subject: &Subject, facts: &Facts) -> Decision {
    let context = Context {
        setting,
        subject,
        facts,
    };
    let rules = Context::rules().into_iter().map(|(name, rule)| {
        let finding = if asks_nothing(setting) {
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
