//! Decides whether a person's answer to a request is written. Pure.

use crate::check::approved::{ask, changed};
use crate::environment_history::EnvironmentHistory;
use crate::requests::{Approvers, Asked, Barred, Next, Parts, Tally};
use crate::setting::Setting;
use kit::aws::AccountId;
use kit::error::{Error, Result};
use kit::id::Digest;
use ledger::{Actor, Record, Verdict};
use time::OffsetDateTime;

/// A person's answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Approve,
    Reject,
    Withdraw,
}

impl Word {
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Word::Approve => Verdict::Approved,
            Word::Reject => Verdict::Rejected,
            Word::Withdraw => Verdict::Withdrawn,
        }
    }

    /// The subcommand that says it.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Word::Approve => "approve",
            Word::Reject => "reject",
            Word::Withdraw => "withdraw",
        }
    }

    /// Returns true if it is refused without a reason: those who asked and approved want to know why.
    pub(crate) fn needs_a_reason(self) -> bool {
        self != Word::Approve
    }

    /// The noun for the answer.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Word::Approve => "approval",
            Word::Reject => "rejection",
            Word::Withdraw => "withdrawal",
        }
    }

    /// The verb for the answer, in the past tense.
    pub(super) fn past_tense(self) -> &'static str {
        match self {
            Word::Approve => "approved",
            Word::Reject => "rejected",
            Word::Withdraw => "withdrew",
        }
    }
}

/// One person's answer, and what it is checked against. The promotion is not observed again: the approver agrees to what the
/// request names, and `check` compares that with the facts at the time of the promotion.
pub(super) struct PersonalAnswer<'a> {
    pub(super) word: Word,
    pub(super) actor: &'a Actor,
    pub(super) setting: &'a Setting,
    pub(super) number: u64,
    pub(super) digest: Option<&'a Digest>,
    pub(super) now: OffsetDateTime,
    pub(super) policy: &'a str,
    pub(super) people: &'a str,
    pub(super) account: Option<AccountId>,
    pub(super) approvers: &'a Approvers,
    /// The repository in which GitHub has this run; none for a run elsewhere.
    pub(super) repository: Option<&'a str>,
}

impl PersonalAnswer<'_> {
    /// Decides whether the answer is written; then the request's record, to answer it. Pure.
    pub(super) fn decide(&self, history: &EnvironmentHistory) -> Result<Next> {
        let all = Asked::all(history.records());
        let asked = all.iter().find(|asked| asked.number() == self.number);
        let asked = asked.ok_or_else(|| self.not_a_request(history))?;
        self.check_repository(asked)?;
        self.check_person(asked)?;
        if let Some(digest) = self.digest
            && *digest != asked.record().digest
        {
            return Err(Error::refused(format!(
                "request {} is for {}, not for {digest}",
                self.number,
                asked.record().digest
            ))
            .hint(format!(
                "see what is requested: slipway-promote status --environment {}",
                self.setting.environment
            )));
        }
        let own = self.setting.persons().of(self.actor);
        let mine = |actor: &Actor| self.setting.persons().of(actor) == own;
        if let Some(end) = &asked.end {
            if end.record.verdict == self.word.verdict() && mine(&end.record.actor) {
                return Ok(Next::Already(Box::new(end.clone())));
            }
            return Err(
                Error::refused(asked.ended().unwrap_or_default()).hint(self.ask_again(asked))
            );
        }
        // An objection counts whatever has changed since: a permit that rests on the request may be open.
        if self.word == Word::Approve {
            // A person who approved before is also told that the request expired or is void.
            self.check_expiry(asked)?;
            self.refuse_if_void(asked, history)?;
            let mut approvals = asked.approvals.iter();
            if let Some(earlier) = approvals.find(|approval| mine(&approval.record.actor)) {
                return Ok(Next::Already(Box::new(earlier.clone())));
            }
        }
        Ok(Next::Write(Box::new(asked.record().clone())))
    }

    /// Refuses a run of a repository that neither has the code nor is the one for approvals, wherever the
    /// request was made: whoever can write there could answer in the name of the person who starts it.
    fn check_repository(&self, asked: &Asked) -> Result<()> {
        let Some(run_repository) = self.repository else {
            return Ok(());
        };
        let code = asked.request.repository.as_deref();
        if code.is_some_and(|code| run_repository.eq_ignore_ascii_case(code))
            || self.setting.is_for_approvals(run_repository)
        {
            return Ok(());
        }
        let code = code.unwrap_or("no repository on GitHub");
        Err(Error::refused(format!(
            "request {} is for commits of {code}, so a run of {run_repository} does not answer it",
            self.number
        ))
        .hint("answer in that repository, or name this one as `repository` under `approve` of the gate"))
    }

    fn not_a_request(&self, history: &EnvironmentHistory) -> Error {
        let environment = &self.setting.environment;
        let mut records = history.records().map(|recorded| &recorded.record);
        let message = match records.find(|record| record.seq == self.number) {
            Some(record) => format!(
                "record {} of {environment} is not a request; it is {}",
                self.number, record.verdict
            ),
            None => format!(
                "{environment} has no request {} since its newest promotion",
                self.number
            ),
        };
        Error::refused(message).hint(format!(
            "see what waits: slipway-promote status --environment {environment}"
        ))
    }

    /// Checks that the person may say this to the request.
    fn check_person(&self, asked: &Asked) -> Result<()> {
        let Self { actor, number, .. } = self;
        let environment = &self.setting.environment;
        let login = &actor.login;
        let persons = self.setting.persons();
        let person = persons.of(actor);
        let asked_for_it = persons.of(&asked.record().actor) == person;
        if self.word == Word::Withdraw && asked_for_it {
            return Ok(());
        }
        let Some(name) = self.approvers.name(&person) else {
            return Err(Error::refused(format!(
                "{login} may not {} for {environment}: the contract does not list them",
                self.word.verb()
            ))
            .hint(format!(
                "have one of them do it: {}",
                self.approvers.names()
            )));
        };
        if self.word != Word::Approve {
            return Ok(());
        }
        let shown = match name == login.as_str() {
            true => login.clone(),
            false => format!("{login} is {name}, who"),
        };
        let barred = Barred::by(asked, &persons);
        match barred.why(&person) {
            None => Ok(()),
            Some(why) => Err(Error::refused(format!(
                "{shown} {why}, so somebody else must approve request {number}"
            ))
            .hint(
                match Tally::of(self.approvers, &persons, Some(asked), &barred).may.as_slice() {
                    [] => "nobody else may: have somebody else ask, or list more people under `approve` of the gate".to_owned(),
                    some => format!("have one of them do it: {}", some.join(", ")),
                },
            )),
        }
    }

    fn check_expiry(&self, asked: &Asked) -> Result<()> {
        match asked.expired(self.now) {
            false => Ok(()),
            true => Err(Error::refused(format!(
                "request {} expired at {}",
                self.number, asked.request.expires
            ))
            .hint(self.ask_again(asked))),
        }
    }

    /// Refuses the approval of what the request no longer is, as far as ledger and contract show it. A
    /// run of an older contract, such as one that is run again, may list who no longer is.
    fn refuse_if_void(&self, asked: &Asked, history: &EnvironmentHistory) -> Result<()> {
        let number = self.number;
        // GitHub is not asked for the range: what it has now is for `check` to compare.
        let now = Parts::of(asked.record(), &asked.request).map(|then| Parts {
            head: history.head().to_owned(),
            policy: self.policy.to_owned(),
            people: self.people.to_owned(),
            account: self.account.clone(),
            ..then
        });
        let voided = match &now {
            Some(now) => changed(asked, now),
            None => Some("its own binding".to_owned()),
        };
        match voided {
            None => Ok(()),
            Some(part) => Err(Error::refused(format!(
                "request {number} is void: since it was made, {part} changed"
            ))
            .hint(self.ask_again(asked))),
        }
    }

    fn ask_again(&self, asked: &Asked) -> String {
        let plan = asked.request.plan.as_deref();
        let ask = ask(&self.setting.environment, &asked.record().digest, plan);
        format!("ask again: {ask}")
    }
}

/// An answer's record, from that of the request.
pub(super) fn answer(
    word: Word,
    actor: &Actor,
    number: u64,
    at: String,
    request: Record,
) -> Record {
    Record {
        at,
        verdict: word.verdict(),
        actor: actor.clone(),
        answers: Some(number),
        request: None,
        ..request
    }
}

#[cfg(test)]
mod tests;
