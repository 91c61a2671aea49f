//! The judgment behind `check` and `grant`: observe, decide, report.

mod answer;
mod approvals;
pub(crate) mod approved;
mod at_terminal;
pub(crate) mod break_glass;
mod change;
mod collect;
pub(crate) mod conditions;
mod decide;
mod evidence;
mod fact;
mod facts;
mod host;
pub(crate) mod judging;
mod kept;
mod merge;
mod observe;
mod people;
mod persons;
pub(crate) mod plan;
mod policy;
mod proofs;
mod provenance;
mod providers;
pub(crate) mod pull_request;
mod pushes;
mod range;
mod report;
pub(crate) mod request;
mod rollback;
mod rules;
mod sides;
mod subject;
#[cfg(test)]
pub(crate) mod tests;
mod three_way;
mod trail;

pub(crate) use at_terminal::uncompared;
pub(crate) use evidence::Evidence;
pub(crate) use fact::{Fact, Unknown};
#[cfg(test)]
pub(crate) use kept::bound;
pub(crate) use kept::{Against, Kept, Known, Replayed, replay};
pub(crate) use persons::{Key, Persons};
pub(crate) use proofs::Proofs;
pub(crate) use subject::{Read, Subject};

use crate::args::{Ask, Check};
use crate::environment_history::EnvironmentHistory;
use crate::person::logins;
use crate::setting::Setting;
use conditions::Conditions;
use fact::Promoter;
use facts::Facts;
use github::{GitHub, Repository, Transcript};
use host::Host;
use judging::require_own_contract;
use kit::error::Result;
use kit::id::{CommitId, Digest};
use kit::markdown;
use kit::{Cx, Report};
use net::Net;
use subject::usable;

/// The names of all rules of a promotion, in the order of the report.
pub(crate) fn names() -> Vec<&'static str> {
    let own = rules::Context::rules().into_iter().map(|(name, _)| name);
    let mut names = vec![provenance::NAME];
    names.extend(own);
    names.extend(conditions::names());
    names.push(approved::RULE);
    names
}

/// A promotion that the gate allows.
pub(crate) struct Allowed {
    pub(crate) net: Net,
    pub(crate) setting: Setting,
    pub(crate) digest: Digest,
    pub(crate) commit: Option<CommitId>,
    /// The environment's own records as they were judged; nothing where there is no gate.
    pub(crate) history: Option<EnvironmentHistory>,
    /// The infrastructure plan that is promoted along.
    pub(crate) plan: Option<String>,
    /// The facts that the decision rests on.
    pub(crate) evidence: Evidence,
    /// All that it was made from; nothing where there is no gate, or if nobody keeps it.
    pub(crate) kept: Option<Kept>,
    /// Why rules were overridden, if any were.
    pub(crate) broken: Option<String>,
    pub(crate) report: Report,
}

/// `check`: judges a promotion, and says what the gate answers.
///
/// # Errors
/// A rule refuses or is unknown (exit 3), or the set-up of this process is wrong.
pub(crate) async fn run(args: &Ask, cx: &Cx) -> Result<Report> {
    let setting = Setting::of(cx, &args.ledger)?.with_rules(&args.rules)?;
    Ok(allow(&args.check, setting, cx, false).await?.report)
}

/// Judges a promotion, and writes nothing. If it `keeps` what was read, that can be kept with the decision.
///
/// # Errors
/// A rule refuses or is unknown (exit 3), or the set-up of this process is wrong.
pub(crate) async fn allow(
    args: &Check,
    mut setting: Setting,
    cx: &Cx,
    keeps: bool,
) -> Result<Allowed> {
    let digest = args.digest.clone();
    if !setting.declared {
        setting.follows.clone_from(&args.from);
    }
    plan::fits(&setting, args.plan.as_ref(), args.rollback)?;
    let keeps = keeps && setting.trust.anchor.is_some();
    let net = Net::new(cx)?;
    if args.rollback {
        return rollback::allow(args, cx, net, setting, digest, keeps).await;
    }
    usable(&setting, digest.as_ref(), args.from.as_deref())?;
    let question = Question {
        digest,
        from: args.from.as_deref(),
        plan: args.plan.as_ref().map(String::from),
        repository: args.github.repository(),
        breaks_glass: args.break_glass.is_some(),
        by_nobody: false,
        keeps,
    };
    let Judged {
        subject,
        facts,
        conditions,
        mut decision,
        observed,
    } = judge(cx, &net, &setting, question).await?;
    let loud = args.break_glass.as_deref().and_then(|reason| {
        let conditions = conditions.as_ref();
        let by =
            break_glass::apply_break_glass(&mut decision, reason, &setting, &subject, conditions)?;
        Some((logins(&by), reason))
    });
    let first = plan::missing(&setting, subject.plan.as_deref(), false);
    let occasion = match first {
        true => report::Occasion::PromotionAfter(plan::next(&setting.environment)),
        false => report::Occasion::Promotion,
    };
    let mut report = report::report(&setting, &subject, &facts, &decision, occasion)?;
    if let Some((by, reason)) = loud {
        announce_break_glass(cx, &mut report, &by, reason);
    }
    let broken = broken_reason(args, &decision);
    let evidence = Evidence::of(&setting, &subject, &facts, conditions.as_ref());
    let kept = match &conditions {
        Some(conditions) if keeps => {
            let glass = args.break_glass.clone();
            Some(Kept::promotion(
                &setting, observed, conditions, &decision, glass,
            )?)
        }
        _ => None,
    };
    let history = conditions.map(|conditions| conditions.history);
    let report = match &history {
        Some(history) => with_head(report, history),
        None => with_head(report, &EnvironmentHistory::default()),
    };
    Ok(Allowed {
        report: report.output("break-glass", broken.clone().unwrap_or_default()),
        net,
        setting,
        digest: subject.digest,
        commit: subject.commit,
        plan: subject.plan,
        history,
        evidence,
        kept,
        broken,
    })
}

/// The promotion that the gate is asked about.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// The digest; without one, the newest healthy one of `from`, else of the previous environment.
    pub(crate) digest: Option<Digest>,
    pub(crate) from: Option<&'a str>,
    /// The infrastructure plan that is promoted along, if one was named.
    pub(crate) plan: Option<String>,
    /// The repository on GitHub, if it is not the run's.
    pub(crate) repository: Option<&'a str>,
    /// True if the promoter uses break-glass, for which GitHub need not answer.
    pub(crate) breaks_glass: bool,
    /// True if nobody promotes, because this run only looks: then no rule is about the promoter.
    pub(crate) by_nobody: bool,
    /// True if the facts are to be kept as evidence.
    pub(crate) keeps: bool,
}

/// A promotion with all facts and the answer of every rule, before any break-glass.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) subject: Subject,
    pub(crate) facts: Facts,
    pub(crate) conditions: Option<Conditions>,
    pub(crate) decision: answer::Decision,
    /// The inputs, for a caller that keeps them.
    observed: Observed,
}

/// The inputs read for a promotion, before any of them was judged.
#[derive(Debug)]
struct Observed {
    read: Read,
    /// The host's description of the run; nothing where there is no gate.
    host: Option<Host>,
    /// The requests to GitHub, if there were any.
    asked: Option<Asked>,
    proof: Option<Fact<provenance::Found>>,
}

/// The requests to GitHub and its answers.
#[derive(Debug)]
struct Asked {
    repository: Repository,
    transcript: Transcript,
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
    let transcript = Transcript::default();
    let github = connect(&question, cx, net, setting)?.map(|github| match question.keeps {
        true => github.noting(&transcript),
        false => github,
    });
    let mut read = Read::of(cx, net, setting, question.digest.clone(), question.from).await?;
    read.plan.clone_from(&question.plan);
    let history = read.history(setting)?;
    require_own_contract(history.judging(), setting)?;
    let subject = read.subject(setting, &history)?;
    let proof = provenance::observe(cx, net, setting, &subject, question.repository).await;
    let (facts, conditions, host) = match setting.asks_nothing() {
        true => (Facts::none(), None, None),
        false => {
            let github = github.as_ref();
            observed(&question, cx, net, github, setting, &subject, history).await?
        }
    };
    let decision = decide::all(
        setting,
        &subject,
        &facts,
        conditions.as_ref(),
        proof.as_ref(),
    );
    Ok(Judged {
        subject,
        facts,
        conditions,
        decision,
        observed: Observed {
            read,
            host,
            asked: github.map(|github| Asked {
                repository: github.repository().clone(),
                transcript,
            }),
            proof,
        },
    })
}

/// A client for GitHub, unless nothing is asked. A person who uses break-glass need not be able to
/// ask it.
fn connect(
    question: &Question<'_>,
    cx: &Cx,
    net: &Net,
    setting: &Setting,
) -> Result<Option<GitHub>> {
    if setting.asks_nothing() {
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

/// All facts, and what the host says.
async fn observed(
    question: &Question<'_>,
    cx: &Cx,
    net: &Net,
    github: Option<&GitHub>,
    setting: &Setting,
    subject: &Subject,
    history: EnvironmentHistory,
) -> Result<(Facts, Option<Conditions>, Option<Host>)> {
    let host = observe::host(cx, net, setting).await;
    let mut facts = match github {
        Some(github) => observe::facts(github, &host, setting, subject, &history).await,
        None => Facts::none(),
    };
    if question.by_nobody {
        facts.promoter = Ok(Promoter::nobody());
    }
    let promoter = host.promoters(&facts.promoter, setting, question.breaks_glass);
    let conditions =
        conditions::observe(cx, net, github, setting, subject, history, promoter).await?;
    Ok((facts, Some(conditions), Some(host)))
}

/// The hash that `record` compares the environment's newest deployment with.
fn with_head(mut report: Report, history: &EnvironmentHistory) -> Report {
    let newest = history.newest();
    report.json["head"] = serde_json::json!({
        "hash": history.head(),
        "record": newest.map(|newest| newest.record.seq),
        "digest": newest.map(|newest| &newest.record.digest),
    });
    let head = history.head().to_owned();
    report.output("head", head)
}

/// The reason, if a rule was overridden for it: only then is there anything to record.
fn broken_reason(args: &Check, decision: &answer::Decision) -> Option<String> {
    let mut rules = decision.rules.iter();
    let broken = rules.any(|rule| rule.answer == answer::Answer::Broken);
    args.break_glass.clone().filter(|_| broken)
}

/// Nobody who reads any of it may miss that rules were overridden.
fn announce_break_glass(cx: &Cx, report: &mut Report, by: &str, reason: &str) {
    let line = format!("BREAK-GLASS by {by}: {reason}");
    cx.host.warn(&line);
    report.text = format!("{line}\n\n{}", report.text);
    report.summary = format!(
        "> [!CAUTION]\n> {}\n\n{}",
        markdown::text(&line),
        report.summary
    );
    report.json["break_glass"] = serde_json::json!({"by": by, "reason": reason});
}
