//! The report of `verify`: the checks that were made, those that were not and why, and each fault.

use super::mirrors::{Mirrors, Uncompared};
use crate::decisions::Decided;
use kit::Report;
use kit::error::{Error, Result};
use kit::report::{count, markdown_table};
use ledger::{Anchors, Fault, Walked};
use serde_json::{Value, json};

/// How many faults are shown; `--json` has all.
const SHOWN: usize = 20;

/// The result of verifying a chain or a file, and what it was checked against.
pub(super) struct Verified {
    /// The chain, or the file.
    pub(super) subject: String,
    pub(super) walked: Walked,
    /// The key that signatures were held against, or why they were not.
    pub(super) key: Result<String, &'static str>,
    /// The hashes that the anchor has, or why it was not read.
    pub(super) anchor: Result<Anchors, &'static str>,
    /// The result of making the permits' decisions again, or why that was not done.
    pub(super) decisions: Result<Decided, &'static str>,
    /// The previous environment, whose records in the evidence were compared with its chain, or why they were not.
    pub(super) before: Result<String, &'static str>,
    /// The GitHub Deployments that were compared, or why none were.
    pub(super) github: Result<Mirrors, Uncompared>,
    /// True if the end is known from the anchor or from the caller.
    pub(super) end: bool,
}

impl Verified {
    /// The checks that were made and those that were not, a line each.
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
        let before = match &self.before {
            Ok(follows) => format!("checked, {follows}"),
            Err(why) => format!("not checked: {why}"),
        };
        let github = match &self.github {
            Ok(mirrors) => mirrors.line(),
            Err(why) => format!("not compared: {why}"),
        };
        let end = match (&self.walked.head, self.end) {
            (None, _) => "there is no record".to_owned(),
            (Some((seq, hash)), true) => format!("checked, record {seq}, {hash}"),
            (Some((seq, hash)), false) => format!(
                "not checked: compare record {seq}, {hash}, with what is known of the newest record from elsewhere, or give that as --head"
            ),
        };
        vec![
            ("hashes", hashes),
            ("signatures", signatures),
            ("anchor", anchor),
            ("decisions", decisions),
            ("previous environment", before),
            ("GitHub Deployments", github),
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
            "before": { "checked": self.before.is_ok(), "why": self.before.as_ref().err() },
            "github": match &self.github {
                Ok(mirrors) => mirrors.json(),
                Err(why) => json!({ "why": why.to_string() }),
            },
            "end": { "checked": self.end },
        })
    }
}

fn records(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "record")
}

/// The report; a refusal if there is a fault.
pub(super) fn report(verified: &Verified) -> Result<Report> {
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
            text: format!("{} {verdict}\n{lines}", verified.subject),
            summary,
            json: verified.json(),
            ..Report::default()
        });
    }
    let mut error = Error::refused(format!("{} {verdict}", verified.subject))
        .with_causes(faults.iter().take(SHOWN).map(Fault::to_string));
    for fault in faults.iter().take(SHOWN) {
        summary.push_str(&format!("- {fault}\n"));
    }
    if faults.len() > SHOWN {
        error = error.cause(format!("and {} more, in --json", faults.len() - SHOWN));
    }
    error.details = lines;
    error.json = Some(verified.json());
    let undecided = |fault: &&Fault| matches!(fault, Fault::Undecided { .. });
    let mirrored = |fault: &Fault| matches!(fault, Fault::Lost { .. } | Fault::Mismatched { .. });
    if faults.iter().any(mirrored) {
        error = error.hint("look at who made these GitHub Deployments: whoever has `deployments: write` can make one. If a run of `record` made one, its record was removed or replaced: do not promote anything based on this chain. If none did, or the chain was begun anew on purpose, set the Deployment inactive and delete it: gh api repos/OWNER/REPO/deployments/ID/statuses -f state=inactive, then gh api -X DELETE repos/OWNER/REPO/deployments/ID");
    }
    if !faults
        .iter()
        .all(|fault| undecided(&fault) || mirrored(fault))
    {
        error = error.hint("do not promote anything based on this chain; find out in CloudTrail who wrote to the table or the bucket");
    }
    if let Some(Fault::Undecided { seq, .. }) = faults.iter().rfind(undecided) {
        error = error.hint(format!("verify with the version of this step that granted the permit; or look at each of these permits yourself, and accept them: --undecided-up-to {seq}"));
    }
    Err(error.summary(summary))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn verified(faults: Vec<Fault>) -> Verified {
        Verified {
            subject: "the export x.jsonl of chain storefront#dev".to_owned(),
            walked: Walked {
                faults,
                records: 3,
                head: Some((3, "abc".to_owned())),
                signed_from: None,
            },
            key: Err("no --key was given for the export"),
            anchor: Err("an export does not show it"),
            decisions: Err("no --evidence was given for the export"),
            before: Err("an export does not show it"),
            github: Err(Uncompared::Export),
            end: false,
        }
    }

    #[test]
    fn the_report_names_each_check_that_was_not_made() {
        let report = report(&verified(Vec::new())).unwrap();
        expect![[r#"
            the export x.jsonl of chain storefront#dev is sound
            hashes: checked, 3 records
            signatures: not checked: no --key was given for the export
            anchor: not checked: an export does not show it
            decisions: not made again: no --evidence was given for the export
            previous environment: not checked: an export does not show it
            GitHub Deployments: not compared: an export is not compared with it
            end: not checked: compare record 3, abc, with what is known of the newest record from elsewhere, or give that as --head
        "#]]
        .assert_eq(&report.text);
        assert_eq!(report.json["signatures"]["checked"], false);
        assert_eq!(report.json["anchor"]["checked"], false);
        assert_eq!(report.json["end"]["checked"], false);
        assert_eq!(report.json["sound"], true);
    }

    #[test]
    fn the_report_names_each_check_with_its_key_and_records() {
        let mut all = verified(Vec::new());
        all.key = Ok("dac3".to_owned());
        all.walked.signed_from = Some(2);
        all.anchor = Ok(Anchors {
            from: Some(1),
            compared: 3,
        });
        all.decisions = Ok(Decided::default());
        all.before = Ok("staging".to_owned());
        all.end = true;
        let report = report(&all).unwrap();
        expect![[r#"
            the export x.jsonl of chain storefront#dev is sound
            hashes: checked, 3 records
            signatures: checked with key dac3 from record 2 on; the hash chain covers those before
            anchor: checked, 3 records from record 1 on
            decisions: there is no permit
            previous environment: checked, staging
            GitHub Deployments: not compared: an export is not compared with it
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
