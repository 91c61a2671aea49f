//! How a request stands, as far as ledger and contract show it. Pure.

use super::{Approvers, Asked, Barred, Parts, Tally, people_hash};
use crate::environment_history::EnvironmentHistory;
use crate::setting::Setting;
use kit::aws::AccountId;
use kit::contract::Approve;
use kit::error::Result;
use time::OffsetDateTime;

/// How a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// People can approve it.
    Open,
    /// It has its approvals.
    Approved,
    /// Nothing is promoted by it, and why.
    Over(String),
}

/// The facts that must not change for a request to stay open.
#[derive(Debug)]
pub(crate) struct RequestContext {
    head: String,
    account: Option<AccountId>,
    policy: String,
    people: String,
}

impl RequestContext {
    /// The facts as they are now.
    ///
    /// # Errors
    /// The contract's rules cannot be hashed.
    pub(crate) fn of(setting: &Setting, history: &EnvironmentHistory) -> Result<Self> {
        Ok(Self {
            head: history.head().to_owned(),
            account: setting.read.account.clone(),
            policy: setting.policy()?,
            people: people_hash(setting)?,
        })
    }

    /// Names the facts that changed since the request was made. Only `check`, which asks GitHub, sees whether the commits are
    /// still the same.
    pub(crate) fn changed(&self, asked: &Asked) -> Option<String> {
        let Some(then) = Parts::of(asked.record(), &asked.request) else {
            return Some("its own binding".to_owned());
        };
        let now = Parts {
            head: self.head.clone(),
            account: self.account.clone(),
            policy: self.policy.clone(),
            people: self.people.clone(),
            ..then.clone()
        };
        let changed = then.changed(&now);
        (!changed.is_empty()).then(|| changed.join(" and "))
    }

    /// How a request stands, and its approvals. One that has them all stays approved when it is over,
    /// because nobody need answer it any more.
    pub(crate) fn state(
        &self,
        setting: &Setting,
        approve: &Approve,
        approvers: &Approvers,
        asked: &Asked,
        now: OffsetDateTime,
    ) -> (State, Tally) {
        let persons = setting.persons();
        let barred = Barred::by(asked, &persons);
        let tally = Tally::of(approvers, &persons, Some(asked), &barred);
        let state = if let Some(ended) = asked.ended() {
            State::Over(ended)
        } else if tally.missing(approve) == 0 {
            State::Approved
        } else if asked.expired(now) {
            State::Over(format!("it expired at {}", asked.request.expires))
        } else if let Some(changed) = self.changed(asked) {
            State::Over(format!("it is void: since it was made, {changed} changed"))
        } else {
            State::Open
        };
        (state, tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::at;
    use crate::environment_history::tests::{actor, deployed, history};
    use crate::requests::tests::{answered, asking, requested};
    use ledger::{Record, Verdict};

    #[test]
    fn a_request_is_open_approved_or_over() {
        let setting = asking();
        let approve = setting.gate.approve.as_ref().unwrap();
        let ask = requested(&setting, 'b', "hash-1");
        let state = |setting: &Setting, more: &[Record], now: &str| {
            let records = [&[deployed('a'), ask.clone()], more].concat();
            let history = history(&records);
            let asked = Asked::all(history.records()).remove(0);
            let context = RequestContext::of(setting, &history).unwrap();
            let approvers = Approvers::of(approve, &setting.persons(), &[]);
            let now = at(now).unwrap();
            context.state(setting, approve, &approvers, &asked, now).0
        };
        let (early, late) = ("2026-11-21T20:00:00Z", "2026-11-22T12:00:00Z");
        let approved = |by| answered(Verdict::Approved, 2, actor(by));
        let both = [approved("ada"), approved("linus")];
        let over = |why: &str| State::Over(why.to_owned());
        assert_eq!(state(&setting, &[], early), State::Open);
        assert_eq!(state(&setting, &both[..1], early), State::Open);
        assert_eq!(state(&setting, &both, early), State::Approved);
        assert_eq!(
            state(&setting, &both[..1], late),
            over("it expired at 2026-11-22T12:00:00Z")
        );
        let deployment = "it is void: since it was made, the newest deployment changed";
        assert_eq!(state(&setting, &[deployed('c')], early), over(deployment));
        let mut other = asking();
        other.gate.approvals = 3;
        let gate = "it is void: since it was made, the contract's gate changed";
        assert_eq!(state(&other, &[], early), over(gate));
        let mut other = asking();
        other.people.remove("eve");
        let people = "it is void: since it was made, the contract's people changed";
        assert_eq!(state(&other, &[], early), over(people));
        let mut other = asking();
        other.read.account = Some("1".repeat(12).parse().unwrap());
        let account = "it is void: since it was made, the environment's account changed";
        assert_eq!(state(&other, &[], early), over(account));
        // A request with all its approvals stays approved: its approvers have nothing left to do.
        let deployed = [&both[..], &[deployed('b')]].concat();
        assert_eq!(state(&setting, &deployed, late), State::Approved);
        let rejected = [&both[..], &[answered(Verdict::Rejected, 2, actor("ada"))]].concat();
        let message = "ada rejected request 2 at 2026-11-21T18:00:00Z: no";
        assert_eq!(state(&setting, &rejected, early), over(message));
    }
}
