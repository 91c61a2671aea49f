//! The project's own steps, built as a developer builds them: what the sandbox's runners find on their PATH.

use std::process::Command;

use crate::fault::{Doing, Fault, Result};
use crate::place::Place;
use crate::say::Progress;

/// Builds every binary of the workspace. Only all at once: another selection would unify other features, and with them
/// every dependency would be compiled again.
pub fn build(place: &Place) -> Result<()> {
    let progress = Progress::begin("build", "the steps");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--workspace", "--bins"])
        .current_dir(&place.checkout)
        .env("CARGO_TARGET_DIR", &place.target);
    let status = progress.finish(command.status().doing("starting cargo"))?;
    if status.success() {
        return Ok(());
    }
    Err(Fault::new("the steps do not build").hint("cargo build --workspace --bins"))
}
