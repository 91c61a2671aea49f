//! The state lock around a command that does nothing: `slipway-state run` beside the two calls of the AWS CLI that
//! write and delete the same item; and what it costs to be far away, to hand over, and to wait.

mod line;
mod trips;

use std::path::Path;

use serde_json::json;

use super::measure::{Call, Measure};
use super::race::{Ours, Peer, Race};
use super::row::Row;
use super::stage::{CLI, Stage};
use crate::fault::{Context, Result};
use crate::world::World;
use crate::world::aws::unless_there;

const TABLE: &str = "tf-locks-bench";
const BUCKET: &str = "tf-state-bench";

pub(super) async fn races(stage: &Stage<'_>) -> Result<Vec<Race>> {
    table(stage).await?;
    bucket(stage).await?;
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

async fn bucket(stage: &Stage<'_>) -> Result<()> {
    let body = format!(
        "<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
        World::REGION
    );
    let answer = stage.aws.put(&format!("/{BUCKET}"), body).await?;
    unless_there(
        answer,
        &format!("creating the bucket {BUCKET}"),
        &["BucketAlreadyOwnedByYou", "BucketAlreadyExists"],
    )
    .map(drop)
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

/// Figures that are not a program's time: round trips, the delay of a hand-over, what waiting costs.
pub(super) async fn rows(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let key = format!("{}/terraform.tfstate", uuid::Uuid::new_v4());
    let terraform = Terraform::new(stage, &folder.path().join("one"), &key)?;
    let other = Terraform::new(stage, &folder.path().join("other"), &key)?;
    let mut rows = trips::rows(stage, &terraform, &key).await?;
    rows.push(line::hand_over(stage, [&terraform, &other], &key).await?);
    rows.push(line::waiting(stage, &terraform, &key).await?);
    Ok(rows)
}

/// A folder that was initialised for a state, with a resource that is made anew each time: it writes when it is made
/// to `entered`, and takes as long as `STAY` says.
struct Terraform {
    folder: std::path::PathBuf,
}

impl Terraform {
    fn new(stage: &Stage<'_>, folder: &Path, key: &str) -> Result<Self> {
        let code = format!(
            "terraform {{\n  backend \"s3\" {{\n    bucket = \"{BUCKET}\"\n    key = \"{key}\"\n    region = \"{}\"\n    \
             dynamodb_table = \"{TABLE}\"\n    use_path_style = true\n  }}\n}}\n\
             resource \"terraform_data\" \"it\" {{\n  triggers_replace = timestamp()\n  provisioner \"local-exec\" {{\n    \
             command = \"date +%s%N > entered; sleep ${{STAY:-0}}\"\n  }}\n}}\n",
            World::REGION
        )
        // Braces after a dollar are Terraform's own.
        .replace("${STAY", "$${STAY");
        std::fs::create_dir(folder).context("making a folder")?;
        std::fs::write(folder.join("main.tf"), code).context("writing main.tf")?;
        let terraform = Self {
            folder: folder.to_owned(),
        };
        Measure::Wall.take(&terraform.call(stage, &["init", "-no-color"], "initialized"))?;
        Measure::Wall.take(&terraform.apply(stage, "-lock=false", "0s"))?;
        Ok(terraform)
    }

    fn apply(&self, stage: &Stage<'_>, lock: &str, timeout: &str) -> Call {
        let timeout = format!("-lock-timeout={timeout}");
        let arguments = ["apply", "-auto-approve", "-no-color", lock, &timeout];
        self.call(stage, &arguments, "Apply complete")
    }

    fn call(&self, stage: &Stage<'_>, arguments: &[&str], proof: &str) -> Call {
        let folder = format!("-chdir={}", self.folder.display());
        let mut all = vec![folder.as_str()];
        all.extend(arguments);
        stage.terraform(&all, proof)
    }
}

/// A run that holds the lock for `command`, or waits for it as long as `timeout`.
fn run(stage: &Stage<'_>, key: &str, timeout: &str, command: &str) -> Call {
    let arguments = [
        "run",
        "--bucket",
        BUCKET,
        "--table",
        TABLE,
        "--key",
        key,
        "--lock-timeout",
        timeout,
        "--",
        "/bin/sh",
        "-ec",
        command,
    ];
    stage.step("state", &arguments, "held")
}
