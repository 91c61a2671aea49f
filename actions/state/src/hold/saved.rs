//! What a saved plan says about its state. `apply` takes the backend from the plan and not from the
//! folder, so a plan of another state would change that one under a lock that is not its own.
//! Source: terraform `internal/plans/planfile` (a ZIP) and `internal/plans/planproto`. Pure.

use std::io::Read;

/// The state that a saved plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Saved {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// Unless it is the default one.
    pub(crate) workspace: Option<String>,
}

/// The member that describes the plan.
const MEMBER: &[u8] = b"tfplan";
/// More than any plan has. What claims to be larger is not read.
const LARGEST: u64 = 256 << 20;

/// Whether a file begins as a saved plan does.
pub(crate) fn is_archive(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// The state of the saved plan in `archive`. `None`: it is no plan, or none whose state is in S3.
pub(crate) fn read(archive: &[u8]) -> Option<Saved> {
    let plan = member(archive)?;
    let backend = message(&plan, 13)?;
    if message(backend, 1)? != b"s3" {
        return None;
    }
    let config = message(message(backend, 2)?, 1)?;
    let workspace = message(backend, 3).map(|name| String::from_utf8_lossy(name).into_owned());
    Some(Saved {
        bucket: value(config, "bucket")?,
        key: value(config, "key")?,
        workspace: workspace.filter(|name| !name.is_empty() && name != "default"),
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

/// A text of a MessagePack map, by its name. Nothing deeper in the configuration of the backend has
/// one of these names (msgpack `spec.md`, "str format family").
fn value(map: &[u8], name: &str) -> Option<String> {
    let name = [&[0xa0 | u8::try_from(name.len()).ok()?], name.as_bytes()].concat();
    let at = map
        .windows(name.len())
        .position(|some| some == name.as_slice())?;
    let rest = &map[at + name.len()..];
    let (length, head) = match *rest.first()? {
        short @ 0xa0..=0xbf => (usize::from(short & 0x1f), 1),
        0xd9 => (usize::from(*rest.get(1)?), 2),
        0xda => (
            usize::from(u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?])),
            3,
        ),
        _ => return None,
    };
    String::from_utf8(rest.get(head..head + length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Vec<u8> {
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
            text("bucket"),
            text("states"),
            text("encrypt"),
            vec![0xc0],
            text("key"),
            text(key),
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
            let found = read(&plan("s3", key, "default")).unwrap();
            assert_eq!((found.bucket.as_str(), found.key.as_str()), ("states", key));
            assert_eq!(found.workspace, None);
        }
        let found = read(&plan("s3", "k", "blue")).unwrap();
        assert_eq!(found.workspace.as_deref(), Some("blue"));
    }

    #[test]
    fn what_is_no_plan_of_a_state_in_s3_is_none() {
        let whole = plan("s3", "k", "default");
        for other in [
            plan("local", "k", "default"),
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
