//! The state lock around a command that does nothing: `slipway-state run` beside the two calls of the AWS CLI that
//! write and delete the same item.

use serde_json::json;

use super::race::{Ours, Peer, Race};
use super::stage::{CLI, Stage};
use crate::fault::Result;
use crate::world::aws::unless_there;

const TABLE: &str = "tf-locks-bench";
const BUCKET: &str = "tf-state-bench";

pub(super) async fn races(stage: &Stage<'_>) -> Result<Vec<Race>> {
    table(stage).await?;
    // A lock that a killed run left behind must not stop the next one.
    let run = uuid::Uuid::new_v4();
    let key = format!("{run}/ours.tfstate");
    let arguments = [
        "run", "--bucket", BUCKET, "--table", TABLE, "--key", &key, "--", "echo", "held",
    ];
    let item = format!(r#"{{"LockID": {{"S": "{BUCKET}/{run}/peer.tfstate"}}}}"#);
    let script = format!(
        "\"$AWS\" dynamodb put-item --table-name {TABLE} --item '{item}' --condition-expression 'attribute_not_exists(LockID)'\n\
         echo held\n\
         \"$AWS\" dynamodb delete-item --table-name {TABLE} --key '{item}'"
    );
    Ok(vec![Race {
        name: "state lock and unlock".to_owned(),
        ours: vec![Ours {
            work: "state run, nobody else there".to_owned(),
            call: stage.step("state", &arguments, "held"),
        }],
        peers: vec![Peer {
            name: "aws dynamodb put-item, delete-item".to_owned(),
            call: stage.shell(&script, "held"),
            goal: CLI,
        }],
    }])
}

async fn table(stage: &Stage<'_>) -> Result<()> {
    let input = json!({
        "TableName": TABLE,
        "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    });
    let answer = stage
        .aws
        .json("dynamodb", "DynamoDB_20120810.CreateTable", &input)
        .await?;
    unless_there(
        answer,
        &format!("creating the table {TABLE}"),
        &["ResourceInUseException"],
    )
    .map(drop)
}
