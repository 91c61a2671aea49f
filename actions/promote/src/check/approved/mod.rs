//! The promotion approvals: enough of the people whom the contract lists approved exactly this
//! promotion, and none of them asked for it, promotes it or wrote part of it. Pure.

mod contributors;

pub(crate) use contributors::{NamedContributors, contributors_to_promotion};

use super::Subject;
use super::answer::{Finding, Rule, fail, not_asked, not_examined, pass, unknown};
use super::conditions::Conditions;
use super::facts::Facts;
use crate::person::actor;
use crate::requests::{Approvers, Asked, Barred, Parts, Tally, needed, people_hash, range_hash};
use crate::setting::Setting;
use kit::Lenient;
use kit::contract::Approve;
use kit::id::Digest;
use ledger::Actor;

/// The rule's name.
pub(crate) const RULE: &str = "approved";

/// The rule.
pub(super) fn rule(
    setting: &Setting,
    subject: &Subject,
    facts: &Facts,
    conditions: Option<&Conditions>,
) -> Rule {
    let finding = match (&setting.gate.approve, conditions) {
        _ if setting.asks_nothing() => not_asked(format!("{} has no gate", setting.environment)),
        (None, _) => not_asked("the contract asks for no approvals of a promotion"),
        // Approvals cover the plan too, so they are asked only once one is named.
        (Some(_), _) if setting.gate.plan && subject.plan.is_none() => {
            not_asked("asked when a plan is named, which approvals are for too")
        }
        (Some(_), None) => not_examined("the ledger was not read"),
        (Some(approve), Some(conditions)) => {
            match count(setting, approve, subject, facts, conditions) {
                Ok(granted) => pass(format!(
                    "request {}, until {}: {}",
                    granted.asked.number(),
                    granted.asked.request.expires,
                    granted.tally.shown(approve)
                )),
                Err(finding) => finding,
            }
        }
    };
    finding.named(RULE)
}

/// A request that has its approvals.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) asked: Asked,
    pub(crate) tally: Tally,
}

/// The request that this promotion is approved by, if the gate asks for approvals and it is.
pub(crate) fn granted(
    setting: &Setting,
    subject: &Subject,
    facts: &Facts,
    conditions: &Conditions,
) -> Option<Granted> {
    let approve = setting.gate.approve.as_ref()?;
    count(setting, approve, subject, facts, conditions).ok()
}

/// The request that has its approvals, or why there is none.
fn count(
    setting: &Setting,
    approve: &Approve,
    subject: &Subject,
    facts: &Facts,
    conditions: &Conditions,
) -> Result<Granted, Finding> {
    let environment = &setting.environment;
    let all = Asked::all(conditions.history.records());
    let contributors = contributors_to_promotion(setting, facts);
    let unattributed = contributors
        .as_ref()
        .map_or(&[][..], |contributors| &contributors.unattributed);
    let asked = newest(setting, needed(approve, unattributed), &all, subject)?;
    let number = asked.number();
    let again = ask(environment, &subject.digest, subject.plan.as_deref());
    if let Some(ended) = asked.ended() {
        return Err(fail(ended, format!("ask again: {again}")));
    }
    if asked.expired(conditions.now) {
        let expires = &asked.request.expires;
        return Err(fail(
            format!("request {number} expired at {expires}"),
            format!("ask again: {again}"),
        ));
    }
    let now = parts(setting, subject, facts, conditions)?;
    if let Some(changed) = changed(asked, &now) {
        return Err(fail(
            format!("request {number} is void: since it was made, {changed} changed"),
            format!("ask again: {again}"),
        ));
    }
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    match (&asked.request.repository, &facts.repository) {
        (Some(then), Some(now)) if same(then, now) => {}
        _ => {
            return Err(fail(
                format!(
                    "request {number} is void: it is not for commits of the repository that is asked now"
                ),
                format!("ask again: {again}"),
            ));
        }
    }
    let promoter = facts.promoter.as_ref().map_err(unknown)?;
    let promoter: Vec<Actor> = promoter.accounts.iter().map(actor).collect();
    let contributors = contributors.as_ref().map_err(unknown)?;
    let persons = setting.persons();
    let mut barred = Barred::by(asked, &persons);
    barred.add(&persons, &promoter, "promotes it");
    barred.add_contributors(&persons, contributors);
    let members = conditions.members.as_ref().map_err(unknown)?;
    let approvers = Approvers::of(approve, &persons, members);
    let tally = Tally::of(&approvers, &persons, Some(asked), &barred);
    match tally.missing(approve) {
        0 => Ok(Granted {
            asked: asked.clone(),
            tally,
        }),
        missing => Err(too_few_approvals(
            environment,
            approve,
            asked,
            &tally,
            missing,
        )),
    }
}

/// The newest request of the digest. A rejection holds until somebody asks again, so that older ones
/// do not matter.
fn newest<'a>(
    setting: &Setting,
    needed: usize,
    all: &'a [Asked],
    subject: &Subject,
) -> Result<&'a Asked, Finding> {
    let digest = &subject.digest;
    let mut newest = all.iter().rev();
    if let Some(asked) = newest.find(|asked| asked.record().digest == *digest) {
        return Ok(asked);
    }
    let other = match all.last().filter(|asked| asked.end.is_none()) {
        Some(other) => format!(
            "; request {} is for {}",
            other.number(),
            other.record().digest
        ),
        None => String::new(),
    };
    let environment = &setting.environment;
    Err(fail(
        format!(
            "nobody has asked for the {} that {environment} needs for this digest{other}",
            kit::report::count(needed, "approval")
        ),
        format!(
            "ask for them: {}",
            ask(environment, digest, subject.plan.as_deref())
        ),
    ))
}

fn too_few_approvals(
    environment: &str,
    approve: &Approve,
    asked: &Asked,
    tally: &Tally,
    missing: usize,
) -> Finding {
    let number = asked.number();
    let fact = format!(
        "request {number}, until {}: {}",
        asked.request.expires,
        tally.shown(approve)
    );
    let next = match tally.may.len() >= missing {
        true => format!(
            "have {missing} more of {} approve it: {}",
            tally.may.join(", "),
            answer(environment, "approve", number)
        ),
        false => {
            let unattributed = match tally.unattributed.as_slice() {
                [] => String::new(),
                names => format!(
                    ", or say under `apps` of the contract who stands for {}",
                    names.join(", ")
                ),
            };
            format!(
                "too few are left who may: have somebody else ask and promote, or list more people under `approve` of the gate{unattributed}"
            )
        }
    };
    fail(fact, next)
}

/// The promotion as it is now, in the parts that an approval is bound to.
pub(super) fn parts(
    setting: &Setting,
    subject: &Subject,
    facts: &Facts,
    conditions: &Conditions,
) -> Result<Parts, Finding> {
    let Some(commit) = &subject.commit else {
        return Err(not_examined("no commit is known for this digest"));
    };
    let range = facts.range.as_ref().map_err(unknown)?;
    let hashes = setting.policy().and_then(|policy| {
        let people = people_hash(setting)?;
        Ok((policy, people))
    });
    let Ok((policy, people)) = hashes else {
        return Err(not_examined("the contract's rules have no hash"));
    };
    Ok(Parts {
        service: setting.service.clone(),
        environment: setting.environment.clone(),
        account: setting.read.account.clone(),
        digest: subject.digest.clone(),
        commit: commit.clone(),
        head: conditions.history.head().to_owned(),
        base: range.base.commit().map(Lenient::from),
        range: range_hash(range.commits.iter().map(|commit| commit.sha.as_str())),
        policy,
        people,
        plan: subject.plan.clone(),
    })
}

/// Names the parts that changed since the request was made, which voids it. The request must show people exactly what its binding covers.
pub(crate) fn changed(asked: &Asked, now: &Parts) -> Option<String> {
    let then = Parts::of(asked.record(), &asked.request);
    let same = now.binding(&asked.request.expires);
    let bound = same.is_ok_and(|binding| binding == asked.request.binding);
    if bound && then.as_ref() == Some(now) {
        return None;
    }
    let changed = then.map(|then| then.changed(now)).unwrap_or_default();
    Some(match changed.is_empty() {
        true => "its own binding".to_owned(),
        false => changed.join(" and "),
    })
}

/// The command that asks for approvals.
pub(crate) fn ask(environment: &str, digest: &Digest, plan: Option<&str>) -> String {
    let plan = plan.map_or_else(String::new, |plan| format!(" --plan {plan}"));
    format!(
        "slipway-promote request --environment {environment} --digest {digest}{plan} --reason TEXT"
    )
}

/// The command that answers a request.
pub(crate) fn answer(environment: &str, verb: &str, number: u64) -> String {
    format!("slipway-promote {verb} --environment {environment} --request {number}")
}

#[cfg(test)]
pub(in crate::check) mod tests;
