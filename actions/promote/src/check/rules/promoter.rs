//! The rules on the promoter: a person, and not the only approver. Pure.

use super::Context;
use crate::check::answer::{Finding, fail, not_asked, not_examined, pass, unknown};
use crate::check::approvals::approvals;
use crate::check::facts::RunKind;
use crate::check::people::names;

impl Context<'_> {
    /// Whether this is a merge that deploys to the first environment, which has no promoter.
    fn by_merge(&self) -> bool {
        self.setting.follows.is_none()
            && matches!(&self.facts.run, RunKind::GitHub(Ok(run)) if run.event == "push")
    }

    pub(super) fn promoter(&self) -> Finding {
        if self.by_merge() {
            return not_asked("deployed by a merge, so there is no promoter");
        }
        match &self.facts.promoter {
            Err(reason) => unknown(reason),
            Ok(promoter) => match promoter.accounts.iter().find(|user| !user.is_person()) {
                Some(bot) => fail(
                    format!("{} is not a person ({})", bot.login, promoter.source),
                    "have a person start the promotion",
                ),
                None => pass(format!(
                    "{}, {}",
                    names(&promoter.accounts),
                    promoter.source
                )),
            },
        }
    }

    /// At least two people are involved: an approver, and a promoter who is somebody else.
    pub(super) fn separation(&self) -> Finding {
        if self.setting.gate.approvals == 0 {
            return not_asked("the contract requires no approvals");
        }
        if self.by_merge() {
            return not_asked("deployed by a merge, so there is no promoter");
        }
        let promoter = match &self.facts.promoter {
            Ok(promoter) => promoter,
            Err(_) => return not_examined("the promoter is unknown"),
        };
        self.each_change(|change| {
            let number = change.pull.number;
            let valid = match approvals(change) {
                Ok(found) => found.valid,
                Err(_) => return not_examined("the approvers are unknown"),
            };
            if valid.is_empty() {
                return not_examined("no approval counts");
            }
            let others: Vec<_> = valid
                .iter()
                .filter(|user| promoter.accounts.iter().all(|other| other.id != user.id))
                .collect();
            if others.is_empty() {
                fail(
                    format!(
                        "{} promotes #{number} and is its only approver",
                        names(&valid)
                    ),
                    format!(
                        "have another person promote it, or have another person approve #{number}"
                    ),
                )
            } else {
                pass(format!(
                    "{} approved #{number} and does not promote it",
                    names(others)
                ))
            }
        })
    }
}
