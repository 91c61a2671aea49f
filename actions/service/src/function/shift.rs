//! The steps in which an alias' traffic moves to a new version. Pure.

use kit::clock::{human, parse_duration};
use kit::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How traffic moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shift {
    /// A share at first, and after the time everything.
    Canary { percent: u8, every: Duration },
    /// The same share again after each time.
    Linear { percent: u8, every: Duration },
}

/// One step: the new version's share, and how long it keeps that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) percent: u8,
    pub(crate) wait: Duration,
}

/// The steps before the new version has all of the traffic. There are none if it gets it at once.
pub(crate) fn steps(shift: Option<Shift>) -> Vec<Step> {
    match shift {
        None => Vec::new(),
        Some(Shift::Canary { percent, every }) => vec![Step {
            percent,
            wait: every,
        }],
        Some(Shift::Linear { percent, every }) => (1..)
            .map(|step: u8| step.saturating_mul(percent))
            .take_while(|percent| *percent < 100)
            .map(|percent| Step {
                percent,
                wait: every,
            })
            .collect(),
    }
}

/// The steps that are left where the new version has this share already, from 0 to 1. The step that it is in begins again,
/// since nobody knows when it began.
pub(crate) fn left(steps: &[Step], weight: f64) -> Vec<Step> {
    let reached = |step: &&Step| f64::from(step.percent) / 100.0 + 1e-6 >= weight;
    steps.iter().filter(reached).copied().collect()
}

/// The time until a deployment is given up: as given, else the usual one and the waits that the arguments ask for.
///
/// # Errors
/// It is over before the deployment could be (exit 2).
pub(crate) fn allowed(given: Option<Duration>, steps: &[Step], bake: Duration) -> Result<Duration> {
    let waits = steps.iter().map(|step| step.wait).sum::<Duration>() + bake;
    let Some(given) = given else {
        return Ok(crate::time::USUAL + waits);
    };
    crate::time::refuse_none(given)?;
    if given <= waits {
        return Err(Error::usage(format!(
            "--timeout is {}, and the steps and the bake take {}",
            human(given),
            human(waits)
        ))
        .hint(format!(
            "omit --timeout, which then is {}, or give more than {}",
            human(crate::time::USUAL + waits),
            human(waits)
        )));
    }
    Ok(given)
}

impl FromStr for Shift {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a way to move traffic: write canary:10:5m, linear:10:1m or all-at-once by leaving it out"
            )
        };
        let parts: Vec<&str> = text.trim().split(':').collect();
        let [kind, percent, every] = parts.as_slice() else {
            return Err(wrong());
        };
        let percent = percent.trim_end_matches('%').parse::<u8>().ok();
        let percent = percent
            .filter(|percent| (1..100).contains(percent))
            .ok_or_else(wrong)?;
        let every = parse_duration(every)?;
        match *kind {
            "canary" => Ok(Self::Canary { percent, every }),
            "linear" => Ok(Self::Linear { percent, every }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canary { percent, every } => {
                write!(
                    f,
                    "{percent}% at first, and everything after {}",
                    human(*every)
                )
            }
            Self::Linear { percent, every } => write!(f, "{percent}% more every {}", human(*every)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percents(text: &str) -> Vec<u8> {
        let steps = steps(Some(text.parse().unwrap()));
        steps.iter().map(|step| step.percent).collect()
    }

    #[test]
    fn traffic_moves_in_the_steps_that_are_asked_for() {
        assert_eq!(percents("canary:10:5m"), [10]);
        assert_eq!(percents("linear:25:1m"), [25, 50, 75]);
        assert_eq!(percents("linear:40:1m"), [40, 80]);
        assert_eq!(percents("linear:99%:1m"), [99]);
        assert_eq!(percents("linear:1:1m").len(), 99);
        assert!(steps(None).is_empty());
        for wrong in [
            "",
            "canary",
            "canary:0:5m",
            "linear:100:5m",
            "canary:10",
            "step:10:5m",
            "canary:10:x",
        ] {
            assert!(wrong.parse::<Shift>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_shift_that_was_interrupted_goes_on_in_its_step() {
        let all = steps(Some("linear:25:1m".parse().unwrap()));
        for (weight, wanted) in [
            (0.0, vec![25, 50, 75]),
            (0.25, vec![25, 50, 75]),
            (0.5, vec![50, 75]),
            (0.6, vec![75]),
            (0.9, vec![]),
        ] {
            let left: Vec<u8> = left(&all, weight).iter().map(|step| step.percent).collect();
            assert_eq!(left, wanted, "{weight}");
        }
    }

    #[test]
    fn the_time_covers_the_steps_and_the_bake() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let canary = steps(Some("canary:10:5m".parse().unwrap()));
        for (given, wanted) in [
            (None, Ok(15 + 5 + 2)),
            (Some(8), Ok(8)),
            (Some(7), Err(())),
            (Some(0), Err(())),
        ] {
            let found = allowed(given.map(minutes), &canary, minutes(2)).map_err(|_| ());
            assert_eq!(found, wanted.map(minutes), "{given:?}");
        }
    }
}
