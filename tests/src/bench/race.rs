//! A race: ours and the peers run in turns, so that whatever slows the machine slows all of them.

use super::measure::{Call, Measure};
use super::row::{Row, median};
use crate::fault::Result;
use crate::say::Progress;
use crate::world::runner::Variables;

/// Rounds that count.
const ROUNDS: usize = 15;
/// Rounds that count of memory, which hardly varies.
const PEAK_ROUNDS: usize = 5;
/// Rounds before them that fill caches and do not.
const WARM_UPS: usize = 2;

/// Each of ours against each peer.
pub(super) struct Race {
    pub(super) name: String,
    pub(super) ours: Vec<Ours>,
    pub(super) peers: Vec<Peer>,
}

/// One of the project's own programs at work.
pub(super) struct Ours {
    /// The work, as the rows name it.
    pub(super) work: String,
    pub(super) call: Call,
}

/// Another tool that does the same.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) call: Call,
    pub(super) goal: Goal,
}

/// The most that ours should take, as a share of the peer's.
#[derive(Clone, Copy)]
pub(super) struct Goal {
    pub(super) wall: f64,
    pub(super) cpu: f64,
    pub(super) peak: f64,
}

impl Goal {
    fn of(self, measure: Measure) -> f64 {
        match measure {
            Measure::Wall => self.wall,
            Measure::Cpu => self.cpu,
            Measure::Peak => self.peak,
        }
    }
}

/// Figures by contender, each a list over the rounds.
type Figures = Vec<Vec<f64>>;

impl Race {
    /// Runs all rounds and compares the medians.
    pub(super) fn run(&self, rounds: Option<usize>) -> Result<Vec<Row>> {
        let shown = rounds.unwrap_or(ROUNDS);
        let progress = Progress::begin("bench", &format!("{}, {shown} rounds", self.name));
        let rounds = |measure| rounds.unwrap_or_else(|| self::rounds(measure));
        progress.finish(self.rows(rounds, WARM_UPS))
    }

    fn rows(&self, rounds: impl Fn(Measure) -> usize, warm_ups: usize) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for measure in Measure::ALL {
            let figures = self.figures(measure, rounds(measure), warm_ups)?;
            let (ours, peers) = figures.split_at(self.ours.len());
            for (peer, theirs) in self.peers.iter().zip(peers) {
                for (own, ours) in self.ours.iter().zip(ours) {
                    let work = format!("{}, {}", own.work, measure.name());
                    let goal = peer.goal.of(measure);
                    rows.push(Row::new(work, ours, &peer.name, theirs, goal)?);
                }
            }
        }
        Ok(rows)
    }

    fn figures(&self, measure: Measure, rounds: usize, warm_ups: usize) -> Result<Figures> {
        let calls: Vec<&Call> = self
            .ours
            .iter()
            .map(|own| &own.call)
            .chain(self.peers.iter().map(|peer| &peer.call))
            .collect();
        let mut figures: Figures = vec![Vec::new(); calls.len()];
        for round in 0..warm_ups + rounds {
            let mut turns: Vec<_> = calls.iter().zip(&mut figures).collect();
            // The order alternates, so that no contender always follows the slowest.
            if round % 2 == 1 {
                turns.reverse();
            }
            for (call, kept) in turns {
                let figure = measure.take(call)?;
                if round >= warm_ups {
                    kept.push(figure);
                }
            }
        }
        Ok(figures)
    }
}

fn rounds(measure: Measure) -> usize {
    match measure {
        Measure::Wall | Measure::Cpu => ROUNDS,
        Measure::Peak => PEAK_ROUNDS,
    }
}

/// The cost of a program that does nothing, measured the same way: no figure can be lower.
pub(super) fn floor(measures: &[Measure]) -> Result<String> {
    let nothing = Call {
        program: "/bin/true".into(),
        arguments: Vec::new(),
        environment: Variables::new(),
        proof: String::new(),
    };
    let mut parts = Vec::new();
    for &measure in measures {
        let figures: Result<Vec<f64>> = (0..rounds(measure))
            .map(|_| measure.take(&nothing))
            .collect();
        let floor = median(&figures?).unwrap_or_default();
        parts.push(format!("{} {floor:.1}", measure.name()));
    }
    Ok(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contenders_take_turns_and_each_of_ours_meets_each_peer() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let call = |name: &str| Call {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), format!("echo {name} >> {}", log.display())],
            environment: Variables::new(),
            proof: String::new(),
        };
        let goal = Goal {
            wall: 1000.0,
            cpu: 1.0,
            peak: 1.0,
        };
        let race = Race {
            name: "x".into(),
            ours: ["a", "b"]
                .map(|name| Ours {
                    work: name.into(),
                    call: call(name),
                })
                .into(),
            peers: vec![Peer {
                name: "p".into(),
                call: call("p"),
                goal,
            }],
        };
        let figures = race.figures(Measure::Wall, 2, 1).unwrap();
        assert!(figures.iter().all(|kept| kept.len() == 2), "{figures:?}");
        let order = std::fs::read_to_string(&log).unwrap().replace('\n', "");
        assert_eq!(order, "abppbaabp");

        let rows = race.rows(|_| 1, 0).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.work.as_str()).collect();
        assert_eq!(
            names,
            [
                "a, wall ms",
                "b, wall ms",
                "a, CPU ms",
                "b, CPU ms",
                "a, peak MiB",
                "b, peak MiB"
            ]
        );
        assert_eq!((rows[0].goal, rows[2].goal), (Some(1000.0), Some(1.0)));
    }
}
