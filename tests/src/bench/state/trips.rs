//! How long taking the lock and giving it back wait for DynamoDB where that is far away: calls one after the other add
//! up, calls at once do not.

use std::path::Path;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{BUCKET, TABLE, Terraform, run};
use crate::bench::measure::{Call, Measure};
use crate::bench::row::Row;
use crate::bench::stage::Stage;
use crate::fault::{Context, Result};

/// The latency added to each call, in milliseconds, as to a region that is not nearby.
const LATENCY: u64 = 30;
const ROUNDS: usize = 7;
/// As long as one call, and what the machine does else meanwhile.
const ONE: f64 = 1.2;
/// Terraform reads the lock before it deletes it.
const HALF: f64 = 0.6;

/// Before and after the moment at which the lock was there, in milliseconds.
type Halves = [f64; 2];

pub(super) async fn rows(stage: &Stage<'_>, terraform: &Terraform, key: &str) -> Result<Vec<Row>> {
    stage.latency("dynamodb", LATENCY).await?;
    let measured = measure(stage, terraform, key).await;
    stage.latency("dynamodb", 0).await?;
    let [ours, aws, own] = measured?;
    let mut rows = Vec::new();
    for (half, work, call, goal) in [
        (0, "lock", "aws dynamodb put-item", ONE),
        (1, "unlock", "aws dynamodb delete-item", HALF),
    ] {
        let of = |all: &[Halves]| -> Vec<f64> { all.iter().map(|halves| halves[half]).collect() };
        let work = format!("{work}, ms of waiting at {LATENCY} ms a call");
        rows.push(Row::new(work.clone(), &of(&ours), call, &of(&aws), ONE)?);
        let peer = "terraform's own lock";
        rows.push(Row::new(work, &of(&ours), peer, &of(&own), goal)?);
    }
    Ok(rows)
}

/// The waiting times of each contender's rounds: ours, the AWS CLI's, Terraform's.
async fn measure(stage: &Stage<'_>, terraform: &Terraform, key: &str) -> Result<[Vec<Halves>; 3]> {
    let entered = terraform.folder.join("entered");
    let say = format!("date +%s%N > '{}'", entered.display());
    let ours = format!("{BUCKET}/{key}");
    let peers = format!("{ours}/peer");
    let item = format!(r#"{{"LockID": {{"S": "{peers}"}}}}"#);
    let script = format!(
        "\"$AWS\" dynamodb put-item --table-name {TABLE} --item '{item}' --condition-expression 'attribute_not_exists(LockID)'\n\
         {say}\n\
         \"$AWS\" dynamodb delete-item --table-name {TABLE} --key '{item}'\necho held"
    );
    let calls = [
        (
            run(stage, key, "0s", &format!("{say}; echo held")),
            vec![ours.clone(), format!("{ours}#q")],
        ),
        (stage.shell(&script, "held"), vec![peers]),
        (terraform.apply(stage, "-lock=true", "0s"), vec![ours]),
    ];
    let mut measured = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (kept, (call, items)) in measured.iter_mut().zip(&calls) {
            kept.push(halves(stage, call, items, &entered).await?);
        }
    }
    Ok(measured)
}

/// How long a call waits for answers about these items, before and after it writes the time to `entered`.
async fn halves(
    stage: &Stage<'_>,
    call: &Call,
    items: &[String],
    entered: &Path,
) -> Result<Halves> {
    let before = stage.calls("dynamodb", u64::MAX).await?.0;
    Measure::Wall.take(call)?;
    let action = || format!("reading {}", entered.display());
    let text = std::fs::read_to_string(entered).context(action())?;
    let at: i128 = text.trim().parse().context(action())?;
    let at = OffsetDateTime::from_unix_timestamp_nanos(at).context(action())?;
    let mut halves = [Vec::new(), Vec::new()];
    for recorded in stage.record("dynamodb", before).await? {
        if recorded.leading.iter().any(|item| items.contains(item)) {
            let began =
                OffsetDateTime::parse(&recorded.time, &Rfc3339).context("reading a call's time")?;
            let half = usize::from(began > at);
            halves[half].push((
                began,
                began + std::time::Duration::from_millis(recorded.duration_ms),
            ));
        }
    }
    Ok(halves.map(|calls| covered(calls).as_seconds_f64() * 1e3))
}

/// How much time these spans cover together.
fn covered(mut spans: Vec<(OffsetDateTime, OffsetDateTime)>) -> Duration {
    spans.sort_unstable();
    let mut sum = Duration::ZERO;
    let mut until: Option<OffsetDateTime> = None;
    for (begin, end) in spans {
        let begin = until.map_or(begin, |until| begin.max(until));
        if end > begin {
            sum += end - begin;
            until = Some(end);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_at_once_wait_together_and_one_after_the_other_add_up() {
        let at = |second: i64| OffsetDateTime::from_unix_timestamp(second).unwrap();
        for (spans, wanted) in [
            (&[][..], 0),
            (&[(0, 3)], 3),
            (&[(0, 3), (0, 3)], 3),
            (&[(0, 3), (1, 2)], 3),
            (&[(2, 5), (0, 3)], 5),
            (&[(0, 3), (7, 9)], 5),
        ] {
            let spans = spans.iter().map(|(a, b)| (at(*a), at(*b))).collect();
            assert_eq!(covered(spans), Duration::seconds(wanted));
        }
    }
}
