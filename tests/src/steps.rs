//! The project's own steps, built as a developer builds them: what the sandbox's runners find on their PATH.

use std::process::Command;

use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::say::Progress;

/// Builds every binary of the workspace. Only all at once: another selection would unify other features, and with them
/// every dependency would be compiled again.
pub fn build(instance: &Instance) -> Result<()> {
    let progress = Progress::begin("build", "the steps");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_own_package(&mut command)
        .args(["build", "--quiet", "--workspace", "--bins"])
        .current_dir(&instance.checkout)
        .env("CARGO_TARGET_DIR", &instance.target);
    let status = progress.finish(command.status().context("starting cargo"))?;
    if status.success() {
        return Ok(());
    }
    Err(Fault::new("the steps do not build").hint("cargo build --workspace --bins"))
}

/// Takes away what the Cargo that runs this program told it about its own package. Build scripts watch those variables
/// (ring's does), so a Cargo that inherits them compiles most of the workspace anew, and the next one without them again.
pub(crate) fn forget_own_package(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
        if own
            .iter()
            .any(|start| name.as_encoded_bytes().starts_with(start.as_bytes()))
        {
            command.env_remove(name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_child_processes_do_not_inherit_this_packages_variables() {
        // Cargo sets these for every program it runs, also for this test.
        let mut command = Command::new("cargo");
        forget_own_package(&mut command);
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"] {
            assert!(std::env::var_os(name).is_some());
            assert!(
                command
                    .get_envs()
                    .any(|(removed, value)| removed == name && value.is_none())
            );
        }
    }
}
