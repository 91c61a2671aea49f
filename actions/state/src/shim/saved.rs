//! The backend that a saved plan names. `apply` takes the backend from the plan and not from the
//! folder.
//! Source: terraform `internal/plans/planfile` (a ZIP) and `internal/plans/planproto`. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::Read;

/// The backend that a saved plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// `s3`, `local`, …
    pub(crate) kind: String,
    pub(crate) settings: Map<String, Value>,
    pub(crate) workspace: String,
}

/// The member that describes the plan.
const MEMBER: &[u8] = b"tfplan";
/// The size limit in bytes, above that of any plan. A larger member is not read.
const LARGEST: u64 = 256 << 20;

/// The backend of the saved plan in `archive`. `None`: it is not a plan that can be read.
pub(crate) fn read(archive: &[u8]) -> Option<Saved> {
    let plan = member(archive)?;
    let backend = message(&plan, 13)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let mut config = message(message(backend, 2)?, 1)?;
    let Value::Object(settings) = value(&mut config)? else {
        return None;
    };
    Some(Saved {
        kind: text(message(backend, 1)?)?,
        settings,
        workspace: text(message(backend, 3)?)?,
    })
}

/// The ZIP's member, unpacked. Its sizes are in the directory at the end, since who writes as a
/// stream does not know them at the beginning (APPNOTE.TXT, 4.3.12 and 4.3.16).
fn member(archive: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize, length: usize| {
        let bytes = archive.get(at..at.checked_add(length)?)?;
        let read = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
        usize::try_from(bytes.iter().rev().fold(0, read)).ok()
    };
    let end = archive.windows(4).rposition(|four| four == b"PK\x05\x06")?;
    let mut at = number(end + 16, 4)?;
    for _ in 0..number(end + 10, 2)? {
        if archive.get(at..at + 4)? != b"PK\x01\x02" {
            return None;
        }
        let name = number(at + 28, 2)?;
        if archive.get(at + 46..at + 46 + name)? == MEMBER {
            let (method, packed) = (number(at + 10, 2)?, number(at + 20, 4)?);
            let local = number(at + 42, 4)?;
            let begin = local + 30 + number(local + 26, 2)? + number(local + 28, 2)?;
            let bytes = archive.get(begin..begin.checked_add(packed)?)?;
            return match method {
                0 => Some(bytes.to_vec()),
                8 => {
                    let mut plan = Vec::new();
                    let mut unpacked = flate2::read::DeflateDecoder::new(bytes).take(LARGEST);
                    unpacked.read_to_end(&mut plan).ok()?;
                    Some(plan)
                }
                _ => None,
            };
        }
        at += 46 + name + number(at + 30, 2)? + number(at + 32, 2)?;
    }
    None
}

/// The bytes of a field of a protobuf message (protobuf.dev, "Encoding").
fn message(mut rest: &[u8], wanted: u64) -> Option<&[u8]> {
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut rest)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, after) = rest.split_at_checked(length)?;
        if tag == (wanted << 3) | 2 {
            return Some(value);
        }
        rest = after;
    }
    None
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A value of MessagePack (msgpack `spec.md`), as `cty` writes it. Bytes and extensions, which the
/// configuration of a backend does not use, become null.
fn value(rest: &mut &[u8]) -> Option<Value> {
    let head = *take(rest, 1)?.first()?;
    Some(match head {
        0x00..=0x7f => head.into(),
        0xe0..=0xff => i64::from(i8::from_be_bytes([head])).into(),
        0x80..=0x8f => map(rest, u64::from(head & 0x0f))?,
        0x90..=0x9f => list(rest, u64::from(head & 0x0f))?,
        0xa0..=0xbf => text(rest, u64::from(head & 0x1f))?,
        0xc0 => Value::Null,
        0xc2 => false.into(),
        0xc3 => true.into(),
        0xc4..=0xc6 => {
            let length = number(rest, 1 << (head - 0xc4))?;
            skipped(rest, length)?
        }
        0xc7..=0xc9 => {
            let length = number(rest, 1 << (head - 0xc7))?;
            skipped(rest, length + 1)?
        }
        0xca => skipped(rest, 4)?,
        0xcb => f64::from_be_bytes(take(rest, 8)?.try_into().ok()?).into(),
        0xcc..=0xcf => number(rest, 1 << (head - 0xcc))?.into(),
        0xd0..=0xd3 => {
            let bytes = 1 << (head - 0xd0);
            let shift = 64 - 8 * bytes;
            ((number(rest, bytes)? << shift).cast_signed() >> shift).into()
        }
        0xd4..=0xd8 => skipped(rest, (1 << (head - 0xd4)) + 1)?,
        0xd9..=0xdb => {
            let length = number(rest, 1 << (head - 0xd9))?;
            text(rest, length)?
        }
        0xdc | 0xdd => {
            let length = number(rest, 2 << (head - 0xdc))?;
            list(rest, length)?
        }
        0xde | 0xdf => {
            let length = number(rest, 2 << (head - 0xde))?;
            map(rest, length)?
        }
        0xc1 => return None,
    })
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(taken)
}

fn number(rest: &mut &[u8], bytes: u32) -> Option<u64> {
    let read = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    Some(take(rest, bytes.into())?.iter().fold(0, read))
}

fn skipped(rest: &mut &[u8], length: u64) -> Option<Value> {
    take(rest, length).map(|_| Value::Null)
}

fn text(rest: &mut &[u8], length: u64) -> Option<Value> {
    let text = String::from_utf8(take(rest, length)?.to_vec()).ok()?;
    Some(Value::String(text))
}

fn list(rest: &mut &[u8], length: u64) -> Option<Value> {
    (0..length).map(|_| value(rest)).collect()
}

fn map(rest: &mut &[u8], length: u64) -> Option<Value> {
    let mut found = Map::new();
    for _ in 0..length {
        let Value::String(name) = value(rest)? else {
            return None;
        };
        found.insert(name, value(rest)?);
    }
    Some(Value::Object(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(value: &str) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        let head = if length < 32 {
            vec![0xa0 | length]
        } else {
            vec![0xd9, length]
        };
        [head, value.as_bytes().to_vec()].concat()
    }

    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        let mut length = value.len();
        let mut out = vec![(number << 3) | 2];
        while length > 127 {
            out.push(u8::try_from(length & 127).unwrap() | 128);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        [out, value.to_vec()].concat()
    }

    /// A ZIP of one stored member, its sizes at the end alone.
    fn archive(name: &str, content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let mut out = [b"PK\x03\x04".as_slice(), &[0; 22], &length, &[0; 2]].concat();
        out.extend([name.as_bytes(), content].concat());
        let directory = u32::try_from(out.len()).unwrap().to_le_bytes();
        out.extend([b"PK\x01\x02".as_slice(), &[0; 16], &size, &size].concat());
        out.extend([&length[..], &[0; 16], name.as_bytes()].concat());
        out.extend([b"PK\x05\x06".as_slice(), &[0; 6], &[1, 0], &[0; 4]].concat());
        out.extend([&directory[..], &[0; 2]].concat());
        out
    }

    fn plan(kind: &str, key: &str, workspace: &str) -> Vec<u8> {
        let config = [
            vec![0x83],
            packed("bucket"),
            packed("states"),
            packed("encrypt"),
            vec![0xc0],
            packed("key"),
            packed(key),
        ]
        .concat();
        let backend = [
            field(1, kind.as_bytes()),
            field(2, &field(1, &config)),
            field(3, workspace.as_bytes()),
        ]
        .concat();
        let whole = [vec![1 << 3, 3], field(3, b"change"), field(13, &backend)].concat();
        archive("tfplan", &whole)
    }

    #[test]
    fn a_plan_says_which_state_it_is_for() {
        let long = "shop/a-long-name-of-an-environment/terraform.tfstate";
        for key in ["k", long] {
            let found = read(&plan("s3", key, "blue")).unwrap();
            assert_eq!(
                (found.kind.as_str(), found.workspace.as_str()),
                ("s3", "blue")
            );
            let settings = serde_json::json!({"bucket": "states", "encrypt": null, "key": key});
            assert_eq!(Value::Object(found.settings), settings);
        }
    }

    #[test]
    fn values_of_every_form_are_read() {
        for (bytes, wanted) in [
            (&b"\xc3"[..], serde_json::json!(true)),
            (b"\x05", serde_json::json!(5)),
            (b"\xff", serde_json::json!(-1)),
            (b"\xd1\xff\xfe", serde_json::json!(-2)),
            (b"\xcd\x01\x00", serde_json::json!(256)),
            (b"\xda\x00\x01a", serde_json::json!("a")),
            (b"\xdc\x00\x01\xc0", serde_json::json!([null])),
            (
                b"\xde\x00\x01\xa1a\x92\x01\xc2",
                serde_json::json!({"a": [1, false]}),
            ),
            (b"\xc4\x01x", Value::Null),
            (b"\xd4\x00\x00", Value::Null),
        ] {
            assert_eq!(value(&mut &bytes[..]), Some(wanted), "{bytes:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_plan_is_not_read_as_one() {
        let whole = plan("s3", "k", "default");
        for other in [
            archive("other", b"x"),
            archive("tfplan", b"\xff\xff"),
            Vec::new(),
            b"PK\x03\x04".to_vec(),
        ] {
            assert_eq!(read(&other), None);
        }
        // Whatever is cut off or changed, nothing but an answer.
        for cut in 0..whole.len() {
            let _ = read(&whole[..cut]);
            let mut changed = whole.clone();
            changed[cut] ^= 0xff;
            let _ = read(&changed);
        }
    }
}
