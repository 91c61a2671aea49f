//! The behavior of slipway-state that a person sees: the exit code, one message, and the exports.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::{Child, ChildStdin, Command, Stdio};
use step_job::Job;

fn job() -> Job {
    Job::new(env!("CARGO_BIN_EXE_slipway-state"))
}

/// Calls that ask AWS.
const ASKING: &[&str] = &["status", "--bucket=b", "--table=t", "--key=k"];
const WAITING: &[&[&str]] = &[
    ASKING,
    &["lock", "--bucket=b", "--table=t", "--key=k"],
    &["run", "--bucket=b", "--table=t", "--key=k", "--", "true"],
    &[
        "unlock",
        "--bucket=b",
        "--table=t",
        "--key=k",
        "--lock-id=i",
    ],
    &["bootstrap", "--bucket=b", "--table=t"],
];

const REGION: (&str, &str) = ("AWS_REGION", "ca-central-1");

#[test]
fn bad_input_is_named() {
    let job = job();
    for (arguments, message) in [
        (
            &["unlock", "--bucket=b", "--table=t", "--key=k"][..],
            "--lock-id is missing",
        ),
        (
            &["park", "--bucket=b", "--table=t", "--key=k"],
            "--lock-id is missing",
        ),
        (
            &["force-unlock", "--bucket=b", "--key=k"],
            "--lock-id is missing",
        ),
        (&["move-lock"], "--to <HOW>"),
        (&["lock", "--rvn=r"], "--lock-id <ID>"),
        (&["lock", "--lease=1s"], "`1s` is too short for a lease"),
        (
            &["lock", "--lease=25h"],
            "`25h` is too long for a lease: 24h at most, because the lock of a run that was killed blocks others",
        ),
        (&["lock", "--locking=table"], "'table'"),
        (&["status"], "--bucket is missing"),
        (&["status", "--bucket=b"], "--key is missing"),
        (
            &["status", "--bucket=b", "--locking=dynamodb"],
            "--table is missing",
        ),
        (
            &["status", "--bucket=b", "--locking=both"],
            "--table is missing",
        ),
        (
            &["move-lock", "--bucket=b", "--key=k", "--to=file"],
            "--table is missing",
        ),
        (&["status", "--bucket=b", "--table=t"], "--key is missing"),
        (
            &["status", "--bucket=b c", "--table=t", "--key=k"],
            "the bucket `b c` holds a space or a quote",
        ),
        (
            &["status", "--bucket=b", "--table=t", "--key=k", "--role=x"],
            "`x` is not the ARN of a role",
        ),
        (&["lock", "--lock-timeout=5x"], "`5x` is not a duration"),
        (
            &[
                "status",
                "--bucket=b",
                "--table=t",
                "--key=a/../k",
                "--workspace=blue",
            ],
            "cannot be used with the workspace `blue`",
        ),
    ] {
        job.refuses(arguments, &[REGION], 2, message);
    }
    job.refuses(ASKING, &[REGION], 1, "there are no AWS credentials");
    job.refuses(ASKING, &[], 2, "--region is missing");
    // Beside a command, whose own 2 is none of ours.
    for (arguments, message) in [
        (&["run"][..], "<COMMAND>"),
        (&["run", "terraform", "plan"], "'terraform'"),
        (&["run", "--lease=1s", "--", "true"], "`1s` is too short"),
        (&["run", "--", "true"], "--bucket is missing"),
    ] {
        job.refuses(arguments, &[REGION], 64, message);
    }
    let script = [REGION, ("INPUT_COMMAND", "run"), ("INPUT_RUN", "true")];
    job.refuses(&[], &script, 64, "--bucket is missing");
}

#[test]
fn a_command_does_not_remove_the_lock_it_runs_under() {
    let held = [REGION, ("SLIPWAY_STATE_HELD", "i")];
    for (verb, id) in [("force-unlock", "--lock-id=i"), ("unlock", "--lock-id=i")] {
        let arguments = [verb, "--bucket=b", "--table=t", "--key=k", id];
        job().refuses(&arguments, &held, 3, "is held around this very command");
        let hint = format!("leave `{verb}` out");
        job().refuses(&arguments, &held, 3, &hint);
        let other = [REGION, ("SLIPWAY_STATE_HELD", "other")];
        job().refuses(&arguments, &other, 1, "there are no AWS credentials");
    }
}

#[test]
fn a_command_that_would_change_another_state_is_not_started() {
    let job = job();
    let run = |more: &'static [&'static str]| {
        let mut arguments = vec!["run", "--bucket=b", "--table=t", "--key=k"];
        arguments.extend(more);
        arguments.extend(["--", "touch", "started"]);
        arguments
    };
    job.refuses(
        &run(&["--directory=gone"]),
        &[REGION],
        64,
        "`gone` is not a folder",
    );
    let folder = job.file(".terraform");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(
        folder.join("terraform.tfstate"),
        r#"{"backend":{"type":"s3","config":{"bucket":"b","key":"production","dynamodb_table":"t"}}}"#,
    )
    .unwrap();
    job.refuses(
        &run(&[]),
        &[REGION],
        3,
        "key is `production`, the lock is for `k`",
    );
    assert!(!job.file("started").exists());
}

#[test]
fn a_backend_block_that_names_another_state_is_refused_with_its_line() {
    let job = job();
    for (line, message) in [
        (
            "key = \"production\"",
            "main.tf:3: key is `production`, and the step's is `k`",
        ),
        (
            "bucket = \"c\"",
            "main.tf:3: bucket is `c`, and the step's is `b`",
        ),
        (
            "dynamodb_table = \"u\"",
            "main.tf:3: dynamodb_table is `u`, and the step's is `t`",
        ),
        ("key = var.key", "main.tf:3: key is an expression"),
    ] {
        let code = format!("terraform {{\n  backend \"s3\" {{\n    {line}\n  }}\n}}\n");
        std::fs::write(job.file("main.tf"), code).unwrap();
        for verb in [
            &["run"][..],
            &["plan", "--tool=terraform"],
            &[
                "apply",
                "--tool=terraform",
                "--plan=0000000000000000000000000000000000000000000000000000000000000000",
            ],
        ] {
            let mut arguments = verb.to_vec();
            arguments.extend(["--bucket=b", "--table=t", "--key=k"]);
            if verb == ["run"] {
                arguments.extend(["--", "touch", "started"]);
            }
            job.refuses(&arguments, &[REGION], 3, message);
        }
    }
    assert!(!job.file("started").exists());
}

#[test]
fn a_folder_without_a_remote_state_is_not_entered() {
    let job = job();
    std::fs::write(job.file("main.tf"), "terraform {}\n").unwrap();
    let arguments = [
        "run",
        "--bucket=b",
        "--table=t",
        "--key=k",
        "--",
        "touch",
        "started",
    ];
    job.refuses(&arguments, &[REGION], 3, "declares no backend \"s3\"");
    assert!(!job.file("started").exists());
}

#[test]
fn a_bucket_or_table_that_contradicts_the_contract_is_refused() {
    let job = job();
    let contract = "version: 1\nservice: shop\nbuild: {account: '111111111111', region: ca-central-1}\n\
        state: {bucket: states, table: locks}\n\
        environments:\n  dev: {account: '222222222222', region: ca-central-1}\n";
    std::fs::write(job.file("delivery.yaml"), contract).unwrap();
    for (argument, exit, message) in [
        (
            "--bucket=other",
            2,
            "--bucket is `other`, the contract says `states`",
        ),
        (
            "--table=other",
            2,
            "--table is `other`, the contract says `locks`",
        ),
        // The same as the contract's is not a contradiction.
        ("--bucket=states", 1, "there are no AWS credentials"),
    ] {
        let arguments = ["status", "--environment=dev", argument];
        job.refuses(&arguments, &[], exit, message);
    }
}

#[test]
fn a_table_that_the_contract_does_not_name_is_never_used_silently() {
    let contract = "version: 1\nservice: shop\nbuild: {account: '111111111111', region: ca-central-1}\n\
        state: {bucket: states}\n\
        environments:\n  dev: {account: '222222222222', region: ca-central-1}\n";
    let refuses =
        |more: &[&'static str], environment: &[(&str, &str)], exit: i32, message: &str| {
            let job = job();
            std::fs::write(job.file("delivery.yaml"), contract).unwrap();
            let arguments = [&["status", "--environment=dev"][..], more].concat();
            job.refuses(&arguments, environment, exit, message);
        };
    let table = ("TF_LOCK_TABLE", "locks");
    for (more, environment, message) in [
        (
            &[][..],
            &[table][..],
            "TF_LOCK_TABLE is `locks`, and the contract names no lock table",
        ),
        (
            &[],
            &[table],
            "add the line `table: var:TF_LOCK_TABLE` to `state`",
        ),
        (
            &[],
            &[("TF_LOCK_TABLE_DEV", "locks")],
            "add the line `table: var:TF_LOCK_TABLE` to `state`",
        ),
        (
            &[],
            &[("SLIPWAY_TABLE", "locks")],
            "--table is `locks`, and the contract names no lock table",
        ),
        (
            &["--table=locks"],
            &[],
            "add the line `table: locks` to `state`",
        ),
        (
            &["--locking=both"],
            &[table],
            "the contract names no lock table",
        ),
        (&["--locking=both"], &[], "--table is missing"),
        // The file is the lock.
        (&[], &[], "there are no AWS credentials"),
        (
            &["--locking=file"],
            &[table],
            "there are no AWS credentials",
        ),
    ] {
        let exit = i32::from(message != "there are no AWS credentials") + 1;
        refuses(more, environment, exit, message);
    }
}

#[test]
fn a_step_says_that_the_file_is_the_lock_where_nobody_named_a_lock() {
    let announces_file_lock = |more: &[&str]| {
        let arguments = [
            &["status", "--bucket=b", "--key=k", "--workspace=w"][..],
            more,
        ]
        .concat();
        let output = job().run(&arguments, &[REGION]);
        let log = step_job::log(&output);
        assert_eq!(output.status.code(), Some(1), "{log}");
        log.contains("no lock table is named: the lock is s3://b/env:/w/k.tflock")
    };
    assert!(announces_file_lock(&[]));
    assert!(!announces_file_lock(&["--locking=file"]));
    assert!(!announces_file_lock(&["--table=t"]));
}

#[test]
fn it_behaves_like_every_step() {
    let program = env!("CARGO_BIN_EXE_slipway-state");
    step_job::behaves_like_every_step(program, ASKING, WAITING);
}

/// Starts a command that is marked as under the lock, and a guard that gets only the mark and the end of the lease.
fn marked_command_with_guard(name: &str, script: &str, end: &str) -> (Child, Child, ChildStdin) {
    use std::io::Write;
    use std::os::unix::process::CommandExt;
    let mark = format!("{name}-{}", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    // A shell keeps ignoring a signal that was ignored when it started, whatever it traps (POSIX, "trap"), and a shell
    // script starts this very program so when it puts it into the background. So the command is started as from
    // there, with the signals that a run gives to its command. Debian's sh starts programs with vfork, and can lose a
    // signal that arrives meanwhile.
    let background = "trap '' INT; exec env --default-signal=INT bash -c \"$1\"";
    let command = Command::new("bash")
        .args(["-c", background, "bash", script])
        .env("SLIPWAY_STATE_HELD", &mark)
        .current_dir(folder.path())
        .process_group(0)
        .spawn()
        .unwrap();
    for _ in 0..6000 {
        if folder.path().join("ready").exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let mut guard = Command::new(env!("CARGO_BIN_EXE_slipway-state"))
        .arg("--guard")
        .env_clear()
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = guard.stdin.take().unwrap();
    writeln!(pipe, r#"{{"mark":"{mark}"}}"#).unwrap();
    // A message that cannot be read changes nothing, and is reported.
    writeln!(pipe, r#"{{"until":"later"}}"#).unwrap();
    writeln!(pipe, r#"{{"until":{end}}}"#).unwrap();
    writeln!(pipe, r#"{{"until":"later"}}"#).unwrap();
    (command, guard, pipe)
}

/// A run that is killed between the start of its command and the next line of its own.
#[test]
fn a_guard_ends_a_command_that_was_never_announced_to_it() {
    let script = "trap 'exit 7' INT; : > ready; for i in $(seq 600); do sleep 0.1; done";
    // The end is far away, so the closed pipe alone ends the command.
    let (mut command, mut guard, pipe) =
        marked_command_with_guard("killed", script, &u32::MAX.to_string());
    drop(pipe);
    assert_eq!(command.wait().unwrap().code(), Some(7));
    assert_eq!(guard.wait().unwrap().code(), Some(65));
}

/// A run that is stopped at that point, and wakes up after its lease.
#[test]
fn a_guard_without_further_messages_ends_the_command_with_the_lease() {
    use std::os::unix::process::ExitStatusExt;
    let script = "trap '' INT; : > ready; for i in $(seq 600); do sleep 0.1; done";
    let (mut command, mut guard, pipe) = marked_command_with_guard("still", script, "1");
    assert_eq!(command.wait().unwrap().signal(), Some(9));
    drop(pipe);
    assert_eq!(guard.wait().unwrap().code(), Some(65));
}
