//! git, apart from the configuration of this machine.

use std::path::Path;

use tokio::process::Command;

use crate::fault::{Context, Fault, Result};

/// Runs git without a user's or the system's configuration.
pub(crate) async fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .await
        .context("starting git")?;
    if !output.status.success() {
        return Err(Fault::new(format!(
            "git {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
