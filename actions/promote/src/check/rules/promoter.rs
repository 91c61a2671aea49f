//! The rules on the promoter: a person, and not the only approver. Pure.

use super::Context;
use crate::check::answer::{Finding, fail, not_asked, not_examined, pass, unknown};
use crate::check::approvals::approvals;
use crate::check::fact::RunKind;
use crate::check::people::names;
use github::User;

impl Context<'_> {
    /// Returns true for a merge that deploys to the first environment, which has no promoter.
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

    /// At least two people are involved: over the whole promotion, somebody else than the promoter
    /// approved. Two people who review each other may promote both changes.
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
        let changes = match self.facts.changes.as_deref() {
            Err(_) => return not_examined("the approvers are unknown"),
            Ok([]) => return not_examined("there is no pull request to examine"),
            Ok(changes) => changes,
        };
        let persons = self.persons();
        let own: Vec<_> = promoter
            .accounts
            .iter()
            .map(|user| persons.key(user))
            .collect();
        let mut unknown = false;
        let mut approvers: Vec<User> = Vec::new();
        for change in changes {
            match approvals(change, self.setting) {
                Err(_) => unknown = true,
                Ok(found) => {
                    let approver_keys = found.keys(&persons);
                    if let Some(index) = approver_keys.iter().position(|key| !own.contains(key)) {
                        return pass(format!(
                            "{} approved #{} and does not promote",
                            found.valid[index].login, change.pull.number
                        ));
                    }
                    approvers.extend(found.valid);
                }
            }
        }
        if unknown {
            return not_examined("the approvers are unknown");
        }
        let Some(approver) = approvers.first() else {
            return not_examined("no approval counts");
        };
        let all = match changes {
            [change] => format!("#{}", change.pull.number),
            _ => format!("all {} pull requests", changes.len()),
        };
        fail(
            format!("{} promotes {all} and is the only approver", approver.login),
            format!("have another person promote it, or have another person approve {all}"),
        )
    }
}
