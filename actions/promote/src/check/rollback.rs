//! `check --rollback`: back to a digest that was healthy in this environment. The ledger and AWS are
//! enough, so that it works while GitHub does not.

mod allow;
mod policy;

pub(super) use allow::allow;
pub(super) use policy::{Passed, passed, policy_from_github};

use super::answer::{Decision, Finding, fail, not_asked, pass, unknown};
use super::approved::NamedContributors;
use super::conditions::{contributors_to_rolled_back, refused, review};
use super::fact::Fact;
use super::host::Host;
use super::policy::Policy;
use super::range::Base;
use super::trail::Trail;
use super::{Asked, Subject, break_glass, observe, subject};
use crate::args::Check;
use crate::environment_history::{EnvironmentHistory, far_enough};
use crate::person::{logins, of_runner};
use crate::setting::Setting;
use kit::Cx;
use kit::error::{Error, Result};
use kit::id::Digest;
use ledger::{Actor, Chain, Entry, LOOK_BACK, Record, Verdict};
use net::Net;

/// The inputs that a rollback is judged by, as they were read.
#[derive(Debug)]
pub(super) struct RollbackInputs {
    /// The digest to roll back to.
    pub(super) digest: Digest,
    /// The environment's newest records, newest first.
    pub(super) own: Vec<Entry>,
    /// The record that the digest was healthy, if it is not among them.
    pub(super) healthy: Option<Entry>,
    /// The host's description of the run.
    pub(super) host: Host,
    /// How the gate stands to the branch's, if GitHub tells.
    pub(super) branch: Fact<Policy>,
    /// The contributors to the digest, if it was rolled back from and reviewed since, and GitHub tells of the gate.
    pub(super) contributors: Option<Fact<NamedContributors>>,
    /// The ledger's records of gates that were passed, if GitHub does not tell.
    pub(super) passed: Passed,
    /// The people who roll back.
    pub(super) promoter: Fact<Vec<Actor>>,
    /// Why the gate may be overridden, if somebody said so.
    pub(super) break_glass: Option<String>,
}

/// A rollback with the answer of every rule.
pub(super) struct Judgement {
    pub(super) subject: Subject,
    pub(super) decision: Decision,
    /// The people who overrode a rule, if anybody did.
    people: Option<Vec<Actor>>,
}

impl RollbackInputs {
    /// Reads it, with what GitHub was asked about the gate.
    async fn read(
        args: &Check,
        cx: &Cx,
        net: &Net,
        setting: &Setting,
        digest: Option<Digest>,
    ) -> Result<(Self, Fact<Asked>)> {
        let ledger = setting.reading(net).await?;
        let chain = Chain::new(&setting.service, &setting.environment)?;
        let own = ledger.entries_until(&chain, LOOK_BACK, far_enough).await?;
        let history = subject::history(&chain, &own)?;
        let digest = match digest {
            Some(digest) => digest,
            None => rollback_target(setting, &history)?.digest.clone(),
        };
        let healthy = match history.healthy_record(&digest) {
            Some(_) => None,
            None => {
                let healthy = |record: &Record| says_healthy(record, &digest);
                ledger.find_entry(&chain, LOOK_BACK, healthy).await?
            }
        };
        let host = observe::host(cx, net, setting).await;
        let promoter = host
            .person(setting)
            .unwrap_or_else(|| of_runner(cx, setting));
        let repository = args.github.repository();
        let told = policy::ask(cx, net, &host, setting, repository).await;
        let (branch, contributors, asked) = match told {
            Ok((branch, github, asked)) => {
                let contributors =
                    contributors_to_rolled_back(&github, setting, &history, &digest).await;
                (Ok(branch), contributors, Ok(asked))
            }
            Err(unknown) => (Err(unknown.clone()), None, Err(unknown)),
        };
        let passed = match &branch {
            Ok(_) => Passed::default(),
            Err(_) => Passed::read(&ledger, &chain, setting).await?,
        };
        let went = Self {
            digest,
            own,
            healthy,
            host,
            branch,
            contributors,
            passed,
            promoter,
            break_glass: args.break_glass.clone(),
        };
        Ok((went, asked))
    }

    /// Where the environment stands by its own records.
    fn history(&self, setting: &Setting) -> Result<EnvironmentHistory> {
        let chain = Chain::new(&setting.service, &setting.environment)?;
        subject::history(&chain, &self.own)
    }

    /// Applies the rules.
    ///
    /// # Errors
    /// An entry that was read is not a record of the chain.
    pub(super) fn judge(
        &self,
        setting: &Setting,
        history: &EnvironmentHistory,
    ) -> Result<Judgement> {
        let chain = Chain::new(&setting.service, &setting.environment)?;
        let further = subject::recorded(&chain, self.healthy.as_slice())?;
        let further = further.first().map(|it| &it.record);
        let further = further.filter(|record| says_healthy(record, &self.digest));
        let healthy = history.healthy_record(&self.digest).or(further);
        let mut decision = decide(
            setting,
            history,
            &self.digest,
            healthy,
            (&self.promoter, self.contributors.as_ref()),
        );
        let subject = Subject {
            digest: self.digest.clone(),
            commit: healthy.map(|record| record.commit.clone()),
            evidence: None,
            trail: Trail::default(),
            built_for: None,
            plan: None,
            base: Base::Nothing,
        };
        let policies = self.passed.policies(&chain)?;
        let own = policy::rule(setting, &subject, &self.branch, &policies);
        decision.rules.push(own.named("policy"));
        let people = self.break_glass.as_deref().and_then(|reason| {
            let by_ledger = self.branch.is_err();
            break_glass::apply_break_glass_to_rollback(
                &mut decision,
                reason,
                setting,
                &self.promoter,
                by_ledger,
            )
        });
        Ok(Judgement {
            subject,
            decision,
            people,
        })
    }
}

/// Returns true if the record says that the digest was healthy.
fn says_healthy(record: &Record, digest: &Digest) -> bool {
    record.digest == *digest && record.verdict == Verdict::Healthy
}

fn rollback_target<'s>(setting: &Setting, history: &'s EnvironmentHistory) -> Result<&'s Record> {
    history.rollback_target().ok_or_else(|| {
        Error::refused(format!(
            "no other digest is recorded as healthy in {} lately",
            setting.environment
        ))
        .hint(format!(
            "name the digest with --digest; see what was healthy there: slipway-promote history --environment {}",
            setting.environment
        ))
    })
}

/// Applies the rules of a rollback that are about the digest. None needs GitHub to answer, and neither freezes nor debts bind: going back
/// to safety must always be possible.
fn decide(
    setting: &Setting,
    history: &EnvironmentHistory,
    digest: &Digest,
    healthy: Option<&Record>,
    (promoter, contributors): (&Fact<Vec<Actor>>, Option<&Fact<NamedContributors>>),
) -> Decision {
    let findings = [
        ("digest", was_healthy(setting, healthy)),
        (
            "rolled back",
            refused(setting, history, digest, promoter, contributors),
        ),
        ("approvals", approvals(setting, history, digest, promoter)),
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
    history: &EnvironmentHistory,
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
    let mut reviewers = history.reviewers_since(digest);
    reviewers.retain(|reviewer| persons.is_other(reviewer, promoter));
    let reviewers = persons.distinct(reviewers);
    if reviewers.len() >= needed {
        return pass(format!("reviewed by {}", logins(reviewers)));
    }
    fail(
        format!(
            "{} of {needed} reviews by people other than {} since the newest deployment",
            reviewers.len(),
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
    use crate::check::fact::Unknown;
    use crate::check::tests::setting;
    use crate::environment_history::tests::{
        actor, deployed, digest, failed, history, reviewed, rolled_back,
    };
    use kit::contract::BreakGlass;

    fn answers(
        approvals: u32,
        records: &[Record],
        to: char,
        promoter: Fact<Vec<Actor>>,
    ) -> Vec<(&'static str, Answer)> {
        answers_with(approvals, records, to, (promoter, None))
    }

    /// The same where GitHub told who contributed to it.
    fn answers_with(
        approvals: u32,
        records: &[Record],
        to: char,
        (promoter, contributors): (Fact<Vec<Actor>>, Option<Fact<NamedContributors>>),
    ) -> Vec<(&'static str, Answer)> {
        let mut setting = setting();
        setting.gate.rollback_approvals = approvals;
        let history = history(records);
        let digest = digest(to);
        let healthy = history.healthy_record(&digest);
        let decision = decide(
            &setting,
            &history,
            &digest,
            healthy,
            (&promoter, contributors.as_ref()),
        );
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
    fn a_listed_person_overrides_missing_reviews_and_what_only_the_ledger_says_of_the_gate() {
        let past = |setting: &Setting,
                    promoter: &Fact<Vec<Actor>>,
                    by_ledger,
                    refusing: &[&'static str]| {
            let rules = refusing.iter();
            let rules = rules.map(|rule| fail("it refuses", "mend it").named(rule));
            let mut decision = Decision {
                rules: rules.collect(),
            };
            let people = break_glass::apply_break_glass_to_rollback(
                &mut decision,
                "down",
                setting,
                promoter,
                by_ledger,
            );
            assert_eq!(people.is_some(), decision.allowed());
            people.is_some()
        };
        let mut setting = setting();
        assert!(!past(&setting, &dora(), true, &["policy"]));
        setting.gate.break_glass = Some(BreakGlass {
            people: vec!["dora".to_owned()],
            expires: 3600,
        });
        let ada = Ok(vec![actor("ada")]);
        for rules in [&["policy"][..], &["approvals"], &["policy", "approvals"]] {
            assert!(past(&setting, &dora(), true, rules), "{rules:?}");
            assert!(!past(&setting, &ada, true, rules), "{rules:?}");
            assert!(!past(&setting, &nobody(), true, rules), "{rules:?}");
        }
        // GitHub's failure makes a difference to the gate, and none to the reviews.
        assert!(past(&setting, &dora(), false, &["approvals"]));
        assert!(!past(&setting, &dora(), false, &["policy"]));
        assert!(!past(&setting, &dora(), false, &["policy", "approvals"]));
        // Nothing else is overridden.
        for rule in ["digest", "rolled back"] {
            assert!(!past(&setting, &dora(), true, &[rule]), "{rule}");
            assert!(
                !past(&setting, &dora(), true, &[rule, "approvals"]),
                "{rule}"
            );
        }
    }

    #[test]
    fn a_rollback_to_a_healthy_digest_needs_no_known_person() {
        let records = [deployed('a'), deployed('b')];
        assert_eq!(answers(0, &records, 'a', nobody()), []);
        // The running version may be deployed once more, for a service that was broken by hand.
        assert_eq!(answers(0, &records, 'b', nobody()), []);
        assert_eq!(
            answers(0, &[deployed('a'), failed('b')], 'b', dora()),
            [("digest", Answer::Fail)]
        );
    }

    #[test]
    fn a_rolled_back_digest_returns_only_after_a_review_by_another_person() {
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
    fn a_rolled_back_digest_does_not_return_by_a_review_of_its_author_where_github_tells() {
        let records = [
            deployed('a'),
            deployed('b'),
            rolled_back('a', 'b'),
            reviewed('b', "ada"),
        ];
        let by = |people: &[&str], unattributed: &[&str]| {
            Some(Ok(NamedContributors {
                people: people.iter().map(|login| actor(login)).collect(),
                unattributed: unattributed.iter().map(|name| (*name).to_owned()).collect(),
            }))
        };
        for (contributors, wanted) in [
            (None, None),
            (by(&["grace"], &[]), None),
            (by(&["grace", "ada"], &[]), Some(Answer::Fail)),
            (by(&["grace"], &["renovate[bot]"]), Some(Answer::Fail)),
            (
                Some(Err(Unknown::new(
                    "an author is unknown",
                    "list the address",
                ))),
                Some(Answer::Unknown),
            ),
        ] {
            let shown = format!("{contributors:?}");
            let refusing = answers_with(0, &records, 'b', (dora(), contributors));
            let wanted: Vec<_> = wanted
                .map(|answer| ("rolled back", answer))
                .into_iter()
                .collect();
            assert_eq!(refusing, wanted, "{shown}");
        }
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
