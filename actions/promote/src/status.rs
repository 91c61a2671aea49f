//! `status`: shows the digest that each environment runs, from the ledger.

use crate::args::{LedgerArgs, Status};
use crate::environment_history::EnvironmentHistory;
use crate::live::{Live, LiveService, Named};
use crate::requests::{Waiting, waiting};
use crate::setting::{Setting, Source};
use kit::report::{markdown_table, text_table};
use kit::{Cx, Report, Result};
use ledger::permit::begins_by;
use ledger::{Chain, Ledger, Record, Verdict};
use net::Net;
use serde_json::{Value, json};
use time::OffsetDateTime;

const HEADER: [&str; 6] = ["environment", "digest", "commit", "since", "by", "verdict"];

pub(crate) async fn run(args: Status, cx: &Cx) -> Result<Report> {
    let settings = settings(cx, &args.ledger)?;
    let net = Net::new(cx)?;
    let mut rows = Vec::new();
    // All chains are in one table of the build account, so one set of credentials is enough.
    let mut ledger = None;
    for setting in &settings {
        let ledger = match &ledger {
            Some(ledger) => ledger,
            None => {
                let account = net.account(&setting.ledger_reader).await?;
                ledger.insert(setting.ledger(&net, &account))
            }
        };
        rows.push(observe(cx, &net, ledger, setting, args.live).await?);
    }
    Ok(report(&rows, args.live))
}

/// Where an environment stands, and with `live` whether its service runs what is recorded.
///
/// # Errors
/// The ledger cannot be read or is broken. A failure to look at the service is in the row instead.
pub(crate) async fn observe(
    cx: &Cx,
    net: &Net,
    ledger: &Ledger,
    setting: &Setting,
    live: bool,
) -> Result<Row> {
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let history = EnvironmentHistory::read(ledger, &chain).await?;
    let now = shown_time(cx, net);
    let last = history.newest().map(|newest| newest.record.clone());
    let healthy = history.current().cloned();
    let live = match (live, &healthy) {
        (true, Some(record)) => Some(look(cx, net, setting, record).await),
        _ => None,
    };
    Ok(Row {
        environment: setting.environment.clone(),
        last,
        healthy,
        live,
        open: open(setting, &history),
        deploying: deploying(&history, now),
        waiting: waiting(setting, &history, now)?,
    })
}

/// AWS's time, by which the deciders judge, so that nothing is shown as open that they refuse; the machine's where no answer told it,
/// and said so, because what is only shown need not fail for that.
pub(crate) fn shown_time(cx: &Cx, net: &Net) -> OffsetDateTime {
    net.time().unwrap_or_else(|unknown| {
        cx.host.warn(format!(
            "{}; ages and expiries are shown by this machine's clock",
            unknown.line()
        ));
        cx.clock.now()
    })
}

/// The reviews that are still missing in an environment.
fn open(setting: &Setting, history: &EnvironmentHistory) -> Vec<String> {
    let debts = history.open_debts(setting.persons()).map(|debt| {
        format!(
            "BREAK-GLASS by {} for {}: {}; not reviewed",
            debt.glass.by.login,
            short(debt.record.digest.as_str(), 19),
            debt.glass.reason
        )
    });
    let refused = history.refused.iter();
    let refused = refused
        .filter(|refused| refused.reviewers.is_empty())
        .map(|refused| {
            format!(
                "rolled back from {}; not reviewed",
                short(refused.digest.as_str(), 19)
            )
        });
    debts.chain(refused).collect()
}

/// The deployment under way in an environment, and the permits under which one can still begin, each as one line.
fn deploying(history: &EnvironmentHistory, now: OffsetDateTime) -> Vec<String> {
    let digest = |record: &Record| short(record.digest.as_str(), 19).to_owned();
    let underway = history.underway(now).map(|started| {
        format!(
            "deployment of {} started by {} at {} under permit {}",
            digest(started),
            started.actor.login,
            started.at,
            started.under.unwrap_or_default()
        )
    });
    let permits = history.permits(now).into_iter().filter_map(|record| {
        let expires = &record.permit.as_ref()?.expires;
        let judged = begins_by(record).is_some_and(|until| now <= until);
        let again = if judged {
            ""
        } else {
            " after another `grant --permit`"
        };
        Some(format!(
            "permit {} of {} for {} until {expires}{again}",
            record.seq,
            record.actor.login,
            digest(record)
        ))
    });
    underway.into_iter().chain(permits).collect()
}

/// Looks whether the service runs what the ledger says.
async fn look(cx: &Cx, net: &Net, setting: &Setting, record: &Record) -> Result<LiveService> {
    let live = Live::new(cx, net, setting, Named::default()).await?;
    live.look(&record.digest).await
}

fn settings(cx: &Cx, given: &LedgerArgs) -> Result<Vec<Setting>> {
    let by_arguments = matches!(Source::of(cx, given), Source::Arguments { .. });
    if cx.common.environment.is_some() || by_arguments {
        return Ok(vec![Setting::of(cx, given)?]);
    }
    all(cx, given)
}

/// Every environment of the contract, in the order of promotion.
///
/// # Errors
/// There is no contract, or an argument says otherwise than it.
pub(crate) fn all(cx: &Cx, given: &LedgerArgs) -> Result<Vec<Setting>> {
    let contract = cx.contract()?;
    contract
        .environments()
        .iter()
        .map(|overview| {
            let resolved = contract.resolve(&overview.environment, &cx.env)?;
            Setting::from_contract(&resolved, given)
        })
        .collect()
}

/// An environment as the ledger and AWS show it.
pub(crate) struct Row {
    pub(crate) environment: String,
    /// The newest record.
    pub(crate) last: Option<Record>,
    /// The newest healthy record: the version that runs.
    pub(crate) healthy: Option<Record>,
    /// The live check of that version, where one was made.
    pub(crate) live: Option<Result<LiveService>>,
    /// Break-glass promotions and rollbacks that nobody has reviewed yet.
    pub(crate) open: Vec<String>,
    /// The deployment under way, and the permits under which one can still begin.
    pub(crate) deploying: Vec<String>,
    /// Requests that wait for approvals, or for the promotion.
    pub(crate) waiting: Vec<Waiting>,
}

impl Row {
    /// The live health in words; a failed check is `unknown`, never `healthy`.
    fn live(&self) -> String {
        match &self.live {
            None => "-".to_owned(),
            Some(Ok(seen)) if seen.missing.is_empty() => "healthy".to_owned(),
            Some(Ok(seen)) => format!("not healthy: {}", seen.missing.join("; ")),
            Some(Err(error)) => format!("unknown: {}", error.line()),
        }
    }

    fn verdict(&self) -> String {
        let mut parts = vec![self.last_verdict()];
        parts.extend(self.open.iter().cloned());
        parts.extend(self.deploying.iter().cloned());
        parts.extend(self.waiting.iter().map(Waiting::to_string));
        parts.join("; ")
    }

    fn last_verdict(&self) -> String {
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
                short(last.digest.as_str(), 19),
                last.verdict,
                last.at
            ),
        }
    }
}

fn report(rows: &[Row], live: bool) -> Report {
    let mut header = HEADER.to_vec();
    if live {
        header.push("live");
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let shown = row.healthy.as_ref();
            let cell = |text: Option<&str>| text.unwrap_or("-").to_owned();
            let mut cells = vec![
                row.environment.clone(),
                cell(shown.map(|record| short(record.digest.as_str(), 19))),
                cell(shown.map(|record| short(record.commit.as_str(), 7))),
                cell(shown.map(|record| record.at.as_str())),
                cell(shown.map(|record| record.actor.login.as_str())),
                row.verdict(),
            ];
            if live {
                cells.push(row.live());
            }
            cells
        })
        .collect();
    let json: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut json = json!({
                "environment": row.environment,
                "healthy": row.healthy,
                "last": row.last,
                "open": row.open,
                "deploying": row.deploying,
                "requests": row.waiting,
            });
            if let Some(seen) = &row.live {
                json["live"] = json!({
                    "healthy": seen.as_ref().is_ok_and(|seen| seen.missing.is_empty()),
                    "missing": seen.as_ref().map(|seen| seen.missing.clone()).unwrap_or_default(),
                    "error": seen.as_ref().err().map(|error| error.message.clone()),
                });
            }
            json
        })
        .collect();
    Report {
        text: text_table(&header, &cells),
        summary: format!(
            "### Deployed versions\n\n{}",
            markdown_table(&header, &cells)
        ),
        json: json!({ "environments": json }),
        ..Report::default()
    }
}

/// The beginning of a hash, for people.
pub(crate) fn short(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::tests::{actor, deployed};
    use expect_test::expect;

    fn record(seq: u64, digest: char, verdict: Verdict) -> Record {
        Record {
            seq,
            at: format!("2026-11-21T18:00:0{seq}Z"),
            verdict,
            actor: actor("alice"),
            ..deployed(digest)
        }
    }

    #[test]
    fn a_failed_deployment_is_not_shown_as_the_running_version() {
        let healthy = record(1, 'a', Verdict::Healthy);
        let row = |environment: &str, last: Option<Record>, healthy: Option<Record>| Row {
            environment: environment.to_owned(),
            last,
            healthy,
            live: None,
            open: Vec::new(),
            deploying: Vec::new(),
            waiting: Vec::new(),
        };
        let report = report(
            &[
                row("dev", Some(healthy.clone()), Some(healthy.clone())),
                row(
                    "staging",
                    Some(record(2, 'b', Verdict::RolledBack)),
                    Some(healthy),
                ),
                row("qa", Some(record(3, 'b', Verdict::Failed)), None),
                row("production", None, None),
            ],
            false,
        );
        expect![[r#"
            environment  digest               commit   since                 by     verdict
            dev          sha256:aaaaaaaaaaaa  aaaaaaa  2026-11-21T18:00:01Z  alice  healthy
            staging      sha256:aaaaaaaaaaaa  aaaaaaa  2026-11-21T18:00:01Z  alice  healthy; then sha256:bbbbbbbbbbbb rolled back at 2026-11-21T18:00:02Z
            qa           -                    -        -                     -      sha256:bbbbbbbbbbbb failed at 2026-11-21T18:00:03Z
            production   -                    -        -                     -      nothing recorded
        "#]]
        .assert_eq(&report.text);
    }

    #[test]
    fn a_deployment_under_way_is_shown_and_so_is_a_permit() {
        use crate::environment_history::tests::{history, permitted, started};
        let now = crate::environment_history::at("2026-11-21T18:30:00Z").unwrap();
        let granted = [deployed('a'), permitted('b', "hash-1")];
        let fresh = crate::environment_history::at("2026-11-21T18:10:00Z").unwrap();
        let shown = deploying(&history(&granted), fresh).join("; ");
        assert_eq!(
            shown,
            "permit 2 of dora for sha256:bbbbbbbbbbbb until 2026-11-21T19:00:00Z"
        );
        let shown = deploying(&history(&granted), now).join("; ");
        assert_eq!(
            shown,
            "permit 2 of dora for sha256:bbbbbbbbbbbb until 2026-11-21T19:00:00Z after another `grant --permit`"
        );
        let began = [&granted[..], &[started('b', 2)]].concat();
        let shown = deploying(&history(&began), now).join("; ");
        assert_eq!(
            shown,
            "deployment of sha256:bbbbbbbbbbbb started by dora at 2026-11-21T18:00:00Z under permit 2"
        );
    }

    #[test]
    fn status_shows_running_beside_recorded_versions_and_unobserved_is_not_healthy() {
        let row = |live: Option<Result<LiveService>>| Row {
            environment: "dev".to_owned(),
            last: None,
            healthy: None,
            live,
            open: Vec::new(),
            deploying: Vec::new(),
            waiting: Vec::new(),
        };
        let seen = |missing: &[&str]| LiveService {
            revision: "arn:aws:ecs:eu-west-1:111111111111:task-definition/web:8".to_owned(),
            missing: missing.iter().map(|phrase| (*phrase).to_owned()).collect(),
        };
        let denied = kit::Error::failed("cannot list the tasks of service web")
            .cause("the call needs ecs:ListTasks");
        let rows = [
            row(None),
            row(Some(Ok(seen(&[])))),
            row(Some(Ok(seen(&["1 of 2 tasks running"])))),
            row(Some(Err(denied))),
        ];
        let report = report(&rows, true);
        for line in [
            "nothing recorded  -",
            "nothing recorded  healthy",
            "not healthy: 1 of 2 tasks running",
            "unknown: cannot list the tasks of service web: the call needs ecs:ListTasks",
        ] {
            assert!(report.text.contains(line), "{line} in {}", report.text);
        }
        let healthy: Vec<&Value> = report.json["environments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| &row["live"]["healthy"])
            .collect();
        assert_eq!(
            healthy,
            [&Value::Null, &json!(true), &json!(false), &json!(false)]
        );
    }
}
