//! The response of slipway-service to bad input: the exit code, one message with a hint, and nothing exported.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use step_job::Job;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn job() -> Job {
    Job::new(env!("CARGO_BIN_EXE_slipway-service"))
}

/// Runs, and checks what holds for every refusal; returns standard error.
#[track_caller]
fn refused(exit: i32, args: &[&str], env: &[(&str, &str)]) -> String {
    let job = job();
    let output = job.run(args, env);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit), "{stderr}");
    assert!(output.stdout.is_empty());
    assert_eq!(job.exported(), "");
    stderr
}

#[test]
fn a_tag_is_not_a_digest() {
    let stderr = refused(
        2,
        &[
            "deploy",
            "--digest",
            "v1.2.3",
            "--cluster",
            "c",
            "--service",
            "s",
        ],
        &[],
    );
    assert!(
        stderr.contains("error: --digest: `v1.2.3` is not a digest"),
        "{stderr}"
    );
    assert!(stderr.contains("hint: a tag can be moved"), "{stderr}");
    assert!(stderr.contains("::error title=service::"), "{stderr}");
}

#[test]
fn a_missing_digest_cluster_or_service_is_named() {
    let stderr = refused(2, &["deploy"], &[("INPUT_DIGEST", "")]);
    assert!(stderr.contains("--digest <DIGEST>"), "{stderr}");
    let stderr = refused(2, &[], &[("INPUT_COMMAND", "deploy")]);
    let message =
        "error: the input `digest` is not given\n\nhint: write it under the step's `with:`";
    assert!(stderr.contains(message), "{stderr}");
    let stderr = refused(
        2,
        &["deploy", "--digest", DIGEST],
        &[("INPUT_SERVICE", "web")],
    );
    assert!(stderr.contains("error: --cluster is missing"), "{stderr}");
    let stderr = refused(2, &["status", "--cluster", "main"], &[]);
    assert!(stderr.contains("error: --service is missing"), "{stderr}");
}

#[test]
fn a_permit_is_a_number_of_an_environment_of_the_contract() {
    for (permit, message) in [
        ("latest", "error: `latest` is not the number of a permit"),
        ("42", "error: --permit is given, and without a contract"),
    ] {
        let stderr = refused(
            2,
            &["deploy", "--digest", DIGEST, "--permit", permit],
            &[("INPUT_CLUSTER", "c"), ("INPUT_SERVICE", "s")],
        );
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn a_time_is_a_duration_and_not_zero() {
    for (time, message) in [
        (
            "15x",
            "`15x` is not a duration: write 600, 90s, 10m or 1h30m",
        ),
        ("0m", "error: --timeout is zero"),
    ] {
        let stderr = refused(2, &["deploy", "--digest", DIGEST, "--timeout", time], &[]);
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn a_missing_region_and_missing_credentials_are_reported_before_any_call() {
    let arguments = [
        "deploy",
        "--digest",
        DIGEST,
        "--cluster",
        "c",
        "--service",
        "s",
    ];
    let stderr = refused(2, &arguments, &[]);
    assert!(stderr.contains("error: the region is missing"), "{stderr}");
    let stderr = refused(1, &arguments, &[("AWS_REGION", "ca-central-1")]);
    assert!(
        stderr.contains("error: there are no AWS credentials"),
        "{stderr}"
    );
}

#[test]
fn a_name_that_no_cluster_or_service_has_is_refused_before_any_call() {
    for (cluster, service, message) in [
        ("a b", "s", "`a b` is not the name or ARN of an ECS cluster"),
        ("c", "c/s", "`c/s` is not the name or ARN of an ECS service"),
    ] {
        let stderr = refused(
            2,
            &["status", "--cluster", cluster, "--service", service],
            &[],
        );
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn a_network_that_is_closed_is_named_by_host_and_region() {
    let stderr = refused(
        1,
        &["status", "--cluster", "c", "--service", "s"],
        &[
            ("AWS_REGION", "ca-central-1"),
            ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "token"),
            // Nothing listens there.
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ],
    );
    let message = "no answer from 127.0.0.1:9 (region ca-central-1)";
    assert_eq!(
        stderr.lines().filter(|line| line.trim() == message).count(),
        1,
        "{stderr}"
    );
}

#[test]
fn an_answer_of_aws_is_shown_whole_and_once() {
    job().shows_what_aws_answered(&["status", "--cluster", "c", "--service", "s"]);
}

#[test]
fn a_long_lived_key_is_refused() {
    let stderr = refused(
        3,
        &["status", "--cluster", "c", "--service", "s"],
        &[
            ("AWS_REGION", "ca-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "not-a-key"),
            // Nothing listens there: the refusal must come before any call.
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ],
    );
    assert!(stderr.contains("is long-lived"), "{stderr}");
    assert!(!stderr.contains("not-a-key"), "{stderr}");
}

#[test]
fn a_contract_that_is_not_there_is_named() {
    let stderr = refused(2, &["status", "--environment", "dev"], &[]);
    assert!(stderr.contains("error:"), "{stderr}");
}

/// A command's own 2 must not be taken for ours.
#[test]
fn bad_input_beside_a_command_has_an_exit_code_of_its_own() {
    let named = [
        "run-task",
        "--digest",
        DIGEST,
        "--cluster",
        "c",
        "--service",
        "s",
    ];
    let with = |more: &[&'static str]| [&named[..], more].concat();
    for (arguments, message) in [
        (named.to_vec(), "<COMMAND>"),
        (
            with(&["--timeout", "0s", "--", "true"]),
            "error: --timeout is zero",
        ),
        (
            with(&["--permit", "42", "--", "true"]),
            "error: --permit is given, and without a contract",
        ),
        (
            vec!["run-task", "--digest", "v1", "--", "true"],
            "error: --digest: `v1` is not a digest",
        ),
    ] {
        let stderr = refused(64, &arguments, &[("AWS_REGION", "ca-central-1")]);
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
    }
}

#[test]
fn help_explains_each_verb() {
    let output = job().run(&["--help"], &[]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        ["deploy", "run-task", "status"]
            .iter()
            .all(|verb| stdout.contains(verb)),
        "{stdout}"
    );
}
