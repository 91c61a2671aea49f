//! Changes of records and of evidence that whoever may append, sign and keep evidence can make.

use super::mutate::{MEMBERS, Random};
use super::write::{EVIDENCE, LATE};
use crate::environment_history::tests::{digest, started};
use serde_json::{Value, json};

/// Values that most members do not have.
fn odd(random: &mut Random) -> Value {
    let hash = "5".repeat(64);
    random
        .one(&[
            json!(null),
            json!(5),
            json!(-1),
            json!(1.5),
            json!("x"),
            json!([]),
            json!({}),
            json!(true),
            json!(["x", 7, null]),
            json!(format!("sha256:{hash}")),
        ])
        .clone()
}

const TIMES: [&str; 12] = [
    "2026-11-21T17:00:00Z",
    "2026-11-21T18:25:00Z",
    "2026-11-21T18:29:59Z",
    "2026-11-21T18:35:00Z",
    "2026-11-21T18:35:01Z",
    "2026-11-21T18:40:00Z",
    "2026-11-21T19:10:00Z",
    "2027-01-01T00:00:00Z",
    "2026-11-21T18:30:00+00:00",
    "2026-11-21 18:30:00Z",
    "2026-11-31T18:30:00Z",
    "yesterday",
];
const VERDICTS: [&str; 12] = [
    "healthy",
    "failed",
    "rolled_back",
    "reviewed",
    "requested",
    "approved",
    "rejected",
    "withdrawn",
    "permitted",
    "started",
    "paused",
    "",
];
const PAGES: [&str; 8] = [
    "https://github.com/acme/shop/actions/runs/7/attempts/1",
    "https://github.com/acme/shop/actions/runs/7/attempts/2",
    "https://github.com/acme/shop/actions/runs/7/attempts/10",
    "https://github.com/acme/shop/actions/runs/7/attempts/+1",
    "https://github.com/acme/shop/actions/runs/7/attempts/x",
    "https://github.com/acme/shop/actions/runs/8/attempts/9",
    "https://ci.example/7",
    "/attempts//attempts/1",
];
const OF_RECORD: [&str; 16] = [
    "run",
    "account",
    "task_definition",
    "previous",
    "policy",
    "contract_path",
    "rollback",
    "break_glass",
    "reason",
    "request",
    "answers",
    "permit",
    "under",
    "command",
    "actor",
    "digest",
];

/// Changes records, as whoever may append and sign can write them.
pub(super) fn change_records(records: &mut Vec<Value>, random: &mut Random) {
    let at = random.below(records.len());
    let other = random.below(records.len());
    let record = &mut records[at];
    match random.below(15) {
        0 | 1 => record["at"] = json!(random.one(&TIMES)),
        2 => record["verdict"] = json!(random.one(&VERDICTS)),
        3 => record["run"] = json!(random.one(&PAGES)),
        // What was under way is of another attempt, or of another run.
        4 if random.below(2) == 0 => {
            let began = records.iter_mut().filter(|it| it["verdict"] == "started");
            began.for_each(|it| it["run"] = json!(random.one(&PAGES)));
        }
        // Nothing names a plan.
        13 if random.below(2) == 0 => {
            for part in ["/permit", &format!("/{EVIDENCE}")] {
                let members = record.pointer_mut(part).and_then(Value::as_object_mut);
                members.map(|it| it.remove("plan"));
            }
        }
        4 => record["digest"] = json!(digest(*random.one(&['a', 'b', 'c']))),
        5 => record[*random.one(&OF_RECORD)] = odd(random),
        6 => {
            let within = *random.one(&["permit", "request", "actor", "rollback", "break_glass"]);
            if let Some(object) = record[within].as_object_mut() {
                let names: Vec<String> = object.keys().cloned().collect();
                if let Some(name) = names.get(random.below(names.len())) {
                    object.insert(name.clone(), odd(random));
                }
            }
        }
        7 => drop(records.remove(at)),
        8 => records.swap(at, other),
        9 => {
            let copy = record.clone();
            records.insert(other, copy);
        }
        10 => {
            let mut began = json!(started('c', 1));
            began["at"] = json!(random.one(&TIMES));
            began["run"] = json!(random.one(&PAGES));
            records.insert(at, began);
        }
        11 => record[LATE] = json!(1 + random.below(2)),
        12 => record["rollback"] = json!({"from": digest(*random.one(&['a', 'b', 'c']))}),
        _ => drop(record.as_object_mut().map(|it| it.remove("rollback"))),
    }
}

/// Members of evidence.
const PATHS: [&str; 31] = [
    "/contract/declared",
    "/contract/service",
    "/contract/environment",
    "/contract/follows",
    "/contract/account",
    "/contract/gate",
    "/digest",
    "/plan",
    "/host/contract/path",
    "/host/contract/text",
    "/host/contract",
    "/now",
    "/own",
    "/own/0",
    "/own/1",
    "/own/0/seq",
    "/own/0/hash",
    "/own/0/prev",
    "/own/1/record",
    "/before",
    "/before/0",
    "/before/1",
    "/before/1/hash",
    "/before/2/record",
    "/judged/promotion/break_glass",
    "/judged/promotion/anchored",
    "/judged/rollback/healthy",
    "/rules",
    "/rules/0/answer",
    "/judged",
    "/host",
];

/// Changes the members of evidence.
pub(super) fn change_evidence(kept: &mut Value, random: &mut Random) {
    let path = *random.one(&PATHS);
    match random.below(12) {
        0..=2 => {
            let value = odd(random);
            if let Some(it) = kept.pointer_mut(path) {
                *it = value;
            }
        }
        3 => kept["now"] = json!(random.one(&TIMES)),
        4 => {
            let list = *random.one(&["own", "before"]);
            if let Some(lines) = kept[list].as_array_mut() {
                let (at, other) = (random.below(lines.len()), random.below(lines.len()));
                match random.below(3) {
                    _ if lines.is_empty() => {}
                    0 => drop(lines.remove(at)),
                    1 => lines.swap(at, other),
                    _ => lines.truncate(at),
                }
            }
        }
        5 => {
            let answer = json!(random.one(&["break-glass", "pass", "fail"]));
            if let Some(it) = kept.pointer_mut("/rules/0/answer") {
                *it = answer;
            }
        }
        6 => {
            kept["digest"] = json!(digest(*random.one(&['a', 'b'])));
        }
        7 => {
            let gate = kept["contract"]["gate"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let (from, to) = *random.one(&[
                ("\"plan\":true", "\"plan\":false"),
                ("\"soak\":3600,", ""),
                ("{", "{\"plan\":true,"),
                ("{", "{ "),
                ("\"required\":", "\"required\":true,\"required\":"),
            ]);
            kept["contract"]["gate"] = json!(gate.replacen(from, to, 1));
        }
        8 => {
            let promotion = kept.pointer_mut("/judged/promotion");
            promotion
                .and_then(Value::as_object_mut)
                .map(|it| it.remove("anchored"));
        }
        9 => {
            kept["format"] = json!("slipway-evidence/6");
            kept["version"] = json!("9.0.0");
        }
        10 => drop(kept.as_object_mut().map(|it| it.remove("plan"))),
        _ => {
            let value = odd(random);
            let line = kept.pointer_mut("/own/0").and_then(Value::as_object_mut);
            line.map(|it| it.insert("new".to_owned(), value));
        }
    }
}

/// Changes the bytes of evidence.
pub(super) fn change_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let at = random.below(bytes.len());
    match random.below(10) {
        0 => *bytes = text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => {
            *bytes = std::iter::once(0xfeff)
                .chain(text.encode_utf16())
                .flat_map(u16::to_be_bytes)
                .collect()
        }
        2 => *bytes = format!("\u{feff}{text}").into_bytes(),
        3 => {
            *bytes = text
                .replacen('{', "{\"format\":\"slipway-evidence/6\",", 1)
                .into_bytes()
        }
        4 => {
            *bytes = text
                .replacen("\"people\":{", "\"people\":{\"dora\":{},", 1)
                .into_bytes()
        }
        5 => {
            *bytes = text
                .replacen('{', &format!("{{{}", random.one(&MEMBERS)), 1)
                .into_bytes()
        }
        6 => bytes[at] = *random.one(b"0a1\"{}[],:\\ \xff"),
        7 => bytes.truncate(at),
        8 => bytes.extend(b"{}"),
        _ => bytes.extend(b" \n"),
    }
}
