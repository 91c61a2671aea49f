//! What `check` and `grant` judge: observe, decide, report.

mod answer;
mod approvals;
pub(crate) mod approved;
mod collect;
pub(crate) mod conditions;
mod decide;
mod evidence;
mod facts;
pub(crate) mod glass;
mod merge;
mod observe;
mod people;
mod persons;
mod policy;
mod provenance;
mod pushes;
mod range;
mod report;
pub(crate) mod request;
mod rollback;
mod rules;
#[cfg(test)]
pub(crate) mod tests;
mod three_way;
mod trail;

pub(crate) use decide::asks_nothing;
pub(crate) use evidence::Evidence;
pub(crate) use facts::{Fact, Unknown};
pub(crate) use persons::{Key, Persons};
pub(crate) use provenance::Proofs;
use range::Base;

use crate::args::Check;
use crate::person::{actor, logins, without_github};
use crate::setting::Setting;
use crate::standing::{self, Standing, at};
use conditions::Conditions;
use facts::Facts;
use github::GitHub;
use kit::error::{Error, Result};
use kit::host::Kind;
use kit::id::{CommitId, Digest};
use kit::markdown;
use kit::{Cx, Report};
use ledger::{Chain, Ledger, Record, Verdict};
use net::Net;
use trail::Trail;

/// How many of a chain's newest records are searched for a digest.
const LOOK_BACK: usize = 1000;

/// A promotion that the gate allows.
pub(crate) struct Allowed {
    pub(crate) net: Net,
    pub(crate) setting: Setting,
    pub(crate) digest: Digest,
    pub(crate) commit: Option<CommitId>,
    /// The environment's own records as they were judged; nothing where there is no gate.
    pub(crate) standing: Option<Standing>,
    /// What the decision rests on.
    pub(crate) evidence: Evidence,
    /// Why rules were gone past, if any were.
    pub(crate) broken: Option<String>,
    pub(crate) report: Report,
}

/// Judges a promotion, and writes nothing.
///
/// # Errors
/// A rule refuses or is unknown (exit 3), or the set-up of this process is wrong.
pub(crate) async fn allow(args: &Check, cx: &Cx) -> Result<Allowed> {
    let digest = args.digest.as_deref().map(Digest::parse).transpose()?;
    let mut setting = Setting::of(cx, &args.ledger)?.with_rules(&args.rules)?;
    if !setting.declared {
        setting.follows.clone_from(&args.from);
    }
    usable(&setting, digest.as_ref(), args.from.as_deref())?;
    let net = Net::new(cx)?;
    if args.rollback {
        return rollback::allow(args, cx, net, setting, digest).await;
    }
    let question = Question {
        digest,
        from: args.from.as_deref(),
        repository: args.github.repository(),
        breaks_glass: args.break_glass.is_some(),
    };
    let Judged {
        subject,
        facts,
        conditions,
        mut decision,
    } = judge(cx, &net, &setting, question).await?;
    let loud = args.break_glass.as_deref().and_then(|reason| {
        let conditions = conditions.as_ref();
        let by = glass::go_past(&mut decision, reason, &setting, &subject, conditions)?;
        Some((logins(&by), reason))
    });
    let mut report = report::report(&setting, &subject, &facts, &decision)?;
    if let Some((by, reason)) = loud {
        loudly(cx, &mut report, &by, reason);
    }
    let broken = broken_reason(args, &decision);
    let evidence = Evidence::of(&setting, &subject, &facts, conditions.as_ref());
    let standing = conditions.map(|conditions| conditions.standing);
    let report = match &standing {
        Some(standing) => with_head(report, standing),
        None => with_head(report, &Standing::default()),
    };
    Ok(Allowed {
        report: report.output("break-glass", broken.clone().unwrap_or_default()),
        net,
        setting,
        digest: subject.digest,
        commit: subject.commit,
        standing,
        evidence,
        broken,
    })
}

/// What is asked of the gate.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// The digest; without one, the newest healthy one of `from`, else of the environment before.
    pub(crate) digest: Option<Digest>,
    pub(crate) from: Option<&'a str>,
    /// The repository on GitHub, if it is not the run's.
    pub(crate) repository: Option<&'a str>,
    /// Whether the promoter breaks the glass, for which GitHub need not answer.
    pub(crate) breaks_glass: bool,
}

/// A promotion with all facts and the answer of every rule, before any glass is broken.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) subject: Subject,
    pub(crate) facts: Facts,
    pub(crate) conditions: Option<Conditions>,
    pub(crate) decision: answer::Decision,
}

/// Observes and decides. Nothing is written.
///
/// # Errors
/// The ledger cannot be read or is broken, or the set-up of this process is wrong.
pub(crate) async fn judge(
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    question: Question<'_>,
) -> Result<Judged> {
    let github = connect(&question, cx, net, setting)?;
    let subject = subject(cx, net, setting, question.digest.clone(), question.from).await?;
    let proof = provenance::observe(cx, net, setting, &subject, question.repository).await;
    let (facts, conditions) = match decide::asks_nothing(setting) {
        true => (Facts::none(), None),
        false => observed(&question, cx, net, github.as_ref(), setting, &subject).await?,
    };
    let mut decision = decide::decide(setting, &subject, &facts);
    let more = conditions::rules(setting, &subject, conditions.as_ref());
    decision.rules.extend(more);
    let approved = approved::rule(setting, &subject, &facts, conditions.as_ref());
    decision.rules.push(approved);
    // Before all else: without it, every other answer may be about another image.
    let proven = provenance::rule(setting, &subject, proof.as_ref());
    decision.rules.insert(0, proven);
    Ok(Judged {
        subject,
        facts,
        conditions,
        decision,
    })
}

/// A client for GitHub, unless nothing is asked. A person who breaks the glass need not be able to
/// ask it.
fn connect(
    question: &Question<'_>,
    cx: &Cx,
    net: &Net,
    setting: &Setting,
) -> Result<Option<GitHub>> {
    if decide::asks_nothing(setting) {
        return Ok(None);
    }
    match GitHub::connect(cx, net, question.repository) {
        Ok(github) => Ok(Some(github)),
        Err(error) if question.breaks_glass => {
            cx.host
                .warn(format!("GitHub is not asked: {}", error.message));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// All facts.
async fn observed(
    question: &Question<'_>,
    cx: &Cx,
    net: &Net,
    github: Option<&GitHub>,
    setting: &Setting,
    subject: &Subject,
) -> Result<(Facts, Option<Conditions>)> {
    let facts = match github {
        Some(github) => observe::facts(cx, net, github, setting, subject).await?,
        None => Facts::none(),
    };
    let promoter = match &facts.promoter {
        Ok(promoter) => Ok(promoter.accounts.iter().map(actor).collect()),
        Err(_) if question.breaks_glass && cx.host.kind() != Kind::GitHub => {
            without_github(cx, net, setting).await
        }
        Err(unknown) => Err(unknown.clone()),
    };
    let conditions = conditions::observe(cx, net, github, setting, subject, promoter).await?;
    Ok((facts, Some(conditions)))
}

/// The hash that `record` compares the environment's newest deployment with.
fn with_head(mut report: Report, standing: &Standing) -> Report {
    let newest = standing.newest();
    report.json["head"] = serde_json::json!({
        "hash": standing.head(),
        "record": newest.map(|newest| newest.record.seq),
        "digest": newest.map(|newest| &newest.record.digest),
    });
    let head = standing.head().to_owned();
    report.output("head", head)
}

/// The reason, if a rule was gone past for it: only then is there anything to record.
fn broken_reason(args: &Check, decision: &answer::Decision) -> Option<String> {
    let mut rules = decision.rules.iter();
    let broken = rules.any(|rule| rule.answer == answer::Answer::Broken);
    args.break_glass.clone().filter(|_| broken)
}

/// Nobody who reads any of it may miss that rules were gone past.
fn loudly(cx: &Cx, report: &mut Report, by: &str, reason: &str) {
    let line = format!("{by} BREAKS THE GLASS: {reason}");
    cx.host.warn(&line);
    report.text = format!("{line}\n\n{}", report.text);
    report.summary = format!(
        "> [!CAUTION]\n> {}\n\n{}",
        markdown::text(&line),
        report.summary
    );
    report.json["break_glass"] = serde_json::json!({"by": by, "reason": reason});
}

/// The digest to promote, and its records in the ledger.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) digest: Digest,
    /// From the ledger's record of the digest; in the first environment the commit of this run.
    pub(crate) commit: Option<CommitId>,
    /// The newest deployment of the digest in the previous environment.
    pub(crate) evidence: Option<Record>,
    /// What else happened to it there.
    pub(crate) trail: Trail,
    /// The commit that the image was built for, if that is another commit with the same content. It
    /// is reported but no rule depends on it, because a build can write it.
    pub(crate) built_for: Option<CommitId>,
    /// Where the commits that the promotion brings begin.
    pub(crate) base: Base,
}

/// Refuses, before anything is read, arguments that do not fit the environment.
fn usable(setting: &Setting, digest: Option<&Digest>, from: Option<&str>) -> Result<()> {
    match (&setting.follows, from) {
        (Some(_), _) => Ok(()),
        (None, Some(from)) => Err(Error::usage(format!(
            "{} follows no environment, so `--from {from}` does not apply",
            setting.environment
        ))
        .hint("give --digest instead")),
        (None, None) => digest.map(|_| ()).ok_or_else(|| no_digest(setting)),
    }
}

fn no_digest(setting: &Setting) -> Error {
    Error::usage("--digest is missing").hint(format!(
        "{} follows no environment that a digest could come from: give --digest",
        setting.environment
    ))
}

async fn subject(
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    digest: Option<Digest>,
    from: Option<&str>,
) -> Result<Subject> {
    let Some(follows) = &setting.follows else {
        let digest = digest.ok_or_else(|| no_digest(setting))?;
        let commit = match cx.host.commit() {
            // No rule looks at it, and a build whose source is not a commit may deploy here.
            Err(_) if decide::asks_nothing(setting) => None,
            commit => commit?,
        };
        if commit.is_none() && !decide::asks_nothing(setting) {
            return Err(Error::usage(format!(
                "the commit of {digest} is unknown: the ledger has no record, and this run has no commit"
            ))
            .hint("run this in the workflow run or build of that commit"));
        }
        let base = match decide::asks_nothing(setting) {
            true => Base::Nothing,
            false => {
                let account = net.account(&setting.ledger_reader).await?;
                base(&setting.ledger(net, &account), setting).await?
            }
        };
        return Ok(Subject {
            digest,
            commit,
            evidence: None,
            trail: Trail::default(),
            built_for: None,
            base,
        });
    };
    let account = net.account(&setting.ledger_reader).await?;
    let ledger = setting.ledger(net, &account);
    let before = Chain::new(&setting.service, follows)?;
    let digest = match digest {
        Some(digest) => digest,
        None => {
            let from = from.unwrap_or(follows);
            let chain = Chain::new(&setting.service, from)?;
            // After a failed deployment, the previous healthy one runs or may be restored.
            let healthy = |record: &Record| record.verdict == Verdict::Healthy;
            let last = ledger.find(&chain, LOOK_BACK, healthy).await?;
            last.ok_or_else(|| {
                Error::refused(format!("no digest is recorded as healthy in {from}"))
                    .hint(format!("deploy to {from} first, or give --digest"))
            })?
            .digest
        }
    };
    // Far enough back to know for how long it was healthy.
    let now = cx.clock.now();
    let enough = |record: &Record| {
        let soak = time::Duration::seconds(setting.gate.soak.unwrap_or(0).cast_signed());
        let old = at(&record.at).is_some_and(|at| now - at >= soak);
        record.is_deployment()
            && record.digest == digest
            && (old || record.verdict != Verdict::Healthy)
    };
    let records = ledger.recent(&before, LOOK_BACK, enough).await?;
    let (evidence, trail) = Trail::of(&records, &digest);
    let commit = evidence.as_ref().map(|record| record.commit.clone());
    let built_for = match &commit {
        Some(commit) => built_for(cx, &ledger, &setting.service, &digest, commit).await,
        None => None,
    };
    Ok(Subject {
        base: base(&ledger, setting).await?,
        digest,
        commit,
        evidence,
        trail,
        built_for,
    })
}

/// What the environment runs: the newest healthy record of its chain. Before the first one, the
/// contract may name a commit to begin from.
async fn base(ledger: &Ledger, setting: &Setting) -> Result<Base> {
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let mut read = 0;
    let healthy = |record: &Record| record.verdict == Verdict::Healthy;
    if let Some(record) = ledger.find(&chain, standing::LOOK_BACK, healthy).await? {
        return Ok(Base::Record {
            commit: record.commit.to_string(),
            seq: record.seq,
        });
    }
    if let Some(head) = ledger.head(&chain).await? {
        read = head.seq;
    }
    // Failures must not push the version that runs out of sight.
    if read > standing::LOOK_BACK as u64 {
        return Err(Error::refused(format!(
            "none of the newest {} records of {} is healthy, so what runs there is unknown",
            standing::LOOK_BACK,
            setting.environment
        ))
        .hint("deploy what runs there once more, and record it"));
    }
    Ok(match &setting.gate.since {
        Some(commit) => Base::Since(commit.clone()),
        None => Base::Nothing,
    })
}

/// The commit that the image of `commit` was built for, if the ledger's notes name another one. If
/// they cannot be read, that is only a warning, because no rule depends on them.
async fn built_for(
    cx: &Cx,
    ledger: &Ledger,
    service: &str,
    digest: &Digest,
    commit: &CommitId,
) -> Option<CommitId> {
    match ledger.contents(service, digest).await {
        Ok(notes) => notes
            .into_iter()
            .find(|note| note.commit == *commit)
            .and_then(|note| CommitId::parse(&note.first_commit).ok())
            .filter(|first| first != commit),
        Err(error) => {
            cx.host.warn(format!(
                "cannot determine the commit that the image was built for: {}",
                error.message
            ));
            None
        }
    }
}
