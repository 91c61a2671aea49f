//! `history`: the newest records of an environment.

use crate::args::History;
use crate::chains::open;
use crate::setting::Setting;
use kit::error::Result;
use kit::report::{markdown_table, text_table};
use kit::{Cx, Report};
use ledger::{Chain, Record};
use net::Net;
use serde_json::json;

const HEADER: [&str; 7] = ["record", "at", "by", "digest", "commit", "verdict", "run"];

pub(crate) async fn run(args: History, cx: &Cx) -> Result<Report> {
    let limit = args.limit;
    let setting = Setting::of(cx, &args.ledger)?;
    let (ledger, chain) = open(&Net::new(cx)?, &setting).await?;
    // One more tells whether there are older ones.
    let found = ledger.recent(&chain, limit + 1, |_| false).await?;
    let older = found.len() > limit;
    let found = found.into_iter().take(limit);
    let records: Vec<Record> = found.map(|recorded| recorded.record).collect();
    Ok(report(&chain, &records, older))
}

/// How it ended, or what the record is about.
fn verdict(record: &Record) -> String {
    let verdict = record.verdict;
    if let Some(permit) = &record.permit {
        let plan = match &permit.plan {
            Some(plan) => format!(", with plan {}", plan.get(..12).unwrap_or(plan)),
            None => String::new(),
        };
        return format!("{verdict} until {}{plan}", permit.expires);
    }
    match (record.under, record.answers) {
        (Some(permit), _) => format!("{verdict} under permit {permit}"),
        (None, Some(request)) => format!("{verdict} request {request}"),
        (None, None) => verdict.to_string(),
    }
}

fn report(chain: &Chain, records: &[Record], older: bool) -> Report {
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            vec![
                record.seq.to_string(),
                record.at.clone(),
                record.actor.login.clone(),
                record.digest.as_str().chars().take(19).collect(),
                record.commit.as_str().chars().take(7).collect(),
                verdict(record),
                record.run.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    let more = match (records.is_empty(), older) {
        (true, _) => "nothing is recorded\n",
        (false, true) => "there are older records: raise --limit, or read them all with export\n",
        (false, false) => "",
    };
    Report {
        text: format!("{}{more}", text_table(&HEADER, &rows)),
        summary: format!(
            "### The newest records of {}\n\n{}\n{more}",
            chain.environment(),
            markdown_table(&HEADER, &rows)
        ),
        json: json!({ "environment": chain.environment(), "records": records, "older": older }),
        ..Report::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_record_says_who_when_what_and_how_it_ended() {
        let chain = Chain::new("storefront", "dev").unwrap();
        let text = format!(
            r#"{{"seq":7,"at":"2026-11-21T18:00:01Z","service":"storefront","environment":"dev","digest":"sha256:{}","commit":"{}","verdict":"rolled_back","actor":{{"login":"alice"}},"run":"https://github.com/r/1"}}"#,
            "a".repeat(64),
            "c".repeat(40),
        );
        let record: Record = serde_json::from_str(&text).unwrap();
        let report = report(&chain, &[record], true);
        expect![[r#"
            record  at                    by     digest               commit   verdict      run
            7       2026-11-21T18:00:01Z  alice  sha256:aaaaaaaaaaaa  ccccccc  rolled back  https://github.com/r/1
            there are older records: raise --limit, or read them all with export
        "#]]
        .assert_eq(&report.text);
        use crate::environment_history::tests::{permitted, started};
        assert_eq!(
            verdict(&permitted('a', "hash-1")),
            "permitted until 2026-11-21T19:00:00Z"
        );
        let mut planned = permitted('a', "hash-1");
        planned.permit.as_mut().unwrap().plan = Some("0123456789abcdef".to_owned());
        assert_eq!(
            verdict(&planned),
            "permitted until 2026-11-21T19:00:00Z, with plan 0123456789ab"
        );
        assert_eq!(verdict(&started('a', 41)), "started under permit 41");
        use crate::requests::tests::{account, answered};
        let approved = answered(ledger::Verdict::Approved, 41, account("ada", 1));
        assert_eq!(verdict(&approved), "approved request 41");
        let empty = super::report(&chain, &[], false);
        assert!(empty.text.ends_with("nothing is recorded\n"));
    }
}
