//! Parameters of SSM: `slipway-secrets exec` beside the call of the AWS CLI that reads as many. The first ten fit into
//! one call of SSM; fifty take five.

use serde_json::json;

use super::race::{Ours, Peer, Race};
use super::stage::{CLI, Stage};
use crate::fault::Result;
use crate::world::aws::unless_there;

pub(super) async fn races(stage: &Stage<'_>) -> Result<Vec<Race>> {
    let few: Vec<String> = make(stage, 10).await?;
    let many = make(stage, 50).await?;
    let mut by_name = vec!["ssm", "get-parameters", "--with-decryption", "--names"];
    by_name.extend(few.iter().map(String::as_str));
    let by_path = [
        "ssm",
        "get-parameters-by-path",
        "--with-decryption",
        "--path",
        "/bench/50",
    ];
    Ok(vec![
        race(stage, &few, "aws ssm get-parameters", &by_name),
        race(stage, &many, "aws ssm get-parameters-by-path", &by_path),
    ])
}

/// Writes so many parameters and answers their names.
async fn make(stage: &Stage<'_>, count: usize) -> Result<Vec<String>> {
    let names: Vec<String> = (1..=count)
        .map(|number| format!("/bench/{count}/{number}"))
        .collect();
    for name in &names {
        let input = json!({"Name": name, "Type": "SecureString", "Value": value(name)});
        let answer = stage
            .aws
            .json("ssm", "AmazonSSM.PutParameter", &input)
            .await?;
        unless_there(
            answer,
            &format!("writing the parameter {name}"),
            &["ParameterAlreadyExists"],
        )?;
    }
    Ok(names)
}

fn value(name: &str) -> String {
    format!("value-of{}", name.replace('/', "-"))
}

fn race(stage: &Stage<'_>, names: &[String], peer: &str, peer_call: &[&str]) -> Race {
    let mut arguments = vec!["exec".to_owned()];
    for (index, name) in names.iter().enumerate() {
        arguments.extend(["--source".to_owned(), format!("S{index}=ssm:{name}")]);
    }
    let last = names.len() - 1;
    // Printing the last one is what proves that they were there.
    arguments.extend(["--", "printenv", &format!("S{last}")].map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let proof = value(&names[last]);
    let work = format!("secrets exec, {} parameters", names.len());
    Race {
        name: work.clone(),
        ours: vec![Ours {
            work,
            call: stage.step("secrets", &arguments, &proof),
        }],
        peers: vec![Peer {
            name: peer.to_owned(),
            call: stage.aws_cli(peer_call, &proof),
            goal: CLI,
        }],
    }
}
