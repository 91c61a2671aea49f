//! Decides whether a run that asks again, right before its deployment begins, goes on with a permit that it has. Everything that happened
//! since, such as a dismissed review or a freeze, is judged anew; but a run may end a deployment that it began, and a rollback or a
//! break-glass waits for nobody. A permit that is over is not replaced by another one here.

use crate::args::Grant as Args;
use crate::setting::Setting;
use kit::error::{Error, Result};
use kit::id::Digest;
use kit::{Cx, Report};
use ledger::permit::{Attempt, Reason, Use, continues_run, goes_on, usable};
use ledger::{Chain, Record, Recorded, Verdict};
use net::Net;
use serde_json::json;
use time::OffsetDateTime;

/// The report of a permit that is not judged again; nothing if the promotion is to be.
///
/// # Errors
/// The permit does not let this run deploy any more (exit 3), or the chain cannot be read.
pub(super) async fn reuse(
    number: u64,
    args: &Args,
    cx: &Cx,
    setting: &Setting,
) -> Result<Option<Report>> {
    let digest = args.check.digest.as_ref().ok_or_else(|| {
        Error::usage("--permit is given without --digest")
            .hint("give the `digest` output of the same `grant`")
    })?;
    let account = setting.read.account.as_ref().ok_or_else(|| {
        Error::usage("--permit is given, and no contract names the account that it is for")
            .hint("give --environment NAME of a contract")
    })?;
    let contract_path = setting.contract_path.as_deref().unwrap_or_default();
    let policy = ledger::policy(&setting.gate)?;
    let run = cx.host.run_url();
    let attempt = Attempt {
        permit: number,
        of: Use::Judge(digest),
        account,
        policy: &policy,
        contract_path,
        run: run.as_deref(),
    };
    let net = Net::new(cx)?;
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let ledger = setting.reading(&net).await?;
    let (_, records) = ledger.since_deployment(&chain).await?;
    let found = find_reusable(&records, &attempt, digest, net.time()?)
        .map_err(|reason| reason.refusal(&chain, &attempt))?;
    Ok(found.map(|(number, why)| report(number, why)))
}

/// The permit that stays valid and why, from the chain's records since its newest deployment, newest first and with that
/// one; nothing if the promotion is to be judged once more.
///
/// # Errors
/// The permit does not let this run deploy any more. Then it began nothing, so that all of its jobs have to run again:
/// what they did for the permit, such as to apply a plan, may be old.
fn find_reusable(
    records: &[Recorded],
    attempt: &Attempt<'_>,
    digest: &Digest,
    now: OffsetDateTime,
) -> Result<Option<(u64, &'static str)>, Reason> {
    let mut all = records.iter().map(|it| &it.record);
    // The last that began or ended. A failure ended it for good, and a permit that was granted since is a new beginning. A task
    // before the deployment, such as a migration, may take long, so the deployment after it is judged.
    let begins = |record: &Record| record.verdict == Verdict::Started && record.command.is_none();
    let last = all.find(|record| begins(record) || record.is_deployment());
    let own = last.filter(|record| {
        matches!(record.verdict, Verdict::Started | Verdict::Healthy)
            && attempt.permit < record.seq
            && record.digest == *digest
            && continues_run(attempt.run, record.run.as_deref())
    });
    // A deployment that began too long ago does not go on.
    let own = own.filter(|record| {
        let since = records.iter().map(|it| &it.record);
        let since = since.take_while(|it| !it.is_deployment());
        let first = since.filter(|it| begins(it) && it.under == record.under);
        record.verdict == Verdict::Healthy || first.last().is_some_and(|it| goes_on(it, now))
    });
    if let Some(under) = own.and_then(|record| record.under) {
        return Ok(Some((under, "this run began its deployment under it")));
    }
    let permit = usable(records, attempt, now)?.permit.record;
    Ok(match (permit.rollback, permit.break_glass) {
        (Some(_), _) => Some((permit.seq, "it is for a rollback")),
        (None, Some(_)) => Some((permit.seq, "it is for a break-glass")),
        (None, None) => None,
    })
}

fn report(number: u64, why: &str) -> Report {
    let line = format!("permit {number} goes on and is not judged again: {why}\n");
    Report {
        summary: format!("\n{line}"),
        text: line,
        json: json!({"permit": {"record": number, "already": true, "why": why}}),
        ..Report::default()
    }
    .output("permit", number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::tests::{chain, deployed, digest, failed, permitted, started};
    use kit::aws::AccountId;
    use kit::clock::instant;
    use ledger::{BreakGlass, Rollback};

    const RUN: &str = "https://ci.example/runs/7/attempts/1";
    const AGAIN: &str = "https://ci.example/runs/7/attempts/2";
    const OTHER: &str = "https://ci.example/runs/8/attempts/1";

    fn account() -> AccountId {
        "123456789012".parse().unwrap()
    }

    fn of_run(run: &str, under: Option<u64>, mut record: Record) -> Record {
        record.run = Some(run.to_owned());
        record.under = under;
        record
    }

    /// A permit for b after the deployment of a.
    fn permit() -> Record {
        let mut permit = of_run(RUN, None, permitted('b', "hash-1"));
        permit.account = Some(account());
        permit.policy = Some("sha256:rules".to_owned());
        permit
    }

    /// The outcome for permit 2 half an hour after it was granted: the permit that goes on, or 0 if it is judged once more.
    fn found(records: &[Record], run: Option<&str>) -> Result<u64, Reason> {
        at("2026-11-21T18:30:00Z", records, run)
    }

    fn at(now: &str, records: &[Record], run: Option<&str>) -> Result<u64, Reason> {
        let (digest, account) = (digest('b'), account());
        let attempt = Attempt {
            permit: 2,
            of: Use::Judge(&digest),
            account: &account,
            policy: "sha256:rules",
            contract_path: "delivery.yaml",
            run,
        };
        let found = find_reusable(&chain(records), &attempt, &digest, instant(now).unwrap())?;
        Ok(found.map_or(0, |(number, _)| number))
    }

    #[test]
    fn what_a_run_began_goes_on_and_all_else_is_judged_again() {
        let granted = [deployed('a'), permit(), permit()];
        let then = |more: &[Record]| [&granted[..], more].concat();
        assert_eq!(found(&granted, Some(RUN)), Ok(0));
        // It began under the permit that it was granted right before.
        let began = then(&[of_run(RUN, Some(3), started('b', 3))]);
        assert_eq!(found(&began, Some(RUN)), Ok(3));
        assert_eq!(found(&began, Some(AGAIN)), Ok(3));
        for run in [Some(OTHER), None] {
            assert!(matches!(found(&began, run), Err(Reason::Underway(_))));
        }
        let ended = then(&[
            of_run(RUN, Some(3), started('b', 3)),
            of_run(RUN, Some(3), deployed('b')),
        ]);
        assert_eq!(found(&ended, Some(AGAIN)), Ok(3));
        // Another run began since, or this one began another digest.
        let overtaken = then(&[
            of_run(RUN, Some(3), started('b', 3)),
            of_run(OTHER, Some(2), started('b', 2)),
        ]);
        assert!(matches!(
            found(&overtaken, Some(AGAIN)),
            Err(Reason::Started(_))
        ));
        // A deployment that it began more than an hour ago does not go on.
        let hour = "2026-11-21T19:30:00Z";
        let late = at(hour, &began, Some(AGAIN));
        assert!(matches!(late, Err(Reason::Expired(_))), "{late:?}");
        assert_eq!(at(hour, &ended, Some(AGAIN)), Ok(3));
        let other = then(&[of_run(RUN, Some(3), started('c', 3))]);
        assert_eq!(found(&other, Some(RUN)), Ok(0));
        // The time counts from the beginning under the same permit, and a grant may follow it.
        let mut earlier = of_run(OTHER, Some(2), started('b', 2));
        earlier.at = "2026-11-21T17:00:00Z".to_owned();
        let second = then(&[earlier, of_run(RUN, Some(3), started('b', 3)), permit()]);
        assert_eq!(found(&second, Some(AGAIN)), Ok(3));
        // The number is that of the beginning itself, which is not a permit.
        let own = [permit(), of_run(RUN, Some(1), started('b', 1))];
        let not_a_permit = Err(Reason::NotAPermit(Verdict::Started));
        assert_eq!(found(&own, Some(RUN)), not_a_permit);
    }

    #[test]
    fn the_report_names_the_permit_and_why_it_goes_on() {
        let found = report(3, "it is for a rollback");
        let line = "permit 3 goes on and is not judged again: it is for a rollback";
        assert_eq!(found.text.trim(), line);
        assert_eq!(found.summary.trim(), line);
        let why = json!({"record": 3, "already": true, "why": "it is for a rollback"});
        assert_eq!(found.json, json!({"permit": why}));
    }

    /// It may have taken hours.
    #[test]
    fn a_deployment_after_a_task_of_the_run_is_judged_again() {
        let task = Record {
            command: Some("sha256:migrate".to_owned()),
            ..of_run(RUN, Some(2), started('b', 2))
        };
        let records = [deployed('a'), permit(), task.clone()];
        assert_eq!(found(&records, Some(RUN)), Ok(0));
        assert!(matches!(
            found(&records, Some(OTHER)),
            Err(Reason::Started(_))
        ));
        let begun = [&records[..], &[of_run(RUN, Some(2), started('b', 2))]].concat();
        assert_eq!(found(&begun, Some(RUN)), Ok(2));
    }

    #[test]
    fn a_permit_that_is_over_starts_nothing_from_its_last_job() {
        let granted = [deployed('a'), permit()];
        assert_eq!(found(&granted, Some(AGAIN)), Ok(0));
        let late = at("2026-11-21T19:00:00Z", &granted, Some(AGAIN));
        assert!(matches!(late, Err(Reason::Expired(_))));
        let failed = [
            deployed('a'),
            permit(),
            of_run(RUN, Some(2), started('b', 2)),
            of_run(RUN, Some(2), failed('b')),
        ];
        assert!(matches!(found(&failed, Some(AGAIN)), Err(Reason::Newer(_))));
    }

    /// All jobs were run again, and the new permit is the one that counts.
    #[test]
    fn a_permit_that_was_granted_since_is_judged() {
        let mut since = permit();
        since.permit.as_mut().unwrap().head = "hash-1".to_owned();
        let records = [of_run(RUN, Some(9), deployed('b')), since];
        assert_eq!(found(&records, Some(AGAIN)), Ok(0));
    }

    #[test]
    fn a_rollback_and_a_break_glass_wait_for_nobody() {
        let mut permit = permit();
        permit.rollback = Some(Rollback { from: None });
        let records = [deployed('a'), permit.clone()];
        assert_eq!(found(&records, Some(RUN)), Ok(2));
        // Nor are they taken for a promotion once something else was recorded.
        let lost = [&records[..], &[failed('c')]].concat();
        assert!(matches!(found(&lost, Some(RUN)), Err(Reason::Newer(_))));
        permit.rollback = None;
        permit.break_glass = Some(BreakGlass {
            reason: "down".to_owned(),
            by: permit.actor.clone(),
            expires: permit.at.clone(),
        });
        let records = [deployed('a'), permit.clone()];
        assert_eq!(found(&records, None), Ok(2));
        permit.digest = digest('c');
        let other = found(&[deployed('a'), permit], None);
        assert!(matches!(other, Err(Reason::Digest(_))));
    }
}
