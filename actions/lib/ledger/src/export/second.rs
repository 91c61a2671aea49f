//! Our verifier and the one in Python, which was written from docs/ledger.md alone, say the same of
//! good exports and of a thousand that somebody changed.

use super::{end, header, record, verify};
use crate::chain::Chain;
use crate::entry::{Entry, PAYLOAD_TYPE, link, payload};
use crate::fault::Fault;
use crate::record::{SignedPart, sample, write};
use crate::walk::Walked;
use attest::Signer;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

const MUTATED: usize = 1000;

/// A generator of the same numbers each time (Marsaglia, "Xorshift RNGs").
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn one<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

fn dev() -> Chain {
    Chain::new("storefront", "dev").unwrap()
}

/// Members that a record may not have, and some that it may.
const MEMBERS: [&str; 18] = [
    r#""new":null,"#,
    r#""new":[1,{"a":"\ud83d\ude00"}],"#,
    r#""new":9007199254740991,"#,
    r#""seq":1,"#,
    r#""s\u0065q":1,"#,
    r#""new":{"a":1,"a":1},"#,
    r#""new":"\ud800","#,
    r#""new":1.0,"#,
    r#""new":-0,"#,
    r#""new":1e400,"#,
    r#""new":9007199254740992,"#,
    r#""new":123456789012345678901234567890,"#,
    r#""new":NaN,"#,
    r#""signed_from":null,"#,
    r#""accepted_head":7,"#,
    r#""signed_from":-1,"#,
    r#""permit":{"expires":"2026-11-21T19:00:00Z","head":"0","range":"5f2a"},"#,
    r#""permit":{"expires":"2026-11-21T19:00:00Z","head":"0","range":5},"#,
];

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

/// Changes an export as somebody might who wants it to say something else.
fn mutate(export: &[u8], other_export: &[u8], random: &mut Random) -> Vec<u8> {
    let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect()
    };
    let mut own = lines(export);
    let at = random.below(own.len());
    let other = random.below(own.len());
    match random.below(14) {
        0 => own.swap(at, other),
        1 => drop(own.remove(at)),
        2 => own.insert(other, own[at].clone()),
        3 => own.insert(other, random.one(&lines(other_export)).clone()),
        4 => own.truncate(at),
        5 => {
            let mut bytes = export.to_vec();
            bytes.truncate(random.below(export.len()));
            return bytes;
        }
        kind @ 6..=8 => {
            let mut bytes = export.to_vec();
            let at = random.below(bytes.len());
            let byte = *random.one(b"0a1\"{}[],:\\ \n\r\t-.e\x00\x7f\x80\xed\xffZ");
            match kind {
                6 => bytes[at] = byte,
                7 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
            return bytes;
        }
        9 => own[at] = member(&own[at], &own[other], random),
        10 => own[at] = rehashed(&own[at], random),
        11 => {
            let text = String::from_utf8_lossy(&own[at]).into_owned();
            let (from, to) = *random.one(&[
                ("=\"}", "\"}"),
                ("==\"", "=\""),
                ("\"MEU", "\"MEV"),
                ("A", "B"),
                ("/", "_"),
                ("\"seq\":", "\"seq\":0"),
                ("\"seq\":", "\"seq\":-"),
                ("\"end\":", "\"end\":1"),
                ("dev", "test"),
                ("storefront", "content"),
                ("{\"", "{\"x\":1,\""),
                ("}\n", "}\r\n"),
                ("}\n", "} x\n"),
                ("}\n", "}\n\n"),
            ]);
            own[at] = text.replacen(from, to, 1).into_bytes();
        }
        12 => own[0] = b"\xef\xbb\xbf".iter().chain(&own[0]).copied().collect(),
        _ => {
            let last = own.len() - 1;
            own[last].pop();
        }
    }
    own.concat()
}

/// A line with a member of another line, or without one.
fn member(line: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let parse = |line: &[u8]| serde_json::from_slice::<Value>(line).unwrap_or_else(|_| json!({}));
    let (mut line, other) = (parse(line), parse(other));
    let names = [
        "seq",
        "prev",
        "hash",
        "record",
        "key",
        "signature",
        "end",
        "head",
        "service",
    ];
    let name = *random.one(&names);
    match random.below(4) {
        0 => drop(line.as_object_mut().map(|line| line.remove(name))),
        1 => line[name] = Value::Null,
        2 => line[name] = json!([]),
        _ => line[name] = other[name].clone(),
    }
    format!("{line}\n").into_bytes()
}

/// A record's line with another record and the hash that fits it, as somebody writes it who can
/// write to the table and has no key.
fn rehashed(line: &[u8], random: &mut Random) -> Vec<u8> {
    let mut line: Value = serde_json::from_slice(line).unwrap_or_default();
    let (Some(prev), Some(text)) = (line["prev"].as_str(), line["record"].as_str()) else {
        return format!("{line}\n").into_bytes();
    };
    let (from, to) = *random.one(&[
        ("healthy", "failed"),
        ("alice", "mallory"),
        ("sha256:", "sha512:"),
        ("\"seq\":", "\"seq\":1"),
        ("storefront", "other"),
        ("{", "{\"signed_from\":3,"),
        ("{", "[{"),
        ("}}", "}"),
        ("\"range\":\"5f", "\"range\":\"6f"),
        ("\"range\":", "\"range\":null,\"range\":"),
        ("\"range\":", "\"ranges\":"),
    ]);
    let text = match random.below(3) {
        0 => text.replacen('{', &format!("{{{}", random.one(&MEMBERS)), 1),
        _ => text.replacen(from, to, 1),
    };
    line["hash"] = link(prev, &text).into();
    line["record"] = text.into();
    if random.below(2) == 0
        && let Some(line) = line.as_object_mut()
    {
        line.remove("signature");
    }
    format!("{line}\n").into_bytes()
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
