//! One comparison: a figure of ours, the same figure of a peer, and what their ratio was meant to be.

use serde::Serialize;

use crate::fault::{Fault, Result};

/// A row, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// The work, with the measured quantity and its unit.
    pub(super) work: String,
    /// Median of ours.
    pub(super) ours: f64,
    /// Median of the peer's, in the same unit.
    pub(super) peer: f64,
    pub(super) peer_name: String,
    /// Ours as a share of the peer's: below 1 is less than the peer.
    pub(super) ratio: f64,
    /// The most the ratio was meant to be, where something was.
    pub(super) goal: Option<f64>,
    pub(super) met: Option<bool>,
    /// The lower bound on this machine, where it was measured.
    pub(super) floor: Option<Floor>,
}

/// A part of the work alone, by the simplest program that does it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Floor {
    pub(super) name: String,
    /// In the row's unit.
    pub(super) alone: f64,
    /// As a share of the peer's: a goal below it cannot be met here.
    pub(super) ratio: f64,
    /// Ours as a multiple of it.
    pub(super) ours: f64,
}

impl Row {
    /// Compares the figures of two contenders that ran in turns.
    pub(super) fn new(
        work: String,
        ours: &[f64],
        peer_name: &str,
        peer: &[f64],
        goal: impl Into<Option<f64>>,
    ) -> Result<Self> {
        let goal = goal.into();
        let (ours, peer) = match (median(ours), median(peer)) {
            (Some(ours), Some(peer)) if peer > 0.0 => (ours, peer),
            _ => {
                return Err(Fault::new(format!(
                    "{work}: {peer_name} gives no figure to compare with"
                )));
            }
        };
        let ratio = ours / peer;
        Ok(Self {
            work,
            ours: shown(ours),
            peer: shown(peer),
            peer_name: peer_name.to_owned(),
            ratio: shown(ratio),
            goal,
            met: goal.map(|goal| ratio <= goal),
            floor: None,
        })
    }

    /// The same row with a floor, below which no contender can get.
    pub(super) fn above(mut self, name: &str, alone: f64) -> Self {
        self.floor = Some(Floor {
            name: name.to_owned(),
            alone: shown(alone),
            ratio: shown(alone / self.peer),
            ours: shown(self.ours / alone),
        });
        self
    }

    pub(super) fn json(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

impl Floor {
    fn floor_in_words(&self) -> String {
        format!(
            "{:.3} ({}), ours {:.2} of it",
            self.ratio, self.name, self.ours
        )
    }
}

/// A figure without the digits that mean nothing.
fn shown(figure: f64) -> f64 {
    (figure * 10_000.0).round() / 10_000.0
}

/// The middle figure, or the mean of the two in the middle.
pub(super) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// The rows under a heading, each column as wide as its widest cell.
pub(super) fn table(rows: &[Row]) -> Vec<String> {
    let heading = ["work", "ours", "peer", "", "ratio", "goal", "met", "floor"].map(str::to_owned);
    let cells: Vec<[String; 8]> = std::iter::once(heading)
        .chain(rows.iter().map(|row| {
            [
                row.work.clone(),
                format!("{:.1}", row.ours),
                format!("{:.1}", row.peer),
                row.peer_name.clone(),
                format!("{:.3}", row.ratio),
                row.goal
                    .map_or_else(String::new, |goal| format!("{goal:.3}")),
                row.met
                    .map_or("", |met| if met { "yes" } else { "NO" })
                    .to_owned(),
                row.floor
                    .as_ref()
                    .map_or_else(String::new, Floor::floor_in_words),
            ]
        }))
        .collect();
    let width = |column: usize| {
        cells
            .iter()
            .filter_map(|row| row.get(column).map(String::len))
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..8).map(width).collect();
    cells
        .iter()
        .map(|row| {
            let padded: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, &width))| match column {
                    // Words begin together, figures end together.
                    0 | 3 | 6 | 7 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            padded.join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[900.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 900.0, 1.0, 2.0]), Some(3.0));
    }

    #[test]
    fn a_goal_is_met_up_to_and_at_its_ratio() {
        let row = |ours: f64, goal| Row::new("w".into(), &[ours], "p", &[8.0], goal).unwrap();
        assert_eq!(row(2.0, 0.25).ratio, 0.25);
        assert_eq!(row(2.0, 0.25).met, Some(true));
        // The exact figure is judged, not the rounded one that is shown.
        let missed = row(2.000_01, 0.25);
        assert!(missed.met == Some(false) && missed.ratio == 0.25);
    }

    #[test]
    fn a_peer_without_a_figure_is_an_error_and_no_row() {
        for peer in [&[][..], &[0.0]] {
            let fault = Row::new("w".into(), &[1.0], "p", peer, 1.0).unwrap_err();
            assert_eq!(fault.to_string(), "w: p gives no figure to compare with");
        }
    }

    #[test]
    fn a_row_of_json_has_exactly_these_fields() {
        let row = Row::new("start: wall ms".into(), &[1.0, 3.0], "node", &[8.0], 0.2).unwrap();
        assert_eq!(
            row.json(),
            r#"{"work":"start: wall ms","ours":2.0,"peer":8.0,"peer_name":"node","ratio":0.25,"goal":0.2,"met":false,"floor":null}"#
        );
    }

    #[test]
    fn a_floor_is_shown_as_a_share_of_the_peer_and_ours_as_a_multiple_of_it() {
        let row = Row::new("w".into(), &[30.0], "p", &[40.0], None).unwrap();
        let lines = table(&[row.above("the disk", 20.0)]);
        assert_eq!(
            lines[1],
            "w     30.0  40.0  p  0.750             0.500 (the disk), ours 1.50 of it"
        );
    }

    #[test]
    fn the_table_lines_up() {
        let row = |work: &str, ours| Row::new(work.into(), &[ours], "aws", &[400.0], 0.1).unwrap();
        let lines = table(&[row("a", 4.0), row("longer", 123.0)]);
        assert_eq!(
            lines,
            [
                "work     ours   peer       ratio   goal  met  floor",
                "a         4.0  400.0  aws  0.010  0.100  yes",
                "longer  123.0  400.0  aws  0.307  0.100  NO",
            ]
        );
    }
}
