//! Those who wait for a lock: how soon one follows the other, and how often each asks.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{BUCKET, Terraform, run};
use crate::bench::measure::{Call, Measure};
use crate::bench::row::Row;
use crate::bench::stage::Stage;
use crate::fault::{Context, Fault, Result};

const WAITERS: usize = 64;
/// How long they wait, in seconds.
const TIMEOUT: u64 = 60;
/// How long a program takes at most until it stands in line.
const START: Duration = Duration::from_millis(1500);

/// From when one who waited gives the lock back to when the next who waits has it, as DynamoDB sees it.
pub(super) async fn hand_over(
    stage: &Stage<'_>,
    terraform: [&Terraform; 2],
    key: &str,
) -> Result<Row> {
    let mut figures = [const { Vec::new() }; 2];
    for stay in 2..7 {
        let holder = run(stage, key, "0s", "sleep 5; echo held");
        let ours = [(); 2].map(|()| run(stage, key, "5m", &format!("sleep {stay}; echo held")));
        let theirs = terraform.map(|terraform| {
            let mut call = terraform.apply(stage, "-lock=true", "5m");
            let stay = stay.to_string();
            call.environment.insert("STAY".to_owned(), stay);
            call
        });
        for (figures, waiters) in figures.iter_mut().zip([ours, theirs]) {
            let before = stage.calls("dynamodb", u64::MAX).await?.0;
            all_at_work(&[holder.clone(), waiters[0].clone(), waiters[1].clone()])?;
            figures.push(delay(stage, key, before).await?);
        }
    }
    let [ours, theirs] = &figures;
    let work = "hand-over from one who waited to the next, ms".to_owned();
    Row::new(work, ours, "terraform -lock-timeout", theirs, 0.25)
}

/// Starts one after the other, and waits for the end of all.
fn all_at_work(calls: &[Call]) -> Result<()> {
    std::thread::scope(|scope| {
        let started: Vec<_> = calls
            .iter()
            .map(|call| {
                let thread = scope.spawn(|| Measure::Wall.take(call));
                std::thread::sleep(START);
                thread
            })
            .collect();
        for thread in started {
            thread.join().map_err(|_| Fault::new("one panicked"))??;
        }
        Ok(())
    })
}

/// The time between the last lock that was released and followed by another, and that other, in milliseconds.
async fn delay(stage: &Stage<'_>, key: &str, since: u64) -> Result<f64> {
    let id = format!("{BUCKET}/{key}");
    let mut left = None;
    let mut delay = None;
    for call in stage.record("dynamodb", since).await? {
        if call.leading != [id.as_str()] || call.status != 200 {
            continue;
        }
        let at = OffsetDateTime::parse(&call.time, &Rfc3339).context("reading a call's time")?;
        match call.operation.as_str() {
            "DeleteItem" => left = Some(at),
            "PutItem" => delay = left.map(|left| at - left),
            _ => {}
        }
    }
    let delay = delay.ok_or_else(|| Fault::new(format!("nobody handed {id} over")))?;
    Ok(delay.as_seconds_f64() * 1e3)
}

/// How often each of many who wait asks DynamoDB.
pub(super) async fn waiting(stage: &Stage<'_>, terraform: &Terraform, key: &str) -> Result<Row> {
    let timeout = format!("{TIMEOUT}s");
    let held = TIMEOUT + 15;
    let holder = run(stage, key, "0s", &format!("sleep {held}; echo held"));
    let asks = async |number: usize, call: Call| -> Result<f64> {
        let holding = {
            let holder = holder.clone();
            std::thread::spawn(move || Measure::Wall.take(&holder))
        };
        std::thread::sleep(START);
        let before = stage.calls("dynamodb", u64::MAX).await?.0;
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..number)
                // That they did not get the lock is what they wait for, and no figure.
                .map(|_| scope.spawn(|| Measure::Wall.take(&call).is_err()))
                .collect();
            for thread in all {
                if !thread.join().unwrap_or_default() {
                    return Err(Fault::new("one who should wait in vain got the lock"));
                }
            }
            Ok(())
        })?;
        let calls = stage.calls("dynamodb", before).await?.1;
        holding
            .join()
            .map_err(|_| Fault::new("the holder panicked"))??;
        Ok(calls as f64 / number as f64 / TIMEOUT as f64 * 60.0)
    };
    let ours = asks(WAITERS, run(stage, key, &timeout, "echo held")).await?;
    let theirs = asks(1, terraform.apply(stage, "-lock=true", &timeout)).await?;
    let work = format!("{WAITERS} wait, calls of each in a minute");
    Row::new(work, &[ours], "one terraform -lock-timeout", &[theirs], 3.0)
}
