//! The ways in which the command of `exec` could affect the rest of its job: by printing, reading its environment and writing files.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::Output;

use step_job::{Job, commands, log};

const SOURCE: &str = "TOKEN=env:VALUE";

fn job() -> Job {
    Job::new(env!("CARGO_BIN_EXE_slipway-secrets"))
}

/// Runs a script as the action does: through the launcher, which gives no arguments.
fn launched(job: &Job, script: &str, env: &[(&str, &str)]) -> Output {
    let mut command = job.command(&[], env);
    command.envs([
        ("PATH", "/usr/bin:/bin"),
        ("SLIPWAY_PHASE", "main"),
        ("INPUT_COMMAND", "exec"),
        ("INPUT_SOURCE", SOURCE),
        ("VALUE", "hunter2"),
        ("INPUT_RUN", script),
    ]);
    command.output().unwrap()
}

#[test]
fn a_command_finds_no_name_of_a_file_that_the_runner_reads() {
    let job = job();
    // The runner gives all files of a step one suffix.
    let names = [
        ("GITHUB_ENV", "set_env_4f1c"),
        ("GITHUB_PATH", "add_path_4f1c"),
        ("GITHUB_STATE", "save_state_4f1c"),
        ("GITHUB_OUTPUT", "set_output_4f1c"),
        ("GITHUB_STEP_SUMMARY", "step_summary_4f1c"),
    ];
    let files = names.map(|(name, file)| (name, job.file(file)));
    for (_, file) in &files {
        std::fs::write(file, "").unwrap();
    }
    let env = files
        .each_ref()
        .map(|(name, file)| (*name, file.to_str().unwrap()));
    // Whatever variable ends like the files, the file of variables is beside it.
    let script = "for file in $(env | sed -n 's/^[A-Za-z_]*=\\(.*\\/\\)[a-z_]*_\\([0-9a-f]\\{4\\}\\)$/\\1set_env_\\2/p'); do \
                  echo 'SLIPWAY_BIN_DIR=/theirs' >> \"$file\"; done";
    let output = launched(&job, script, &env);
    assert!(output.status.success(), "{}", log(&output));
    assert_eq!(job.read("set_env_4f1c"), "");
    let seen = launched(&job, "env", &env);
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned() + &log(&seen);
    assert!(!seen.contains("_4f1c"), "{seen}");
}

#[test]
fn a_command_that_writes_a_file_of_the_runner_fails_the_step_and_leaves_nothing_there() {
    for (name, text) in [
        ("GITHUB_ENV", "SLIPWAY_BIN_DIR=/theirs"),
        ("GITHUB_PATH", "/theirs"),
    ] {
        for end in ["true", "exit 7"] {
            let job = job();
            let path = job.file(name);
            let file = path.to_str().unwrap();
            let script = format!("echo '{text}' >> {file}; {end}");
            let output = launched(&job, &script, &[(name, file)]);
            let log = log(&output);
            assert_eq!(output.status.code(), Some(3), "{log}");
            assert!(log.contains(&format!("{file} ({name})")), "{log}");
            assert_eq!(job.read(name), "", "{log}");
        }
    }
}

#[test]
fn nothing_that_a_command_prints_is_a_command_to_the_runner() {
    for script in [
        "echo '::save-state name=file::/victim'",
        "echo '::save-state name=file::/victim' >&2",
        // A process that the script leaves behind prints after the script ended.
        "(sleep 1; echo '::save-state name=file::/victim' >&2) & disown",
        "setsid sh -c 'sleep 1; echo ::save-state name=file::/victim >&2' & disown",
    ] {
        let output = launched(&job(), script, &[]);
        let log = log(&output);
        assert!(output.status.success(), "{log}");
        assert!(log.contains("::save-state"), "{script}: {log}");
        // Two pipes have no order between them, so all of it goes through one.
        let result = String::from_utf8_lossy(&output.stdout);
        assert!(!result.contains("::save-state"), "{script}: {result}");
        assert_eq!(commands(&log), ["::add-mask::hunter2"], "{script}: {log}");
    }
}

#[test]
fn a_failure_is_annotated_all_the_same() {
    let output = launched(&job(), "exit 7", &[]);
    let log = log(&output);
    assert_eq!(output.status.code(), Some(7), "{log}");
    let found = commands(&log);
    assert!(found[1].starts_with("::error title=secrets::"), "{log}");
}

#[test]
fn a_command_gets_no_token_of_the_job_on_any_host() {
    let tokens = [
        ("GITHUB_TOKEN", "ghs_1"),
        ("SLIPWAY_GITHUB_TOKEN", "ghs_2"),
        ("CONTRACT_TOKEN", "ghs_3"),
        ("VALUE", "hunter2"),
    ];
    let codebuild = (
        "CODEBUILD_BUILD_ARN",
        "arn:aws:codebuild:ca-central-1:111122223333:build/a:b",
    );
    for host in [("GITHUB_ACTIONS", "true"), codebuild, ("TERM", "dumb")] {
        let mut env = vec![("GITHUB_ACTIONS", ""), ("PATH", "/usr/bin:/bin"), host];
        env.extend(tokens);
        let exec = ["exec", "--source", SOURCE, "--", "env"];
        let output = job().run(&exec, &env);
        let seen = String::from_utf8_lossy(&output.stdout);
        assert!(seen.contains("TOKEN=hunter2"), "{seen}");
        assert!(!seen.contains("ghs_"), "{host:?}: {seen}");
        // A source hands the token over by name.
        let source = "MODULES_TOKEN=env:GITHUB_TOKEN";
        let output = job().run(&["exec", "--source", source, "--", "env"], &env);
        let seen = String::from_utf8_lossy(&output.stdout);
        assert!(seen.contains("MODULES_TOKEN=ghs_1"), "{seen}");
        assert!(!seen.contains("\nGITHUB_TOKEN="), "{seen}");
    }
}
