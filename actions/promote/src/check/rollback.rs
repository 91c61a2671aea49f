//! `check --rollback`: back to a digest that was healthy in this environment, by the ledger and AWS
//! alone, so that it works while GitHub does not.

use super::answer::{Decision, Finding, fail, not_asked, pass, unknown};
use super::conditions::{refused, review};
use super::facts::{Fact, Facts};
use super::range::Base;
use super::trail::Trail;
use super::{Allowed, Evidence, Subject, report};
use crate::args::Check;
use crate::person::{logins, without_github};
use crate::setting::Setting;
use crate::standing::Standing;
use kit::Cx;
use kit::error::{Error, Result};
use kit::id::Digest;
use ledger::{Actor, Chain, LOOK_BACK, Ledger, Record, Verdict};
use net::Net;

pub(super) async fn allow(
    args: &Check,
    cx: &Cx,
    net: Net,
    setting: Setting,
    digest: Option<Digest>,
) -> Result<Allowed> {
    let does_not_apply = match (&args.from, &args.break_glass) {
        (Some(_), _) => Some("--from"),
        (None, Some(_)) => Some("--break-glass"),
        (None, None) => None,
    };
    if let Some(argument) = does_not_apply {
        return Err(
            Error::usage(format!("{argument} does not apply to a rollback")).hint(format!(
                "omit {argument}: a rollback takes what was healthy in {}, whatever is frozen",
                setting.environment
            )),
        );
    }
    let account = net.account(&setting.ledger_reader).await?;
    let ledger = setting.ledger(&net, &account);
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let standing = Standing::read(&ledger, &chain).await?;
    let digest = match digest {
        Some(digest) => digest,
        None => way_back(&setting, &standing)?.digest.clone(),
    };
    let healthy = match standing.healthy_record(&digest) {
        Some(record) => Some(record.clone()),
        None => {
            let healthy =
                |record: &Record| record.digest == digest && record.verdict == Verdict::Healthy;
            ledger.find(&chain, LOOK_BACK, healthy).await?
        }
    };
    let promoter = without_github(cx, &net, &setting).await;
    let mut decision = decide(&setting, &standing, &digest, healthy.as_ref(), &promoter);
    let policies = Policies::read(&ledger, &chain, &setting).await?;
    decision
        .rules
        .push(policy(&setting, &policies).named("policy"));
    let subject = Subject {
        digest,
        commit: healthy.map(|record| record.commit),
        evidence: None,
        trail: Trail::default(),
        built_for: None,
        base: Base::Nothing,
    };
    let report = report::report(&setting, &subject, &Facts::none(), &decision)?;
    Ok(Allowed {
        report: super::with_head(report, &standing).output("break-glass", ""),
        net,
        setting,
        digest: subject.digest,
        commit: subject.commit,
        standing: Some(standing),
        evidence: Evidence::default(),
        broken: None,
    })
}

fn way_back<'s>(setting: &Setting, standing: &'s Standing) -> Result<&'s Record> {
    standing.way_back().ok_or_else(|| {
        Error::refused(format!(
            "no other digest is recorded as healthy in {} lately",
            setting.environment
        ))
        .hint("name the digest with --digest; see what was healthy there in the ledger")
    })
}

/// Applies the rules of a rollback. Nothing here asks GitHub, and neither freezes nor debts bind:
/// going back to safety must always be possible.
fn decide(
    setting: &Setting,
    standing: &Standing,
    digest: &Digest,
    healthy: Option<&Record>,
    promoter: &Fact<Vec<Actor>>,
) -> Decision {
    let findings = [
        ("digest", was_healthy(setting, healthy)),
        ("rolled back", refused(setting, standing, digest, promoter)),
        ("approvals", approvals(setting, standing, digest, promoter)),
    ];
    Decision {
        rules: findings
            .into_iter()
            .map(|(name, finding)| finding.named(name))
            .collect(),
    }
}

/// By which gates an environment's promotions passed, of which GitHub was asked whether they were the
/// branch's own.
#[derive(Debug, Default)]
struct Policies {
    /// The newest one, if it was not by this run's gate.
    newest: Option<Record>,
    /// The newest by this run's gate, if that is not the newest of all.
    own: Option<Record>,
}

impl Policies {
    async fn read(ledger: &Ledger, chain: &Chain, setting: &Setting) -> Result<Self> {
        let own = setting.policy()?;
        let passed = |record: &Record| {
            let verdict = matches!(record.verdict, Verdict::Permitted | Verdict::Healthy);
            verdict && record.rollback.is_none() && record.policy.is_some()
        };
        let is_own = |record: &Record| record.policy.as_ref() == Some(&own);
        let newest = ledger.find(chain, LOOK_BACK, passed).await?;
        let newest = newest.filter(|record| !is_own(record));
        let own = match newest {
            None => None,
            Some(_) => {
                let both = |record: &Record| passed(record) && is_own(record);
                ledger.find(chain, LOOK_BACK, both).await?
            }
        };
        Ok(Self { newest, own })
    }
}

/// A run that is run again has the gate of its day, and a rollback asks GitHub nothing. The ledger tells
/// as well: a gate that a newer one followed is not the branch's any more.
fn policy(setting: &Setting, policies: &Policies) -> Finding {
    let (environment, branch) = (&setting.environment, &setting.gate.branch);
    match (&policies.newest, &policies.own) {
        _ if !setting.declared => not_asked("no contract is read"),
        (Some(newest), Some(own)) => fail(
            format!(
                "this gate of {environment} is an earlier one, last asked by record {}; record {} passed by another",
                own.seq, newest.seq
            ),
            format!(
                "start a new run on {branch}; if the gate was changed back on purpose, promote what runs once more by it, and go back then: slipway-promote grant --environment {environment} --digest {}",
                newest.digest
            ),
        ),
        (Some(newest), None) => pass(format!(
            "no promotion to {environment} passed by this gate yet; record {} passed by another",
            newest.seq
        )),
        (None, _) => pass(format!(
            "{environment} has no promotion by another gate since"
        )),
    }
}

fn was_healthy(setting: &Setting, healthy: Option<&Record>) -> Finding {
    let environment = &setting.environment;
    match healthy {
        Some(record) => pass(format!(
            "was healthy in {environment} at {} (record {})",
            record.at, record.seq
        )),
        None => fail(
            format!("never recorded as healthy in {environment}"),
            "name a digest that was, or omit --rollback to promote this one",
        ),
    }
}

/// Reviews of the digest since the newest deployment stand for approvals: they are in the ledger.
fn approvals(
    setting: &Setting,
    standing: &Standing,
    digest: &Digest,
    promoter: &Fact<Vec<Actor>>,
) -> Finding {
    let needed = usize::try_from(setting.gate.rollback_approvals).unwrap_or(usize::MAX);
    if needed == 0 {
        return not_asked("the contract asks for no approvals of a rollback");
    }
    let promoter = match promoter {
        Ok(promoter) => promoter,
        Err(reason) => return unknown(reason),
    };
    let persons = setting.persons();
    let mut others = standing.reviewers_since(digest);
    others.retain(|reviewer| persons.is_other(reviewer, promoter));
    let others = persons.distinct(others);
    if others.len() >= needed {
        return pass(format!("reviewed by {}", logins(others)));
    }
    fail(
        format!(
            "{} of {needed} reviews by people other than {} since the newest deployment",
            others.len(),
            logins(promoter)
        ),
        format!(
            "have somebody else review the digest that is to come back: {}",
            review(&setting.environment, digest)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::answer::Answer;
    use crate::check::facts::Unknown;
    use crate::check::tests::setting;
    use crate::standing::tests::{
        actor, deployed, digest, failed, reviewed, rolled_back, standing,
    };

    fn answers(
        approvals: u32,
        records: &[Record],
        to: char,
        promoter: Fact<Vec<Actor>>,
    ) -> Vec<(&'static str, Answer)> {
        let mut setting = setting();
        setting.gate.rollback_approvals = approvals;
        let standing = standing(records);
        let digest = digest(to);
        let healthy = standing.healthy_record(&digest);
        let decision = decide(&setting, &standing, &digest, healthy, &promoter);
        let refusing = decision
            .rules
            .iter()
            .filter(|rule| matches!(rule.answer, Answer::Fail | Answer::Unknown));
        for rule in refusing.clone() {
            assert!(rule.next.is_some(), "{rule:?}");
        }
        refusing.map(|rule| (rule.rule, rule.answer)).collect()
    }

    #[test]
    fn a_gate_that_a_newer_one_followed_does_not_send_back() {
        let answer = |newest: Option<Record>, own: Option<Record>| {
            let finding = policy(&setting(), &Policies { newest, own });
            finding.answer
        };
        assert_eq!(answer(None, None), Answer::Pass);
        // The gate was changed since the newest promotion.
        assert_eq!(answer(Some(deployed('b')), None), Answer::Pass);
        assert_eq!(
            answer(Some(deployed('b')), Some(deployed('a'))),
            Answer::Fail
        );
    }

    fn dora() -> Fact<Vec<Actor>> {
        Ok(vec![actor("dora")])
    }

    fn nobody() -> Fact<Vec<Actor>> {
        Err(Unknown::new("nobody is known", "list somebody"))
    }

    #[test]
    fn what_was_healthy_comes_back_and_nobody_need_be_known() {
        let records = [deployed('a'), deployed('b')];
        assert_eq!(answers(0, &records, 'a', nobody()), []);
        // What runs may be deployed once more, for a service that was broken by hand.
        assert_eq!(answers(0, &records, 'b', nobody()), []);
        assert_eq!(
            answers(0, &[deployed('a'), failed('b')], 'b', dora()),
            [("digest", Answer::Fail)]
        );
    }

    #[test]
    fn what_was_rolled_back_from_comes_back_only_after_a_review_by_somebody_else() {
        let records = [deployed('a'), deployed('b'), rolled_back('a', 'b')];
        let then = |by: &str| [&records[..], &[reviewed('b', by)]].concat();
        assert_eq!(
            answers(0, &records, 'b', dora()),
            [("rolled back", Answer::Fail)]
        );
        assert_eq!(
            answers(0, &then("dora"), 'b', dora()),
            [("rolled back", Answer::Fail)]
        );
        assert_eq!(
            answers(0, &then("ada"), 'b', nobody()),
            [("rolled back", Answer::Unknown)]
        );
        assert_eq!(answers(0, &then("ada"), 'b', dora()), []);
    }

    #[test]
    fn approvals_are_reviews_by_others_since_the_newest_deployment() {
        let with = |more: &[Record]| [&[deployed('a'), deployed('b')], more].concat();
        let few = [("approvals", Answer::Fail)];
        assert_eq!(answers(1, &with(&[]), 'a', dora()), few);
        assert_eq!(
            answers(1, &with(&[reviewed('a', "dora")]), 'a', dora()),
            few
        );
        assert_eq!(answers(1, &with(&[reviewed('b', "ada")]), 'a', dora()), few);
        let early = with(&[reviewed('a', "ada"), deployed('c')]);
        assert_eq!(answers(1, &early, 'a', dora()), few);
        let twice = with(&[reviewed('a', "ada"), reviewed('a', "ADA")]);
        assert_eq!(answers(2, &twice, 'a', dora()), few);
        assert_eq!(
            answers(1, &with(&[reviewed('a', "ada")]), 'a', nobody()),
            [("approvals", Answer::Unknown)]
        );
        assert_eq!(answers(1, &with(&[reviewed('a', "ada")]), 'a', dora()), []);
    }
}
