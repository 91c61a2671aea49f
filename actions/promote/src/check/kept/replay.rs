//! A decision made again from its evidence. Asks nobody.

mod by;
mod chain;
mod promotion;
mod rollback;
mod stated;

pub(crate) use chain::Known;

use super::{Answered, Contract, DecisionInputs, FORMAT, Kept, answered};
use crate::check::answer::{Answer, Decision};
use crate::check::judging::require_own_contract;
use crate::check::{Evidence, Fact, Read, plan};
use crate::environment_history::{EnvironmentHistory, at};
use crate::grant::expires;
use crate::setting::Setting;
use attest::PublicKey;
use github::GitHub;
use kit::contract::Gate;
use kit::id::CommitId;
use ledger::{Actor, Chain, Entry, GENESIS, Permit, Record, permit};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

/// The version of this step.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The result of making a decision again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Replayed {
    /// The decision follows. Names what the contract says otherwise by now.
    Follows(Vec<&'static str>),
    /// It does not.
    Differs(String),
    /// Another version of the step wrote the evidence, and this one cannot decide from it.
    Unreadable(String),
}

fn differs(why: impl Into<String>) -> Replayed {
    Replayed::Differs(why.into())
}

fn unreadable(why: impl Into<String>) -> Replayed {
    Replayed::Unreadable(why.into())
}

/// A decision as it was made again.
struct ReplayedDecision {
    decision: Decision,
    /// The digest's commit.
    commit: Option<CommitId>,
    /// The facts that it rests on.
    evidence: Evidence,
    /// Where the environment stood.
    history: EnvironmentHistory,
    /// The people who promote.
    promoter: Fact<Vec<Actor>>,
}

/// The fields that evidence of every form has.
#[derive(Deserialize)]
struct Form {
    format: String,
    #[serde(default)]
    version: String,
}

/// The facts that a decision is checked against besides the permit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Against<'a> {
    /// The permit's chain.
    pub(crate) own: &'a Known,
    /// An environment that may come before, with its chain, where it was read.
    pub(crate) before: Option<(&'a str, &'a Known)>,
    /// The setting from this run's contract, where there is one.
    pub(crate) contract: Option<&'a Setting>,
    /// The ledger's key, if it signed the permit.
    pub(crate) key: Option<&'a PublicKey>,
}

/// Makes the decision of a permit again, from evidence whose hash is the one that the permit names.
pub(crate) async fn replay(bytes: &[u8], permit: &Record, against: Against<'_>) -> Replayed {
    let Ok(form) = serde_json::from_slice::<Form>(bytes) else {
        return differs("its evidence has no form");
    };
    // Of two members of one name, another verifier may read the other one.
    if !std::str::from_utf8(bytes).is_ok_and(ledger::reads_alike) {
        return differs("its evidence is not JSON that every reader reads alike");
    }
    let own = form.version == VERSION;
    match follow(bytes, &form, permit, against).await {
        Ok(differing) => Replayed::Follows(differing),
        // This version can read evidence that it wrote, so it did not write this.
        Err(Replayed::Unreadable(why)) if own => differs(why),
        Err(Replayed::Differs(why)) if !own => {
            differs(format!("{why} (decided by version {})", form.version))
        }
        Err(halt) => halt,
    }
}

/// What the part of [`replay`] says that needs no rule, no answer of GitHub and no contract's text; nothing if this version does not read
/// the evidence. For the comparison with a verifier that has none of these.
#[cfg(test)]
pub(crate) fn bound(bytes: &[u8], permit: &Record, against: Against<'_>) -> Option<bool> {
    if !std::str::from_utf8(bytes).is_ok_and(ledger::reads_alike) {
        return Some(false);
    }
    let form: Form = serde_json::from_slice(bytes).ok()?;
    let kept = read(bytes, &form).ok()?;
    Some(kept.bound(permit, against).is_ok())
}

async fn follow(
    bytes: &[u8],
    form: &Form,
    permit: &Record,
    against: Against<'_>,
) -> Result<Vec<&'static str>, Replayed> {
    let kept = read(bytes, form)?;
    let Bound {
        mut setting,
        own,
        before,
        now,
    } = kept.bound(permit, against)?;
    setting.moved_from = kept.is_stated(&setting)?;
    if !kept
        .host
        .is_page(permit.run.as_deref(), kept.judged.repository())
    {
        return Err(differs("its evidence is of another run"));
    }
    let read = Read {
        digest: kept.digest.clone(),
        commit: kept.commit.clone(),
        built_for: None,
        plan: kept.plan.clone(),
        own,
        before,
    };
    let history = read.history(&setting);
    let history = history.map_err(|error| differs(error.message))?;
    require_own_contract(history.judging(), &setting).map_err(|error| differs(error.message))?;
    let mut kept = kept;
    let replayed = match &mut kept.judged {
        DecisionInputs::Promotion(promotion) => {
            promotion
                .decide_again(&setting, &read, &kept.host, now)
                .await?
        }
        DecisionInputs::Rollback(rollback) => {
            let looked = against.own.passed(&read.own, permit);
            rollback
                .decide_again(&setting, &read, &kept.host, &looked)
                .await?
        }
    };
    if let Some(rule) = replayed.decision.obstacle() {
        return Err(differs(format!("{} refuses: {}", rule.rule, rule.fact)));
    }
    same(&kept.rules, &answered(&replayed.decision))?;
    if replayed.commit.as_ref() != Some(&permit.commit) {
        return Err(differs("the digest is of another commit"));
    }
    rests_on(permit, &replayed.evidence)?;
    by::promoter(permit, &kept.host, &setting, &replayed)?;
    let differing = against
        .contract
        .map(|here| kept.contract.differing_members(here));
    Ok(differing.unwrap_or_default())
}

fn read(bytes: &[u8], form: &Form) -> Result<Kept, Replayed> {
    if form.format != FORMAT {
        return Err(unreadable(format!(
            "it has the form {}, and this version decides from {FORMAT}",
            form.format
        )));
    }
    serde_json::from_slice(bytes).map_err(|error| unreadable(format!("its evidence: {error}")))
}

/// The answers of the rules are those that were given. Their words may have changed.
fn same(then: &[Answered], now: &[Answered]) -> Result<(), Replayed> {
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

/// The permit was written when the decision was made. Its own time has no fractions.
fn when_decided(permit: &Record, now: OffsetDateTime) -> Result<(), Replayed> {
    let late = written(permit)? - now;
    if late <= Duration::seconds(-1) || late > Duration::seconds(permit::FRESH.cast_signed()) {
        return Err(differs(format!(
            "it was written at {}, not when it was decided",
            permit.at
        )));
    }
    Ok(())
}

/// The permit says what the decision rests on.
fn rests_on(permit: &Record, evidence: &Evidence) -> Result<(), Replayed> {
    let content = content(permit)?;
    let written = written(permit)?;
    for (member, matches) in [
        ("base", content.base == evidence.base),
        ("tip", content.tip == evidence.tip),
        ("range", content.range == evidence.range),
        ("pulls", content.pulls == evidence.pulls),
        ("reviews", content.reviews == evidence.reviews),
        ("approvers", content.approvers == evidence.approvers),
        ("requests", content.requests == evidence.requests),
        (
            "expires",
            content.expires == expires(written, evidence.until.as_deref()),
        ),
    ] {
        if !matches {
            return Err(differs(format!("its `{member}` is another one")));
        }
    }
    Ok(())
}

fn content(permit: &Record) -> Result<&Permit, Replayed> {
    let content = permit.permit.as_ref();
    content.ok_or_else(|| differs("it is not a permit"))
}

/// When the permit was written.
fn written(permit: &Record) -> Result<OffsetDateTime, Replayed> {
    at(&permit.at).ok_or_else(|| differs("its time is not one"))
}

impl Contract {
    /// Names the members that differ from this run's contract. The contract may have changed since, or the evidence may be made up.
    fn differing_members(&self, here: &Setting) -> Vec<&'static str> {
        let gate = serde_json::to_string(&here.gate).unwrap_or_default();
        let members = [
            ("follows", self.follows == here.follows),
            ("account", self.account == here.read.account),
            ("gate", self.gate == gate),
            ("people", self.people == here.people),
            ("apps", self.apps == here.apps),
            ("provenance", self.provenance == here.proofs),
        ];
        let differing = members.into_iter().filter(|(_, matches)| !matches);
        differing.map(|(name, _)| name).collect()
    }
}

/// Evidence that is a permit's own, and holds what its chain has.
struct Bound {
    setting: Setting,
    own: Vec<Entry>,
    before: Vec<Entry>,
    now: OffsetDateTime,
}

impl Kept {
    /// Checks everything that needs no rule of this version, no answer of GitHub and no contract's text, so that it is asked
    /// whatever these can be asked: steps 2 to 4 in docs/ledger.md, and of step 6 the head and the time.
    fn bound(&self, permit: &Record, against: Against<'_>) -> Result<Bound, Replayed> {
        self.is_of(permit)?;
        self.check_in_chain(permit, against.own)?;
        let own = self.part(&self.contract.environment, &self.own, against.key)?;
        let before = match &self.contract.follows {
            Some(follows) => self.part(follows, &self.before, against.key)?,
            None if self.before.is_empty() => Vec::new(),
            None => return Err(differs("no environment comes before this one")),
        };
        let setting = self.setting()?;
        let rolled_back = matches!(self.judged, DecisionInputs::Rollback(_));
        if plan::missing(&setting, self.plan.as_deref(), rolled_back) {
            return Err(differs(
                "its evidence names no plan, and the gate asks for one",
            ));
        }
        if let DecisionInputs::Promotion(promotion) = &self.judged {
            promotion.says_when_anchored(&setting, &self.digest, &before)?;
        }
        if content(permit)?.head != self.head()? {
            return Err(differs("its `head` is another one"));
        }
        let now = self.decided_at()?;
        when_decided(permit, now)?;
        // A rollback is not judged by the previous environment.
        if let Some((environment, chain)) = against.before
            && !rolled_back
            && self.contract.follows.as_deref() == Some(environment)
        {
            chain.has(&self.before, now)?;
        }
        Ok(Bound {
            setting,
            own,
            before,
            now,
        })
    }

    /// When it was decided. Of the forms that RFC 3339 leaves open, the one that `grant` writes, so that every verifier reads it alike.
    fn decided_at(&self) -> Result<OffsetDateTime, Replayed> {
        let text = self.now.as_bytes();
        let plain = text.get(10) == Some(&b'T')
            && text.last() == Some(&b'Z')
            && text.get(17..19) != Some(b"60".as_slice());
        let time = at(&self.now).filter(|_| plain);
        time.ok_or_else(|| unreadable("its time is not one"))
    }

    /// The hash of the newest deployment among the records that it was judged by.
    fn head(&self) -> Result<&str, Replayed> {
        let chain = Chain::new(&self.contract.service, &self.contract.environment)
            .map_err(|error| differs(error.message))?;
        let mut own = self.own.iter();
        // One that nobody can read may be a deployment.
        let newest = own.find(|line| !line.record(&chain).is_ok_and(|it| !it.is_deployment()));
        Ok(newest.map_or(GENESIS, |line| &line.hash))
    }

    /// The setting that the contract's part of the evidence is of. Where there is no contract or no gate, no permit is
    /// granted.
    fn setting(&self) -> Result<Setting, Replayed> {
        let gate: Gate = serde_json::from_str(&self.contract.gate)
            .map_err(|error| unreadable(format!("its gate: {error}")))?;
        let contract = &self.contract;
        if !contract.declared {
            return Err(differs("its evidence is of no contract"));
        }
        let setting = Setting {
            follows: contract.follows.clone(),
            people: contract.people.clone(),
            apps: contract.apps.clone(),
            proofs: contract.provenance.clone(),
            declared: contract.declared,
            contract: self.host.contract.as_ref().map(|file| file.text.clone()),
            contract_path: self.host.contract.as_ref().map(|file| file.path.clone()),
            ..Setting::of_gate(
                &contract.service,
                &contract.environment,
                contract.account.clone(),
                gate,
            )
        };
        match setting.asks_nothing() {
            true => Err(differs(format!(
                "its evidence says that {} has no gate",
                contract.environment
            ))),
            false => Ok(setting),
        }
    }

    /// The hash over the bytes of the contract that judged.
    fn contract_hash(&self) -> Option<String> {
        let file = self.host.contract.as_ref();
        file.map(|file| ledger::evidence_name(file.text.as_bytes()))
    }

    /// The path of that contract in its repository.
    fn contract_path(&self) -> Option<String> {
        self.host.contract.as_ref().map(|file| file.path.clone())
    }

    /// The evidence is of the permit's promotion.
    fn is_of(&self, permit: &Record) -> Result<(), Replayed> {
        let contract = &self.contract;
        let policy = ledger::evidence_name(contract.gate.as_bytes());
        let (broken, rolled_back) = match &self.judged {
            DecisionInputs::Promotion(promotion) => (promotion.break_glass.clone(), false),
            DecisionInputs::Rollback(rollback) => (rollback.break_glass.clone(), true),
        };
        let glass = permit.break_glass.as_ref().map(|glass| &glass.reason);
        let permitted = permit.permit.as_ref();
        for (member, matches) in [
            ("service", permit.service == contract.service),
            ("environment", permit.environment == contract.environment),
            ("digest", permit.digest == self.digest),
            ("account", permit.account == contract.account),
            ("policy", permit.policy.as_ref() == Some(&policy)),
            (
                "plan",
                permitted.and_then(|it| it.plan.as_ref()) == self.plan.as_ref(),
            ),
            (
                "contract_path",
                permit.contract_path == self.contract_path(),
            ),
            (
                "contract",
                permitted.and_then(|it| it.contract.clone()) == self.contract_hash(),
            ),
            ("rollback", permit.rollback.is_some() == rolled_back),
            (
                "break_glass",
                glass.is_none_or(|reason| Some(reason) == broken.as_ref()),
            ),
        ] {
            if !matches {
                return Err(differs(format!("its evidence is of another {member}")));
            }
        }
        let gone_past = self.rules.iter().any(|rule| rule.answer == Answer::Broken);
        match gone_past == glass.is_some() {
            true => Ok(()),
            false => Err(differs("whether rules were overridden")),
        }
    }
}

/// Everything that this version asks GitHub has an answer in the evidence.
fn all_kept(github: &GitHub) -> Result<(), Replayed> {
    match github.unkept().into_iter().next() {
        None => Ok(()),
        Some(request) => Err(unreadable(format!(
            "this version asks GitHub something else: {request}"
        ))),
    }
}

fn no_repository() -> Replayed {
    unreadable("its repository is not one")
}
