//! The limits of a step's command within its job, in the steps that run one in an action: nothing that it prints is a command to the
//! runner, it learns no token and no name of the runner's files, and a write to those files fails the step.

use std::process::Output;

use step_job::commands;

use crate::cancel::State;
use crate::hold;
use crate::job::Job;
use crate::support::{log, read};

/// Prints what a runner would take for commands, and all that it was given.
const PRINTS: &str = "echo '::save-state name=file::/victim'; echo '::save-state name=lock::{}' >&2; env; \
                      (setsid sh -c 'sleep 1; echo ::save-state name=desk::/victim >&2' &)";

/// The step through the launcher, which gives no arguments.
fn launched(job: &Job, binary: &str, inputs: &[(&str, &str)], script: &str) -> Output {
    let mut command = job.command(binary, &[]);
    command
        .envs(inputs.iter().copied())
        .envs([("SLIPWAY_PHASE", "main"), ("INPUT_RUN", script)])
        .env("GITHUB_PATH", job.file("path"))
        .env("GITHUB_TOKEN", "ghs_nobodys");
    job.run(&mut command)
}

#[track_caller]
fn is_contained(job: &Job, binary: &str, inputs: &[(&str, &str)]) {
    let ended = launched(job, binary, inputs, PRINTS);
    let stderr = log(&ended);
    assert_eq!(ended.status.code(), Some(0), "{binary}: {stderr}");
    assert!(
        stderr.contains("::save-state name=file::"),
        "{binary}: {stderr}"
    );
    for command in commands(&stderr) {
        assert!(!command.contains("save-state"), "{binary}: {command}");
    }
    let result = String::from_utf8_lossy(&ended.stdout);
    assert!(!result.contains("::save-state"), "{binary}: {result}");
    for hidden in [
        "ghs_nobodys",
        "GITHUB_OUTPUT=",
        "GITHUB_STEP_SUMMARY=",
        "GITHUB_ENV=",
    ] {
        assert!(!stderr.contains(hidden), "{binary}: {hidden}: {stderr}");
    }
    let noted = job.state();
    assert!(!format!("{noted:?}").contains("/victim"), "{noted:?}");

    std::fs::write(job.file("path"), "").unwrap();
    let script = format!("echo /theirs >> {}", job.file("path").display());
    let ended = launched(job, binary, inputs, &script);
    let stderr = log(&ended);
    assert_eq!(ended.status.code(), Some(3), "{binary}: {stderr}");
    assert!(stderr.contains("(GITHUB_PATH)"), "{binary}: {stderr}");
    assert_eq!(read(&job.file("path")), "", "{binary}");
}

#[test]
fn a_command_under_the_lock_steers_no_later_step() {
    let state = State::new("children");
    let job = hold::job(&state, "apply");
    let inputs = [
        ("INPUT_COMMAND", "run"),
        ("INPUT_BUCKET", state.bucket()),
        ("INPUT_TABLE", state.table()),
        ("INPUT_KEY", &state.key),
    ];
    is_contained(&job, "slipway-state", &inputs);
}

#[test]
fn a_command_with_credentials_steers_no_later_step() {
    let (_world, job) = crate::credentials::job("identity-children");
    let inputs = [("INPUT_COMMAND", "exec"), ("INPUT_ENVIRONMENT", "dev")];
    is_contained(&job, "slipway-identity", &inputs);
}
