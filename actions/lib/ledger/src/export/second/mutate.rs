//! Changes exports as somebody might who wants them to say something else. Another test, in `promote`, includes this file too.

use super::link;
use serde_json::{Value, json};

/// A generator of the same numbers each time (Marsaglia, "Xorshift RNGs").
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    pub(super) fn one<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Members that a record may not have, and some that it may.
pub(super) const MEMBERS: [&str; 18] = [
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

/// Changes an export as somebody might who wants it to say something else.
pub(super) fn mutate(export: &[u8], other_export: &[u8], random: &mut Random) -> Vec<u8> {
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
