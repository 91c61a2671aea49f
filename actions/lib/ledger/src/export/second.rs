//! Our verifier and the one in Python, which was written from docs/ledger.md alone, say the same of
//! good exports and of a thousand that somebody changed.

mod mutate;

use super::{end, header, record, verify};
use crate::chain::Chain;
use crate::entry::{Entry, PAYLOAD_TYPE, link, payload};
use crate::fault::Fault;
use crate::record::{SignedPart, sample, write};
use crate::walk::Walked;
use attest::Signer;
use mutate::{MEMBERS, Random, mutate};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

const MUTATED: usize = 1000;

fn dev() -> Chain {
    Chain::new("storefront", "dev").unwrap()
}

async fn chain(
    records: u64,
    from: u64,
    signer: &Signer,
    member: Option<(u64, &str)>,
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for seq in 1..=records {
        let part = (seq >= from).then_some(SignedPart {
            signed_from: Some(from),
            accepted_head: None,
        });
        let mut bytes = write(&sample(seq, 1), part.as_ref()).unwrap();
        if let Some((_, member)) = member.filter(|(at, _)| *at == seq) {
            bytes.insert_str(1, member);
        }
        let mut entry = Entry::after(entries.last(), bytes);
        if seq >= from {
            let payload = payload(&dev(), seq, &entry.hash);
            let signature = signer.sign(PAYLOAD_TYPE, payload.as_bytes()).await;
            entry.signature = Some(signature.unwrap());
        }
        entries.push(entry);
    }
    entries
}

fn export(entries: &[Entry]) -> Vec<u8> {
    let mut text = header(&dev());
    text.extend(entries.iter().map(record));
    (text + &end(entries.last())).into_bytes()
}

/// Good exports, signed wholly, partly and not at all, and some with records of odd forms.
async fn bases(signer: &Signer) -> Vec<Vec<u8>> {
    let mut bases = vec![export(&[])];
    for (records, from) in [(8, 1), (9, 4), (6, 100)] {
        bases.push(export(&chain(records, from, signer, None).await));
    }
    let deep = format!(r#""new":{}1{},"#, "[".repeat(31), "]".repeat(31));
    let deeper = format!(r#""new":{}1{},"#, "[".repeat(32), "]".repeat(32));
    let deepest = format!(r#""new":{},"#, "[".repeat(90_000));
    let long = format!(r#""new":"{}","#, "x".repeat(1_050_000));
    let odd = [deep, deeper, deepest, long];
    let members = MEMBERS.into_iter().chain(odd.iter().map(String::as_str));
    for member in members {
        bases.push(export(&chain(3, 1, signer, Some((2, member))).await));
    }
    bases
}

/// A fault as the second verifier writes it.
fn plain(fault: &Fault) -> Value {
    let fault = json!(fault);
    let numbers = ["seq", "from", "to", "line"];
    let numbers = numbers.into_iter().filter_map(|name| fault.get(name));
    Value::Array(
        std::iter::once(&fault["fault"])
            .chain(numbers)
            .cloned()
            .collect(),
    )
}

fn summary_of(walked: &Walked) -> Value {
    let mut faults: Vec<Value> = walked.faults.iter().map(plain).collect();
    faults.sort_by_key(Value::to_string);
    json!({ "faults": faults, "records": walked.records, "signed_from": walked.signed_from })
}

/// The second verifier's result for each file.
fn second(folder: &Path, count: usize, key: Option<&Path>) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/export/second.py");
    let mut command = Command::new("python3");
    command.arg(script);
    if let Some(key) = key {
        command.arg("--key").arg(key);
    }
    command.args((0..count).map(|number| folder.join(number.to_string())));
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let parse = |line: &str| {
        let mut report: Value = serde_json::from_str(line).unwrap();
        let faults = report["faults"].as_array_mut().unwrap();
        faults.sort_by_key(Value::to_string);
        report
    };
    text.lines().map(parse).collect()
}

#[tokio::test]
async fn the_second_verifier_agrees_on_good_and_on_changed_exports() {
    let signer = Signer::local();
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("key.pem");
    std::fs::write(&pem, signer.public_key().to_pem()).unwrap();
    let bases = bases(&signer).await;
    let other = export(&chain(4, 1, &Signer::local(), None).await);

    let mut random = Random(0x0005_11b3_a1e5_ced1);
    let mut exports = bases.clone();
    while exports.len() < bases.len() + MUTATED {
        // Most of them from the plain ones: a change of an odd one often leads to the same fault.
        let among = if random.below(4) == 0 { bases.len() } else { 4 };
        let mut export = bases[random.below(among)].clone();
        for _ in 0..=random.below(3) {
            if !export.is_empty() {
                export = mutate(&export, &other, &mut random);
            }
        }
        exports.push(export);
    }
    for (number, export) in exports.iter().enumerate() {
        std::fs::write(folder.path().join(number.to_string()), export).unwrap();
    }
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    let mut differing = String::new();
    for key in [None, Some(signer.public_key())] {
        let theirs = second(folder.path(), exports.len(), key.map(|_| pem.as_path()));
        assert_eq!(theirs.len(), exports.len());
        for (number, (export, theirs)) in exports.iter().zip(theirs).enumerate() {
            let ours = summary_of(
                &verify(export.as_slice(), key, None, |_, _| {})
                    .unwrap()
                    .walked,
            );
            if ours != theirs {
                let text = String::from_utf8_lossy(export);
                let signed = key.is_some();
                let _ = writeln!(
                    differing,
                    "{number}, key {signed}: we {ours}, they {theirs}\n{text:.3000}"
                );
            }
            for fault in ours["faults"].as_array().unwrap() {
                *kinds.entry(fault[0].to_string()).or_default() += 1;
            }
            let first = number < 4 && (key.is_none() || number != 3);
            assert!(!first || ours["faults"] == json!([]), "{number}: {ours}");
        }
    }
    assert!(differing.is_empty(), "{differing:.6000}");
    // Each kind of fault that an export shows came up.
    assert_eq!(kinds.len(), 8, "{kinds:?}");
    assert!(kinds.values().all(|count| *count > 10), "{kinds:?}");
}
