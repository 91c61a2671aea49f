//! A decision made again from its evidence. Asks nobody.

use super::{Answered, FORMAT, Kept, Line, Promotion, Proof, Rollback, Was, answered};
use crate::check::answer::Decision;
use crate::check::conditions::{Conditions, ahead};
use crate::check::facts::{Fact, Facts};
use crate::check::policy::Policy;
use crate::check::provenance::Found;
use crate::check::rollback::{Passed, Went, passed, told};
use crate::check::{Evidence, Read, decide, glass, observe, plan};
use crate::grant::expires;
use crate::person::actor;
use crate::requests::members;
use crate::setting::Setting;
use crate::standing::{Standing, at, ends};
use attest::PublicKey;
use github::GitHub;
use kit::contract::Gate;
use ledger::{Chain, Entry, LOOK_BACK, Record, permit};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Replayed {
    /// The decision follows.
    Follows,
    /// It does not.
    Differs(String),
    /// Another version of the step wrote the evidence, and this one cannot decide from it.
    Unreadable(String),
}

/// The chain of the permit, as somebody who verified it knows it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The hash of each record.
    pub(crate) hashes: BTreeMap<u64, String>,
    /// The deployments among them, in their order.
    pub(crate) deployments: Vec<u64>,
}

/// Why a decision was not made again, or does not follow.
type Halt = Replayed;

fn differs(why: impl Into<String>) -> Halt {
    Replayed::Differs(why.into())
}

fn unreadable(why: impl Into<String>) -> Halt {
    Replayed::Unreadable(why.into())
}

/// Makes the decision of a permit again, from evidence whose hash is the one that the permit names. `key` is the
/// ledger's, if it signed the permit.
pub(crate) async fn replay(
    bytes: &[u8],
    permit: &Record,
    known: &Known,
    key: Option<&PublicKey>,
) -> Replayed {
    match follow(bytes, permit, known, key).await {
        Ok(()) => Replayed::Follows,
        Err(halt) => halt,
    }
}

async fn follow(
    bytes: &[u8],
    permit: &Record,
    known: &Known,
    key: Option<&PublicKey>,
) -> Result<(), Halt> {
    let kept = read(bytes)?;
    let setting = kept.setting()?;
    kept.is_of(&setting, permit)?;
    kept.in_chain(permit, known)?;
    let own = kept.part(&setting.environment, &kept.own, key)?;
    let before = match &setting.follows {
        Some(follows) => kept.part(follows, &kept.before, key)?,
        None if kept.before.is_empty() => Vec::new(),
        None => return Err(differs("no environment comes before this one")),
    };
    let now = at(&kept.now).ok_or_else(|| unreadable("its time is not one"))?;
    let read = Read {
        digest: kept.digest.clone(),
        commit: kept.commit.clone(),
        built_for: None,
        plan: kept.plan.clone(),
        own,
        before,
    };
    let (decision, commit, evidence, head) = match &kept.judged {
        Was::Promotion(promotion) => promotion.again(&setting, &read, now).await?,
        Was::Rollback(rollback) => rollback.again(&setting, &read).await?,
    };
    if let Some(rule) = decision.obstacle() {
        return Err(differs(format!("{} refuses: {}", rule.rule, rule.fact)));
    }
    same(&kept.rules, &answered(&decision))?;
    if commit.as_ref() != Some(&permit.commit) {
        return Err(differs("the digest is of another commit"));
    }
    rests_on(permit, &evidence, &head, now)
}

fn read(bytes: &[u8]) -> Result<Kept, Halt> {
    #[derive(serde::Deserialize)]
    struct Form {
        format: String,
    }
    let form: Form =
        serde_json::from_slice(bytes).map_err(|_| differs("its evidence has no form"))?;
    if form.format != FORMAT {
        return Err(unreadable(format!(
            "its evidence has the form {}, and this version decides from {FORMAT}",
            form.format
        )));
    }
    serde_json::from_slice(bytes).map_err(|error| unreadable(format!("its evidence: {error}")))
}

/// The answers of the rules are those that were given. Their words may have changed.
fn same(then: &[Answered], now: &[Answered]) -> Result<(), Halt> {
    let answers = |rules: &[Answered]| -> Vec<(String, _)> {
        let rules = rules.iter();
        rules.map(|it| (it.rule.clone(), it.answer)).collect()
    };
    if answers(then) == answers(now) {
        return Ok(());
    }
    let other = now.iter().find(|now| {
        !then
            .iter()
            .any(|then| then.rule == now.rule && then.answer == now.answer)
    });
    Err(differs(match other {
        Some(rule) => format!(
            "{} answers {}: {}",
            rule.rule,
            rule.answer.as_str(),
            rule.fact
        ),
        None => "other rules were asked".to_owned(),
    }))
}

/// The permit says what the decision rests on.
fn rests_on(
    permit: &Record,
    evidence: &Evidence,
    head: &str,
    now: OffsetDateTime,
) -> Result<(), Halt> {
    let content = permit
        .permit
        .as_ref()
        .ok_or_else(|| differs("it is not a permit"))?;
    let written = at(&permit.at).ok_or_else(|| differs("its time is not one"))?;
    // The record's time has no fractions.
    let late = written - now;
    if late <= Duration::seconds(-1) || late > Duration::seconds(permit::LIFE.cast_signed()) {
        return Err(differs(format!(
            "it was written at {}, not when it was decided",
            permit.at
        )));
    }
    for (what, same) in [
        ("head", content.head == head),
        ("base", content.base == evidence.base),
        ("pulls", content.pulls == evidence.pulls),
        ("reviews", content.reviews == evidence.reviews),
        ("approvers", content.approvers == evidence.approvers),
        ("requests", content.requests == evidence.requests),
        (
            "expires",
            content.expires == expires(written, evidence.until.as_deref()),
        ),
    ] {
        if !same {
            return Err(differs(format!("its `{what}` is another one")));
        }
    }
    Ok(())
}

impl Kept {
    /// The setting that the contract's part of the evidence is of.
    fn setting(&self) -> Result<Setting, Halt> {
        let gate: Gate = serde_json::from_str(&self.contract.gate)
            .map_err(|error| unreadable(format!("its gate: {error}")))?;
        let contract = &self.contract;
        Ok(Setting {
            follows: contract.follows.clone(),
            people: contract.people.clone(),
            apps: contract.apps.clone(),
            proofs: contract.provenance.clone(),
            declared: contract.declared,
            ..Setting::of_gate(
                &contract.service,
                &contract.environment,
                contract.account.clone(),
                gate,
            )
        })
    }

    /// The permit is for what was judged, by the rules that judged.
    fn is_of(&self, setting: &Setting, permit: &Record) -> Result<(), Halt> {
        let policy = ledger::evidence_name(self.contract.gate.as_bytes());
        let (broken, rolled_back) = match &self.judged {
            Was::Promotion(promotion) => (promotion.break_glass.clone(), false),
            Was::Rollback(rollback) => (rollback.break_glass.clone(), true),
        };
        if plan::missing(setting, self.plan.as_deref(), rolled_back) {
            return Err(differs(
                "its evidence names no plan, and the gate asks for one",
            ));
        }
        let glass = permit.break_glass.as_ref().map(|glass| &glass.reason);
        let permitted = permit.permit.as_ref();
        for (what, same) in [
            ("service", permit.service == setting.service),
            ("environment", permit.environment == setting.environment),
            ("digest", permit.digest == self.digest),
            ("account", permit.account == setting.read.account),
            ("policy", permit.policy.as_ref() == Some(&policy)),
            (
                "plan",
                permitted.and_then(|it| it.plan.as_ref()) == self.plan.as_ref(),
            ),
            ("rollback", permit.rollback.is_some() == rolled_back),
            (
                "break_glass",
                glass.is_none_or(|reason| Some(reason) == broken.as_ref()),
            ),
        ] {
            if !same {
                return Err(differs(format!("its evidence is of another {what}")));
            }
        }
        let gone_past = self
            .rules
            .iter()
            .any(|rule| rule.answer == crate::check::answer::Answer::Broken);
        match gone_past == glass.is_some() {
            true => Ok(()),
            false => Err(differs("whether rules were overridden")),
        }
    }

    /// The environment's own records are the chain's, and no deployment came between them and the permit.
    fn in_chain(&self, permit: &Record, known: &Known) -> Result<(), Halt> {
        let more: Vec<&Line> = match &self.judged {
            Was::Promotion(_) => Vec::new(),
            Was::Rollback(rollback) => {
                [&rollback.healthy, &rollback.newest, &rollback.by_this_gate]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        };
        for line in self.own.iter().chain(more) {
            let there = known.hashes.get(&line.seq);
            if there != Some(&line.hash) || line.seq >= permit.seq {
                return Err(differs(format!(
                    "record {} is not what it was judged by",
                    line.seq
                )));
            }
        }
        let chain = Chain::new(&self.contract.service, &self.contract.environment)
            .map_err(|error| differs(error.message))?;
        let far_enough = self.own.last().is_none_or(|line| {
            let ended = line.seq == 1 || self.own.len() >= LOOK_BACK;
            ended
                || self.own.iter().any(|line| {
                    let record = line.entry().record(&chain);
                    record.is_ok_and(|record| ends(&record))
                })
        });
        if !far_enough {
            return Err(differs(
                "older records were left out of what it was judged by",
            ));
        }
        let last = self.own.first().map_or(0, |line| line.seq);
        let between = |seq: &&u64| **seq > last && **seq < permit.seq;
        match known.deployments.iter().find(between) {
            None => Ok(()),
            Some(seq) => Err(differs(format!(
                "it was judged before deployment {seq} was recorded"
            ))),
        }
    }

    /// Records of a chain that are what was stored, newest first.
    fn part(
        &self,
        environment: &str,
        lines: &[Line],
        key: Option<&PublicKey>,
    ) -> Result<Vec<Entry>, Halt> {
        let chain = Chain::new(&self.contract.service, environment)
            .map_err(|error| differs(error.message))?;
        let entries: Vec<Entry> = lines.iter().map(Line::entry).collect();
        match ledger::part(&chain, &entries, key).first() {
            None => Ok(entries),
            Some(fault) => Err(differs(format!("its evidence of {environment}: {fault}"))),
        }
    }
}

/// A decision, the commit of the digest, what it rests on, and the newest deployment's hash.
type Again = (Decision, Option<kit::id::CommitId>, Evidence, String);

impl Promotion {
    async fn again(
        &self,
        setting: &Setting,
        read: &Read,
        now: OffsetDateTime,
    ) -> Result<Again, Halt> {
        let broken = |error: kit::Error| differs(error.message);
        let standing = read.standing(setting).map_err(broken)?;
        let subject = read.subject(setting, &standing).map_err(broken)?;
        let head = standing.head().to_owned();
        let proof = match &self.provenance {
            None => None,
            Some(fact) => Some(found(fact)?),
        };
        let (github, facts) = match &self.github {
            None => (None, Facts::none()),
            Some(answers) => {
                let github = answers.client().ok_or_else(no_repository)?;
                let facts = observe::facts(&github, &answers.host, setting, &subject).await;
                (Some(github), facts)
            }
        };
        let promoter = match &facts.promoter {
            Ok(promoter) => Ok(promoter.accounts.iter().map(actor).collect()),
            // Whoever breaks the glass need not be known to GitHub.
            Err(_) if self.break_glass.is_some() => self.promoter.clone(),
            Err(unknown) => Err(unknown.clone()),
        };
        let conditions = Conditions {
            now,
            ahead: ahead(github.as_ref(), &standing, &subject).await,
            members: members(github.as_ref(), setting.teams()).await,
            standing,
            missing_before: self.missing_before.clone(),
            calendars: self.calendars.clone(),
            promoter,
        };
        github.iter().try_for_each(all_kept)?;
        let mut decision =
            decide::all(setting, &subject, &facts, Some(&conditions), proof.as_ref());
        if let Some(reason) = &self.break_glass {
            glass::go_past(&mut decision, reason, setting, &subject, Some(&conditions));
        }
        let evidence = Evidence::of(setting, &subject, &facts, Some(&conditions));
        Ok((decision, subject.commit, evidence, head))
    }
}

impl Rollback {
    async fn again(&self, setting: &Setting, read: &Read) -> Result<Again, Halt> {
        let broken = |error: kit::Error| differs(error.message);
        let entry = |line: &Option<Line>| line.as_ref().map(Line::entry);
        let went = Went {
            digest: read.digest.clone(),
            own: read.own.clone(),
            healthy: entry(&self.healthy),
            branch: self.branch(setting).await?,
            passed: Passed {
                newest: entry(&self.newest),
                own: entry(&self.by_this_gate),
            },
            promoter: self.promoter.clone(),
            break_glass: self.break_glass.clone(),
        };
        let standing = read.standing(setting).map_err(broken)?;
        if went.branch.is_err() {
            self.leaves_nothing_out(setting, &standing)
                .map_err(broken)??;
        }
        let judgement = went.judge(setting, &standing).map_err(broken)?;
        Ok((
            judgement.decision,
            judgement.subject.commit,
            Evidence::default(),
            standing.head().to_owned(),
        ))
    }

    /// How the gate stood to the branch's, by GitHub's answers; unknown if GitHub did not answer.
    async fn branch(&self, setting: &Setting) -> Result<Fact<Policy>, Halt> {
        let answers = match &self.github {
            Ok(answers) => answers,
            Err(unknown) => return Ok(Err(unknown.clone())),
        };
        let github = answers.client().ok_or_else(no_repository)?;
        let branch = told(&github, &answers.host, setting).await;
        all_kept(&github)?;
        match branch {
            Ok(branch) => Ok(Ok(branch)),
            // The ledger was not asked, because GitHub had told.
            Err(unknown) => Err(differs(format!(
                "what GitHub answered does not tell which gate judged: {}",
                unknown.why
            ))),
        }
    }
}

/// Everything that this version asks GitHub has an answer in the evidence.
fn all_kept(github: &GitHub) -> Result<(), Halt> {
    match github.unkept().into_iter().next() {
        None => Ok(()),
        Some(request) => Err(unreadable(format!(
            "this version asks GitHub something else: {request}"
        ))),
    }
}

fn no_repository() -> Halt {
    unreadable("its repository is not one")
}

impl Rollback {
    /// The newest promotion by a gate, where the newest records show one, is the one that was compared.
    fn leaves_nothing_out(
        &self,
        setting: &Setting,
        standing: &Standing,
    ) -> kit::Result<Result<(), Halt>> {
        let own = setting.policy()?;
        let mut newest_first = standing.records().rev();
        let Some(newest) = newest_first.find(|it| passed(&it.record)) else {
            return Ok(Ok(()));
        };
        let by_another = newest.record.policy.as_ref() != Some(&own);
        let compared = self.newest.as_ref().map(|line| &line.hash);
        Ok(match compared == by_another.then_some(&newest.hash) {
            true => Ok(()),
            false => Err(differs(format!(
                "record {} passed a gate and was not compared",
                newest.record.seq
            ))),
        })
    }
}

/// The provenance that was found.
fn found(fact: &Fact<Proof>) -> Result<Fact<Found>, Halt> {
    let proof = match fact {
        Ok(proof) => proof,
        Err(unknown) => return Ok(Err(unknown.clone())),
    };
    Ok(Ok(Found {
        key: PublicKey::from_pem(&proof.key).map_err(|error| unreadable(error.message))?,
        repository: proof.repository.clone(),
        manifest: proof.manifest.clone().map(String::into_bytes),
    }))
}
