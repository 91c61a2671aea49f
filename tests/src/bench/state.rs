//! The state lock around a command that does nothing: `slipway-state run` beside the two calls of the AWS CLI that
//! write and delete the same item; and what it costs to be far away, to hand over, and to wait.

use std::path::Path;

use serde_json::json;

use super::measure::{Call, Measure};
use super::race::{Ours, Peer, Race};
use super::row::{Row, median};
use super::stage::{CLI, Stage};
use crate::fault::{Doing, Fault, Result};
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

/// What one call more or less costs where AWS is not next door.
const LATENCY: u64 = 30;
const ROUNDS: usize = 7;
const WAITERS: usize = 64;
/// How long somebody holds the lock that others wait for.
const HELD: u64 = 12;

/// Figures that are no program's time: round trips, the delay of a hand-over, what waiting costs.
pub(super) async fn rows(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir().doing("making a folder")?;
    let key = format!("{}/terraform.tfstate", uuid::Uuid::new_v4());
    let terraform = Terraform::new(stage, folder.path(), &key)?;
    let mut rows = round_trips(stage, &terraform, &key).await?;
    rows.push(hand_over(stage, &terraform, &key, folder.path())?);
    rows.push(waiting(stage, &terraform, &key).await?);
    Ok(rows)
}

/// A folder that was initialised for the same state, and a resource that is made anew each time.
struct Terraform {
    folder: String,
}

impl Terraform {
    fn new(stage: &Stage<'_>, folder: &Path, key: &str) -> Result<Self> {
        let code = format!(
            "terraform {{\n  backend \"s3\" {{\n    bucket = \"{BUCKET}\"\n    key = \"{key}\"\n    region = \"{}\"\n    \
             dynamodb_table = \"{TABLE}\"\n    use_path_style = true\n  }}\n}}\n\
             resource \"terraform_data\" \"it\" {{\n  triggers_replace = timestamp()\n  provisioner \"local-exec\" {{\n    \
             command = \"date +%s%N > entered\"\n  }}\n}}\n",
            World::REGION
        );
        std::fs::write(folder.join("main.tf"), code).doing("writing main.tf")?;
        let it = Self {
            folder: format!("-chdir={}", folder.display()),
        };
        Measure::Wall.take(&it.call(stage, &["init", "-no-color"], "initialized"))?;
        Measure::Wall.take(&it.apply(stage, "-lock=false", "0s"))?;
        Ok(it)
    }

    fn apply(&self, stage: &Stage<'_>, lock: &str, timeout: &str) -> Call {
        let timeout = format!("-lock-timeout={timeout}");
        let arguments = ["apply", "-auto-approve", "-no-color", lock, &timeout];
        self.call(stage, &arguments, "Apply complete")
    }

    fn call(&self, stage: &Stage<'_>, arguments: &[&str], proof: &str) -> Call {
        let mut all = vec![self.folder.as_str()];
        all.extend(arguments);
        stage.terraform(&all, proof)
    }
}

/// A run that holds the lock for `command`.
fn run(stage: &Stage<'_>, key: &str, command: &str, proof: &str) -> Call {
    let arguments = [
        "run",
        "--bucket",
        BUCKET,
        "--table",
        TABLE,
        "--key",
        key,
        "--lock-timeout",
        "5m",
        "--",
        "/bin/sh",
        "-ec",
        command,
    ];
    stage.step("state", &arguments, proof)
}

/// What latency adds to taking and giving back, in round trips of it.
async fn round_trips(stage: &Stage<'_>, terraform: &Terraform, key: &str) -> Result<Vec<Row>> {
    let item = format!(r#"{{"LockID": {{"S": "{BUCKET}/{key}/peer"}}}}"#);
    let script = format!(
        "\"$AWS\" dynamodb put-item --table-name {TABLE} --item '{item}' --condition-expression 'attribute_not_exists(LockID)'\n\
         \"$AWS\" dynamodb delete-item --table-name {TABLE} --key '{item}'\necho held"
    );
    let ours = run(stage, key, "echo held", "held");
    let aws = stage.shell(&script, "held");
    let locked = terraform.apply(stage, "-lock=true", "0s");
    let unlocked = terraform.apply(stage, "-lock=false", "0s");
    let (mut nears, mut fars) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
    for _ in 0..ROUNDS {
        let take = |call: &Call| Measure::Wall.take(call);
        let near = [take(&ours)?, take(&aws)?, take(&locked)? - take(&unlocked)?];
        stage.latency("dynamodb", LATENCY).await?;
        let far = (|| Ok([take(&ours)?, take(&aws)?, take(&locked)? - take(&unlocked)?]))();
        stage.latency("dynamodb", 0).await?;
        let far: [f64; 3] = far?;
        for (all, one) in nears
            .iter_mut()
            .chain(&mut fars)
            .zip(near.into_iter().chain(far))
        {
            all.push(one);
        }
    }
    // The difference of medians, not the median of differences: a single round is mostly noise.
    let trips = |at: usize| -> Vec<f64> {
        let (near, far) = (median(&nears[at]), median(&fars[at]));
        near.zip(far)
            .map(|(near, far)| (far - near) / LATENCY as f64)
            .into_iter()
            .collect()
    };
    let [ours, aws, own] = &[0, 1, 2].map(trips);
    let work = || format!("lock and unlock, round trips by {LATENCY} ms of latency");
    Ok(vec![
        Row::new(work(), ours, "aws dynamodb put-item, delete-item", aws, 1.1)?,
        Row::new(work(), ours, "terraform's own lock", own, 0.8)?,
    ])
}

/// From when one leaves to when the next, who waits, is there.
fn hand_over(stage: &Stage<'_>, terraform: &Terraform, key: &str, folder: &Path) -> Result<Row> {
    let at = |name: &str| folder.join(name).display().to_string();
    let holder = format!("sleep 5; date +%s%N > {}; echo held", at("left"));
    let enters = format!("date +%s%N > {}; echo held", at("entered"));
    let ours = run(stage, key, &enters, "held");
    let theirs = terraform.apply(stage, "-lock=true", "5m");
    let mut figures = [const { Vec::new() }; 2];
    for _ in 0..3 {
        for (figures, waiter) in figures.iter_mut().zip([&ours, &theirs]) {
            let holder = run(stage, key, &holder, "held");
            std::thread::scope(|scope| {
                let holding = scope.spawn(|| Measure::Wall.take(&holder));
                std::thread::sleep(std::time::Duration::from_millis(1500));
                let waited = Measure::Wall.take(waiter);
                holding
                    .join()
                    .map_err(|_| Fault::new("the holder panicked"))??;
                waited
            })?;
            let read = |name: &str| -> Result<f64> {
                let text = std::fs::read_to_string(at(name)).doing(format!("reading {name}"))?;
                text.trim().parse().doing(format!("reading {name}"))
            };
            figures.push((read("entered")? - read("left")?) / 1e6);
        }
    }
    let [ours, theirs] = &figures;
    let work = "hand-over to one who waits, ms".to_owned();
    Row::new(work, ours, "terraform -lock-timeout", theirs, 0.5)
}

/// How often each of many who wait asks DynamoDB.
async fn waiting(stage: &Stage<'_>, terraform: &Terraform, key: &str) -> Result<Row> {
    let holder = run(stage, key, &format!("sleep {HELD}; echo held"), "held");
    let waiter = |lock: &str| {
        let arguments = [
            "run",
            "--bucket",
            BUCKET,
            "--table",
            TABLE,
            "--key",
            lock,
            "--lock-timeout",
            "8s",
            "--",
            "true",
        ];
        stage.step("state", &arguments, "")
    };
    let asks = async |number: usize, call: Call| -> Result<f64> {
        let before = stage.calls("dynamodb", 0).await?.0;
        std::thread::scope(|scope| {
            let holding = scope.spawn(|| Measure::Wall.take(&holder));
            std::thread::sleep(std::time::Duration::from_millis(1500));
            let all: Vec<_> = (0..number)
                // That they did not get the lock is what they wait for, and no figure.
                .map(|_| scope.spawn(|| Measure::Wall.take(&call).is_err()))
                .collect();
            for one in all {
                if !one.join().unwrap_or_default() {
                    return Err(Fault::new("one who should wait in vain got the lock"));
                }
            }
            holding
                .join()
                .map_err(|_| Fault::new("the holder panicked"))?
                .map(drop)
        })?;
        Ok(stage.calls("dynamodb", before).await?.1 as f64 / number as f64)
    };
    let ours = asks(WAITERS, waiter(key)).await?;
    let theirs = asks(1, terraform.apply(stage, "-lock=true", "8s")).await?;
    let work = format!("{WAITERS} wait for 8 s, calls of each");
    Row::new(work, &[ours], "one terraform -lock-timeout", &[theirs], 3.0)
}
