//! The verifier in Python, which was written from docs/ledger.md alone and knows no rules, says the same as ours of permits and their
//! evidence, of good ones and of a thousand that somebody changed.

mod change;
#[path = "../../../../../lib/ledger/src/export/second/mutate.rs"]
mod mutate;
mod write;

use super::*;
use crate::environment_history::tests::started;
use mutate::{Random, mutate};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use write::{EVIDENCE, Written, write};

const MUTATED: usize = 1000;

fn link(prev: &str, record: &str) -> String {
    sha256(format!("{prev}{record}").as_bytes())
}

/// Records before a permit of the digest of `a`: it is rolled back to, or promoted.
fn bases() -> Vec<Vec<Value>> {
    let values = |records: &[Record]| records.iter().map(|it| json!(it)).collect::<Vec<_>>();
    let asked = json!({
        "binding": "b", "expires": "2026-11-21T20:00:00Z", "head": GENESIS, "commits": 1, "range": "r", "people": "p",
        "repository": "acme/shop", "plan": "p", "unattributed": ["bot"], "pull_requests": [1],
        "contributors": [{"login": "ada", "id": 1}],
    });
    let mut request = json!(reviewed('a', "ada"));
    request["verdict"] = json!("requested");
    request["request"] = asked;
    let case = sound();
    let mut permit = json!(case.permit);
    permit[EVIDENCE] = json!(case.kept);
    let mut back = values(&records());
    back.extend([request.clone(), permit.clone()]);

    let mut gate = setting().gate;
    gate.plan = true;
    gate.soak = Some(3600);
    let gate = serde_json::to_string(&gate).unwrap();
    let staged = |record: Record| Record {
        environment: "staging".to_owned(),
        ..record
    };
    let before = stored(&[
        staged(deployed('b')),
        staged(deployed('a')),
        staged(deployed('b')),
    ]);
    let lines: Vec<&Entry> = before.iter().rev().collect();
    permit.as_object_mut().unwrap().remove("rollback");
    permit["policy"] = json!(format!("sha256:{}", sha256(gate.as_bytes())));
    permit["permit"]["plan"] = json!("p");
    permit["run"] = json!("https://github.com/acme/shop/actions/runs/7/attempts/2");
    let kept = &mut permit[EVIDENCE];
    kept["contract"]["gate"] = json!(gate);
    kept["plan"] = json!("p");
    kept["before"] = json!(lines);
    kept["judged"] = json!({"promotion": {
        "break_glass": null, "calendars": [], "missing_before": null, "provenance": null, "github": null,
        "anchored": {"Ok": "2026-11-21T18:00:01Z"},
    }});
    kept["rules"] = json!([{"rule": "digest", "answer": "pass", "fact": ""}]);
    let mut began = json!(started('c', 1));
    began["at"] = json!("2026-11-21T18:10:00Z");
    began["run"] = json!("https://github.com/acme/shop/actions/runs/7/attempts/1");
    let promoted = vec![json!(deployed('b')), request, began, permit.clone()];
    let twice = [back.clone(), vec![permit]].concat();
    vec![back, promoted, twice]
}

/// The second verifier's faults of each export.
fn second(folder: &Path, count: usize) -> Vec<BTreeSet<(String, Vec<u64>)>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lib/ledger/src/export/second.py");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).arg("--evidence").arg(folder);
    command.args((0..count).map(|number| folder.join(number.to_string())));
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let parse = |line: &str| {
        let report: Value = serde_json::from_str(line).unwrap();
        let faults = report["faults"].as_array().unwrap().iter();
        faults.map(plain).collect()
    };
    text.lines().map(parse).collect()
}

/// A fault of the second verifier.
fn plain(fault: &Value) -> (String, Vec<u64>) {
    let numbers = fault.as_array().unwrap()[1..].iter();
    let numbers = numbers.map(|it| it.as_u64().unwrap()).collect();
    (fault[0].as_str().unwrap().to_owned(), numbers)
}

/// Our faults of an export, and for each permit what follows without the rules.
async fn ours(
    export: &[u8],
    evidence: &BTreeMap<String, Vec<u8>>,
) -> (BTreeSet<(String, Vec<u64>)>, Vec<(u64, Option<bool>)>) {
    let mut decisions = Decisions::default();
    let take = |chain: &Chain, entry: &Entry| decisions.add(chain, entry);
    let mut found = ledger::export::verify(export, None, None, take).unwrap();
    if let Some(chain) = &found.chain {
        let read = async |hash: &str| Ok(evidence.get(hash).cloned());
        let (_, faults) = decisions.judge(chain, Beside::default(), read).await;
        found.walked.find(faults);
    }
    let faults = found.walked.faults.iter().map(|fault| {
        let fault = json!(fault);
        let numbers = ["seq", "from", "to", "line"];
        let numbers = numbers.iter().filter_map(|name| fault[name].as_u64());
        (
            fault["fault"].as_str().unwrap().to_owned(),
            numbers.collect(),
        )
    });
    let bound = decisions.bound(|hash| evidence.get(hash).filter(|it| sha256(it) == hash));
    (faults.collect(), bound)
}

#[tokio::test]
async fn the_second_verifier_agrees_on_permits_and_on_changed_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let bases = bases();
    let mut random = Random(3);
    let mut exports: Vec<Vec<u8>> = Vec::new();
    let mut evidence = BTreeMap::new();
    let mut keep = |written: Written| {
        evidence.extend(written.evidence);
        exports.push(written.export);
    };
    for base in &bases {
        keep(write(base, None));
    }
    for number in 0..MUTATED {
        let mut records = bases[number % bases.len()].clone();
        let of_records = random.below(3);
        for _ in 0..of_records {
            if !records.is_empty() {
                change::change_records(&mut records, &mut random);
            }
        }
        let mut written = write(&records, Some(&mut random));
        if random.below(5) == 0 && !written.export.is_empty() {
            let other = write(&bases[0], None).export;
            written.export = mutate(&written.export, &other, &mut random);
        }
        keep(written);
    }
    for (number, export) in exports.iter().enumerate() {
        std::fs::write(folder.path().join(number.to_string()), export).unwrap();
    }
    for (name, bytes) in &evidence {
        std::fs::write(folder.path().join(format!("{name}.json")), bytes).unwrap();
    }
    let theirs = second(folder.path(), exports.len());
    assert_eq!(theirs.len(), exports.len());
    let mut kinds = BTreeMap::<String, usize>::new();
    let (mut sound, mut not_bound, mut differing) = (0, 0, Vec::new());
    for (number, (export, theirs)) in exports.iter().zip(theirs).enumerate() {
        let (ours, bound) = ours(export, &evidence).await;
        let mut wanted = ours.clone();
        for (seq, bound) in bound {
            let unfounded = ("decision-differs".to_owned(), vec![seq]);
            // Where only a rule refuses, the second verifier has nothing to say. Evidence that this version cannot read has rules or
            // members that it does not know either, or another form, which no version of ours wrote.
            match bound {
                Some(true) => drop(wanted.remove(&unfounded)),
                Some(false) => not_bound += 1,
                None => {
                    let undecided = ("undecided".to_owned(), vec![seq]);
                    let said = wanted.remove(&unfounded) | wanted.remove(&undecided);
                    assert!(said, "{number}: {ours:?}");
                    let either = [unfounded, undecided];
                    wanted.extend(either.into_iter().filter(|it| theirs.contains(it)));
                }
            }
            sound += usize::from(bound == Some(true));
        }
        if wanted != theirs && differing.len() < 5 {
            let text = String::from_utf8_lossy(export).into_owned();
            differing.push(format!(
                "{number}: we {wanted:?}, they {theirs:?}\n{text:.6000}"
            ));
        }
        assert!(
            number > 2 || wanted.is_empty(),
            "{number}: {wanted:?}, {ours:?}"
        );
        for (kind, _) in theirs {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n\n"));
    // Each kind of fault that an export with its evidence shows came up, without those of signatures.
    assert_eq!(kinds.len(), 10, "{kinds:?}");
    assert!(kinds.values().all(|count| *count > 2), "{kinds:?}");
    assert!(sound > 300 && not_bound > 300, "{sound} {not_bound}");
}
