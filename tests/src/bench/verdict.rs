//! Tools that begin something at AWS and follow it to its end: how long after the event their verdict comes, how often they
//! call, and what they take meanwhile.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::measure::{Call, Run};
use super::row::{Row, median};
use super::stage::{Recorded, Stage};
use crate::fault::{Context, Fault, Result};
use crate::say::note;

/// The latest that a verdict may come after the event, in milliseconds.
const LATEST: f64 = 2000.0;
/// The most that a step may take of a tool that starts for every call, and looks less often.
const CPU: f64 = 0.25;
const PEAK: f64 = 0.5;

/// Variable that names the folder of an action for GitHub that is measured as one more peer: its checkout, with `dist/index.js`.
const ACTION: &str = "SLIPWAY_PEER_ACTION";

/// The folder of the action that is measured too, where one is named.
pub(super) fn action() -> Option<String> {
    std::env::var(ACTION).ok().filter(|text| !text.is_empty())
}

/// One run of one tool.
pub(super) struct Sample {
    run: Run,
    calls: Vec<Recorded>,
    /// From the call that began it to the event, in milliseconds: the part that no tool can shorten.
    alone: Option<f64>,
    /// From the event to the end of the tool, in milliseconds.
    lag: Option<f64>,
}

impl Sample {
    /// Runs a tool that begins something by the operation `begins`; `event` answers when that ended.
    pub(super) async fn of(
        stage: &Stage<'_>,
        account: &str,
        call: &Call,
        begins: &str,
        event: impl AsyncFnOnce() -> Result<Option<OffsetDateTime>>,
    ) -> Result<Self> {
        let (before, _) = stage.all_calls(account, u64::MAX).await?;
        let run = Run::of(call)?;
        let (_, calls) = stage.all_calls(account, before).await?;
        let began = calls
            .iter()
            .find(|call| call.operation == begins)
            .map(|call| OffsetDateTime::parse(&call.time, &Rfc3339))
            .transpose()
            .context("reading a call's time")?;
        let event = event().await?;
        let millis = |from: OffsetDateTime, to: OffsetDateTime| (to - from).as_seconds_f64() * 1e3;
        Ok(Self {
            alone: began.zip(event).map(|(began, event)| millis(began, event)),
            lag: event.map(|event| millis(event, run.ended)),
            run,
            calls,
        })
    }

    /// The calls by service, in a phrase.
    fn by_service(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for call in &self.calls {
            *counts.entry(&call.service).or_default() += 1;
        }
        let parts: Vec<String> = counts
            .iter()
            .map(|(service, count)| format!("{service} {count}"))
            .collect();
        parts.join(", ")
    }
}

/// A tool with its runs.
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) samples: Vec<Sample>,
}

impl Contender {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            samples: Vec::new(),
        }
    }

    /// Its name, with the exit code that is its verdict.
    fn shown(&self) -> String {
        let codes: Vec<String> = self
            .samples
            .iter()
            .filter_map(|sample| sample.run.code.map(|code| code.to_string()))
            .collect();
        match codes.first() {
            Some(first) if codes.iter().all(|code| code == first) => {
                format!("{}, exit {first}", self.name)
            }
            _ => format!("{}, exits {}", self.name, codes.join(" ")),
        }
    }

    fn figures(&self, of: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.samples.iter().map(of).collect()
    }

    /// The times from the event to the verdict, where every run had an event.
    fn lags(&self) -> Option<Vec<f64>> {
        self.samples.iter().map(|sample| sample.lag).collect()
    }
}

/// The work that contenders do, and the bounds of ours.
pub(super) struct Work<'a> {
    pub(super) name: &'a str,
    /// The most of a peer's time.
    pub(super) wall: Option<f64>,
    /// Exit code of ours.
    pub(super) exit: i32,
    /// The part that AWS takes, by name.
    pub(super) alone: &'a str,
    /// A service and the calls of it that AWS takes in a second.
    pub(super) rate: Option<(&'a str, f64)>,
}

impl Work<'_> {
    /// The rows of the first contender, which is ours, beside each of the others.
    pub(super) fn rows(&self, contenders: &[Contender]) -> Result<Vec<Row>> {
        let Some((ours, peers)) = contenders.split_first() else {
            return Err(Fault::new("there is nobody to measure"));
        };
        let exits = |sample: &Sample| sample.run.code == Some(self.exit);
        if !ours.samples.iter().all(exits) {
            let (name, wanted) = (ours.shown(), self.exit);
            return Err(Fault::new(format!(
                "{}: {name} in place of {wanted}",
                self.name
            )));
        }
        for contender in contenders {
            if let Some(last) = contender.samples.last() {
                note(&format!(
                    "{}: {} called {}",
                    self.name,
                    contender.shown(),
                    last.by_service()
                ));
            }
        }
        let mut rows = self.bounds(ours)?;
        for peer in peers {
            rows.extend(self.beside(ours, peer)?);
        }
        Ok(rows)
    }

    /// Ours beside what it has to keep to, whatever the peers do.
    fn bounds(&self, ours: &Contender) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let most = "the most there should be";
        if let Some(lags) = ours.lags() {
            let latest = lags.into_iter().fold(0.0, f64::max);
            let work = format!("{}: event to verdict, the latest, ms", self.name);
            rows.push(Row::new(work, &[latest], most, &[LATEST], 1.0)?);
        }
        if let Some((service, rate)) = self.rate {
            let of_service = |call: &&Recorded| call.service == service;
            let rates = ours.figures(|sample| {
                let count = sample.calls.iter().filter(of_service).count();
                count as f64 / (sample.run.wall / 1e3)
            });
            let work = format!("{}: calls to {service} in a second", self.name);
            rows.push(Row::new(work, &rates, "AWS takes", &[rate], 0.5)?);
        }
        Ok(rows)
    }

    fn beside(&self, ours: &Contender, peer: &Contender) -> Result<Vec<Row>> {
        let name = peer.shown();
        let row = |measure: &str, of: fn(&Sample) -> f64, goal: Option<f64>| {
            let work = format!("{}: {measure}", self.name);
            Row::new(work, &ours.figures(of), &name, &peer.figures(of), goal)
        };
        let mut rows = vec![row("wall ms", |sample| sample.run.wall, self.wall)?];
        let alone: Option<Vec<f64>> = ours.samples.iter().map(|sample| sample.alone).collect();
        if let Some(alone) = alone.as_deref().and_then(median) {
            rows = vec![rows.remove(0).above(self.alone, alone)];
        }
        if let (Some(own), Some(theirs)) = (ours.lags(), peer.lags()) {
            match theirs.iter().all(|lag| *lag > 0.0) {
                true => {
                    let work = format!("{}: event to verdict, ms", self.name);
                    rows.push(Row::new(work, &own, &name, &theirs, None)?);
                }
                false => note(&format!("{}: {name} ended before the event", self.name)),
            }
        }
        rows.push(row("calls", |sample| sample.calls.len() as f64, None)?);
        rows.push(row("CPU ms", |sample| sample.run.cpu, Some(CPU))?);
        rows.push(row("peak MiB", |sample| sample.run.peak, Some(PEAK))?);
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(name: &str, code: i32, lag: f64, calls: usize) -> Contender {
        let call = || -> Recorded {
            serde_json::from_value(serde_json::json!({
                "service": "ecs", "operation": "DescribeServices", "time": "", "leading": [], "status": 200,
                "duration_ms": 1, "via": "api", "session": "ci",
            }))
            .unwrap()
        };
        let run = Run {
            wall: 10_000.0,
            cpu: 100.0,
            peak: 12.0,
            ended: OffsetDateTime::UNIX_EPOCH,
            code: Some(code),
        };
        Contender {
            name: name.to_owned(),
            samples: vec![Sample {
                run,
                calls: std::iter::repeat_with(call).take(calls).collect(),
                alone: Some(9000.0),
                lag: Some(lag),
            }],
        }
    }

    const WORK: Work<'static> = Work {
        name: "rolled back",
        wall: None,
        exit: 5,
        alone: "ECS",
        rate: Some(("ecs", 20.0)),
    };

    #[test]
    fn a_verdict_is_held_against_its_bounds_and_each_peer() {
        let all = [
            contender("ours", 5, 700.0, 50),
            contender("a", 0, 8000.0, 4),
            contender("b", 255, -3.0, 4),
        ];
        let rows = WORK.rows(&all).unwrap();
        let shown: Vec<(&str, &str, Option<bool>)> = rows
            .iter()
            .map(|row| (row.work.as_str(), row.peer_name.as_str(), row.met))
            .collect();
        let (most, a, b) = ("the most there should be", "a, exit 0", "b, exit 255");
        assert_eq!(
            shown,
            [
                (
                    "rolled back: event to verdict, the latest, ms",
                    most,
                    Some(true)
                ),
                (
                    "rolled back: calls to ecs in a second",
                    "AWS takes",
                    Some(true)
                ),
                ("rolled back: wall ms", a, None),
                ("rolled back: event to verdict, ms", a, None),
                ("rolled back: calls", a, None),
                ("rolled back: CPU ms", a, Some(false)),
                ("rolled back: peak MiB", a, Some(false)),
                // A peer that ended before the event gave no verdict on it.
                ("rolled back: wall ms", b, None),
                ("rolled back: calls", b, None),
                ("rolled back: CPU ms", b, Some(false)),
                ("rolled back: peak MiB", b, Some(false)),
            ]
        );
        assert_eq!(rows[1].ours, 5.0);
        assert!(rows[2].floor.is_some() && rows[3].floor.is_none());
    }

    #[test]
    fn a_verdict_of_ours_that_is_wrong_is_an_error_and_no_row() {
        let all = [
            contender("ours", 0, 700.0, 50),
            contender("a", 0, 8000.0, 4),
        ];
        let fault = WORK.rows(&all).unwrap_err().to_string();
        assert_eq!(fault, "rolled back: ours, exit 0 in place of 5");
    }
}
