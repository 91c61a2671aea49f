//! The gate over ranges of 1, 20 and 200 pull requests, beside the same facts fetched one call after the other, as a script
//! around `gh` does it.

use std::path::Path;

use serde_json::json;

use super::measure::{Call, Measure};
use super::row::Row;
use super::stage::Stage;
use crate::fault::{Context, Fault, Result};
use crate::instance::port;
use crate::runner::hub::depth;
use crate::runner::story::{
    AUTHOR, RELEASER, REVIEWER, Story, contract_on_branch, git_folder, unproven,
};
use crate::world::World;
use crate::world::runner::Variables;

pub(super) const DIGEST: &str =
    "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";
const CONTRACT: &str = include_str!("../../../docs/examples/storefront/delivery.yaml");
const SCRIPT: &str = include_str!("facts.py");
/// Pull requests in a range, and the most calls that may wait for one another.
const RANGES: [(usize, Option<f64>); 3] = [(1, None), (20, Some(8.0)), (200, Some(15.0))];
/// Names the longest range, for a machine that is busy.
const LONGEST: &str = "SLIPWAY_PULL_REQUESTS";
/// How far away GitHub is, in milliseconds.
const LATENCY: u32 = 50;
const ROUNDS: usize = 5;
/// The role in which people start builds.
const RELEASES: &str = "Operators";

/// A range: the commit before it, and its last one.
struct Range {
    base: String,
    tip: String,
}

pub(super) async fn rows(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let family = "bench-promote-";
    let name = format!(
        "{family}{}",
        &uuid::Uuid::new_v4().simple().to_string()[..6]
    );
    let _in_use = World::replace_earlier(stage.instance, family, &name).await?;
    let world = World::create(stage.instance, &name).await?;
    let story = Story::begin(stage.instance, &world).await?;
    let token = story.hub.token(RELEASER).await?;
    let mut base = tip(&git_folder(stage.instance, &world))?;
    let folder = tempfile::tempdir().context("making a folder")?;
    let mut contenders = Vec::new();
    let ranges = ranges()?;
    for (count, goal) in &ranges {
        for number in 1..=*count {
            let title = format!("Change {number} of {count}");
            let files = [("NOTES.md", title.as_str())];
            story.change(AUTHOR, REVIEWER, &title, &files).await?;
        }
        let range = Range {
            tip: tip(&git_folder(stage.instance, &world))?,
            base: base.clone(),
        };
        base.clone_from(&range.tip);
        let home = folder.path().join(count.to_string());
        let ours = ours(stage, &world, &token, &range, &home).await?;
        let theirs = theirs(stage, &world, &token, &range, &home)?;
        contenders.push((*count, *goal, ours, theirs));
    }
    // The gate judges by contracts that the branch has.
    for (count, _) in &ranges {
        on_branch(stage, &world, folder.path(), &count.to_string()).await?;
    }
    let rounds = stage.rounds.unwrap_or(ROUNDS);
    far(&story).await?;
    let mut rows = Vec::new();
    for (count, goal, ours, theirs) in &contenders {
        let counted = calls(&story, [ours, theirs]).await?;
        let walls = walls([ours, theirs], rounds)?;
        let work = format!("{count} pull requests");
        rows.extend(compare(&work, *goal, counted, &walls)?);
    }
    Ok(rows)
}

/// The ranges up to the longest that is asked for.
fn ranges() -> Result<Vec<(usize, Option<f64>)>> {
    let longest = match std::env::var(LONGEST) {
        Err(_) => usize::MAX,
        Ok(text) => text
            .parse()
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| Fault::new(format!("{LONGEST} is not a number above 0")))?,
    };
    let all = RANGES.into_iter();
    Ok(all.filter(|(count, _)| *count <= longest).collect())
}

/// How many calls each makes, and how many of these wait for one another.
async fn calls(story: &Story, contenders: [&Call; 2]) -> Result<[[f64; 2]; 2]> {
    let mut counted = [[0.0; 2]; 2];
    for (side, call) in contenders.into_iter().enumerate() {
        let before = story.hub.calls().await?.len();
        Measure::Wall.take(call)?;
        let made = story.hub.calls().await?.split_off(before);
        counted[0][side] = made.len() as f64;
        counted[1][side] = depth(&made) as f64;
    }
    Ok(counted)
}

/// Calls, how many of them wait for one another, and the time at a distance.
fn compare(
    work: &str,
    goal: Option<f64>,
    [calls, serial_calls]: [[f64; 2]; 2],
    walls: &[Vec<f64>; 2],
) -> Result<Vec<Row>> {
    let peer = "one call after the other";
    let serial = format!("{work}: calls that wait for one another");
    let mut rows = vec![
        Row::new(
            format!("{work}: calls to GitHub"),
            &calls[..1],
            peer,
            &calls[1..],
            None,
        )?,
        Row::new(
            serial.clone(),
            &serial_calls[..1],
            peer,
            &serial_calls[1..],
            None,
        )?,
        Row::new(
            format!("{work}: wall ms at {LATENCY} ms a call"),
            &walls[0],
            peer,
            &walls[1],
            None,
        )?,
    ];
    if let Some(goal) = goal {
        let most = "the most there should be";
        rows.push(Row::new(serial, &serial_calls[..1], most, &[goal], 1.0)?);
    }
    Ok(rows)
}

/// The wall times of the rounds, in which the contenders take turns; the first round warms up.
fn walls(contenders: [&Call; 2], rounds: usize) -> Result<[Vec<f64>; 2]> {
    let mut walls = [const { Vec::new() }; 2];
    for round in 0..=rounds {
        for (kept, call) in walls.iter_mut().zip(contenders) {
            let wall = Measure::Wall.take(call)?;
            if round > 0 {
                kept.push(wall);
            }
        }
    }
    Ok(walls)
}

/// Moves GitHub away, for this repository and from now on.
async fn far(story: &Story) -> Result<()> {
    let owner = story.hub.repository.split('/').next().unwrap_or_default();
    for fault in [
        json!({"path": format!("/repos/{}", story.hub.repository)}),
        json!({"path": "/graphql", "holds": format!("\"owner\":\"{owner}\"")}),
    ] {
        let mut fault = fault;
        fault["delay_ms"] = json!(LATENCY);
        fault["times"] = json!(1_000_000);
        story.hub.call("faults", &fault).await?;
    }
    Ok(())
}

/// A check of the range by a person whom the contract knows, as a CodeBuild project runs it.
async fn ours(
    stage: &Stage<'_>,
    world: &World,
    token: &str,
    range: &Range,
    home: &Path,
) -> Result<Call> {
    let verb = format!("check --environment dev --digest {DIGEST} --json");
    let environment = as_project(stage, world, token, &range.tip).await?;
    let contract = contract(&range.base, &releaser(world))?;
    promote(
        stage,
        environment,
        &contract,
        home,
        &verb,
        "\"allowed\": true",
    )
}

/// Merges the contract that a call reads in this folder of the source.
pub(super) async fn on_branch(
    stage: &Stage<'_>,
    world: &World,
    source: &Path,
    folder: &str,
) -> Result<()> {
    let file = source.join(folder).join("delivery.yaml");
    let path = format!("{folder}/delivery.yaml");
    contract_on_branch(stage.instance, world, &file, &path).await?;
    Ok(())
}

/// The step with a contract of its own, in a folder of the source.
pub(super) fn promote(
    stage: &Stage<'_>,
    environment: Variables,
    contract: &str,
    home: &Path,
    verb: &str,
    proof: &str,
) -> Result<Call> {
    std::fs::create_dir_all(home).context("making a folder")?;
    std::fs::write(home.join("delivery.yaml"), contract).context("writing the contract")?;
    let program = stage.build.folder.join("slipway-promote");
    let script = format!(
        "cd '{}' && exec '{}' {verb}",
        home.display(),
        program.display()
    );
    let mut call = stage.shell(&script, proof);
    call.environment = environment;
    let source = home.parent().unwrap_or(home).display().to_string();
    call.environment
        .insert("CODEBUILD_SRC_DIR".to_owned(), source);
    Ok(call)
}

/// The environment of a build of the first stage's CodeBuild project that a person started for a commit.
pub(super) async fn as_project(
    stage: &Stage<'_>,
    world: &World,
    token: &str,
    commit: &str,
) -> Result<Variables> {
    let dev = world.environment("dev")?;
    let keys = world
        .codebuild_session(stage.instance, "dev", "bench")
        .await?;
    let mut environment = world.variables(stage.instance);
    environment.extend(world.repository_variables());
    environment.extend(world.environment_variables(dev));
    environment.extend(keys.variables());
    let github = stage.instance.url(port::GITHUB);
    for (name, value) in [
        ("GITHUB_REPOSITORY", world.repository.clone()),
        ("GITHUB_TOKEN", token.to_owned()),
        ("GITHUB_GRAPHQL_URL", format!("{github}/graphql")),
        ("GITHUB_API_URL", github),
        (
            "CODEBUILD_BUILD_ARN",
            format!(
                "arn:aws:codebuild:{}:{}:build/promote:1",
                world.region, world.build.id
            ),
        ),
        ("CODEBUILD_BUILD_ID", "promote:1".to_owned()),
        (
            "CODEBUILD_INITIATOR",
            format!("{RELEASES}/{RELEASER}@acme.example"),
        ),
        ("CODEBUILD_RESOLVED_SOURCE_VERSION", commit.to_owned()),
    ] {
        environment.insert(name.to_owned(), value);
    }
    Ok(environment)
}

/// The script that fetches the same facts.
fn theirs(
    stage: &Stage<'_>,
    world: &World,
    token: &str,
    range: &Range,
    home: &Path,
) -> Result<Call> {
    let script = home.join("facts.py");
    std::fs::write(&script, SCRIPT).context("writing the script")?;
    let script = script.display().to_string();
    let github = stage.instance.url(port::GITHUB);
    let arguments = [
        "python3",
        &script,
        &github,
        &world.repository,
        &range.base,
        &range.tip,
    ];
    let mut call = stage.tool("/usr/bin/env", &arguments, "every pull request is approved");
    call.environment
        .insert("GITHUB_TOKEN".to_owned(), token.to_owned());
    Ok(call)
}

/// The principal that promotes, as the contract lists it.
pub(super) fn releaser(world: &World) -> String {
    world.principal(RELEASES, RELEASER)
}

/// The example's contract with a gate on its first environment that begins after a commit, and the principal that promotes.
pub(super) fn contract(since: &str, releaser: &str) -> Result<String> {
    let dev = "    account: var:DEV_ACCOUNT_ID\n";
    let gate = format!("{dev}    gate: {{ approvals: 1, checks: [test], since: '{since}' }}\n");
    // Nothing was built, so there is no provenance.
    let text = unproven(CONTRACT);
    match text.contains(dev) {
        true => Ok(format!(
            "{}\npeople:\n  {RELEASER}: [{releaser}]\n",
            text.replacen(dev, &gate, 1)
        )),
        false => Err(Fault::new("the example's contract has no dev")),
    }
}

/// The commit that main is at.
pub(super) fn tip(git: &Path) -> Result<String> {
    let action = "reading the branch";
    let output = std::process::Command::new("git")
        .arg("-C")
        .arg(git)
        .args(["rev-parse", "main"])
        .output()
        .context(action)?;
    let text = String::from_utf8(output.stdout).context(action)?;
    match output.status.success() {
        true => Ok(text.trim().to_owned()),
        false => Err(Fault::new(action).hint(String::from_utf8_lossy(&output.stderr))),
    }
}
