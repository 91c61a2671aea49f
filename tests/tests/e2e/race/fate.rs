//! What befalls each run of a race. Drawn from its number, so that it is the same at every run of the test.

use std::time::Duration;

/// What a round is about, beside the runs that are killed anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    /// Whoever begins a deployment is killed, and the run is run again.
    BeginsAgain,
    /// Whoever records a healthy deployment is killed, and the run is run again.
    RecordsAgain,
    /// Whoever begins a deployment is killed for good, and a person puts its end on record.
    Dies,
    /// Nobody is killed because of what it does.
    Ends,
}

impl Theme {
    pub(super) const ALL: [Self; 4] = [
        Self::BeginsAgain,
        Self::RecordsAgain,
        Self::Dies,
        Self::Ends,
    ];
}

/// When a step is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    Never,
    /// This long after its start, if it is not over by then.
    Started(Duration),
    /// This long after it put on record that its deployment begins.
    Begun(Duration),
}

/// How a run goes on whose job was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returns {
    Never,
    /// With the outputs of the jobs that succeeded.
    FailedJobs,
    AllJobs,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) grant: Kill,
    pub(super) deploy: Kill,
    pub(super) record: Kill,
    pub(super) returns: Returns,
}

impl Fate {
    pub(super) const UNDISTURBED: Self = Self {
        grant: Kill::Never,
        deploy: Kill::Never,
        record: Kill::Never,
        returns: Returns::Never,
    };

    pub(super) fn of(theme: Theme, round: usize, index: usize) -> Self {
        let drawn = draw((round * 1000 + index) as u64);
        let within = |millis: u64| Duration::from_millis((drawn >> 16) % millis);
        let mut fate = Self {
            returns: match (drawn >> 8) % 3 {
                0 => Returns::Never,
                1 => Returns::FailedJobs,
                _ => Returns::AllJobs,
            },
            ..Self::UNDISTURBED
        };
        // Anywhere, a third of all. Most of these lose.
        match drawn % 9 {
            0 => fate.grant = Kill::Started(within(3000)),
            1 => fate.deploy = Kill::Started(within(2000)),
            2 => fate.record = Kill::Started(within(1000)),
            _ => {}
        }
        let comes_back = match fate.returns {
            Returns::Never => Returns::AllJobs,
            returns => returns,
        };
        match theme {
            Theme::BeginsAgain => {
                fate.deploy = Kill::Begun(within(50));
                fate.returns = comes_back;
            }
            Theme::RecordsAgain => {
                // Soon enough on any machine: a record takes several calls. `killed.rs` kills at each of them.
                fate.record = Kill::Started(within(80));
                fate.returns = comes_back;
            }
            Theme::Dies => {
                fate.deploy = Kill::Begun(within(50));
                fate.returns = Returns::Never;
            }
            Theme::Ends => {}
        }
        fate
    }
}

/// Numbers that look random.
fn draw(seed: u64) -> u64 {
    let mut x = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
