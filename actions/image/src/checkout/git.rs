//! Running git without any configuration: not the repository's, not the user's, not the environment's.

use kit::env::Env;
use kit::{Context, Error, Result};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The git command, without the settings of the environment.
pub(super) fn command(env: &Env) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .envs(
            env.for_child()
                .filter(|(name, _)| !name.starts_with("GIT_")),
        )
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        // A partial clone would go to the network for an object it lacks.
        .env("GIT_NO_LAZY_FETCH", "1")
        .stdin(Stdio::null());
    command
}

/// The command's standard output.
///
/// # Errors
/// git cannot be started, or fails (exit 3).
pub(super) fn output(mut command: Command, input: Option<&Path>) -> Result<Vec<u8>> {
    if let Some(input) = input {
        let input = fs::File::open(input).context("cannot read what is passed to git")?;
        command.stdin(input);
    }
    let output = command.output().map_err(|error| {
        Error::refused("git cannot be started")
            .because(error)
            .hint("install git: it shows that what is built is the commit's")
    })?;
    // `check-ignore` ends with 1 where nothing is ignored.
    if output.status.success() || (output.status.code() == Some(1) && output.stderr.is_empty()) {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let mut error = Error::refused(format!("git failed ({})", output.status));
    for line in stderr.lines().take(5) {
        error = error.cause(line);
    }
    Err(error)
}

/// An answer of one line, without its end of line.
pub(super) fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
