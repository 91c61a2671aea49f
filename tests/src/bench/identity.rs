//! One call of STS: `slipway-identity check` beside `aws sts get-caller-identity`, both with the same credentials.

use super::race::{Ours, Peer, Race};
use super::stage::{CLI, Stage};

pub(super) fn races(stage: &Stage<'_>) -> Vec<Race> {
    let account = stage.account.as_str();
    vec![Race {
        name: "identity check".to_owned(),
        ours: vec![Ours {
            work: "identity check".to_owned(),
            call: stage.step("identity", &["check", "--account", account], account),
        }],
        peers: vec![Peer {
            name: "aws sts get-caller-identity".to_owned(),
            call: stage.aws_cli(&["sts", "get-caller-identity"], account),
            goal: CLI,
        }],
    }]
}
