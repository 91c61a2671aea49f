//! `status`: shows the digest that each environment runs, from the ledger.

use crate::args::Status;
use crate::setting::{Setting, without_contract};
use kit::report::{markdown_table, text_table};
use kit::{Cx, Report, Result};
use ledger::{Chain, Ledger, Record, Verdict};
use net::Net;
use serde_json::{Value, json};

/// How many of a chain's newest records are searched for a healthy one.
const LOOK_BACK: usize = 100;
const HEADER: [&str; 6] = ["environment", "digest", "commit", "since", "by", "verdict"];

pub(crate) async fn run(args: Status, cx: &Cx) -> Result<Report> {
    let settings = settings(cx, &args)?;
    let net = Net::new(cx)?;
    let mut rows = Vec::new();
    // All chains are in one table of the build account, so one set of credentials is enough.
    let mut ledger = None;
    for setting in &settings {
        let ledger = match &ledger {
            Some(ledger) => ledger,
            None => {
                let account = net.account(&setting.permit).await?;
                ledger.insert(Ledger::new(&account, &setting.ledger))
            }
        };
        let chain = Chain::new(&setting.service, &setting.environment)?;
        let last = ledger.newest_record(&chain).await?;
        let healthy = match &last {
            Some(record) if record.verdict != Verdict::Healthy => {
                ledger
                    .find(&chain, LOOK_BACK, |record| {
                        record.verdict == Verdict::Healthy
                    })
                    .await?
            }
            other => other.clone(),
        };
        rows.push(Row {
            environment: setting.environment.clone(),
            last,
            healthy,
        });
    }
    Ok(report(&rows))
}

fn settings(cx: &Cx, args: &Status) -> Result<Vec<Setting>> {
    if cx.common.environment.is_some() || without_contract(cx, &args.ledger) {
        return Ok(vec![Setting::of(cx, &args.ledger)?]);
    }
    let contract = cx.contract()?;
    contract
        .environments()
        .iter()
        .map(|overview| {
            let resolved = contract.resolve(&overview.environment, &cx.env)?;
            Setting::from_contract(&resolved, &args.ledger)
        })
        .collect()
}

struct Row {
    environment: String,
    /// The newest record.
    last: Option<Record>,
    /// The newest healthy record: the version that runs.
    healthy: Option<Record>,
}

impl Row {
    fn verdict(&self) -> String {
        match (&self.last, &self.healthy) {
            (None, _) => "nothing recorded".to_owned(),
            (Some(last), _) if last.verdict == Verdict::Healthy => "healthy".to_owned(),
            (Some(last), healthy) => format!(
                "{}{} {} at {}",
                if healthy.is_some() {
                    "healthy; then "
                } else {
                    ""
                },
                short(&last.digest, 19),
                last.verdict,
                last.at
            ),
        }
    }
}

fn report(rows: &[Row]) -> Report {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let shown = row.healthy.as_ref();
            let cell = |text: Option<&str>| text.unwrap_or("-").to_owned();
            vec![
                row.environment.clone(),
                cell(shown.map(|record| short(&record.digest, 19))),
                cell(shown.map(|record| short(&record.commit, 7))),
                cell(shown.map(|record| record.at.as_str())),
                cell(shown.map(|record| record.actor.login.as_str())),
                row.verdict(),
            ]
        })
        .collect();
    let json: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "environment": row.environment,
                "healthy": row.healthy,
                "last": row.last,
            })
        })
        .collect();
    Report {
        text: text_table(&HEADER, &cells),
        summary: format!(
            "### Deployed versions\n\n{}",
            markdown_table(&HEADER, &cells)
        ),
        json: json!({ "environments": json }),
        ..Report::default()
    }
}

fn short(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use ledger::Actor;

    fn record(seq: u64, digest: char, verdict: Verdict) -> Record {
        Record {
            seq,
            at: format!("2026-11-21T18:00:0{seq}Z"),
            service: "storefront".to_owned(),
            environment: "x".to_owned(),
            digest: format!("sha256:{}", digest.to_string().repeat(64)),
            commit: "c".repeat(40),
            verdict,
            actor: Actor {
                login: "alice".to_owned(),
                id: None,
            },
            run: None,
            account: None,
            task_definition: None,
            previous: None,
            policy: None,
        }
    }

    #[test]
    fn a_failed_deployment_is_not_shown_as_the_running_version() {
        let healthy = record(1, 'a', Verdict::Healthy);
        let row = |environment: &str, last: Option<Record>, healthy: Option<Record>| Row {
            environment: environment.to_owned(),
            last,
            healthy,
        };
        let report = report(&[
            row("dev", Some(healthy.clone()), Some(healthy.clone())),
            row(
                "staging",
                Some(record(2, 'b', Verdict::RolledBack)),
                Some(healthy),
            ),
            row("qa", Some(record(3, 'b', Verdict::Failed)), None),
            row("production", None, None),
        ]);
        expect![[r#"
            environment  digest               commit   since                 by     verdict
            dev          sha256:aaaaaaaaaaaa  ccccccc  2026-11-21T18:00:01Z  alice  healthy
            staging      sha256:aaaaaaaaaaaa  ccccccc  2026-11-21T18:00:01Z  alice  healthy; then sha256:bbbbbbbbbbbb rolled back at 2026-11-21T18:00:02Z
            qa           -                    -        -                     -      sha256:bbbbbbbbbbbb failed at 2026-11-21T18:00:03Z
            production   -                    -        -                     -      nothing recorded
        "#]]
        .assert_eq(&report.text);
    }
}
