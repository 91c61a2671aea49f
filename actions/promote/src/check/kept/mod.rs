//! All that a decision was made from, as it is kept beside the ledger's anchor, so that anybody can make the decision
//! again: the rules, the records, GitHub's answers, and what AWS and the host said. docs/ledger.md specifies it.

mod replay;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use replay::bound;
pub(crate) use replay::{Against, Known, Replayed, replay};

use super::answer::{Answer, Decision};
use super::conditions::{Calendar, Conditions};
use super::fact::Fact;
use super::host::Host;
use super::proofs::Proofs;
use super::provenance::Found;
use super::rollback::RollbackInputs;
use super::{Asked, Observed, Read};
use crate::setting::Setting;
use github::{Exchange, GitHub, Repository};
use kit::aws::AccountId;
use kit::contract::{Person, StandsFor};
use kit::error::{Context, Error, Result};
use kit::id::{CommitId, Digest};
use ledger::{Actor, Entry};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The form. Another one means that a rule decides otherwise than before.
const FORMAT: &str = "slipway-evidence/6";

/// The evidence of one decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    format: String,
    /// The version of the step that decided.
    version: String,
    contract: Contract,
    digest: Digest,
    /// The commit of the run, where no environment comes before.
    commit: Option<CommitId>,
    /// The infrastructure plan that is promoted along, where the gate asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// The host's description of the run that decided.
    host: Host,
    /// When it was decided, RFC 3339 with its fractions of a second.
    now: String,
    /// The environment's own newest records, newest first.
    own: Vec<Entry>,
    /// Those of the previous environment.
    before: Vec<Entry>,
    judged: DecisionInputs,
    /// The answer of each rule.
    rules: Vec<Answered>,
}

/// The inputs of the decision, by its kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it for each permit that is looked at, and never a list"
)]
enum DecisionInputs {
    Promotion(Promotion),
    Rollback(Rollback),
}

/// The contract's part about the environment and about people.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    declared: bool,
    service: String,
    environment: String,
    follows: Option<String>,
    account: Option<AccountId>,
    /// The gate's rules as JSON; the record's `policy` is the hash of this text.
    gate: String,
    people: BTreeMap<String, Person>,
    apps: BTreeMap<u64, StandsFor>,
    provenance: Option<Proofs>,
}

/// The inputs that a promotion was judged by, besides the records.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    /// Why rules may be overridden, if somebody said so.
    break_glass: Option<String>,
    calendars: Vec<(String, Fact<Calendar>)>,
    missing_before: Option<Fact<Vec<String>>>,
    /// When the record since which the digest is healthy came into the anchor, if that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchored: Option<Fact<String>>,
    provenance: Option<Fact<Proof>>,
    /// GitHub's answers; nothing if it was not asked.
    github: Option<Answers>,
}

/// GitHub's answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    repository: String,
    exchanges: Vec<Exchange>,
}

/// The image's provenance and the key that signs it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    /// In PEM.
    key: String,
    repository: String,
    /// The manifest that holds the provenance, as it is in the registry.
    manifest: Option<String>,
}

/// The inputs that a rollback was judged by, besides the records.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rollback {
    /// Why the gate may be overridden, if somebody said so.
    break_glass: Option<String>,
    /// The people who roll back, as the runner names them; elsewhere than on GitHub they follow from the host's word.
    promoter: Fact<Vec<Actor>>,
    /// GitHub's answers about the gate, or why the ledger was asked instead.
    github: Fact<Answers>,
    /// The record that the digest was healthy, if that is not among the newest.
    healthy: Option<Entry>,
    /// The newest promotion by another gate, and by this one.
    newest: Option<Entry>,
    by_this_gate: Option<Entry>,
}

/// A rule's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    rule: String,
    answer: Answer,
    fact: String,
}

impl Kept {
    /// The evidence of a promotion's decision.
    pub(super) fn promotion(
        setting: &Setting,
        observed: Observed,
        conditions: &Conditions,
        decision: &Decision,
        break_glass: Option<String>,
    ) -> Result<Self> {
        let Observed {
            read,
            host,
            asked,
            proof,
        } = observed;
        let host = host.ok_or_else(|| Error::failed("nothing was asked where there is no gate"))?;
        let promotion = Promotion {
            break_glass,
            calendars: conditions.calendars.clone(),
            missing_before: conditions.missing_before.clone(),
            anchored: conditions.anchored.clone(),
            provenance: proof.map(|found| found.map(|found| Proof::of(&found))),
            github: asked.as_ref().map(Answers::of),
        };
        Self::of(
            setting,
            &read,
            host,
            conditions.now,
            decision,
            DecisionInputs::Promotion(promotion),
        )
    }

    /// The evidence of a rollback's decision.
    pub(super) fn rollback(
        setting: &Setting,
        went: &RollbackInputs,
        asked: &Fact<Asked>,
        decision: &Decision,
        now: OffsetDateTime,
    ) -> Result<Self> {
        let read = Read {
            digest: went.digest.clone(),
            commit: None,
            built_for: None,
            plan: None,
            own: went.own.clone(),
            before: Vec::new(),
        };
        let rollback = Rollback {
            break_glass: went.break_glass.clone(),
            promoter: went.promoter.clone(),
            github: asked.as_ref().map(Answers::of).map_err(Clone::clone),
            healthy: went.healthy.clone(),
            newest: went.passed.newest.clone(),
            by_this_gate: went.passed.own.clone(),
        };
        let host = went.host.clone();
        Self::of(
            setting,
            &read,
            host,
            now,
            decision,
            DecisionInputs::Rollback(rollback),
        )
    }

    fn of(
        setting: &Setting,
        read: &Read,
        host: Host,
        now: OffsetDateTime,
        decision: &Decision,
        judged: DecisionInputs,
    ) -> Result<Self> {
        Ok(Self {
            format: FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            contract: Contract {
                declared: setting.declared,
                service: setting.service.clone(),
                environment: setting.environment.clone(),
                follows: setting.follows.clone(),
                account: setting.read.account.clone(),
                gate: serde_json::to_string(&setting.gate)
                    .context("cannot write the gate as JSON")?,
                people: setting.people.clone(),
                apps: setting.apps.clone(),
                provenance: setting.proofs.clone(),
            },
            digest: read.digest.clone(),
            commit: read.commit.clone(),
            plan: read.plan.clone(),
            host,
            now: now
                .format(&Rfc3339)
                .context("cannot write the time of the decision")?,
            own: read.own.clone(),
            before: read.before.clone(),
            judged,
            rules: answered(decision),
        })
    }

    /// Its bytes, which are what is kept and hashed.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).context("cannot write the evidence as JSON")
    }
}

fn answered(decision: &Decision) -> Vec<Answered> {
    let rules = decision.rules.iter().map(|rule| Answered {
        rule: rule.rule.to_owned(),
        answer: rule.answer,
        fact: rule.fact.clone(),
    });
    rules.collect()
}

impl Answers {
    fn of(asked: &Asked) -> Self {
        Self {
            repository: asked.repository.to_string(),
            exchanges: asked.transcript.exchanges(),
        }
    }

    /// The client that answers from them. They are taken: there may be megabytes of them.
    fn client(&mut self) -> Option<GitHub> {
        let repository = Repository::parse(&self.repository)?;
        Some(GitHub::kept(
            repository,
            std::mem::take(&mut self.exchanges),
        ))
    }
}

impl Proof {
    fn of(found: &Found) -> Self {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        Self {
            key: found.key.to_pem(),
            repository: found.repository.clone(),
            manifest: found.manifest.as_ref().map(text),
        }
    }
}
