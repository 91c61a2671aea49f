//! slipway-identity as its user sees it: the exit code, one message, and the exported values.

use step_job::Job;

fn job() -> Job {
    Job::new(env!("CARGO_BIN_EXE_slipway-identity"))
}

/// Calls that ask AWS.
const ASKING: &[&str] = &["check"];
const WAITING: &[&[&str]] = &[&["check"], &["export"], &["exec", "--", "true"]];

#[test]
fn bad_input_is_named() {
    let job = job();
    for (arguments, message) in [
        (
            &["check", "--purpose", "admin"][..],
            "invalid value 'admin'",
        ),
        (
            &["check", "--role", "deploy"],
            "`deploy` is not the ARN of a role",
        ),
        (
            &["check", "--account", "12345"],
            "`12345` is not an account ID",
        ),
        (
            &["check", "--environment", "dev"],
            "cannot read the contract delivery.yaml",
        ),
        (
            &["check", "--contract", "delivery.yaml"],
            "delivery.yaml was given without an environment",
        ),
        (&["check"], "the region is missing"),
    ] {
        job.refuses(arguments, &[], 2, message);
    }
    let arguments = ["check", "--region", "ca-central-1"];
    job.refuses(&arguments, &[], 1, "there are no AWS credentials");
    // Beside a command, whose own 2 is none of ours.
    job.refuses(&["exec"], &[], 64, "<COMMAND>");
    // In a workflow the command is the input `run`.
    let verb = [("INPUT_COMMAND", "exec")];
    let message = "error: the input `run` is not given\n\nhint: write the script to run under `with:`, as `run: |`";
    job.refuses(&[], &verb, 64, message);
    job.refuses(&["exec", "--", "true"], &[], 64, "the region is missing");
}

#[test]
fn missing_credentials_are_reported_without_causes() {
    let arguments = ["check", "--region", "ca-central-1"];
    let output = job().command(&arguments, &[]).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!log.contains("Caused by"), "{log}");
    assert!(log.contains("\nhint: in GitHub"), "{log}");
}

#[test]
fn credentials_are_exported_only_where_no_file_holds_them() {
    let env = [("GITHUB_ACTIONS", ""), ("AWS_REGION", "ca-central-1")];
    job().refuses(&["export"], &env, 2, "credentials cannot be exported");
}

#[test]
fn it_behaves_like_every_step() {
    let program = env!("CARGO_BIN_EXE_slipway-identity");
    step_job::behaves_like_every_step(program, ASKING, WAITING);
}

#[test]
fn an_endpoint_that_is_not_an_address_shows_nothing_of_a_request() {
    let job = job();
    let keys = [
        ("AWS_REGION", "ca-central-1"),
        ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_SESSION_TOKEN", "token"),
    ];
    let variable = [&keys[..], &[("AWS_ENDPOINT_URL", "notaurl")]].concat();
    let message = "AWS_ENDPOINT_URL `notaurl` is not the address of an endpoint";
    job.refuses(ASKING, &variable, 2, message);
    // The file is the SDK's to read, which quotes the request that it cannot address.
    let file = job.file("aws-config");
    std::fs::write(&file, "[default]\nendpoint_url = notaurl\n").unwrap();
    let configured = [&keys[..], &[("AWS_CONFIG_FILE", file.to_str().unwrap())]].concat();
    let output = job.run(ASKING, &configured);
    job.refused(&output, 1, "the endpoint is not an address");
    let shown = format!("{output:?}");
    assert!(
        !shown.contains("SdkBody") && !shown.contains("GetCallerIdentity&"),
        "{shown}"
    );
}
