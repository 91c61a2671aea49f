//! `request`: asks the people whom the contract lists to approve a promotion that every other rule
//! lets pass.

mod decide;
mod shown;

use self::decide::{defer_to_promotion, next, refuse_too_few_approvers};
use self::shown::{Shown, workflow};
use super::approved::{NamedContributors, contributors_to_promotion, parts};
use super::plan;
use super::range::pulls;
use super::report::{self, Occasion};
use super::{Judged, Question, Subject, judge, usable};
use crate::answer::asks_for_none;
use crate::args::Request as Args;
use crate::notify::Notifier;
use crate::person::acting_person;
use crate::requests::{Approvers, Asked, Parts, append};
use crate::setting::Setting;
use kit::clock::rfc3339;
use kit::contract::Approve;
use kit::error::{Error, Result};
use kit::id::{CommitId, Digest};
use kit::{Cx, Report};
use ledger::{Actor, Chain, Record, Request, Verdict};
use net::Net;
use time::{Duration, OffsetDateTime};

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<Report> {
    let digest = args.digest.clone();
    let setting = Setting::of(cx, &args.ledger)?;
    let Some(approve) = &setting.gate.approve else {
        return Err(asks_for_none(&setting));
    };
    usable(&setting, digest.as_ref(), args.from.as_deref())?;
    plan::needed(&setting, args.plan.as_ref(), false)?;
    let net = Net::new(cx)?;
    let repository = args.github.repository();
    in_the_codes_repository(cx, &setting, repository)?;
    let requester = acting_person(cx, &net, &setting, repository, "request").await?;
    let judged = judged_now(&args, cx, &net, &setting, digest).await?;
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let now = net.time()?;
    let (parts, request) = bound(&setting, approve, &judged, now)?;
    let Judged { subject, facts, .. } = &judged;
    let commit = subject.commit.clone().ok_or_else(unknown)?;
    let at = rfc3339(now);
    let draft = Record {
        run: cx.host.run_url(),
        account: setting.read.account.clone(),
        policy: Some(parts.policy.clone()),
        reason: Some(args.reason),
        request: Some(request),
        ..requested(&chain, subject, &commit, requester, at)
    };
    let approvers = approvers(&setting, approve, &judged)?;
    refuse_too_few_approvers(&setting, approve, &approvers, &draft)?;
    let ledger = setting.appending(&net, args.dry_run).await?;
    let written = append(&ledger, &chain, args.dry_run, |history| {
        next(history, &parts, &draft, now)
    });
    let written = written.await?;
    let all = Asked::all(written.history.records());
    let number = written.recorded.record.seq;
    let asked = all.iter().find(|asked| asked.number() == number);
    let asked = asked.ok_or_else(|| Error::failed("the request is not in the chain"))?;
    let shown = Shown {
        setting: &setting,
        approve,
        approvers: &approvers,
        asked,
        brought: report::brought(&setting, facts),
        outcome: write_outcome(written.already, args.dry_run),
        workflow: workflow(cx, approve, &facts.run),
    };
    let notifier = Notifier {
        cx,
        net: &net,
        setting: &setting,
        approve,
        approvers: &approvers,
        repository,
        ledger: &ledger,
        chain: &chain,
    };
    let report = match args.dry_run {
        true => shown.report(),
        false => shown.report_after_notifying(&notifier).await,
    };
    if args.dry_run && !written.already {
        return Ok(report);
    }
    Ok(report
        .output("digest", &subject.digest)
        .output("commit", commit.as_str())
        .output("record", number.to_string())
        .output("hash", written.recorded.hash.clone()))
}

/// Judges what is asked for by every rule that can be answered before anybody approves.
///
/// # Errors
/// A rule refuses, or something cannot be read.
async fn judged_now(
    args: &Args,
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    digest: Option<Digest>,
) -> Result<Judged> {
    let question = Question {
        digest,
        from: args.from.as_deref(),
        plan: args.plan.as_ref().map(String::from),
        repository: args.github.repository(),
        breaks_glass: false,
        by_nobody: false,
        keeps: false,
    };
    let mut judged = judge(cx, net, setting, question).await?;
    defer_to_promotion(&mut judged.decision);
    let (subject, facts, decision) = (&judged.subject, &judged.facts, &judged.decision);
    report::report(setting, subject, facts, decision, Occasion::Promotion)?;
    Ok(judged)
}

/// Refuses to ask from the repository for approvals, whose token sees nothing of the code.
fn in_the_codes_repository(cx: &Cx, setting: &Setting, repository: Option<&str>) -> Result<()> {
    let own_repository = repository.or_else(|| cx.env.get("GITHUB_REPOSITORY"));
    match own_repository.filter(|own_repository| setting.is_for_approvals(own_repository)) {
        None => Ok(()),
        Some(own_repository) => Err(Error::refused(format!(
            "{own_repository} is only for answers: a run there cannot see what would be promoted"
        ))
        .hint("ask in the repository of the code")),
    }
}

/// A record of a request, before what it asks is in it.
fn requested(
    chain: &Chain,
    subject: &Subject,
    commit: &CommitId,
    requester: Actor,
    at: String,
) -> Record {
    let (digest, commit) = (subject.digest.clone(), commit.clone());
    Record::new(chain, digest, commit, Verdict::Requested, requester, at)
}

/// The people who may approve.
fn approvers(setting: &Setting, approve: &Approve, judged: &Judged) -> Result<Approvers> {
    let conditions = judged.conditions.as_ref().ok_or_else(unknown)?;
    let members = conditions.members.as_ref().map_err(|reason| {
        let unknown = unknown().cause(reason.why.clone());
        unknown.hint(reason.next.clone())
    })?;
    Ok(Approvers::of(approve, &setting.persons(), members))
}

fn write_outcome(already: bool, dry_run: bool) -> &'static str {
    match (already, dry_run) {
        (true, _) => "is open already",
        (false, true) => "would be written",
        (false, false) => "written",
    }
}

fn unknown() -> Error {
    Error::refused("what is promoted is not known, so nothing was requested")
}

/// The parts that approval is asked for, and the request for it.
fn bound(
    setting: &Setting,
    approve: &Approve,
    judged: &Judged,
    now: OffsetDateTime,
) -> Result<(Parts, Request)> {
    let Judged {
        subject,
        facts,
        conditions,
        ..
    } = judged;
    let conditions = conditions.as_ref().ok_or_else(unknown)?;
    let parts = parts(setting, subject, facts, conditions)
        .map_err(|finding| unknown().cause(finding.fact))?;
    let NamedContributors {
        people,
        unattributed,
    } = contributors_to_promotion(setting, facts)
        .map_err(|reason| unknown().cause(reason.why).hint(reason.next))?;
    let range = facts.range.as_ref().map_err(|_| unknown())?;
    let expires = rfc3339(now + Duration::seconds(approve.expires.cast_signed()));
    let request = Request {
        binding: parts.binding(&expires)?,
        expires,
        head: parts.head.clone(),
        base: parts.base.clone(),
        commits: range.commits.len(),
        range: parts.range.clone(),
        people: parts.people.clone(),
        repository: facts.repository.clone(),
        pull_requests: pulls(facts.changes.as_deref().unwrap_or_default())
            .map(|pull| pull.number)
            .collect(),
        plan: parts.plan.clone(),
        contributors: people,
        unattributed,
    };
    Ok((parts, request))
}
