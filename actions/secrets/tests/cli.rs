//! slipway-secrets as its user sees it: the exit code, one message, and the exported values.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use step_job::Job;

fn job() -> Job {
    Job::new(env!("CARGO_BIN_EXE_slipway-secrets"))
}

/// Calls that ask AWS.
const ASKING: &[&str] = &["exec", "--source", "A=ssm:/a", "--", "true"];
const WAITING: &[&[&str]] = &[
    ASKING,
    &["export", "--source", "A=ssm:/a"],
    &["file", "--path", ".env", "--source", "A=secretsmanager:a#k"],
];

/// Calls that find their secret in the environment.
const SOURCE: &str = "TOKEN=env:VALUE";
const VALUE: [(&str, &str); 1] = [("VALUE", "hunter2")];

#[test]
fn bad_input_is_named() {
    let job = job();
    for (arguments, message) in [
        (&["export"][..], "no secret is named"),
        (&["export", "--source", "hunter2"], "a --source has no `=`"),
        (&["export", "--source", "A=ftp:/a"], "--source A: "),
        (
            &["export", "--source", "LD_PRELOAD=ssm:/a"],
            "no variable may be called `LD_PRELOAD`",
        ),
        (
            &["export", "--source", "A=ssm:/a\nA=ssm:/b"],
            "A is named twice",
        ),
        (
            &["export", "--source", "A=ssm:/a", "--role", "deploy"],
            "`deploy` is not the ARN of a role",
        ),
        (&["export", "--source", "A=ssm:/a"], "the region is missing"),
        (&["file", "--source", SOURCE], "--path <FILE>"),
        (
            &["export", "--source", "a-b=env:B"],
            "no variable may be called `a-b`: it is not the name of a variable",
        ),
        (
            &["file", "--source", SOURCE],
            "hint: the inputs of the action: https://github.com/slipway-delivery/slipway/blob/main/actions/secrets/README.md",
        ),
    ] {
        job.refuses(arguments, &[], 2, message);
    }
    // Beside a command, whose own 2 is none of ours.
    for (arguments, message) in [
        (&["exec"][..], "<COMMAND>"),
        (
            &["exec", "--source", "A", "--", "true"],
            "a --source has no `=`",
        ),
        (&["exec", "--sauce", "A=env:B", "--", "true"], "--sauce"),
    ] {
        job.refuses(arguments, &[], 64, message);
    }
    let ended = job.run(
        &["exec", "--source", SOURCE, "--", "sh", "-c", "exit 2"],
        &VALUE,
    );
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let terminal = [("GITHUB_ACTIONS", "")];
    let hint = "hint: see the arguments: slipway-secrets file --help\n";
    job.refuses(&["file", "--source", SOURCE], &terminal, 2, hint);
}

#[test]
fn one_that_is_missing_means_none_and_all_are_named() {
    let sources = "TOKEN=env:VALUE\nA=env:GONE\nB=env:LOST";
    for name in ["GONE", "LOST"] {
        let message = format!("the variable {name} is not set");
        job().refuses(&["export", "--source", sources], &VALUE, 1, &message);
    }
}

#[test]
fn values_that_the_runner_cannot_mask_are_not_exported() {
    let arguments = ["export", "--source", SOURCE];
    let job = job();
    job.refuses(&arguments, &[("VALUE", "abc")], 1, "cannot be exported");
    let env = [("GITHUB_ACTIONS", ""), VALUE[0]];
    job.refuses(&arguments, &env, 2, "secrets cannot be exported");
    job.refuses(&arguments, &[], 1, "hint: set VALUE for this command");
}

#[test]
fn an_exported_secret_is_masked_and_its_name_is_the_output() {
    let job = job();
    let output = job
        .command(&["export", "--source", SOURCE], &VALUE)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert_eq!(log, "::add-mask::hunter2\n");
    let exported = job.read("GITHUB_ENV");
    assert!(exported.starts_with("TOKEN<<") && exported.contains("\nhunter2\n"));
    assert!(job.read("GITHUB_OUTPUT").contains("\nTOKEN\n"));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter2"));
}

#[test]
fn short_values_are_not_masked_and_a_warning_names_them() {
    let job = job();
    for (arguments, value) in [
        (&["exec", "--source", SOURCE, "--", "true"][..], "x"),
        (&["exec", "--source", SOURCE, "--", "true"], "true"),
        (&["file", "--path", "a.env", "--source", SOURCE], "12"),
    ] {
        let output = job.command(arguments, &[("VALUE", value)]).output();
        let output = output.unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
        assert!(!log.contains("::add-mask::"), "{log}");
        assert!(log.contains("::warning::TOKEN is shorter than"), "{log}");
    }
    let json = r#"{"password":"hunter2","n":1}"#;
    let arguments = ["export", "--source", SOURCE];
    let output = job.command(&arguments, &[("VALUE", json)]).output();
    let log = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(log.contains("::add-mask::hunter2\n"), "{log}");
    assert!(log.contains("::warning::TOKEN has a part"), "{log}");
}

#[test]
fn a_shell_reads_back_each_value_and_one_that_docker_would_change_is_refused() {
    let job = job();
    let value = "it's \"$HOME\" `x` \\n\\\nline # %\r é";
    let env = [("VALUE", value)];
    let file = |format: &str, path: &str| {
        let arguments = ["file", "--path", path, "--format", format];
        let mut command = job.command(&arguments, &env);
        command.args(["--source", SOURCE]).output().unwrap()
    };
    assert!(file("shell", "shell.env").status.success());
    let script = "set -a; . ./shell.env; printf %s \"$TOKEN\"";
    let read = Command::new("sh")
        .args(["-c", script])
        .current_dir(job.path())
        .output();
    assert_eq!(String::from_utf8(read.unwrap().stdout).unwrap(), value);
    let refused = file("docker", "docker.env");
    let log = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{log}");
    assert!(log.contains("TOKEN: has several lines"), "{log}");
    assert!(!log.contains("HOME"), "{log}");
    assert!(!job.path().join("docker.env").exists());
}

#[test]
fn a_secret_file_is_private_and_removed_after_the_job() {
    let job = job();
    let path = job.path().join("x.env");
    let path_text = path.to_str().unwrap();
    let arguments = ["file", "--path", path_text, "--source", SOURCE];
    let output = job.command(&arguments, &VALUE).output().unwrap();
    assert!(output.status.success());
    assert_eq!(job.read("x.env"), "TOKEN='hunter2'\n");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let note = note(&job);
    assert!(
        note.contains(path_text) && !note.contains("hunter2"),
        "{note}"
    );

    // Only the inputs tell a post step what its step was.
    assert!(post(&job, &note, &[]).status.success());
    assert!(!path.exists());
}

/// The value that the step saved for its post step.
fn note(job: &Job) -> String {
    let mut entries = step_job::entries(&job.read("GITHUB_STATE")).into_iter();
    entries.find(|(name, _)| name == "file").unwrap().1
}

fn post(job: &Job, note: &str, env: &[(&str, &str)]) -> std::process::Output {
    let post = [
        ("SLIPWAY_PHASE", "post"),
        ("STATE_file", note),
        ("INPUT_COMMAND", "file"),
        ("INPUT_PATH", "x.env"),
        ("INPUT_SOURCE", SOURCE),
    ];
    job.command(&[], &post)
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn a_post_step_removes_no_file_that_its_step_did_not_write() {
    let job = job();
    let victim = job.file("victim");
    std::fs::write(&victim, "theirs").unwrap();
    // A note that anything of the job may have written.
    let ended = post(&job, victim.to_str().unwrap(), &[]);
    let why = "the note `file` to the post step does not name a file";
    job.refused(&ended, 3, why);
    assert!(victim.exists());

    let token = [("ACTIONS_RUNTIME_TOKEN", "token")];
    let arguments = ["file", "--path", "x.env", "--source", SOURCE];
    let mut command = job.command(&arguments, &VALUE);
    assert!(command.envs(token).status().unwrap().success());
    let noted = note(&job);
    // The file's own numbers, and no proof that the step named them.
    let (_, bare) = noted.split_once(' ').unwrap();
    let ended = post(&job, bare, &token);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    let log = step_job::log(&ended);
    assert!(
        log.contains("the note `file` to the post step is not one that the step wrote"),
        "{log}"
    );
    assert!(job.file("x.env").exists());

    // Another file has its name by now.
    std::fs::rename(job.file("x.env"), job.file("kept.env")).unwrap();
    std::fs::write(job.file("x.env"), "theirs").unwrap();
    let ended = post(&job, &noted, &token);
    let log = step_job::log(&ended);
    assert!(
        ended.status.success() && log.contains("::warning::"),
        "{log}"
    );
    assert_eq!(job.read("x.env"), "theirs");
    std::fs::rename(job.file("kept.env"), job.file("x.env")).unwrap();
    assert!(post(&job, &noted, &token).status.success());
    assert!(!job.file("x.env").exists());
}

#[test]
fn a_file_that_the_post_step_does_not_know_of_holds_no_secret() {
    let job = job();
    // The note cannot be written there.
    let folder = job.path().to_str().unwrap();
    let env = [("GITHUB_STATE", folder), VALUE[0]];
    let arguments = ["file", "--path", "x.env", "--source", SOURCE];
    job.refuses(&arguments, &env, 1, "cannot write");
    assert!(!job.path().join("x.env").exists());
}

#[test]
fn somebody_else_s_file_is_left_alone() {
    let job = job();
    std::fs::write(job.path().join("x.env"), "mine").unwrap();
    let arguments = ["file", "--path", "x.env", "--source", SOURCE];
    job.refuses(&arguments, &VALUE, 2, "x.env exists already");
    assert_eq!(job.read("x.env"), "mine");
}

#[test]
fn each_call_is_logged_when_it_is_asked_for() {
    let environment = |name, value| {
        [
            ("AWS_REGION", "ca-central-1"),
            ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "token-of-the-session"),
            // Nothing listens there.
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
            (name, value),
        ]
    };
    for (name, value, logged) in [
        ("SLIPWAY_VERBOSE", "true", true),
        ("RUNNER_DEBUG", "1", true),
        ("RUNNER_DEBUG", "0", false),
    ] {
        let output = job().run(ASKING, &environment(name, value));
        let log = String::from_utf8(output.stderr).unwrap();
        for attempt in 1..=3 {
            let line = format!(
                "debug: sts GetCallerIdentity, region ca-central-1, attempt {attempt}: no answer in "
            );
            assert_eq!(log.contains(&line), logged, "{log}");
        }
        assert!(!log.contains("hunter2") && !log.contains("token-of-the-session"));
    }
}

#[test]
fn it_behaves_like_every_step() {
    let program = env!("CARGO_BIN_EXE_slipway-secrets");
    step_job::behaves_like_every_step(program, ASKING, WAITING);
}

#[test]
fn an_invalid_source_is_not_quoted_in_the_error() {
    let ended = job().run(&["export", "--source", "hunter2"], &VALUE);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(!format!("{ended:?}").contains("hunter2"), "{ended:?}");
}
