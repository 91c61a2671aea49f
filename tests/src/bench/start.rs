//! The cost of starting a step at all, beside the startup of a JavaScript action and of the AWS CLI.

use super::race::{Goal, Ours, Peer, Race};
use super::stage::Stage;
use crate::fault::Result;

pub(super) fn races(stage: &Stage<'_>) -> Result<Vec<Race>> {
    let ours = stage
        .build
        .names
        .iter()
        .map(|name| Ours {
            work: name.clone(),
            call: stage.step(name.trim_start_matches("slipway-"), &["--version"], name),
        })
        .collect();
    let peer = |name: &str, call, wall| Peer {
        name: name.to_owned(),
        call,
        goal: Goal {
            wall,
            cpu: wall,
            peak: 0.25,
        },
    };
    Ok(vec![Race {
        name: "start".to_owned(),
        ours,
        peers: vec![
            peer("node -e 0", stage.node(&["-e", "0"], ""), 0.2),
            peer(
                "aws --version",
                stage.aws_cli(&["--version"], "aws-cli/"),
                0.05,
            ),
        ],
    }])
}
