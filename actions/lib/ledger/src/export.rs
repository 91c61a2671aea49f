//! The export of a chain: JSON lines that anyone can verify without asking AWS. docs/ledger.md
//! specifies it. Reads and writes; touches nothing else.

use crate::chain::Chain;
use crate::entry::{Entry, GENESIS};
use crate::fault::Fault;
use crate::strict::is_object;
use crate::walk::{Walked, Walker, examine};
use attest::{PublicKey, Signature};
use kit::hex::is_hex;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{self, BufRead, Read};

/// The form that [`header`] names.
const FORMAT: &str = "slipway-ledger-export/1";
/// The longest line, with its line feed. An item of DynamoDB has at most 400 KB.
const LONGEST: usize = 1 << 20;
/// Lines that are examined side by side.
const BATCH: usize = 4096;
/// The largest integer that every reader of JSON keeps exactly.
const LARGEST: u64 = (1 << 53) - 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    format: Cow<'a, str>,
    service: Cow<'a, str>,
    environment: Cow<'a, str>,
}

/// A record's line, or the end line, as it is read: which of them depends on the members that are there.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line<'a> {
    seq: Option<u64>,
    prev: Option<Cow<'a, str>>,
    hash: Option<Cow<'a, str>>,
    record: Option<Cow<'a, str>>,
    key: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    end: Option<u64>,
    head: Option<Cow<'a, str>>,
}

/// The first line of an export, with its line feed.
pub fn header(chain: &Chain) -> String {
    line(&Header {
        format: FORMAT.into(),
        service: chain.service().into(),
        environment: chain.environment().into(),
    })
}

/// The line of one record.
pub fn record(entry: &Entry) -> String {
    line(entry)
}

/// The last line, after the entry `head`.
pub fn end(head: Option<&Entry>) -> String {
    line(&serde_json::json!({
        "end": head.map_or(0, |head| head.seq),
        "head": head.map_or(GENESIS, |head| &head.hash),
    }))
}

fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::json!(value).to_string();
    text.push('\n');
    text
}

/// The result of verifying an export.
#[derive(Debug)]
pub struct Verified {
    /// The chain that the header names, if it names one.
    pub chain: Option<Chain>,
    /// The result of the walk over its records.
    pub walked: Walked,
}

/// Verifies an export, and with `key` its signatures too. `head` is the hash of the newest record, known from another
/// source such as the GitHub Deployment. `take` gets each entry in the order of the lines, even a faulty one: the file is
/// read once, since it may be a pipe.
///
/// # Errors
/// The file cannot be read. A defect in it is not an error but a fault.
pub fn verify(
    mut file: impl BufRead,
    key: Option<&PublicKey>,
    head: Option<&str>,
    mut take: impl FnMut(&Chain, &Entry),
) -> io::Result<Verified> {
    let mut lines = Vec::new();
    let mut walker = Walker::new(true, key.is_some());
    batch(&mut file, &mut lines, 1)?;
    let chain = lines.first().and_then(|line| read_header(line));
    let Some(chain) = chain else {
        walker.fault(Fault::Malformed { line: 1 });
        return Ok(Verified {
            chain: None,
            walked: walker.finish(),
        });
    };
    let (mut number, mut ended) = (1, false);
    'file: loop {
        batch(&mut file, &mut lines, BATCH)?;
        if lines.is_empty() {
            break;
        }
        for read in side_by_side(&lines, |line| {
            let examined = |entry: Entry| (examine(&chain, &entry, key), entry);
            read_line(line).map(|parsed| parsed.map(examined))
        }) {
            number += 1;
            match read {
                Some(Parsed::Record((examined, entry))) if !ended => {
                    walker.add(examined);
                    take(&chain, &entry);
                }
                Some(Parsed::End(end, hash)) if !ended => {
                    ended = true;
                    let (seq, own) = last(&walker);
                    if end != seq || hash != own {
                        walker.fault(Fault::CutOff { seq });
                    }
                }
                _ => {
                    walker.fault(Fault::Malformed { line: number });
                    break 'file;
                }
            }
        }
    }
    let (seq, own) = last(&walker);
    if !ended || head.is_some_and(|head| head != own) {
        walker.fault(Fault::CutOff { seq });
    }
    Ok(Verified {
        chain: Some(chain),
        walked: walker.finish(),
    })
}

fn last(walker: &Walker) -> (u64, String) {
    let none = || (0, GENESIS.to_owned());
    walker.head().cloned().unwrap_or_else(none)
}

/// Reads up to `count` lines, each with its line feed. A line that is too long is cut, and so has none.
fn batch(file: &mut impl BufRead, lines: &mut Vec<Vec<u8>>, count: usize) -> io::Result<()> {
    lines.clear();
    while lines.len() < count {
        let mut line = Vec::new();
        let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
        file.by_ref().take(limit).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    Ok(())
}

/// One line, parsed.
enum Parsed<T> {
    Record(T),
    End(u64, String),
}

impl<T> Parsed<T> {
    fn map<U>(self, record: impl FnOnce(T) -> U) -> Parsed<U> {
        match self {
            Self::Record(entry) => Parsed::Record(record(entry)),
            Self::End(end, head) => Parsed::End(end, head),
        }
    }
}

/// A line's text without its line feed, if it has one and can be an object.
fn text(line: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    is_object(text).then_some(text)
}

fn read_header(line: &[u8]) -> Option<Chain> {
    let header: Header<'_> = serde_json::from_str(text(line)?).ok()?;
    (header.format == FORMAT).then_some(())?;
    Chain::new(&header.service, &header.environment).ok()
}

fn read_line(line: &[u8]) -> Option<Parsed<Entry>> {
    let line: Line<'_> = serde_json::from_str(text(line)?).ok()?;
    let hash = |text: Cow<'_, str>| is_hex(&text, 64).then(|| text.into_owned());
    match line {
        Line {
            seq: Some(seq @ 1..=LARGEST),
            prev: Some(prev),
            hash: Some(own),
            record: Some(record),
            key: keyid,
            signature,
            end: None,
            head: None,
        } => Some(Parsed::Record(Entry {
            seq,
            prev: hash(prev)?,
            hash: hash(own)?,
            bytes: record.into_owned(),
            signature: signature.map(|sig| Signature {
                keyid: keyid.map(Cow::into_owned),
                sig: sig.into_owned(),
            }),
        })),
        Line {
            end: Some(end @ 0..=LARGEST),
            head: Some(head),
            seq: None,
            prev: None,
            hash: None,
            record: None,
            key: None,
            signature: None,
        } => Some(Parsed::End(end, hash(head)?)),
        _ => None,
    }
}

/// Does the same to each item on all processors; the results are in the order of the items.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let share = items.len().div_ceil(threads).max(64);
    let work = &work;
    std::thread::scope(|scope| {
        let running: Vec<_> = items
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>()))
            .collect();
        running
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

#[cfg(test)]
mod second;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;
    use expect_test::expect;

    fn dev() -> Chain {
        Chain::new("storefront", "dev").unwrap()
    }

    fn entries(count: u64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for seq in 1..=count {
            let bytes = serde_json::to_string(&sample(seq, 1)).unwrap();
            entries.push(Entry::after(entries.last(), bytes));
        }
        entries
    }

    fn export(entries: &[Entry]) -> String {
        let mut text = header(&dev());
        text.extend(entries.iter().map(record));
        text + &end(entries.last())
    }

    fn faults(text: &str) -> Vec<Fault> {
        verify(text.as_bytes(), None, None, |_, _| {})
            .unwrap()
            .walked
            .faults
    }

    #[test]
    fn the_written_form_is_fixed() {
        let mut entries = entries(1);
        entries[0].signature = Some(Signature {
            keyid: Some("k".to_owned()),
            sig: "s".to_owned(),
        });
        expect![[r#"
            {"format":"slipway-ledger-export/1","service":"storefront","environment":"dev"}
            {"seq":1,"prev":"0000000000000000000000000000000000000000000000000000000000000000","hash":"34fd","record":"{\"seq\":1,\"at\":\"2026-11-21T18:00:01Z\",\"service\":\"storefront\",\"environment\":\"dev\",\"digest\":\"sha256:0101010101010101010101010101010101010101010101010101010101010101\",\"commit\":\"cccccccccccccccccccccccccccccccccccccccc\",\"verdict\":\"healthy\",\"actor\":{\"login\":\"alice\",\"id\":1}}","key":"k","signature":"s"}
            {"end":1,"head":"34fd"}
        "#]]
        .assert_eq(&export(&entries).replace(&entries[0].hash, "34fd"));
        assert_eq!(end(None), format!("{{\"end\":0,\"head\":\"{GENESIS}\"}}\n"));
    }

    #[test]
    fn an_export_is_verified_as_its_chain_is() {
        let entries = entries(9000);
        let text = export(&entries);
        let verified = verify(text.as_bytes(), None, None, |_, _| {}).unwrap();
        assert_eq!(verified.chain, Some(dev()));
        assert_eq!(verified.walked.faults, []);
        assert_eq!(verified.walked.records, 9000);
        let head = Some(entries[8999].hash.as_str());
        let with = |head| {
            verify(text.as_bytes(), None, head, |_, _| {})
                .unwrap()
                .walked
                .faults
        };
        assert_eq!(with(head), []);
        let other = Some(entries[8998].hash.as_str());
        assert_eq!(with(other), [Fault::CutOff { seq: 9000 }]);
        let altered = text.replacen("alice", "mallory", 1);
        assert_eq!(faults(&altered), [Fault::Altered { seq: 1 }]);
        assert_eq!(faults(&export(&[])), []);
    }

    #[test]
    fn a_missing_end_of_an_export_is_named() {
        let entries = entries(3);
        let whole = export(&entries);
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        for (kept, seq) in [(4, 3), (3, 2), (1, 0)] {
            assert_eq!(faults(&lines[..kept].concat()), [Fault::CutOff { seq }]);
        }
        let cut = [&lines[..3], &lines[4..]].concat().concat();
        assert_eq!(faults(&cut), [Fault::CutOff { seq: 2 }]);
        let end = end(Some(&entries[1]));
        assert_eq!(
            faults(&(lines[..4].concat() + &end)),
            [Fault::CutOff { seq: 3 }]
        );
    }

    #[test]
    fn a_malformed_export_line_ends_the_reading() {
        let whole = export(&entries(2));
        let malformed = |line| vec![Fault::Malformed { line }];
        assert_eq!(faults(""), malformed(1));
        for (from, to) in [
            ("export/1", "export/2"),
            ("storefront\",\"env", "content\",\"env"),
            ("\"dev\"}\n", "\"dev\",\"x\":1}\n"),
            ("{\"format\"", "[\"format\""),
        ] {
            assert_eq!(faults(&whole.replacen(from, to, 1)), malformed(1), "{to}");
        }
        for (from, to) in [
            ("{\"seq\":1", "{\"seq\":1,\"seq\":1"),
            ("{\"seq\":1", "{\"seq\":1.0"),
            ("{\"seq\":1", "{\"seq\":0"),
            ("{\"seq\":1", "{\"seq\":9007199254740992"),
            ("{\"seq\":1", "{\"end\":1,\"seq\":1"),
            ("{\"seq\":1", "{\"new\":1,\"seq\":1"),
            ("{\"seq\":1", "\n{\"seq\":1"),
            ("\"record\":\"", "\"record\":\"\\ud800"),
            ("\"prev\":\"0", "\"prev\":\"A"),
            ("\"prev\":\"0", "\"prev\":\""),
        ] {
            let text = whole.replacen(from, to, 1);
            assert!(faults(&text).contains(&malformed(2)[0]), "{to}");
        }
        // Without the last line feed, and with more after the end.
        let faults = |text: &str| faults(text).pop();
        let short = whole.trim_end();
        assert_eq!(faults(short), Some(Fault::Malformed { line: 4 }));
        let more = whole.clone() + "\n";
        assert_eq!(faults(&more), Some(Fault::Malformed { line: 5 }));
        let long = whole.replacen("{\"seq\"", &format!("{}{{\"seq\"", " ".repeat(LONGEST)), 1);
        assert_eq!(faults(&long), Some(Fault::Malformed { line: 2 }));
    }
}
