//! `approve`, `reject`, `withdraw`: one person's answer to a request, written into the ledger.

use crate::args::Answer as Args;
use crate::check::approved::{ask, changed};
use crate::person::acting_person;
use crate::requests::{
    Approvers, Asked, Barred, Next, Parts, Tally, append, members, people_hash, wanted,
};
use crate::setting::Setting;
use crate::standing::EnvironmentHistory;
use crate::tell::{Message, Teller};
use github::GitHub;
use kit::aws::AccountId;
use kit::clock::rfc3339;
use kit::contract::Approve;
use kit::error::{Error, Result};
use kit::host::Kind;
use kit::id::Digest;
use kit::markdown;
use kit::{Cx, Report};
use ledger::{Actor, Chain, Record, Verdict};
use net::Net;
use serde_json::json;
use time::OffsetDateTime;

/// How an answer is reported that this run wrote.
const WRITTEN: &str = "written";

/// A person's answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Approve,
    Reject,
    Withdraw,
}

impl Word {
    fn verdict(self) -> Verdict {
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

    /// Whether it is refused without a reason: those who asked and approved want to know why.
    pub(crate) fn needs_a_reason(self) -> bool {
        self != Word::Approve
    }

    /// The noun for the answer.
    fn noun(self) -> &'static str {
        match self {
            Word::Approve => "approval",
            Word::Reject => "rejection",
            Word::Withdraw => "withdrawal",
        }
    }

    /// The verb for the answer, in the past tense.
    fn past_tense(self) -> &'static str {
        match self {
            Word::Approve => "approved",
            Word::Reject => "rejected",
            Word::Withdraw => "withdrew",
        }
    }
}

pub(crate) async fn run(word: Word, args: Args, cx: &Cx) -> Result<Report> {
    let digest = args.digest;
    if word.needs_a_reason() && args.reason.is_none() {
        return Err(Error::usage("--reason is missing")
            .hint("say in one line why, for those who asked and approved"));
    }
    let setting = Setting::of(cx, &args.ledger)?;
    let Some(approve) = &setting.gate.approve else {
        return Err(asks_for_none(&setting));
    };
    let net = Net::new(cx)?;
    let actor = acting_person(cx, &net, &setting, args.github.repository(), word.noun()).await?;
    let ledger = setting.appending(&net, args.dry_run).await?;
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let now = cx.clock.now();
    let (policy, people) = (setting.policy()?, people_hash(&setting)?);
    let approvers = approvers(word, cx, &net, &setting, approve, args.github.repository()).await?;
    let run_repository = run_repository(cx, &net, args.github.repository())?;
    let written = append(&ledger, &chain, args.dry_run, |standing| {
        let personal_answer = PersonalAnswer {
            word,
            actor: &actor,
            setting: &setting,
            number: args.request,
            digest: digest.as_ref(),
            now,
            policy: &policy,
            people: &people,
            account: setting.read.account.clone(),
            approvers: &approvers,
            repository: run_repository.as_deref(),
        };
        Ok(match personal_answer.decide(standing)? {
            Next::Already(recorded) => Next::Already(recorded),
            Next::Write(request) => Next::Write(Box::new(Record {
                run: cx.host.run_url(),
                reason: args.reason.clone(),
                ..answer(word, &actor, args.request, now, *request)
            })),
        })
    })
    .await?;
    let all = Asked::all(written.standing.records());
    let asked = all.iter().find(|asked| asked.number() == args.request);
    let asked = asked.ok_or_else(|| Error::failed("the request is not in the chain"))?;
    let outcome = write_outcome(written.already, args.dry_run);
    let record = &written.recorded.record;
    let report = report(
        word,
        outcome,
        &setting,
        (approve, &approvers),
        asked,
        record,
    );
    if args.dry_run {
        return Ok(report);
    }
    let teller = Teller {
        cx,
        net: &net,
        setting: &setting,
        approve,
        approvers: &approvers,
        repository: args.github.repository(),
        ledger: &ledger,
        chain: &chain,
    };
    let message = Message {
        request: args.request,
        subject: subject(word, &setting, &actor, args.request),
        text: &report.text,
        details: None,
    };
    let notification = teller.tell(&message).await;
    let report = notification.report(cx, report, args.request);
    Ok(report
        .output("record", record.seq.to_string())
        .output("hash", written.recorded.hash.clone()))
}

/// An answer's record, from that of the request.
fn answer(word: Word, actor: &Actor, number: u64, now: OffsetDateTime, request: Record) -> Record {
    Record {
        at: rfc3339(now),
        verdict: word.verdict(),
        actor: actor.clone(),
        answers: Some(number),
        request: None,
        ..request
    }
}

fn write_outcome(already: bool, dry_run: bool) -> &'static str {
    match (already, dry_run) {
        (true, _) => "is there already",
        (false, true) => "would be written",
        (false, false) => WRITTEN,
    }
}

/// The subject of a message about an answer.
fn subject(word: Word, setting: &Setting, actor: &Actor, number: u64) -> String {
    let (service, environment) = (&setting.service, &setting.environment);
    let (login, past_tense) = (&actor.login, word.past_tense());
    format!("Request {number} of {service} in {environment}: {login} {past_tense} it")
}

/// Who may approve. GitHub is asked only where the contract names a team.
async fn approvers(
    word: Word,
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    approve: &Approve,
    repository: Option<&str>,
) -> Result<Approvers> {
    let github = match approve.teams.is_empty() {
        true => None,
        false => Some(GitHub::connect(cx, net, repository)?),
    };
    let members = match members(github.as_ref(), &approve.teams).await {
        Ok(members) => members,
        // A withdrawal does not depend on who may approve.
        Err(_) if word == Word::Withdraw => Vec::new(),
        Err(unknown) => {
            return Err(
                Error::refused("nobody knows who may approve, so nothing was recorded")
                    .cause(unknown.why)
                    .hint(unknown.next),
            );
        }
    };
    Ok(Approvers::of(approve, &setting.persons(), &members))
}

/// The refusal where the contract asks for no promotion approvals.
pub(crate) fn asks_for_none(setting: &Setting) -> Error {
    Error::usage(format!(
        "{} asks for no approvals of a promotion",
        setting.environment
    ))
    .hint("name who approves under `approve` of its gate, or promote without a request")
}

/// One person's answer, and what it is checked against. The promotion is not observed again: the approver agrees to what the
/// request names, and `check` compares that with the facts at the time of the promotion.
struct PersonalAnswer<'a> {
    word: Word,
    actor: &'a Actor,
    setting: &'a Setting,
    number: u64,
    digest: Option<&'a Digest>,
    now: OffsetDateTime,
    policy: &'a str,
    people: &'a str,
    account: Option<AccountId>,
    approvers: &'a Approvers,
    /// The repository in which GitHub has this run; none for a run elsewhere.
    repository: Option<&'a str>,
}

/// The repository in which GitHub has this run; none for a run elsewhere. It is the one in which the run was
/// looked up for the person behind it, since anybody can set a variable of the process.
fn run_repository(cx: &Cx, net: &Net, repository: Option<&str>) -> Result<Option<String>> {
    if cx.host.kind() != Kind::GitHub {
        return Ok(None);
    }
    let github = GitHub::connect(cx, net, repository)?;
    Ok(Some(github.repository().as_str().to_owned()))
}

impl PersonalAnswer<'_> {
    /// Whether it is written; then the request's record, to answer it. Pure.
    fn decide(&self, standing: &EnvironmentHistory) -> Result<Next> {
        let all = Asked::all(standing.records());
        let asked = all.iter().find(|asked| asked.number() == self.number);
        let asked = asked.ok_or_else(|| self.not_a_request(standing))?;
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
            self.refuse_if_void(asked, standing)?;
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

    fn not_a_request(&self, standing: &EnvironmentHistory) -> Error {
        let environment = &self.setting.environment;
        let mut records = standing.records().map(|recorded| &recorded.record);
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

    /// Whether the person may say this to the request.
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
    fn refuse_if_void(&self, asked: &Asked, standing: &EnvironmentHistory) -> Result<()> {
        let number = self.number;
        // GitHub is not asked for the range: what it has now is for `check` to compare.
        let now = Parts::of(asked.record(), &asked.request).map(|then| Parts {
            head: standing.head().to_owned(),
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

fn report(
    word: Word,
    outcome: &str,
    setting: &Setting,
    (approve, approvers): (&Approve, &Approvers),
    asked: &Asked,
    record: &Record,
) -> Report {
    let persons = setting.persons();
    let barred = Barred::by(asked, &persons);
    let tally = Tally::of(approvers, &persons, Some(asked), &barred);
    let environment = &setting.environment;
    let number = asked.number();
    let title = format!(
        "record {} of {} in {environment} {outcome}: {} {} request {number}",
        record.seq,
        setting.service,
        record.actor.login,
        word.past_tense(),
    );
    let next = match (word, tally.missing(approve)) {
        (Word::Reject | Word::Withdraw, _) => {
            format!("request {number} promotes nothing; to promote the digest, make a new request")
        }
        (Word::Approve, 0) => format!(
            "{}; promote {} to {environment} before {}",
            tally.shown(approve),
            asked.record().digest,
            asked.request.expires
        ),
        (Word::Approve, missing) => format!(
            "{}; the request {}",
            tally.shown(approve),
            wanted(missing, &tally.may, &asked.request.expires)
        ),
    };
    Report {
        text: format!("{title}\n{}next: {next}\n", asked.lines()),
        summary: format!(
            "### {}\n\n{}\n**Next:** {}\n",
            markdown::text(&title),
            markdown::block("", &asked.lines()),
            markdown::text(&next)
        ),
        json: json!({
            "record": record,
            "request": asked.record(),
            "approved": tally.approved,
            "may_approve": tally.may,
            "missing": tally.missing(approve),
            "written": outcome == WRITTEN,
            "next": next,
        }),
        ..Report::default()
    }
}

#[cfg(test)]
mod tests;
