//! `check --rollback`: back to a digest that was healthy in this environment. The ledger and AWS are
//! enough, so that it works while GitHub does not.

mod policy;

use super::answer::{Decision, Finding, fail, not_asked, pass, unknown};
use super::conditions::{refused, review};
use super::facts::{Fact, Facts};
use super::range::Base;
use super::trail::Trail;
use super::{Allowed, Evidence, Subject, asks_nothing, broken_reason, glass, loudly, report};
use crate::args::Check;
use crate::person::{logins, without_github};
use crate::setting::Setting;
use crate::standing::Standing;
use kit::Cx;
use kit::error::{Error, Result};
use kit::id::Digest;
use ledger::{Actor, Chain, LOOK_BACK, Record, Verdict};
use net::Net;
use policy::Policies;

pub(super) async fn allow(
    args: &Check,
    cx: &Cx,
    net: Net,
    setting: Setting,
    digest: Option<Digest>,
) -> Result<Allowed> {
    if args.from.is_some() {
        return Err(
            Error::usage("--from does not apply to a rollback").hint(format!(
                "omit --from: a rollback takes what was healthy in {}, whatever is frozen",
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
    let subject = Subject {
        digest,
        commit: healthy.map(|record| record.commit),
        evidence: None,
        trail: Trail::default(),
        built_for: None,
        base: Base::Nothing,
    };
    let branch = policy::branch(cx, &net, &setting, args.github.repository()).await;
    let policies = match &branch {
        Ok(_) => Policies::default(),
        Err(_) => Policies::read(&ledger, &chain, &setting).await?,
    };
    let own = policy::rule(&setting, &subject, &branch, &policies);
    decision.rules.push(own.named("policy"));
    let loud = args.break_glass.as_deref().and_then(|reason| {
        let people = glass::go_back(&mut decision, reason, &setting, &promoter, branch.is_err())?;
        Some((logins(&people), reason))
    });
    let mut report = report::report(&setting, &subject, &Facts::none(), &decision)?;
    if let Some((by, reason)) = loud {
        loudly(cx, &mut report, &by, reason);
    }
    let broken = broken_reason(args, &decision);
    let report = super::with_head(report, &standing);
    // Where there is no gate, no permit is needed, nor taken by a deployment.
    let standing = (!asks_nothing(&setting)).then_some(standing);
    Ok(Allowed {
        report: report.output("break-glass", broken.clone().unwrap_or_default()),
        net,
        setting,
        digest: subject.digest,
        commit: subject.commit,
        standing,
        evidence: Evidence::default(),
        broken,
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

/// Applies the rules of a rollback that are about the digest. Nothing here asks GitHub, and neither
/// freezes nor debts bind: going back to safety must always be possible.
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
    use kit::contract::BreakGlass;

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

    fn dora() -> Fact<Vec<Actor>> {
        Ok(vec![actor("dora")])
    }

    fn nobody() -> Fact<Vec<Actor>> {
        Err(Unknown::new("nobody is known", "list somebody"))
    }

    #[test]
    fn a_listed_person_goes_past_what_only_the_ledger_says_of_the_gate() {
        let past = |setting: &Setting, promoter: &Fact<Vec<Actor>>, by_ledger, other| {
            let mut rules = vec![fail("an earlier one", "start a new run").named("policy")];
            if other {
                rules.push(fail("never healthy", "name another").named("digest"));
            }
            let mut decision = Decision { rules };
            let people = glass::go_back(&mut decision, "down", setting, promoter, by_ledger);
            assert_eq!(people.is_some(), decision.allowed());
            people.is_some()
        };
        let mut setting = setting();
        assert!(!past(&setting, &dora(), true, false));
        setting.gate.break_glass = Some(BreakGlass {
            people: vec!["dora".to_owned()],
            expires: 3600,
        });
        assert!(past(&setting, &dora(), true, false));
        assert!(!past(&setting, &Ok(vec![actor("ada")]), true, false));
        assert!(!past(&setting, &nobody(), true, false));
        // GitHub says it, and another rule refuses as well.
        assert!(!past(&setting, &dora(), false, false));
        assert!(!past(&setting, &dora(), true, true));
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
