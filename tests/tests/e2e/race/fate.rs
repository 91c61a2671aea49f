//! The fate of each run of a race, drawn from its number so that it is the same whenever the test runs.

use std::time::Duration;

/// The event that a round is about, beside runs that are killed at arbitrary moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    /// The run that begins a deployment is killed and run again.
    BeginsAgain,
    /// The run that records a healthy deployment is killed and run again.
    RecordsAgain,
    /// The run that begins a deployment is killed for good, and a person records its end.
    Dies,
    /// While one is deployed, somebody rolls back.
    RollsBack,
    /// Nobody is killed because of what it does.
    Ends,
}

impl Theme {
    pub(super) const ALL: [Self; 5] = [
        Self::BeginsAgain,
        Self::RecordsAgain,
        Self::Dies,
        Self::RollsBack,
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
    Recorded(Duration),
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

    /// Draws the fate of a run in a round. In a round about a kill, no other deploying run is killed, since a killed run is left alone when
    /// it is run again, and no other run would take over.
    pub(super) fn of(theme: Theme, round: usize, index: usize) -> Self {
        let drawn = draw((round * 1000 + index) as u64);
        let within = |millis: u64| Duration::from_millis((drawn >> 16) % millis);
        let returns = match (drawn >> 8) % 3 {
            0 => Returns::Never,
            1 => Returns::FailedJobs,
            _ => Returns::AllJobs,
        };
        let mut fate = Self {
            returns,
            ..Self::UNDISTURBED
        };
        let comes_back = match returns {
            Returns::Never => Returns::AllJobs,
            returns => returns,
        };
        // The first run of a round gets its permit, so that somebody deploys.
        if index > 0 && drawn.is_multiple_of(6) {
            fate.grant = Kill::Started(within(3000));
        }
        match theme {
            Theme::BeginsAgain => {
                fate.deploy = Kill::Recorded(within(50));
                fate.returns = comes_back;
            }
            Theme::RecordsAgain => {
                // A record takes several calls. `killed.rs` kills at each of them.
                fate.record = Kill::Started(within(80));
                fate.returns = comes_back;
            }
            Theme::Dies => {
                fate.deploy = Kill::Recorded(within(50));
                fate.returns = Returns::Never;
            }
            Theme::RollsBack => {}
            Theme::Ends => match drawn % 6 {
                1 | 2 => fate.deploy = Kill::Started(within(2000)),
                3 => fate.record = Kill::Started(within(1000)),
                _ => {}
            },
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
