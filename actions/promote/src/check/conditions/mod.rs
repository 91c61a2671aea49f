//! The rules about time and about what runs: soak, freezes, forward only, what was rolled back, and
//! debts. Their facts come from the ledger, from AWS and, for one comparison, from GitHub.

pub(in crate::check) mod calendar;
mod contributors;
mod forward;
mod freeze;
mod observe;
mod reviews;
mod soak;
#[cfg(test)]
mod tests;

pub(crate) use calendar::{Calendar, look};
pub(crate) use contributors::ContributorsByDigest;
pub(in crate::check) use contributors::{contributors_by_digest, contributors_to_rolled_back};
pub(in crate::check) use observe::ahead;
pub(crate) use observe::{observe, without};
pub(crate) use reviews::review;
pub(in crate::check) use reviews::{refused, unreviewed};

use super::Subject;
use super::answer::{Finding, Rule, not_asked};
use super::fact::Fact;
use crate::environment_history::EnvironmentHistory;
use crate::setting::Setting;
use github::User;
use ledger::Actor;
use time::OffsetDateTime;

/// The facts of these rules.
#[derive(Debug)]
pub(crate) struct Conditions {
    /// When the rules were asked.
    pub(crate) now: OffsetDateTime,
    /// The environment's own records.
    pub(crate) history: EnvironmentHistory,
    /// The reasons why the previous environment does not count as healthy with the digest; only if the gate asks.
    pub(crate) missing_before: Option<Fact<Vec<String>>>,
    /// When the anchor got the record since which the digest is healthy, by S3's clock; only if the gate asks for a soak and the
    /// contract names an anchor.
    pub(crate) anchored: Option<Fact<String>>,
    /// The change calendars that the contract names.
    pub(crate) calendars: Vec<(String, Fact<Calendar>)>,
    /// GitHub's status for what runs...what is promoted; only if something else runs.
    pub(crate) ahead: Option<Fact<String>>,
    /// Everybody who contributed to the versions that a review may clear.
    pub(crate) contributors: ContributorsByDigest,
    /// The members of the teams that may approve promotions.
    pub(crate) members: Fact<Vec<User>>,
    /// The people who promote.
    pub(crate) promoter: Fact<Vec<Actor>>,
}

/// A rule's name and its function.
type NamedRule = (&'static str, fn(&Setting, &Subject, &Conditions) -> Finding);

const RULES: [NamedRule; 7] = [
    ("forward", forward::forward),
    ("soak", soak::soak),
    ("still running", soak::still_running),
    ("freeze", freeze::freeze),
    ("calendar", calendar::calendars),
    ("rolled back", reviews::rolled_back),
    ("debt", reviews::debt),
];

/// Applies every rule.
pub(crate) fn rules(
    setting: &Setting,
    subject: &Subject,
    conditions: Option<&Conditions>,
) -> Vec<Rule> {
    RULES
        .into_iter()
        .map(|(name, rule)| {
            let finding = match conditions {
                Some(conditions) if !setting.asks_nothing() => rule(setting, subject, conditions),
                _ => not_asked(format!("{} has no gate", setting.environment)),
            };
            finding.named(name)
        })
        .collect()
}

/// The names of these rules.
pub(crate) fn names() -> Vec<&'static str> {
    RULES.iter().map(|(name, _)| *name).collect()
}
