//! Writes chains and their evidence, in which every hash is right.

use super::change::{change_bytes, change_evidence};
use super::link;
use super::mutate::Random;
use crate::record::after;
use ledger::{GENESIS, Record, Recorded, sha256};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The member of a permit that holds its evidence, until it is written.
pub(super) const EVIDENCE: &str = "its evidence";
/// The member of a permit that says how many of the newest records it was not judged by.
pub(super) const LATE: &str = "came later";

/// A chain as it is exported.
pub(super) struct Written {
    pub(super) export: Vec<u8>,
    /// The bytes under each name.
    pub(super) evidence: BTreeMap<String, Vec<u8>>,
}

/// Writes the records, each permit with what it says of the records before it. With `random`, evidence is changed.
pub(super) fn write(records: &[Value], mut random: Option<&mut Random>) -> Written {
    let mut lines: Vec<Value> = Vec::new();
    let mut evidence = BTreeMap::new();
    for (seq, record) in (1..).zip(records) {
        let mut record = record.clone();
        record["seq"] = json!(seq);
        let members = record.as_object_mut().unwrap();
        let late = members.remove(LATE).and_then(|it| it.as_u64());
        let kept = members.remove(EVIDENCE);
        if let Some(mut kept) = kept {
            let late = usize::try_from(late.unwrap_or_default()).unwrap();
            let judged = &lines[..lines.len().saturating_sub(late)];
            kept["own"] = judged.iter().rev().cloned().collect();
            fill(&mut record, judged, &lines);
            let bytes = bytes(kept, random.as_deref_mut());
            let name = sha256(&bytes);
            if let Some(permit) = record["permit"].as_object_mut() {
                permit.insert("evidence".to_owned(), json!(format!("sha256:{name}")));
            }
            match random.as_mut().map_or(9, |random| random.below(30)) {
                0 => {}
                // Only what is under no other name is replaced.
                1 => drop(evidence.insert(name, [bytes, seq.to_string().into_bytes()].concat())),
                _ => drop(evidence.insert(name, bytes)),
            }
        }
        let prev = lines
            .last()
            .map_or(json!(GENESIS), |line| line["hash"].clone());
        let text = record.to_string();
        let hash = link(prev.as_str().unwrap(), &text);
        lines.push(json!({"seq": seq, "prev": prev, "hash": hash, "record": text}));
    }
    let head = lines
        .last()
        .map_or(json!(GENESIS), |line| line["hash"].clone());
    let header = json!({
        "format": "slipway-ledger-export/1", "service": "storefront", "environment": "production",
    });
    let end = json!({"end": lines.len(), "head": head});
    let all = std::iter::once(&header).chain(&lines).chain([&end]);
    let export: String = all.map(|line| format!("{line}\n")).collect();
    Written {
        export: export.into_bytes(),
        evidence,
    }
}

/// The evidence's bytes, changed more often than not.
fn bytes(mut kept: Value, random: Option<&mut Random>) -> Vec<u8> {
    let Some(random) = random else {
        return kept.to_string().into_bytes();
    };
    // So that each has a name of its own.
    kept["rules"][0]["fact"] = json!(random.0.to_string());
    let kind = random.below(5);
    if kind < 3 {
        change_evidence(&mut kept, random);
    }
    let mut bytes = kept.to_string().into_bytes();
    if kind == 3 {
        change_bytes(&mut bytes, random);
    }
    bytes
}

/// Lets a permit say of the records what they are, as far as it can be read.
fn fill(permit: &mut Value, judged: &[Value], before: &[Value]) {
    let read = |line: &Value| -> Option<Recorded> {
        Some(Recorded {
            hash: line["hash"].as_str()?.to_owned(),
            record: serde_json::from_str(line["record"].as_str()?).ok()?,
        })
    };
    let newest = |lines: &[Value]| -> Vec<Recorded> {
        let mut records: Vec<Recorded> = lines.iter().rev().filter_map(read).collect();
        let newest = records.iter().position(|it| it.record.is_deployment());
        records.truncate(newest.map_or(records.len(), |newest| newest + 1));
        records
    };
    let Ok(record) = serde_json::from_value::<Record>(permit.clone()) else {
        return;
    };
    let judged = newest(judged);
    let head = judged.last().filter(|it| it.record.is_deployment());
    let head = head.map_or(GENESIS, |it| &it.hash);
    if let Some(content) = permit["permit"].as_object_mut() {
        content.insert("head".to_owned(), json!(head));
    }
    let filled = after(None, &newest(before), record);
    permit["previous"] = json!(filled.previous);
    if let Some(rollback) = filled.rollback {
        permit["rollback"] = json!(rollback);
    }
}
