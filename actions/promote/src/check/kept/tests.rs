//! Decisions made again. Promotions, with GitHub's answers, are the end-to-end tests' part.

use super::replay::replay;
use super::*;
use crate::check::Read;
use crate::check::facts::Unknown;
use crate::check::host::{Host, OfHost};
use crate::check::rollback::{Passed, Went};
use crate::check::tests::setting;
use crate::standing::tests::{actor, deployed, digest, failed, forced, permitted};
use crate::standing::{Standing, at};
use kit::clock::rfc3339;
use kit::contract::BreakGlass;
use ledger::{Chain, GENESIS, Record, permit, sha256};

const NOW: &str = "2026-11-21T18:30:00.5Z";

/// The records as a chain of production stores them, oldest first.
fn stored(records: &[Record]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (seq, record) in (1..).zip(records) {
        let record = Record {
            seq,
            ..record.clone()
        };
        let prev = entries.last().map_or(GENESIS, |last| &last.hash).to_owned();
        let bytes = serde_json::to_string(&record).unwrap();
        entries.push(Entry {
            seq,
            hash: sha256(format!("{prev}{bytes}").as_bytes()),
            prev,
            bytes,
            signature: None,
        });
    }
    entries
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

/// The same by a setting's gate and what passed others, while GitHub is silent.
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
        own: own.clone(),
        before: Vec::new(),
    };
    let standing = read.standing(setting).unwrap();
    let silent = Unknown::new("GitHub does not answer", "wait");
    let went = Went {
        digest: digest('a'),
        own,
        healthy: None,
        branch: Err(silent.clone()),
        passed,
        promoter: Ok(vec![actor("dora")]),
        break_glass: break_glass.map(str::to_owned),
    };
    let judgement = went.judge(setting, &standing).unwrap();
    let (decision, now) = (&judgement.decision, at(NOW).unwrap());
    let kept = Kept::rollback(setting, &went, &Err(silent), decision, now).unwrap();
    Case {
        permit: permit(setting, &standing),
        known: Known {
            hashes: entries.iter().map(|it| (it.seq, it.hash.clone())).collect(),
            deployments: entries.iter().map(|it| it.seq).collect(),
        },
        kept,
    }
}

fn permit(setting: &Setting, standing: &Standing) -> Record {
    let now = at(NOW).unwrap();
    let mut record = Record {
        seq: 9,
        at: rfc3339(now),
        policy: Some(setting.policy().unwrap()),
        rollback: Some(ledger::Rollback { from: None }),
        ..permitted('a', standing.head())
    };
    if let Some(permit) = &mut record.permit {
        permit.expires = rfc3339(at(&record.at).unwrap() + permit_life());
    }
    record
}

fn permit_life() -> time::Duration {
    time::Duration::seconds(permit::LIFE.cast_signed())
}

/// Why it does not follow; nothing if it does.
fn wrong(case: &Case) -> Option<String> {
    let bytes = case.kept.bytes().unwrap();
    let replayed = replay(&bytes, &case.permit, &case.known, None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    match runtime.block_on(replayed) {
        Replayed::Follows => None,
        Replayed::Differs(why) => Some(why),
        Replayed::Unreadable(why) => Some(format!("unreadable: {why}")),
    }
}

fn sound() -> Case {
    case(&[deployed('a'), deployed('b'), failed('c')])
}

#[test]
fn a_decision_follows_from_what_it_was_made_from() {
    assert_eq!(wrong(&sound()), None);
    let chain = Chain::new("storefront", "production").unwrap();
    let entry = sound().kept.own[0].entry();
    assert_eq!(entry.record(&chain).unwrap().digest, digest('c'));
}

#[test]
fn what_does_not_follow_is_named() {
    type Change = fn(&mut Case);
    let changes: [(&str, Change); 15] = [
        ("another digest", |it| it.permit.digest = digest('b')),
        ("another policy", |it| it.permit.policy = None),
        ("another policy", |it| it.kept.contract.gate.push(' ')),
        ("another rollback", |it| it.permit.rollback = None),
        ("another environment", |it| {
            it.permit.environment = "staging".to_owned();
        }),
        ("another account", |it| {
            it.permit.account = Some("123456789012".parse().unwrap());
        }),
        ("another commit", |it| {
            it.permit.commit = "f".repeat(40).parse().unwrap();
        }),
        ("`head` is another one", |it| {
            let permit = it.permit.permit.as_mut().unwrap();
            permit.head = GENESIS.to_owned();
        }),
        ("`pulls` is another one", |it| {
            let permit = it.permit.permit.as_mut().unwrap();
            permit.pulls = vec![1];
        }),
        ("`expires` is another one", |it| {
            let permit = it.permit.permit.as_mut().unwrap();
            permit.expires = "2026-11-21T23:00:00Z".to_owned();
        }),
        ("not when it was decided", |it| {
            it.kept.now = "2026-11-20T18:00:00Z".to_owned();
        }),
        ("record 2 is not what it was judged by", |it| {
            it.known.hashes.insert(2, GENESIS.to_owned());
        }),
        ("before deployment 4 was recorded", |it| {
            it.known.deployments.push(4);
        }),
        ("older records were left out", |it| {
            it.kept.own.truncate(1);
        }),
        ("rolled back answers", |it| {
            it.kept.rules[1].answer = Answer::Pass
        }),
    ];
    for (said, change) in changes {
        let mut case = sound();
        change(&mut case);
        let why = wrong(&case).unwrap_or_default();
        assert!(why.contains(said), "{said}: {why}");
    }
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
    assert!(why.contains("passed a gate and was not compared"), "{why}");
}

/// The gate here is an earlier one by the ledger, and GitHub does not answer.
#[test]
fn a_rollback_past_an_earlier_gate_follows_with_its_reason_alone() {
    let mut setting = setting();
    setting.gate.break_glass = Some(BreakGlass {
        people: vec!["dora".to_owned()],
        expires: 3600,
    });
    let by = |policy: String, digit| Record {
        policy: Some(policy),
        ..deployed(digit)
    };
    let records = [
        by(setting.policy().unwrap(), 'a'),
        by("sha256:x".to_owned(), 'b'),
    ];
    let entries = stored(&records);
    let passed = || Passed {
        newest: Some(entries[1].clone()),
        own: Some(entries[0].clone()),
    };
    let why = wrong(&judged(&setting, &records, passed(), None)).unwrap();
    assert!(why.starts_with("policy refuses"), "{why}");
    let reason = "the shop is down";
    let mut case = judged(&setting, &records, passed(), Some(reason));
    assert!(wrong(&case).unwrap().contains("rules were overridden"));
    case.permit.break_glass = forced('a', "dora").break_glass;
    assert_eq!(wrong(&case), None);
    // It is not true that GitHub was silent, or that somebody gave a reason.
    let mut other = case.kept.clone();
    if let Was::Rollback(rollback) = &mut other.judged {
        rollback.github = Ok(Answers {
            repository: "acme/storefront".to_owned(),
            host: Host {
                run: OfHost::GitHub { id: Some(5) },
                contract: Some("delivery.yaml".to_owned()),
                lock_file: None,
            },
            exchanges: Vec::new(),
        });
    }
    let mut told = Case {
        kept: other,
        ..judged(&setting, &records, passed(), None)
    };
    told.permit.break_glass = case.permit.break_glass.clone();
    let why = wrong(&told).unwrap();
    assert!(why.contains("this version asks GitHub"), "{why}");
    if let Was::Rollback(rollback) = &mut case.kept.judged {
        rollback.break_glass = None;
    }
    assert!(wrong(&case).unwrap().contains("another break_glass"));
}

#[test]
fn another_versions_evidence_is_unreadable_and_no_json_is_no_evidence() {
    let mut case = sound();
    case.kept.format = "slipway-evidence/2".to_owned();
    let why = wrong(&case).unwrap();
    assert!(
        why.starts_with("unreadable: its evidence has the form"),
        "{why}"
    );
}
