//! Whether a run that asks again, right before its deployment begins, goes on with a permit that it has. Whatever
//! happened since, such as a dismissed review or a freeze, is judged anew; but what a run began it may end, and a
//! rollback or a break-glass waits for nobody.

use crate::args::Grant as Args;
use crate::setting::Setting;
use kit::error::Result;
use kit::{Cx, Report};
use ledger::permit::goes_on_from;
use ledger::{Chain, Recorded, Verdict};
use net::Net;
use serde_json::json;

/// The report of a permit that is not judged again; nothing if the promotion is to be.
pub(super) async fn going_on(
    number: u64,
    args: &Args,
    cx: &Cx,
    setting: &Setting,
) -> Result<Option<Report>> {
    let net = Net::new(cx)?;
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let ledger = setting.reading(&net).await?;
    let (_, records) = ledger.since_deployment(&chain).await?;
    let digest = args.check.digest.as_deref();
    let run = cx.host.run_url();
    let found = goes_on(&records, number, run.as_deref(), digest);
    Ok(found.map(|(number, why)| report(number, why)))
}

/// The permit that goes on and why, from the chain's records since its newest deployment, newest first and with that
/// one.
fn goes_on(
    records: &[Recorded],
    number: u64,
    run: Option<&str>,
    digest: Option<&str>,
) -> Option<(u64, &'static str)> {
    let all = || records.iter().map(|it| &it.record);
    let is_of = |of: &str| digest.is_none_or(|digest| digest == of);
    // The last that began or ended. A failure ended it for good.
    let last = all().find(|it| it.verdict == Verdict::Started || it.is_deployment());
    let own = last.filter(|it| {
        matches!(it.verdict, Verdict::Started | Verdict::Healthy)
            && goes_on_from(run, it.run.as_deref())
            && is_of(it.digest.as_str())
    });
    if let Some(under) = own.and_then(|it| it.under) {
        return Some((under, "this run began its deployment under it"));
    }
    let named = all().find(|it| it.seq == number && it.verdict == Verdict::Permitted)?;
    let waits = named.rollback.is_none() && named.break_glass.is_none();
    match !waits && is_of(named.digest.as_str()) {
        true if named.rollback.is_some() => Some((number, "it is for a rollback")),
        true => Some((number, "it is for a break-glass")),
        false => None,
    }
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
    use crate::standing::tests::{chain, deployed, digest, failed, permitted, started};
    use ledger::{BreakGlass, Record, Rollback};

    const RUN: &str = "https://ci.example/runs/7/attempts/1";
    const AGAIN: &str = "https://ci.example/runs/7/attempts/2";
    const OTHER: &str = "https://ci.example/runs/8/attempts/1";

    fn of_run(run: &str, under: Option<u64>, mut record: Record) -> Record {
        record.run = Some(run.to_owned());
        record.under = under;
        record
    }

    fn found(records: &[Record], run: Option<&str>) -> Option<u64> {
        let digest = digest('b').to_string();
        let found = goes_on(&chain(records), 2, run, Some(&digest));
        found.map(|(number, _)| number)
    }

    #[test]
    fn what_a_run_began_goes_on_and_all_else_is_judged_again() {
        let granted = [
            deployed('a'),
            of_run(RUN, None, permitted('b', "hash-1")),
            of_run(RUN, None, permitted('b', "hash-1")),
        ];
        let then = |more: &[Record]| [&granted[..], more].concat();
        assert_eq!(found(&granted, Some(RUN)), None);
        // It began under the permit that it was granted right before.
        let began = then(&[of_run(RUN, Some(3), started('b', 3))]);
        assert_eq!(found(&began, Some(RUN)), Some(3));
        assert_eq!(found(&began, Some(AGAIN)), Some(3));
        assert_eq!(found(&began, Some(OTHER)), None);
        assert_eq!(found(&began, None), None);
        let ended = then(&[
            of_run(RUN, Some(3), started('b', 3)),
            of_run(RUN, Some(3), deployed('b')),
        ]);
        assert_eq!(found(&ended, Some(AGAIN)), Some(3));
        let broken = then(&[
            of_run(RUN, Some(3), started('b', 3)),
            of_run(RUN, Some(3), failed('b')),
        ]);
        assert_eq!(found(&broken, Some(AGAIN)), None);
        // Another run began since, or this one began another digest.
        let overtaken = then(&[
            of_run(RUN, Some(3), started('b', 3)),
            of_run(OTHER, Some(2), started('b', 2)),
        ]);
        assert_eq!(found(&overtaken, Some(AGAIN)), None);
        let other = then(&[of_run(RUN, Some(3), started('c', 3))]);
        assert_eq!(found(&other, Some(RUN)), None);
    }

    #[test]
    fn a_rollback_and_a_break_glass_wait_for_nobody() {
        let mut permit = of_run(RUN, None, permitted('b', "hash-1"));
        permit.rollback = Some(Rollback { from: None });
        let records = [deployed('a'), permit.clone()];
        assert_eq!(found(&records, Some(RUN)), Some(2));
        permit.rollback = None;
        permit.break_glass = Some(BreakGlass {
            reason: "down".to_owned(),
            by: permit.actor.clone(),
            expires: permit.at.clone(),
        });
        let records = [deployed('a'), permit.clone()];
        assert_eq!(found(&records, None), Some(2));
        permit.digest = digest('c');
        assert_eq!(found(&[deployed('a'), permit], None), None);
    }
}
