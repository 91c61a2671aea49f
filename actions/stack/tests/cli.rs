//! The response of slipway-stack to bad input: the exit code, one message with a hint, and nothing exported.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use step_job::{Job, behaves_like_every_step};

const PROGRAM: &str = env!("CARGO_BIN_EXE_slipway-stack");
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const TEMPLATE: &str = "Resources: {A: {Type: AWS::CloudFormation::WaitConditionHandle}}\n";

/// A job with a template, `t.yaml`.
fn job() -> Job {
    let job = Job::new(PROGRAM);
    std::fs::write(job.file("t.yaml"), TEMPLATE).unwrap();
    job
}

#[test]
fn it_behaves_like_every_step() {
    let status = ["status", "--name", "shop"];
    let apply = ["apply", "--name", "shop", "--plan", ID];
    let drift = ["drift", "--name", "shop"];
    behaves_like_every_step(PROGRAM, &status, &[&status, &apply, &drift]);
}

#[test]
fn a_plan_that_is_interrupted_has_changed_nothing() {
    let arguments = ["plan", "--name", "shop", "--template", "t.yaml"];
    job().is_interrupted_while_it_waits(&arguments);
}

#[test]
fn a_missing_or_impossible_name_is_refused_before_any_call() {
    for (arguments, message) in [
        (
            &["status"][..],
            "error: --name is missing\n\nhint: give --name, or --environment NAME",
        ),
        (
            &["status", "--name", "shop_dev"],
            "error: `shop_dev` is not the name of a stack",
        ),
        (
            &["status", "--name", "1shop"],
            "error: `1shop` is not the name of a stack",
        ),
        (
            &["status", "--environment", "dev"],
            "error: cannot read the contract delivery.yaml",
        ),
        (&["plan", "--name", "shop"], "error: --template is missing"),
        (
            &["plan", "--name", "shop", "--template", "none.yaml"],
            "error: cannot read the template none.yaml",
        ),
    ] {
        job().refuses(arguments, &[], 2, message);
    }
}

#[test]
fn a_folder_is_a_template_only_if_it_is_a_cloud_assembly() {
    let job = job();
    std::fs::create_dir(job.file("cdk.out")).unwrap();
    let arguments = ["plan", "--name", "shop", "--template", "cdk.out"];
    let message = "error: the folder cdk.out is not a cloud assembly: it has no manifest.json";
    job.refuses(&arguments, &[], 2, message);
    std::fs::write(job.file("cdk.out/manifest.json"), "{}").unwrap();
    let message = "error: cannot read the cloud assembly cdk.out";
    job.refuses(&arguments, &[], 2, message);
}

#[test]
fn a_contract_without_a_stack_says_what_to_add() {
    let job = job();
    let contract = "version: 1\nservice: shop\nbuild: {account: \"012345678901\", region: ca-central-1}\n\
        environments: {dev: {account: \"111111111111\"}}\n";
    std::fs::write(job.file("delivery.yaml"), contract).unwrap();
    let message = "error: --name is missing\n\nhint: give --name, or add `stack:` to the contract";
    job.refuses(&["plan", "--environment", "dev"], &[], 2, message);
}

#[test]
fn a_template_that_is_too_large_for_a_request_is_refused_with_its_size() {
    let job = job();
    let large = format!("{TEMPLATE}#{}\n", "x".repeat(51_200));
    std::fs::write(job.file("t.yaml"), &large).unwrap();
    let message = format!(
        "error: the template t.yaml has {} bytes; a request to CloudFormation takes 51200, and there is no bucket for a larger one\n\nhint: name a bucket",
        large.len()
    );
    job.refuses(
        &["plan", "--name", "shop", "--template", "t.yaml"],
        &[],
        2,
        &message,
    );
    std::fs::write(job.file("t.yaml"), [0xff, 0xfe]).unwrap();
    let message = "error: the template t.yaml is not UTF-8";
    job.refuses(
        &["plan", "--name", "shop", "--template", "t.yaml"],
        &[],
        2,
        message,
    );
}

#[test]
fn a_parameter_without_a_name_and_a_secret_that_is_not_there_are_refused() {
    let plan = ["plan", "--name", "shop", "--template", "t.yaml"];
    for (argument, value, message) in [
        (
            "--parameter",
            "hunter2",
            "error: --parameter has no name before a `=`",
        ),
        (
            "--parameter",
            "A=1\nA=hunter2",
            "error: --parameter A is given twice",
        ),
        ("--tag", "=hunter2", "error: --tag has no name before a `=`"),
        (
            "--secret-parameter",
            "DbPassword=DATABASE_PASSWORD",
            "error: the variable DATABASE_PASSWORD, which holds the parameter DbPassword, is not set",
        ),
        (
            "--capability",
            "CAPABILITY_ALL",
            "there is no capability `CAPABILITY_ALL`",
        ),
    ] {
        let job = job();
        let arguments = [plan.as_slice(), &[argument, value]].concat();
        let output = job.run(&arguments, &[]);
        job.refused(&output, 2, message);
        let log = step_job::log(&output);
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[test]
fn a_secret_is_masked_before_anything_else_happens() {
    let job = job();
    let arguments = [
        "plan",
        "--name",
        "shop",
        "--template",
        "t.yaml",
        "--secret-parameter",
        "P=SECRET",
    ];
    let output = job.run(&arguments, &[("SECRET", "correct-horse")]);
    job.refused(&output, 2, "error: the region is missing");
    let log = step_job::log(&output);
    assert!(log.contains("::add-mask::correct-horse"), "{log}");
    assert_eq!(log.matches("correct-horse").count(), 1, "{log}");
}

#[test]
fn an_invalid_policy_is_refused_before_any_call() {
    let job = job();
    let contract = "version: 1\nservice: shop\nbuild: {account: \"012345678901\", region: ca-central-1}\n\
        environments: {dev: {account: \"111111111111\"}}\nstack: {template: t.yaml, policy: p.json}\n";
    std::fs::write(job.file("delivery.yaml"), contract).unwrap();
    for (text, message) in [
        ("{", "error: ./p.json is not a stack policy: it is not JSON"),
        (
            "{}",
            "error: ./p.json is not a stack policy: it has no `Statement`",
        ),
    ] {
        std::fs::write(job.file("p.json"), text).unwrap();
        for verb in [&["plan"][..], &["apply", "--plan", ID]] {
            let arguments = [verb, &["--environment", "dev"]].concat();
            job.refuses(&arguments, &[], 2, message);
        }
    }
}

#[test]
fn an_id_a_permit_and_a_time_are_checked_before_any_call() {
    for (arguments, message) in [
        (
            &["--plan", "latest"][..],
            "error: --plan: `latest` is not the ID of a plan",
        ),
        (
            &["--plan", ID, "--timeout", "0m"],
            "error: --timeout is zero",
        ),
        (
            &["--plan", ID, "--timeout", "15x"],
            "`15x` is not a duration",
        ),
        (
            &["--plan", ID, "--permit", "latest"],
            "error: `latest` is not the number of a permit",
        ),
        (
            &["--plan", ID, "--permit", "7"],
            "error: --permit is given, and without a contract",
        ),
    ] {
        let arguments = [&["apply", "--name", "shop"], arguments].concat();
        job().refuses(&arguments, &[], 2, message);
    }
}

#[test]
fn where_the_gate_asks_for_a_plan_nothing_is_applied_without_a_permit() {
    let job = job();
    let contract = "version: 1\nservice: shop\nbuild: {account: \"012345678901\", region: ca-central-1}\n\
        environments:\n  dev: {account: \"111111111111\"}\n  \
        live: {account: \"222222222222\", follows: dev, gate: {plan: true}}\nstack: {template: t.yaml}\n";
    std::fs::write(job.file("delivery.yaml"), contract).unwrap();
    let arguments = ["apply", "--environment", "live", "--plan", ID];
    let message = format!(
        "hint: ask for one: slipway-promote grant --environment live --digest DIGEST --plan {ID}"
    );
    job.refuses(&arguments, &[], 3, &message);
}
