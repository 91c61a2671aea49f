//! Chains of the ledger: what a verb takes with 1,000 and 100,000 records beside what it takes with 10, with and without a
//! key and an anchor, and how many records a second `verify` walks.

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::chains::{self, Chains, DIGEST, Trust};
use super::measure::{Call, Measure};
use super::row::{Row, median};
use super::signed::Signed;
use super::stage::Stage;
use crate::fault::{Context, Fault, Result};
use crate::say::note;
use crate::world::World;

/// The most that a long chain may take, as a multiple of the short one.
const FLAT: f64 = 1.2;
const ROUNDS: usize = 15;
/// Rounds of what takes seconds.
const FEW: usize = 3;
/// The services that the step may call.
const SERVICES: [&str; 3] = ["dynamodb", "s3", "kms"];
/// Records that a first request reads, which is all that most verbs need.
const FIRST_PAGE: usize = 10;

pub(super) async fn rows(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let family = "bench-ledger-";
    let name = format!(
        "{family}{}",
        &uuid::Uuid::new_v4().simple().to_string()[..6]
    );
    let _in_use = World::replace_earlier(stage.instance, family, &name).await?;
    let world = World::create(stage.instance, &name).await?;
    let folder = tempfile::tempdir().context("making a folder")?;
    let began = Instant::now();
    let chains = Chains::fill(stage, &world, folder.path()).await?;
    note(&format!(
        "the chains were filled in {} s",
        began.elapsed().as_secs()
    ));
    let rounds = stage.rounds.unwrap_or(ROUNDS);
    let mut rows = Vec::new();
    // Appending comes last: it moves the newest healthy record away from the head. Without the key it leaves a head that no
    // reader with the key believes.
    for verb in ["check", "status", "history"] {
        for trust in [Trust::None, Trust::Both] {
            rows.extend(flat(stage, &chains, verb, trust, rounds).await?);
        }
    }
    rows.extend(flat(stage, &chains, "record", Trust::Both, rounds).await?);
    rows.extend(verify(stage, &chains, folder.path(), rounds).await?);
    rows.extend(flat(stage, &chains, "record", Trust::None, rounds).await?);
    Ok(rows)
}

/// A verb on each chain, in turns: the longer ones beside the shortest.
async fn flat(
    stage: &Stage<'_>,
    chains: &Chains,
    verb: &str,
    trust: Trust,
    rounds: usize,
) -> Result<Vec<Row>> {
    let sizes = chains::sizes()?;
    let mut calls: Vec<Call> = Vec::new();
    for size in &sizes {
        calls.push(chains.call(stage, verb, *size, trust).await?);
    }
    let name = |size: &u64| format!("{verb}{} with {size} records", trust.shown());
    let short = format!("{} records", sizes[0]);
    let mut rows = Vec::new();
    for measure in [Measure::Wall, Measure::Cpu] {
        let mut figures = vec![Vec::new(); calls.len()];
        let mut floor = Vec::new();
        for round in 0..=rounds {
            for (call, kept) in calls.iter().zip(&mut figures) {
                let figure = measure.take(call)?;
                // The first round warms up.
                if round > 0 {
                    kept.push(figure);
                }
            }
            if measure == Measure::Wall {
                floor.push(chains.query(*sizes.last().unwrap_or(&0)).await?);
            }
        }
        let (first, longer) = figures.split_at(1);
        for (size, figures) in sizes[1..].iter().zip(longer) {
            let work = format!("{}, {}", name(size), measure.name());
            let row = Row::new(work, figures, &short, &first[0], FLAT)?;
            rows.push(match median(&floor) {
                Some(alone) => row.above("one Query of DynamoDB", alone),
                None => row,
            });
        }
    }
    let mut counts = Vec::new();
    for call in &calls {
        counts.push(chains.count(stage, call).await?);
    }
    for (size, count) in sizes[1..].iter().zip(&counts[1..]) {
        let work = format!("{}, calls to AWS", name(size));
        rows.push(Row::new(work, &[*count], &short, &counts[..1], 1.0)?);
    }
    Ok(rows)
}

/// `verify` of an export, the second verifier's turn at the same file, and git's at as many commits.
async fn verify(
    stage: &Stage<'_>,
    chains: &Chains,
    folder: &Path,
    rounds: usize,
) -> Result<Vec<Row>> {
    let sizes = chains::sizes()?;
    let size = *sizes.last().unwrap_or(&0);
    let file = folder.join("chain.jsonl").display().to_string();
    let export = format!("export --output {file}");
    Measure::Wall.take(&chains.plain(stage, &export, size, Trust::None, "exported")?)?;
    let text = std::fs::read_to_string(&file).context("reading the export")?;
    let records = text.lines().count().saturating_sub(2);
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
    let repository = folder.join("commits");
    chains::commits(&repository, records)?;
    let fsck = format!(
        "git -C '{}' fsck --full --no-progress && echo sound",
        repository.display()
    );
    let fsck = stage.shell(&fsck, "sound");
    let table = chains.plain(stage, "verify", size, Trust::Both, "is sound")?;
    let mut figures = [const { Vec::new() }; 4];
    for round in 0..rounds {
        for (number, (call, kept)) in [&ours, &theirs, &fsck, &table]
            .into_iter()
            .zip(&mut figures)
            .enumerate()
        {
            if number == 0 || round < FEW {
                kept.push(Measure::Wall.take(call)?);
            }
        }
    }
    let [own, second, git, online] = figures;
    let signed = Signed::of(Path::new(&file), folder)?;
    let arguments = ["verify", "--export", &signed.export, "--key", &signed.key];
    let checked = stage.step("promote", &arguments, "is sound");
    let (mut with_key, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..FEW {
        with_key.push(Measure::Wall.take(&checked)?);
        alone.push(signed.floor()?);
    }
    let of_signed = format!(
        "verify {} records of an export, each signed, wall ms",
        signed.records()
    );
    let work = || format!("verify {records} records of an export, wall ms");
    let at_the_table =
        format!("verify {records} records at the table with key and anchor, wall ms");
    let second_row = "100,000 records a second";
    let due = [records as f64 / 100.0];
    Ok(vec![
        Row::new(work(), &own, second_row, &due, 1.0)?,
        Row::new(work(), &own, "second verifier, Python", &second, None)?,
        Row::new(work(), &own, "git fsck of as many commits", &git, None)?,
        Row::new(
            of_signed,
            &with_key,
            "ring's checks of these signatures alone",
            &alone,
            1.2,
        )?,
        Row::new(at_the_table, &online, "the same of an export", &own, None)?,
    ])
}

impl Chains {
    /// How many calls to AWS a run makes.
    async fn count(&self, stage: &Stage<'_>, call: &Call) -> Result<f64> {
        let account = &self.world.build.id;
        let mut before = Vec::new();
        for service in SERVICES {
            before.push(stage.calls_of(account, service, 0).await?.0);
        }
        Measure::Wall.take(call)?;
        let mut count = 0;
        for (service, since) in SERVICES.iter().zip(before) {
            count += stage.calls_of(account, service, since).await?.1;
        }
        match count {
            0 => Err(Fault::new("a verb called nothing")),
            count => Ok(count as f64),
        }
    }

    /// The time that DynamoDB alone takes to answer a query for the newest records of a chain, in milliseconds.
    async fn query(&self, size: u64) -> Result<f64> {
        let input = json!({
            "TableName": World::LEDGER, "ConsistentRead": true, "ScanIndexForward": false, "Limit": FIRST_PAGE,
            "KeyConditionExpression": "#chain = :chain", "ExpressionAttributeNames": {"#chain": "chain"},
            "ExpressionAttributeValues": {":chain": {"S": format!("{}#dev", chains::service(size))}},
        });
        let began = Instant::now();
        let answer = self
            .aws
            .json("dynamodb", "DynamoDB_20120810.Query", &input)
            .await?;
        let took = began.elapsed().as_secs_f64() * 1000.0;
        let items = answer.map_err(|refused| Fault::new("reading a chain").hint(refused.body))?;
        match items["Items"][0]["record"]["S"].as_str() {
            Some(record) if record.contains(DIGEST) => Ok(took),
            _ => Err(Fault::new("a chain is empty")),
        }
    }
}
