//! The content of the ledger, asked through the product's own step.

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::world::World;

/// The output of `slipway-promote status` in a folder that holds the contract.
pub async fn status(instance: &Instance, world: &World, folder: &Path) -> Result<Value> {
    asked(instance, world, folder, &["status"]).await
}

/// The output of `slipway-promote verify` for an environment's chain in a folder that holds the contract. A chain with a fault is an error.
pub async fn verify(
    instance: &Instance,
    world: &World,
    folder: &Path,
    environment: &str,
) -> Result<Value> {
    let words = ["verify", "--environment", environment];
    asked(instance, world, folder, &words).await
}

async fn asked(instance: &Instance, world: &World, folder: &Path, words: &[&str]) -> Result<Value> {
    let session = world
        .codebuild_session(instance, "production", "status")
        .await?;
    let output = Command::new(instance.built().join("slipway-promote"))
        .args(words)
        .arg("--json")
        .current_dir(folder)
        .env_clear()
        .envs(world.variables(instance))
        .envs(world.repository_variables())
        .envs(world.environment_variables(world.environment("production")?))
        .envs(session.variables())
        .output()
        .await
        .context("starting slipway-promote")?;
    if !output.status.success() {
        return Err(Fault::new(format!(
            "slipway-promote {} failed: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    serde_json::from_slice(&output.stdout).context("reading what slipway-promote said")
}

/// The newest record of an environment in a status.
pub fn row<'v>(status: &'v Value, environment: &str) -> Option<&'v Value> {
    let rows = status["environments"].as_array()?;
    let row = rows.iter().find(|row| row["environment"] == environment)?;
    row.get("last").filter(|record| !record.is_null())
}

/// The digest that the ledger says an environment has.
pub async fn digest_in(
    instance: &Instance,
    world: &World,
    folder: &Path,
    environment: &str,
) -> Result<String> {
    let status = status(instance, world, folder).await?;
    row(&status, environment)
        .and_then(|row| row["digest"].as_str())
        .map(str::to_owned)
        .ok_or_else(|| Fault::new(format!("the ledger has no digest in {environment}")))
}
