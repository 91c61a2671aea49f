//! Decisions made again. Promotions, with GitHub's answers, are the end-to-end tests' part.

mod parts;
mod rollback;
mod second;
mod stated;

use super::replay::replay;
use super::*;
use crate::check::Read;
use crate::check::fact::Unknown;
use crate::check::host::{ContractFile, Host, OfHost};
use crate::check::rollback::{Passed, RollbackInputs};
use crate::check::tests;
use crate::decisions::{Beside, Decisions};
use crate::environment_history::tests::{
    actor, deployed, digest, failed, forced, permitted, reviewed, rolled_back, stored,
};
use crate::environment_history::{EnvironmentHistory, at};
use crate::principal::tests::{principal, session};
use crate::record::after;
use kit::clock::rfc3339;
use ledger::{Chain, Fault, GENESIS, Record, Recorded, permit, sha256};
use std::path::Path;

const NOW: &str = "2026-11-21T18:30:00.5Z";

/// Dora, as a session of AWS.
const DORA: &str = "dora: {aws: [\"arn:aws:sts::012345678901:assumed-role/Operators/dora\"]}";
/// The gate of production.
const GATE: &str =
    "checks: [test@15368], workflow: .github/workflows/promote.yml, rollback: {approvals: 0}";

/// The setting of a contract with these people, and with this about production.
fn declared(people: &str, production: &str) -> Setting {
    let staging = match production.contains("follows") {
        true => "  staging: {account: var:STAGING}\n",
        false => "",
    };
    let text = format!(
        "version: 1\nservice: storefront\nbuild: {{account: var:BUILD, region: ca-central-1}}\n\
         people: {{{people}}}\nenvironments:\n{staging}  production: {{account: var:PRODUCTION, {production}}}\n"
    );
    let contract = kit::contract::parse(Path::new("delivery.yaml"), &text);
    let contract = contract.unwrap_or_else(|error| panic!("{error}"));
    let judged = contract.judged("production").unwrap();
    Setting {
        follows: judged.follows,
        gate: judged.gate,
        people: judged.people,
        contract: Some(text),
        ..tests::setting()
    }
}

/// The contract's setting, in which dora is a session of AWS.
fn setting() -> Setting {
    gated(GATE)
}

/// The same with another gate.
fn gated(gate: &str) -> Setting {
    declared(DORA, &format!("follows: staging, gate: {{{gate}}}"))
}

/// Dora at a terminal.
fn terminal(setting: &Setting) -> Host {
    Host {
        run: OfHost::Terminal {
            principal: principal(Some(&session("Operators/dora"))),
        },
        contract: Some(ContractFile {
            path: "delivery.yaml".to_owned(),
            text: setting.contract.clone().unwrap(),
        }),
        lock_file: Some("infra/.terraform.lock.hcl".to_owned()),
    }
}

/// A rollback to the digest of `a`, as it is granted on the records.
struct Case {
    kept: Kept,
    permit: Record,
    known: Known,
}

fn case(records: &[Record]) -> Case {
    judged(&setting(), records, Passed::default(), None)
}

/// The same by a setting's gate and what passed others, while GitHub does not answer.
fn judged(
    setting: &Setting,
    records: &[Record],
    passed: Passed,
    break_glass: Option<&str>,
) -> Case {
    let entries = stored(records);
    let own: Vec<Entry> = entries.iter().rev().cloned().collect();
    let read = Read {
        digest: digest('a'),
        commit: None,
        built_for: None,
        plan: None,
        own: own.clone(),
        before: Vec::new(),
    };
    let history = read.history(setting).unwrap();
    let unanswered = Unknown::new("GitHub does not answer", "wait");
    let went = RollbackInputs {
        digest: digest('a'),
        own,
        healthy: None,
        host: terminal(setting),
        branch: Err(unanswered.clone()),
        contributors: None,
        passed,
        promoter: Ok(vec![actor("dora")]),
        break_glass: break_glass.map(str::to_owned),
    };
    let judgement = went.judge(setting, &history).unwrap();
    let (decision, now) = (&judgement.decision, at(NOW).unwrap());
    let kept = Kept::rollback(setting, &went, &Err(unanswered), decision, now).unwrap();
    Case {
        permit: permit(setting, &history),
        known: known(&entries),
        kept,
    }
}

fn known(entries: &[Entry]) -> Known {
    let chain = Chain::new("storefront", "production").unwrap();
    let mut known = Known::default();
    for entry in entries {
        known.add(entry, &entry.record(&chain).unwrap());
    }
    known
}

/// The same chain with more records.
fn known_with(records: &[Record], more: &[Record]) -> Known {
    known(&stored(&[records, more].concat()))
}

fn permit(setting: &Setting, history: &EnvironmentHistory) -> Record {
    let now = at(NOW).unwrap();
    let mut records: Vec<Recorded> = history.records().rev().cloned().collect();
    let newest = records.iter().position(|it| it.record.is_deployment());
    records.truncate(newest.map_or(records.len(), |newest| newest + 1));
    let record = Record {
        at: rfc3339(now),
        policy: Some(setting.policy().unwrap()),
        contract_path: setting.contract_path.clone(),
        account: setting.read.account.clone(),
        rollback: Some(ledger::Rollback { from: None }),
        ..permitted('a', history.head())
    };
    let mut record = Record {
        seq: 9,
        ..after(None, &records, record)
    };
    if let Some(permit) = &mut record.permit {
        permit.expires = rfc3339(at(&record.at).unwrap() + permit_life());
        permit.contract = setting.contract_hash();
    }
    record
}

fn permit_life() -> time::Duration {
    time::Duration::seconds(permit::VALID_SECONDS.cast_signed())
}

/// Why it does not follow; nothing if it does.
fn wrong(case: &Case) -> Option<String> {
    let bytes = case.kept.bytes().unwrap();
    let against = Against {
        own: &case.known,
        // A rollback is not held against it.
        before: Some(("staging", &case.known)),
        contract: None,
        key: None,
    };
    let replayed = replay(&bytes, &case.permit, against);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    match runtime.block_on(replayed) {
        Replayed::Follows(_) => None,
        Replayed::Differs(why) => Some(why),
        Replayed::Unreadable(why) => Some(format!("unreadable: {why}")),
    }
}

fn records() -> [Record; 3] {
    [deployed('a'), deployed('b'), failed('c')]
}

fn sound() -> Case {
    case(&records())
}

#[test]
fn a_decision_follows_from_what_it_was_made_from() {
    assert_eq!(wrong(&sound()), None);
    let chain = Chain::new("storefront", "production").unwrap();
    let entry = sound().kept.own[0].clone();
    assert_eq!(entry.record(&chain).unwrap().digest, digest('c'));
}

/// The records that a rollback is judged by reach back to one that settles what is older, or to the first.
#[test]
fn the_records_reach_far_enough_back() {
    let mut settled = case(&[deployed('a'), deployed('b'), failed('c')]);
    let oldest = settled.kept.own.pop();
    if let DecisionInputs::Rollback(rollback) = &mut settled.kept.judged {
        rollback.healthy = oldest;
    }
    assert_eq!(wrong(&settled), None);
    assert_eq!(wrong(&case(&[forced('a', "eve"), failed('b')])), None);
    // Without its permit, nobody knows at which commit of the branch it was judged.
    let promoted = Record {
        under: Some(2),
        ..deployed('a')
    };
    let mut cut = case(&[deployed('b'), permitted('a', "hash-1"), promoted]);
    assert_eq!(wrong(&cut), None);
    cut.kept.own.truncate(1);
    let why = wrong(&cut).unwrap_or_default();
    assert!(why.contains("older records were left out"), "{why}");
}

/// The gate is read with the people and the place in the chain that it was judged with.
#[test]
fn the_setting_of_the_evidence_is_the_one_that_judged() {
    let first = declared(DORA, &format!("gate: {{{GATE}}}"));
    let records = [deployed('a'), deployed('b'), failed('c')];
    let mut case = judged(&first, &records, Passed::default(), None);
    assert_eq!(wrong(&case), None);
    case.kept.before = case.kept.own.clone();
    let why = wrong(&case).unwrap();
    assert_eq!(why, "no environment comes before this one");

    // The review is by another account of the person who rolls back.
    let people = declared(
        &DORA.replace("dora: {", "dora: {accounts: {dora-admin: 44}, "),
        &format!("follows: staging, gate: {{{GATE}}}"),
    );
    let records = [
        deployed('b'),
        deployed('a'),
        rolled_back('b', 'a'),
        reviewed('a', "dora-admin"),
    ];
    let why = wrong(&judged(&people, &records, Passed::default(), None)).unwrap();
    assert!(why.starts_with("rolled back refuses"), "{why}");
}

#[test]
fn a_rule_that_refuses_refuses_again() {
    // The digest was never healthy here.
    let why = wrong(&case(&[deployed('b'), failed('a')])).unwrap();
    assert!(why.starts_with("digest refuses"), "{why}");
    // A promotion by another gate was not compared.
    let other = Record {
        policy: Some("sha256:x".to_owned()),
        ..deployed('a')
    };
    let why = wrong(&case(&[other])).unwrap();
    assert!(
        why.contains("was not compared with the newest records"),
        "{why}"
    );
}

/// The contract is at the path of the one that judged before, or says that it was moved from there.
#[test]
fn a_contract_that_another_one_took_the_place_of_does_not_judge_again() {
    let by = |path: &str, digit| Record {
        contract_path: Some(path.to_owned()),
        ..deployed(digit)
    };
    let records = |path: &str| [by(path, 'a'), by(path, 'b'), failed('c')];
    assert_eq!(wrong(&case(&records("delivery.yaml"))), None);
    let why = wrong(&case(&records("shop/delivery.yaml"))).unwrap();
    let said = "production is judged by the contract shop/delivery.yaml, so delivery.yaml does not";
    assert!(why.starts_with(said), "{why}");
    let mut moved = setting();
    let text = moved.contract.as_mut().unwrap();
    text.push_str("moved-from: shop/delivery.yaml\n");
    let moved = judged(
        &moved,
        &records("shop/delivery.yaml"),
        Passed::default(),
        None,
    );
    assert_eq!(wrong(&moved), None);
}

#[test]
fn evidence_of_another_version_and_invalid_json_are_unreadable() {
    let mut case = sound();
    case.kept.format = "slipway-evidence/7".to_owned();
    let why = wrong(&case).unwrap();
    // This version writes no such form.
    assert!(why.starts_with("it has the form"), "{why}");
    case.kept.version = "9.0.0".to_owned();
    let why = wrong(&case).unwrap();
    assert!(why.starts_with("unreadable: it has the form"), "{why}");
}

#[tokio::test]
async fn a_chains_permits_are_decided_again_by_the_evidence_that_each_names() {
    let case = sound();
    let bytes = case.kept.bytes().unwrap();
    let with = |evidence: Option<String>| {
        let mut permit = case.permit.clone();
        permit.permit.as_mut().unwrap().evidence = evidence;
        permit
    };
    let named = |hash: &str| with(Some(format!("sha256:{hash}")));
    let (gone, swapped) = ("0".repeat(64), "1".repeat(64));
    let unfounded = sha256(b"[]");
    let records = [
        deployed('a'),
        deployed('b'),
        failed('c'),
        named(&sha256(&bytes)),
        with(None),
        with(Some("somewhere".to_owned())),
        named(&gone),
        named(&swapped),
        named(&unfounded),
    ];
    let read = async |hash: &str| match hash {
        _ if hash == gone => Ok(None),
        _ if hash == unfounded => Ok(Some(b"[]".to_vec())),
        _ => Ok(Some(bytes.clone())),
    };
    let decide = async |records: &[Record]| {
        let chain = Chain::new("storefront", "production").unwrap();
        let mut decisions = Decisions::default();
        for entry in stored(records) {
            decisions.add(&chain, &entry);
        }
        let beside = Beside::default();
        let (decided, faults) = decisions.judge(&chain, beside, read).await;
        let names: Vec<String> = decisions.evidence().map(str::to_owned).collect();
        (decided, faults, names)
    };
    let (decided, faults, names) = decide(&records).await;
    let own = sha256(&bytes);
    assert_eq!(names, [&*own, &*gone, &*swapped, &*unfounded]);
    let wanted = [
        Fault::EvidenceMissing { seq: 5 },
        Fault::EvidenceMissing { seq: 6 },
        Fault::EvidenceMissing { seq: 7 },
        Fault::EvidenceReplaced { seq: 8 },
        Fault::DecisionDiffers {
            seq: 9,
            why: "its evidence has no form".to_owned(),
        },
    ];
    assert_eq!(faults, wanted);
    assert_eq!(decided.line(), "1 of 6 permits made again");
    assert_eq!(
        decided.json(),
        serde_json::json!({ "permits": 6, "followed": 1, "left": [], "otherwise": [] })
    );
    // Before any permit named evidence.
    let (few, faults, _) = decide(&vec![with(None); 5]).await;
    let why = "it names no evidence".to_owned();
    assert_eq!(faults[4], Fault::Undecided { seq: 5, why });
    assert_eq!(faults.len(), 5);
    let left = few.json()["left"].clone();
    assert_eq!(left[1]["seq"], 2, "{left}");
    let few = few.line();
    assert!(few.ends_with("not record 5: it names no evidence"), "{few}");
    let many = decide(&vec![with(None); 7]).await.0.line();
    assert!(many.ends_with("evidence; and 2 more"), "{many}");
    // A deployment that is on record between what was judged and the permit.
    let mut late = records[..4].to_vec();
    late.insert(3, deployed('b'));
    let (_, faults, _) = decide(&late).await;
    let [Fault::DecisionDiffers { seq: 5, why }] = &faults[..] else {
        panic!("{faults:?}");
    };
    assert!(why.contains("before deployment 4 was recorded"), "{why}");
}
