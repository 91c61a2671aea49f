//! `approve`, `reject`, `withdraw`: one person's answer to a request, written into the ledger.

mod decide;

pub(crate) use decide::Word;
use decide::{PersonalAnswer, answer};

use crate::args::Answer as Args;
use crate::check::{Unknown, uncompared};
use crate::notify::{Message, Notifier};
use crate::person::acting_person;
use crate::record::connected;
use crate::requests::{
    Approvers, Asked, Barred, Next, Tally, append, members, people_hash, wanted,
};
use crate::setting::Setting;
use github::GitHub;
use kit::clock::rfc3339;
use kit::contract::Approve;
use kit::error::{Error, Result};
use kit::host::Kind;
use kit::markdown;
use kit::{Cx, Report};
use ledger::{Actor, Chain, Record};
use net::Net;
use serde_json::json;

/// How an answer is reported that this run wrote.
const WRITTEN: &str = "written";

pub(crate) async fn run(word: Word, args: Args, cx: &Cx) -> Result<Report> {
    let digest = args.digest;
    require_reason(word, args.reason.as_deref())?;
    let setting = Setting::of(cx, &args.ledger)?;
    let Some(approve) = &setting.gate.approve else {
        return Err(asks_for_none(&setting));
    };
    let net = Net::new(cx)?;
    let actor = acting_person(cx, &net, &setting, args.github.repository(), word.noun()).await?;
    let github = connected(cx, &net, &args.github)?;
    let uncompared = uncompared(cx, &setting, github.as_ref()).await?;
    let ledger = setting.appending(&net, args.dry_run).await?;
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let now = net.time()?;
    let (policy, people) = (setting.policy()?, people_hash(&setting)?);
    let approvers = approvers(word, cx, &net, &setting, approve, args.github.repository()).await?;
    let run_repository = run_repository(cx, &net, args.github.repository())?;
    let written = append(&ledger, &chain, args.dry_run, |history| {
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
        Ok(match personal_answer.decide(history)? {
            Next::Already(recorded) => Next::Already(recorded),
            Next::Write(request) => Next::Write(Box::new(Record {
                run: cx.host.run_url(),
                reason: args.reason.clone(),
                ..answer(word, &actor, args.request, rfc3339(now), *request)
            })),
        })
    })
    .await?;
    let all = Asked::all(written.history.records());
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
    let report = by_own_contract(report, &setting, uncompared.as_ref(), cx);
    if args.dry_run {
        return Ok(report);
    }
    let notifier = Notifier {
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
    let notification = notifier.notify(&message).await;
    let report = notification.report(cx, report, args.request);
    Ok(report
        .output("record", record.seq.to_string())
        .output("hash", written.recorded.hash.clone()))
}

fn require_reason(word: Word, reason: Option<&str>) -> Result<()> {
    match word.needs_a_reason() && reason.is_none() {
        true => Err(Error::usage("--reason is missing")
            .hint("say in one line why, for those who asked and approved")),
        false => Ok(()),
    }
}

/// The report of an answer by a contract that nobody held against the branch's.
fn by_own_contract(
    mut report: Report,
    setting: &Setting,
    unknown: Option<&Unknown>,
    cx: &Cx,
) -> Report {
    let Some(unknown) = unknown else {
        return report;
    };
    let line = format!(
        "contract: the people are those of the file at this terminal, which was not compared with {}: {}; the promotion counts the answer by the branch's",
        setting.gate.branch, unknown.why
    );
    cx.host.warn(&line);
    report.text.push_str(&format!("{line}\n"));
    report
        .summary
        .push_str(&format!("\n{}\n", markdown::text(&line)));
    report.json["contract"] = json!({ "compared": false, "why": unknown.why });
    report
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

/// The people who may approve. GitHub is asked only where the contract names a team.
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
                Error::refused("the approvers are not known, so nothing was recorded")
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

/// The repository in which GitHub has this run; none for a run elsewhere. It is the one in which the run was
/// looked up for the person behind it, since anybody can set a variable of the process.
fn run_repository(cx: &Cx, net: &Net, repository: Option<&str>) -> Result<Option<String>> {
    if cx.host.kind() != Kind::GitHub {
        return Ok(None);
    }
    let github = GitHub::connect(cx, net, repository)?;
    Ok(Some(github.repository().as_str().to_owned()))
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
