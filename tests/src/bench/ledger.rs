//! Chains of the ledger: what a verb takes with 1,000 and 100,000 records beside what it takes with 10, and how many
//! records a second `verify` walks.

use std::path::Path;

use serde_json::json;

use super::measure::{Call, Measure};
use super::row::Row;
use super::stage::Stage;
use crate::fault::{Context, Result};
use crate::instance::sha256;
use crate::world::World;
use crate::world::aws::unless_there;

const TABLE: &str = "bench-ledger";
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// The short chain, and those that are held against it.
const SHORT: u64 = 10;
const LONG: [u64; 2] = [1000, 100_000];
/// What a long chain may take more than the short one.
const FLAT: f64 = 1.2;
const ROUNDS: usize = 15;
/// Items that DynamoDB takes in one transaction.
const BATCH: usize = 100;

pub(super) async fn rows(stage: &Stage<'_>) -> Result<Vec<Row>> {
    table(stage).await?;
    let run = uuid::Uuid::new_v4().simple().to_string();
    let name = |count: u64| format!("bench-{run}-{count}");
    for count in [&[SHORT][..], &LONG].concat() {
        fill(stage, &name(count), count).await?;
    }
    let rounds = stage.rounds.unwrap_or(ROUNDS);
    let mut rows = Vec::new();
    for verb in ["status", "history", "record"] {
        for measure in [Measure::Wall, Measure::Cpu] {
            let calls: Vec<Call> = [&[SHORT][..], &LONG]
                .concat()
                .into_iter()
                .map(|count| call(stage, verb, &name(count)))
                .collect();
            let mut figures = vec![Vec::new(); calls.len()];
            for round in 0..=rounds {
                for (call, kept) in calls.iter().zip(&mut figures) {
                    let figure = measure.take(call)?;
                    // The first round warms up.
                    if round > 0 {
                        kept.push(figure);
                    }
                }
            }
            let (short, long) = figures.split_at(1);
            for (count, figures) in LONG.iter().zip(long) {
                let work = format!("{verb} with {count} records, {}", measure.name());
                rows.push(Row::new(work, figures, "10 records", &short[0], FLAT)?);
            }
        }
    }
    let folder = tempfile::tempdir().context("making a folder")?;
    rows.extend(verify(stage, &name(LONG[1]), folder.path(), rounds)?);
    Ok(rows)
}

/// A verb on a chain. A new commit each time makes `record` write each time.
fn call(stage: &Stage<'_>, verb: &str, service: &str) -> Call {
    let chain = format!("--environment dev --ledger-service {service} --ledger {TABLE}");
    let more = match verb {
        "record" => format!(
            "--verdict failed --digest {DIGEST} --commit \"$(od -An -N20 -tx1 /dev/urandom | tr -d ' \\n')\""
        ),
        _ => String::new(),
    };
    let program = stage.build.folder.join("slipway-promote");
    let script = format!("exec {} {verb} {chain} {more}", program.display());
    stage.shell(&script, "aaaaaaa")
}

/// `verify` of an export, and the second verifier's turn at the same file.
fn verify(stage: &Stage<'_>, service: &str, folder: &Path, rounds: usize) -> Result<Vec<Row>> {
    let file = folder.join("chain.jsonl").display().to_string();
    let export = [
        "export",
        "--environment",
        "dev",
        "--ledger-service",
        service,
        "--ledger",
        TABLE,
        "--output",
        &file,
    ];
    Measure::Wall.take(&stage.step("promote", &export, "exported"))?;
    let ours = stage.step("promote", &["verify", "--export", &file], "is sound");
    let script = stage
        .instance
        .checkout
        .join("actions/lib/ledger/src/export/second.py");
    let script = script.display().to_string();
    let theirs = stage.tool(
        "/usr/bin/env",
        &["python3", &script, &file],
        "\"faults\": []",
    );
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        own.push(Measure::Wall.take(&ours)?);
    }
    for _ in 0..rounds.min(3) {
        other.push(Measure::Wall.take(&theirs)?);
    }
    let work = || format!("verify {} records of an export, wall ms", LONG[1]);
    Ok(vec![
        Row::new(work(), &own, "100,000 records a second", &[1000.0], 1.0)?,
        Row::new(work(), &own, "second verifier, Python", &other, None)?,
    ])
}

async fn table(stage: &Stage<'_>) -> Result<()> {
    let input = json!({
        "TableName": TABLE,
        "KeySchema": [{"AttributeName": "chain", "KeyType": "HASH"}, {"AttributeName": "seq", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": "chain", "AttributeType": "S"}, {"AttributeName": "seq", "AttributeType": "N"}],
        "BillingMode": "PAY_PER_REQUEST",
    });
    let answer = stage
        .aws
        .json("dynamodb", "DynamoDB_20120810.CreateTable", &input)
        .await?;
    unless_there(answer, "creating the ledger", &["ResourceInUseException"]).map(drop)
}

/// Writes a chain of so many records.
async fn fill(stage: &Stage<'_>, service: &str, count: u64) -> Result<()> {
    let mut prev = "0".repeat(64);
    let mut puts = Vec::new();
    for seq in 1..=count {
        let record = json!({
            "seq": seq, "at": "2026-11-21T18:00:00Z", "service": service, "environment": "dev", "digest": DIGEST,
            "commit": format!("{seq:040x}"), "verdict": "healthy", "actor": {"login": "ada", "id": 1},
            "run": "https://github.com/acme/storefront/actions/runs/4711/attempts/1", "account": "123456789012",
            "task_definition": format!("arn:aws:ecs:{}:123456789012:task-definition/storefront:{seq}", World::REGION),
            "previous": DIGEST, "policy": DIGEST,
        })
        .to_string();
        let hash = sha256(format!("{prev}{record}").as_bytes());
        puts.push(json!({"Put": {"TableName": TABLE, "Item": {
            "chain": {"S": format!("{service}#dev")}, "seq": {"N": seq.to_string()},
            "record": {"S": record}, "hash": {"S": hash}, "prev": {"S": prev},
        }}}));
        prev = hash;
    }
    for batch in puts.chunks(BATCH) {
        let input = json!({"TransactItems": batch});
        let answer = stage
            .aws
            .json("dynamodb", "DynamoDB_20120810.TransactWriteItems", &input)
            .await?;
        unless_there(answer, "writing records", &[])?;
    }
    Ok(())
}
