//! `request`: asks the people whom the contract lists to approve a promotion that every other rule
//! lets pass.

use super::answer::{Answer, Decision, not_asked};
use super::approved::{NamedContributors, RULE, changed, contributors_to_promotion, parts};
use super::fact::RunKind;
use super::plan;
use super::range::pulls;
use super::report::{self, ChangeReport, Occasion};
use super::{Judged, Question, Subject, judge, usable};
use crate::answer::{Word, asks_for_none};
use crate::args::Request as Args;
use crate::environment_history::EnvironmentHistory;
use crate::notify::{Message, Notifier};
use crate::person::acting_person;
use crate::requests::{Approvers, Asked, Barred, Next, Parts, Tally, append};
use crate::setting::Setting;
use kit::clock::rfc3339;
use kit::contract::Approve;
use kit::error::{Error, Result};
use kit::id::{CommitId, Digest};
use kit::markdown;
use kit::{Cx, Report};
use ledger::{Actor, Chain, Record, Request, Verdict};
use net::Net;
use serde_json::json;
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

/// Leaves two rules to the promotion: a request asks for the approvals, and another run promotes.
fn defer_to_promotion(decision: &mut Decision) {
    for rule in &mut decision.rules {
        if rule.rule == RULE || (rule.rule == "run" && rule.answer != Answer::NotAsked) {
            *rule = not_asked("asked when it is promoted").named(rule.rule);
        }
    }
}

/// The request that is open for exactly this, or the one to write.
fn next(
    history: &EnvironmentHistory,
    parts: &Parts,
    draft: &Record,
    now: OffsetDateTime,
) -> Result<Next> {
    if history.head() != parts.head {
        return Err(Error::refused(format!(
            "a deployment to {} was recorded meanwhile, so nothing was requested",
            draft.environment
        ))
        .hint("run this again"));
    }
    let all = Asked::all(history.records());
    Ok(match open(&all, parts, now) {
        Some(asked) => Next::Already(Box::new(asked.recorded.clone())),
        None => Next::Write(Box::new(draft.clone())),
    })
}

/// The open request for exactly this.
fn open<'a>(all: &'a [Asked], parts: &Parts, now: OffsetDateTime) -> Option<&'a Asked> {
    let digest = |asked: &&Asked| asked.record().digest == parts.digest;
    let newest = all.iter().rev().find(digest)?;
    let counts = newest.end.is_none() && !newest.expired(now) && changed(newest, parts).is_none();
    counts.then_some(newest)
}

/// Refuses a request that too few people may approve.
fn refuse_too_few_approvers(
    setting: &Setting,
    approve: &Approve,
    approvers: &Approvers,
    draft: &Record,
) -> Result<()> {
    let Some(request) = &draft.request else {
        return Ok(());
    };
    let persons = setting.persons();
    let mut barred = Barred::default();
    barred.add(&persons, [&draft.actor], "asks for it");
    let contributors = NamedContributors {
        people: request.contributors.clone(),
        unattributed: request.unattributed.clone(),
    };
    barred.add_contributors(&persons, &contributors);
    let tally = Tally::of(approvers, &persons, None, &barred);
    let missing = tally.missing(approve);
    if missing <= tally.may.len() {
        return Ok(());
    }
    let why = tally
        .one_more()
        .map_or_else(String::new, |why| format!(", {why}"));
    let barred = match tally.barred.as_slice() {
        [] => String::new(),
        some => format!(": {}", some.join(", ")),
    };
    let mut error = Error::refused(format!(
        "{} needs {missing} approvals{why}, and {} of its approvers may approve this{barred}",
        setting.environment,
        tally.may.len(),
    ))
    .hint("list more people under `approve` of the gate");
    if approvers.name(&persons.of(&draft.actor)).is_some() {
        error = error.hint("have somebody else ask");
    }
    Err(error)
}

/// The workflow whose dispatches answer: that of the repository for approvals, else the one that asks.
fn workflow(cx: &Cx, approve: &Approve, run: &RunKind) -> Option<Workflow> {
    if let Some(repository) = &approve.repository {
        return Some(Workflow {
            file: "approve.yml".to_owned(),
            repository: repository.clone(),
            branch: None,
        });
    }
    let RunKind::GitHub(Ok(run)) = run else {
        return None;
    };
    Some(Workflow {
        file: run.file().rsplit('/').next()?.to_owned(),
        repository: cx.env.get("GITHUB_REPOSITORY")?.to_owned(),
        branch: Some(run.head_branch.clone()?),
    })
}

struct Workflow {
    file: String,
    repository: String,
    /// The default one, if none is named.
    branch: Option<String>,
}

/// A request, and the facts that are shown with it.
struct Shown<'a> {
    setting: &'a Setting,
    approve: &'a Approve,
    approvers: &'a Approvers,
    asked: &'a Asked,
    brought: ChangeReport,
    outcome: &'static str,
    workflow: Option<Workflow>,
}

impl Shown<'_> {
    /// How a person answers.
    fn command(&self, word: Word) -> String {
        let environment = &self.setting.environment;
        let number = self.asked.number();
        let digest = &self.asked.record().digest;
        let verb = word.verb();
        let (field, argument) = match word.needs_a_reason() {
            true => (" -f reason=TEXT", " --reason TEXT"),
            false => ("", ""),
        };
        match &self.workflow {
            Some(workflow) => {
                let branch = workflow.branch.as_ref();
                let branch = branch.map_or_else(String::new, |name| format!(" --ref {name}"));
                format!(
                    "gh workflow run {} --repo {}{branch} -f command={verb} -f environment={environment} -f request={number} -f digest={digest}{field}",
                    workflow.file, workflow.repository
                )
            }
            None => format!(
                "{} --digest {digest}{argument}",
                super::approved::answer(environment, verb, number)
            ),
        }
    }

    /// The report, after the approvers were notified.
    async fn report_after_notifying(&self, notifier: &Notifier<'_>) -> Report {
        let report = self.report();
        let number = self.asked.number();
        let message = Message {
            request: number,
            subject: format!(
                "Approve request {number} of {} in {}",
                self.setting.service, self.setting.environment
            ),
            text: &report.text,
            details: Some(self.details()),
        };
        let notification = notifier.notify(&message).await;
        notification.report(notifier.cx, report, number)
    }

    /// The request and how to answer it, in Markdown.
    fn details(&self) -> String {
        format!(
            "{}\n{}\n{}\n{}",
            markdown::block("", &self.asked.lines()),
            self.brought.markdown,
            markdown::block("sh", &self.command(Word::Approve)),
            markdown::block("sh", &self.command(Word::Reject)),
        )
    }

    fn report(&self) -> Report {
        let persons = self.setting.persons();
        let barred = Barred::by(self.asked, &persons);
        let tally = Tally::of(self.approvers, &persons, Some(self.asked), &barred);
        let environment = &self.setting.environment;
        let number = self.asked.number();
        let request = &self.asked.request;
        let may = match tally.may.as_slice() {
            [] => "nobody else".to_owned(),
            some => some.join(", "),
        };
        let not = match tally.barred.as_slice() {
            [] => String::new(),
            some => format!(" (not: {})", some.join(", ")),
        };
        let count = tally.shown(self.approve);
        let title = format!(
            "request {number} of {} in {environment} {}: {count}, until {}",
            self.setting.service, self.outcome, request.expires
        );
        let brought = &self.brought;
        let approve = self.command(Word::Approve);
        let reject = self.command(Word::Reject);
        let text = format!(
            "{title}\n{}{}who may approve: {may}{not}\nto approve it: {approve}\nto reject it: {reject}\n",
            self.asked.lines(),
            brought.text
        );
        let summary = format!(
            "### {}\n\n{}\n{}\n**Who may approve:** {}\n\n{}\n{}",
            markdown::text(&title),
            markdown::block("", &self.asked.lines()),
            brought.markdown,
            markdown::text(&format!("{may}{not}")),
            markdown::block("sh", &approve),
            markdown::block("sh", &reject),
        );
        Report {
            text,
            summary,
            json: json!({
                "record": self.asked.record(),
                "hash": self.asked.recorded.hash,
                "written": self.outcome == "written",
                "approved": tally.approved,
                "may_approve": tally.may,
                "may_not_approve": tally.barred,
                "commits": brought.commits,
                "changes": brought.changes,
                "approve": approve,
                "reject": reject,
            }),
            ..Report::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::answer::{fail, pass};
    use crate::environment_history::at;
    use crate::environment_history::tests::{actor, deployed, history};
    use crate::requests::tests::{account, answered, asking, requested};

    #[test]
    fn only_an_open_request_for_exactly_this_is_found_again() {
        let setting = asking();
        let now = at("2026-11-21T20:00:00Z").unwrap();
        let ask = requested(&setting, 'b', "hash-1");
        let parts = Parts::of(&ask, ask.request.as_ref().unwrap()).unwrap();
        let found = |more: &[Record], parts: &Parts, now| {
            let records = [&[deployed('a'), ask.clone()], more].concat();
            let all = Asked::all(history(&records).records());
            open(&all, parts, now).map(Asked::number)
        };
        assert_eq!(found(&[], &parts, now), Some(2));
        let approved = answered(Verdict::Approved, 2, actor("ada"));
        assert_eq!(found(&[approved], &parts, now), Some(2));
        for verdict in [Verdict::Rejected, Verdict::Withdrawn] {
            let ended = answered(verdict, 2, actor("ada"));
            assert_eq!(found(&[ended], &parts, now), None);
        }
        let late = at("2026-11-22T12:00:00Z").unwrap();
        assert_eq!(found(&[], &parts, late), None);
        let mut other = parts.clone();
        other.range.push('x');
        assert_eq!(found(&[], &other, now), None);
        let mut other = parts.clone();
        other.digest = deployed('c').digest;
        assert_eq!(found(&[], &other, now), None);
        // The newest decides: what was asked for since is something else.
        let mut newer = requested(&setting, 'b', "hash-1");
        newer.commit = "c".repeat(40).parse().unwrap();
        assert_eq!(found(&[newer], &parts, now), None);
    }

    #[test]
    fn a_request_that_too_few_may_approve_is_not_made() {
        let setting = asking();
        let approve = setting.gate.approve.as_ref().unwrap();
        let made = |by, contributors: &[&str]| {
            let mut ask = requested(&setting, 'b', "hash-1");
            ask.actor = by;
            let request = ask.request.as_mut().unwrap();
            request.contributors = contributors.iter().map(|login| actor(login)).collect();
            let approvers = Approvers::of(approve, &setting.persons(), &[]);
            refuse_too_few_approvers(&setting, approve, &approvers, &ask)
        };
        made(actor("dora"), &["ada", "eve"]).unwrap();
        made(account("grace-admin", 22), &["eve"]).unwrap();
        let few = made(actor("dora"), &["ada", "linus"]).unwrap_err();
        assert_eq!(
            few.message,
            "production needs 2 approvals, and 1 of its approvers may approve this: ada wrote part of it, linus wrote part of it"
        );
        let other = "have somebody else ask";
        assert!(!few.hints.iter().any(|hint| hint == other), "{few:?}");
        let few = made(account("grace-admin", 22), &["ada"]).unwrap_err();
        assert!(
            few.message
                .contains("ada wrote part of it, grace asks for it"),
            "{few}"
        );
        assert!(few.hints.iter().any(|hint| hint == other), "{few:?}");
    }

    /// A person who pastes it only has to write the reason, without which a rejection is refused.
    #[test]
    fn the_command_that_rejects_asks_for_a_reason() {
        let setting = asking();
        let records = [deployed('a'), requested(&setting, 'b', "hash-1")];
        let all = Asked::all(history(&records).records());
        let approve = setting.gate.approve.as_ref().unwrap();
        let approvers = Approvers::of(approve, &setting.persons(), &[]);
        let mut shown = Shown {
            setting: &setting,
            approve,
            approvers: &approvers,
            asked: &all[0],
            brought: ChangeReport::default(),
            outcome: "written",
            workflow: None,
        };
        let ends = |command: String, text: &str| assert!(command.ends_with(text), "{command}");
        let digest = &all[0].record().digest;
        ends(
            shown.command(Word::Reject),
            &format!("--request 2 --digest {digest} --reason TEXT"),
        );
        ends(
            shown.command(Word::Approve),
            &format!("--request 2 --digest {digest}"),
        );
        shown.workflow = Some(Workflow {
            file: "approve.yml".to_owned(),
            repository: "acme/storefront".to_owned(),
            branch: Some("main".to_owned()),
        });
        ends(shown.command(Word::Reject), " -f reason=TEXT");
        ends(
            shown.command(Word::Approve),
            &format!(" -f digest={digest}"),
        );
    }

    #[test]
    fn a_request_is_judged_without_its_approvals_and_the_run_that_promotes() {
        let mut decision = Decision {
            rules: vec![
                pass("x").named("digest"),
                fail("the workflow is approve.yml, not promote.yml", "y").named("run"),
                fail("nobody has asked", "y").named(RULE),
            ],
        };
        defer_to_promotion(&mut decision);
        assert!(decision.allowed());
        decision.rules.push(fail("frozen", "y").named("freeze"));
        defer_to_promotion(&mut decision);
        assert_eq!(decision.obstacle().unwrap().rule, "freeze");
    }
}
