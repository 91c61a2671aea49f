//! `verify`: walks a whole chain, at the source or in an export, and names each record that is not
//! what was written.

use crate::args::Verify;
use crate::chains::open;
use crate::decisions::{Decided, Decisions};
use crate::setting::Setting;
use attest::PublicKey;
use kit::error::{Error, Result};
use kit::hex::is_hex;
use kit::report::{count, markdown_table};
use kit::{Cx, Report};
use ledger::{Anchors, Chain, Fault, Walked, export};
use serde_json::{Value, json};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// How many faults are shown; `--json` has all.
const SHOWN: usize = 20;

/// What was verified, and against what.
struct Verified {
    /// The chain, or the file.
    what: String,
    walked: Walked,
    /// The key that signatures were held against, or why they were not.
    key: Result<String, &'static str>,
    /// What the anchor has, or why nobody looked.
    anchor: Result<Anchors, &'static str>,
    /// What came of the permits' decisions, or why nobody made them again.
    decisions: Result<Decided, &'static str>,
    /// Whether the end is known from elsewhere.
    end: bool,
}

pub(crate) async fn run(args: Verify, cx: &Cx) -> Result<Report> {
    if let Some(head) = &args.head
        && !is_hex(head, 64)
    {
        return Err(
            Error::usage(format!("`{head}` is not the hash of a record"))
                .hint("give the 64 digits of `payload.hash` of the GitHub Deployment"),
        );
    }
    let verified = match &args.export {
        Some(file) => offline(file, &args).await?,
        None => online(&args, cx).await?,
    };
    report(&verified)
}

async fn offline(file: &Path, args: &Verify) -> Result<Verified> {
    let head = args.head.as_deref();
    let unread = |path: &Path, error: std::io::Error| {
        Error::usage(format!("cannot read {}", path.display())).because(error)
    };
    let public = match &args.key {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| unread(path, error))?;
            let public = PublicKey::from_pem(&text)
                .map_err(|error| error.under(format!("{} is not a key", path.display())))?;
            Some(public)
        }
        None => None,
    };
    let open = || {
        let opened = File::open(file).map_err(|error| unread(file, error))?;
        Ok::<_, Error>(BufReader::with_capacity(1 << 20, opened))
    };
    let mut found =
        export::verify(open()?, public.as_ref(), head).map_err(|error| unread(file, error))?;
    let decisions = match (&args.evidence, &found.chain) {
        (Some(folder), Some(chain)) => {
            let mut decisions = Decisions::default();
            export::entries(open()?, |entry| decisions.add(chain, &entry))
                .map_err(|error| unread(file, error))?;
            let read = async |hash: &str| kept(folder, hash);
            let (decided, faults) = decisions.judge(chain, public.as_ref(), read).await?;
            found.walked.faults.extend(faults);
            Ok(decided)
        }
        _ => Err("no --evidence was given for the export"),
    };
    let shown = file.display();
    Ok(Verified {
        what: match &found.chain {
            Some(chain) => format!("the export {shown} of chain {chain}"),
            None => format!("the export {shown}"),
        },
        walked: found.walked,
        key: public
            .map(|key| key.id())
            .ok_or("no --key was given for the export"),
        anchor: Err("an export does not show it"),
        decisions,
        end: head.is_some(),
    })
}

/// The evidence of this hash in a folder that `export` wrote.
fn kept(folder: &Path, hash: &str) -> Result<Option<Vec<u8>>> {
    let path = folder.join(format!("{hash}.json"));
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder.is_dir() => Ok(None),
        Err(error) => Err(Error::usage(format!("cannot read {}", path.display())).because(error)),
    }
}

async fn online(args: &Verify, cx: &Cx) -> Result<Verified> {
    let setting = Setting::of(cx, &args.ledger)?;
    let (ledger, chain) = open(cx, &setting).await?;
    let mut decisions = Decisions::default();
    let keeps = ledger.keeps_evidence();
    let mut audit = ledger
        .audit(&chain, |entry| {
            if keeps {
                decisions.add(&chain, entry);
            }
            Ok(())
        })
        .await?;
    if let Some(wanted) = &args.head {
        let head = audit.walked.head.as_ref();
        if head.is_none_or(|(_, hash)| hash != wanted) {
            let seq = head.map_or(0, |(seq, _)| *seq);
            audit.walked.faults.push(Fault::CutOff { seq });
        }
    }
    let decisions = match keeps {
        true => {
            let key = ledger.public_key().await?;
            let read = async |hash: &str| ledger.evidence(&chain, hash).await;
            let (decided, faults) = decisions.judge(&chain, key, read).await?;
            audit.walked.faults.extend(faults);
            Ok(decided)
        }
        false => Err("no bucket is named (`build.anchor`)"),
    };
    Ok(Verified {
        what: what(&chain, &setting),
        decisions,
        walked: audit.walked,
        key: audit.key.ok_or("no key is named (`build.keys.ledger`)"),
        end: args.head.is_some() || audit.anchor.is_some(),
        anchor: audit.anchor.ok_or("no bucket is named (`build.anchor`)"),
    })
}

fn what(chain: &Chain, setting: &Setting) -> String {
    format!("chain {chain} of the ledger table {}", setting.ledger)
}

impl Verified {
    /// What was checked and what was not, a line each.
    fn checks(&self) -> Vec<(&'static str, String)> {
        let hashes = format!("checked, {}", records(self.walked.records));
        let signatures = match (&self.key, self.walked.signed_from) {
            (Ok(key), Some(1)) => format!("checked with key {key}"),
            (Ok(key), Some(from)) => format!(
                "checked with key {key} from record {from} on; the hash chain covers those before"
            ),
            (Ok(key), None) => format!("checked with key {key}: none is by it"),
            (Err(why), _) => format!("not checked: {why}"),
        };
        let anchor = match &self.anchor {
            Ok(Anchors {
                from: Some(from),
                compared,
            }) => format!(
                "checked, {} from record {from} on",
                records(*compared as u64)
            ),
            Ok(Anchors { from: None, .. }) => "checked: nothing is there".to_owned(),
            Err(why) => format!("not checked: {why}"),
        };
        let decisions = match &self.decisions {
            Ok(decided) => decided.line(),
            Err(why) => format!("not made again: {why}"),
        };
        let end = match (&self.walked.head, self.end) {
            (None, _) => "there is no record".to_owned(),
            (Some((seq, hash)), true) => format!("checked, record {seq}, {hash}"),
            (Some((seq, hash)), false) => format!(
                "not checked: compare record {seq}, {hash}, with `payload.hash` of the newest GitHub Deployment, or give it as --head"
            ),
        };
        vec![
            ("hashes", hashes),
            ("signatures", signatures),
            ("anchor", anchor),
            ("decisions", decisions),
            ("end", end),
        ]
    }

    fn json(&self) -> Value {
        let walked = &self.walked;
        json!({
            "sound": walked.faults.is_empty(),
            "records": walked.records,
            "head": walked.head.as_ref().map(|(seq, hash)| json!({ "seq": seq, "hash": hash })),
            "faults": walked.faults,
            "signatures": {
                "checked": self.key.is_ok(),
                "key": self.key.as_ref().ok(),
                "from": walked.signed_from,
                "why": self.key.as_ref().err(),
            },
            "anchor": {
                "checked": self.anchor.is_ok(),
                "from": self.anchor.as_ref().ok().and_then(|anchors| anchors.from),
                "compared": self.anchor.as_ref().ok().map(|anchors| anchors.compared),
                "why": self.anchor.as_ref().err(),
            },
            "decisions": match &self.decisions {
                Ok(decided) => decided.json(),
                Err(why) => json!({ "why": why }),
            },
            "end": { "checked": self.end },
        })
    }
}

fn records(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "record")
}

fn report(verified: &Verified) -> Result<Report> {
    let faults = &verified.walked.faults;
    let checks = verified.checks();
    let lines: String = checks
        .iter()
        .map(|(name, text)| format!("{name}: {text}\n"))
        .collect();
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|(name, text)| vec![(*name).to_owned(), text.clone()])
        .collect();
    let verdict = match faults.len() {
        0 => "is sound".to_owned(),
        number => format!("has {}", count(number, "fault")),
    };
    let table = markdown_table(&["", ""], &rows);
    let mut summary = format!("### The ledger {verdict}\n\n{table}\n");
    if faults.is_empty() {
        return Ok(Report {
            text: format!("{} {verdict}\n{lines}", verified.what),
            summary,
            json: verified.json(),
            ..Report::default()
        });
    }
    let mut error = Error::refused(format!("{} {verdict}", verified.what))
        .with_causes(faults.iter().take(SHOWN).map(Fault::to_string));
    for fault in faults.iter().take(SHOWN) {
        summary.push_str(&format!("- {fault}\n"));
    }
    if faults.len() > SHOWN {
        error = error.cause(format!("and {} more, in --json", faults.len() - SHOWN));
    }
    error.details = lines;
    error.json = Some(verified.json());
    Err(error
        .summary(summary)
        .hint("do not promote anything based on this chain; find out in CloudTrail who wrote to the table or the bucket"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn verified(faults: Vec<Fault>) -> Verified {
        Verified {
            what: "the export x.jsonl of chain storefront#dev".to_owned(),
            walked: Walked {
                faults,
                records: 3,
                head: Some((3, "abc".to_owned())),
                signed_from: None,
            },
            key: Err("no --key was given for the export"),
            anchor: Err("an export does not show it"),
            decisions: Err("no --evidence was given for the export"),
            end: false,
        }
    }

    #[test]
    fn what_was_not_checked_is_said() {
        let report = report(&verified(Vec::new())).unwrap();
        expect![[r#"
            the export x.jsonl of chain storefront#dev is sound
            hashes: checked, 3 records
            signatures: not checked: no --key was given for the export
            anchor: not checked: an export does not show it
            decisions: not made again: no --evidence was given for the export
            end: not checked: compare record 3, abc, with `payload.hash` of the newest GitHub Deployment, or give it as --head
        "#]]
        .assert_eq(&report.text);
        assert_eq!(report.json["signatures"]["checked"], false);
        assert_eq!(report.json["anchor"]["checked"], false);
        assert_eq!(report.json["end"]["checked"], false);
        assert_eq!(report.json["sound"], true);
    }

    #[test]
    fn what_was_checked_is_said_with_what_it_rests_on() {
        let mut all = verified(Vec::new());
        all.key = Ok("dac3".to_owned());
        all.walked.signed_from = Some(2);
        all.anchor = Ok(Anchors {
            from: Some(1),
            compared: 3,
        });
        all.decisions = Ok(Decided::default());
        all.end = true;
        let report = report(&all).unwrap();
        expect![[r#"
            the export x.jsonl of chain storefront#dev is sound
            hashes: checked, 3 records
            signatures: checked with key dac3 from record 2 on; the hash chain covers those before
            anchor: checked, 3 records from record 1 on
            decisions: there is no permit
            end: checked, record 3, abc
        "#]]
        .assert_eq(&report.text);
    }

    #[test]
    fn each_fault_is_named_and_refuses() {
        let faults = vec![Fault::Altered { seq: 2 }, Fault::CutOff { seq: 3 }];
        let error = report(&verified(faults)).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        assert_eq!(
            error.message,
            "the export x.jsonl of chain storefront#dev has 2 faults"
        );
        assert_eq!(error.causes().len(), 2);
        let json = error.json.unwrap();
        assert_eq!(json["faults"][0], json!({ "fault": "altered", "seq": 2 }));
        let many = (1..=25).map(|seq| Fault::Altered { seq }).collect();
        let error = report(&verified(many)).unwrap_err();
        assert_eq!(error.causes().last().unwrap(), "and 5 more, in --json");
    }
}
