//! The person who granted a permit by its own word, and in whose name rules were overridden.

use super::{Replayed, ReplayedDecision, differs, written};
use crate::check::host::Host;
use crate::check::kept::DecisionInputs;
use crate::record::marks;
use crate::setting::Setting;
use ledger::{Actor, Record};

/// The permit's actor is one of those who promote, and what it says of a break-glass is what `grant` would say.
pub(super) fn promoter(
    permit: &Record,
    host: &Host,
    setting: &Setting,
    replayed: &ReplayedDecision,
) -> Result<(), Replayed> {
    if !host.read_all() {
        return Err(differs("its evidence names no file of the contract"));
    }
    if !is_by(&permit.actor, host, setting, replayed) {
        return Err(differs(format!(
            "{} is not who promoted",
            permit.actor.login
        )));
    }
    let Some(glass) = &permit.break_glass else {
        return Ok(());
    };
    let (by, reason) = (&permit.actor, glass.reason.clone());
    let wanted = marks::break_glass_mark(&replayed.history, setting, by, reason, written(permit)?);
    match *glass == wanted {
        true => Ok(()),
        false => Err(differs(format!(
            "rules were overridden by {} until {}",
            wanted.by.login, wanted.expires
        ))),
    }
}

fn is_by(actor: &Actor, host: &Host, setting: &Setting, replayed: &ReplayedDecision) -> bool {
    if let Ok(promoter) = &replayed.promoter {
        return !setting.persons().is_other(actor, promoter);
    }
    // A rollback's need not be a person whom the contract knows.
    let name = host.principal().and_then(|principal| principal.name());
    name.is_none_or(|name| name == actor.login)
}

impl DecisionInputs {
    /// The repository of which GitHub was asked, if it was.
    pub(super) fn repository(&self) -> Option<&str> {
        let answers = match self {
            Self::Promotion(promotion) => promotion.github.as_ref(),
            Self::Rollback(rollback) => rollback.github.as_ref().ok(),
        };
        answers.map(|answers| answers.repository.as_str())
    }
}
