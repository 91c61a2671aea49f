//! The response to bad input: the exit code, one message, and nothing exported.

use step_job::Job;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn job() -> Job {
    Job::new(env!("CARGO_BIN_EXE_slipway-promote"))
}

#[track_caller]
fn refuses(arguments: &[&str], variables: &[(&str, &str)], exit: i32, words: &str) {
    let job = job();
    let output = job.run(arguments, variables);
    job.refused(&output, exit, words);
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

/// The arguments of a record, but for what a case is about.
fn record<'a>(commit: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let arguments = [
        "record",
        "--environment",
        "x",
        "--digest",
        DIGEST,
        "--commit",
        commit,
    ];
    [&arguments[..], more].concat()
}

#[test]
fn bad_arguments_are_named_and_nothing_is_exported() {
    let check = ["check", "--environment", "x"];
    let with = |more: &[&'static str]| [&check[..], more].concat();
    let grant = ["grant", "--environment", "x", "--digest", DIGEST];
    for (arguments, words) in [
        (vec!["check"], "--environment is missing"),
        (
            with(&["--digest", "latest"]),
            "--digest: `latest` is not a digest",
        ),
        (with(&["--digest", "latest"]), "aws ecr describe-images"),
        (
            with(&["--digest", DIGEST, "--from", "y"]),
            "cannot be used with",
        ),
        (with(&[]), "delivery.yaml"),
        (with(&["--break-glass", " "]), "say why, in one line"),
        (
            with(&["--break-glass", "two\nlines"]),
            "say why, in one line",
        ),
        (vec!["advance"], "advance"),
        (vec!["approve", "--environment", "x"], "--request"),
        (
            vec!["reject", "--environment", "x", "--request", "4"],
            "--reason is missing",
        ),
        (
            vec!["request", "--environment", "x", "--digest", DIGEST],
            "--reason",
        ),
        (
            vec!["review", "--environment", "x", "--digest", DIGEST],
            "--reason <TEXT>",
        ),
        (grant.to_vec(), "which only a contract names"),
        (
            [&grant[..], &["--ledger", "y"]].concat(),
            "unexpected argument '--ledger'",
        ),
        (
            [&grant[..], &["--approvals", "0"]].concat(),
            "unexpected argument '--approvals'",
        ),
        (
            vec![
                "export",
                "--environment",
                "x",
                "--ledger-service",
                "x",
                "--ledger",
                "y",
                "--output",
                "z",
                "--evidence",
                "e",
            ],
            "no bucket is named that would hold any",
        ),
        (vec!["diff", "dev"], "2 values required"),
        (vec!["diff"], "diff compares two environments"),
        (vec!["diff", "dev", "dev"], "compared with itself"),
    ] {
        refuses(&arguments, &[], 2, words);
    }
    for number in ["0", "latest", "-1"] {
        let approve = format!("--request={number}");
        let words = "is not a whole number from 1 to";
        refuses(&["approve", "--environment", "x", &approve], &[], 2, words);
    }
    for limit in ["0", "1001", "all"] {
        let words = "is not a whole number from 1 to 1000";
        refuses(&["history", "--limit", limit], &[], 2, words);
    }
    for repository in ["storefront", "acme/store front", "https://github.com"] {
        let check = ["check", "--github-repository", repository];
        refuses(&check, &[], 2, "write it as OWNER/NAME");
    }
}

#[test]
fn a_pull_request_is_judged_by_its_number_and_alone() {
    let check = ["check", "--environment", "x", "--pull-request", "7"];
    for more in [&["--digest", DIGEST][..], &["--rollback"]] {
        let both = [&check[..], more].concat();
        refuses(&both, &[], 2, "cannot be used with");
    }
    let nowhere = ["check", "--pull-request", "7"];
    refuses(&nowhere, &[], 2, "--environment is missing");
    let granted = ["grant", "--pull-request", "7"];
    refuses(&granted, &[], 2, "--pull-request");
    for number in ["0", "#7", "2147483648"] {
        let words = "is not a whole number from 1 to 2147483647";
        refuses(&["check", "--pull-request", number], &[], 2, words);
    }
}

#[test]
fn a_bad_record_is_named() {
    let commit = "c".repeat(40);
    let with = |more: &[&'static str]| record(&commit, more);
    let head = "1".repeat(64);
    for (arguments, words) in [
        (record("main", &[]), "is not a full commit hash"),
        (with(&["--verdict", "fine"]), "fine"),
        (
            with(&["--verdict", "rolled_back"]),
            "[possible values: healthy, failed, rolled-back]",
        ),
        (
            with(&["--expect-head", "latest"]),
            "is not the hash of a record",
        ),
        (
            with(&["--expect-head", "123"]),
            "is not the hash of a record",
        ),
        (with(&["--permit", "0"]), "is not a whole number from 1 to"),
        (
            with(&["--permit", "7", "--rollback"]),
            "cannot be used with",
        ),
        (
            with(&["--permit", "7", "--break-glass", "down"]),
            "cannot be used with",
        ),
        (
            record(&commit, &["--permit", "7", "--expect-head", &head]),
            "cannot be used with",
        ),
    ] {
        refuses(&arguments, &[], 2, words);
    }
}

#[test]
fn a_workflow_names_the_verb_by_an_input() {
    let github = [("GITHUB_ACTIONS", "true")];
    refuses(&[], &github, 2, "the input `command` is not given");
    refuses(
        &[],
        &github,
        2,
        "it is one of: check, grant, record, review, request, approve, reject, withdraw, status, history, verify, export, board, diff, explain, doctor",
    );
    let command = [("INPUT_COMMAND", "check")];
    refuses(&[], &command, 2, "--environment is missing");
}

#[test]
fn without_a_contract_what_is_missing_is_named() {
    let ledger = ["--ledger-service", "s", "--ledger", "t"];
    let with = |more: &[&'static str]| [&more[..1], &ledger, &more[1..]].concat();
    refuses(&with(&["check"]), &[], 2, "--environment is missing");
    refuses(
        &with(&["check", "--environment", "x"]),
        &[],
        2,
        "--digest is missing",
    );
    refuses(
        &with(&[
            "record",
            "--environment",
            "x",
            "--digest",
            DIGEST,
            "--commit",
            "cccccccccccccccccccccccccccccccccccccccc",
        ]),
        &[],
        2,
        "--cluster is missing",
    );
    refuses(
        &with(&["status", "--environment", "x#y"]),
        &[("AWS_REGION", "ca-central-1")],
        1,
        "there are no AWS credentials",
    );
}

#[test]
fn an_invalid_token_is_not_repeated() {
    let commit = "c".repeat(40);
    let variables = [
        ("GITHUB_TOKEN", "hunter2\u{1}"),
        ("GITHUB_REPOSITORY", "acme/storefront"),
        ("GITHUB_SHA", commit.as_str()),
    ];
    let output = job().run(
        &[
            "check",
            "--environment",
            "x",
            "--ledger-service",
            "s",
            "--ledger",
            "t",
            "--digest",
            DIGEST,
        ],
        &variables,
    );
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("the GitHub token"), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn a_build_whose_source_is_not_a_commit_may_deploy_where_there_is_no_gate() {
    let contract = "version: 1
service: storefront
build: { account: '210987654321', region: ca-central-1 }
environments:
  dev: { account: '123456789012' }
";
    let job = job();
    std::fs::write(job.file("delivery.yaml"), contract).unwrap();
    let arguments = ["check", "--environment", "dev", "--digest", DIGEST];
    let build = [
        ("GITHUB_ACTIONS", ""),
        (
            "CODEBUILD_BUILD_ARN",
            "arn:aws:codebuild:ca-central-1:1:build/x:1",
        ),
        ("CODEBUILD_RESOLVED_SOURCE_VERSION", "s3-version-7"),
    ];
    let output = job.run(&arguments, &build);
    assert!(output.status.success(), "{output:?}");
}

/// No credentials, no token and no network are needed to see what a gate asks.
#[test]
fn a_gate_is_explained_from_the_contract_alone() {
    let contract = "version: 1
service: storefront
build: { account: '210987654321', region: ca-central-1 }
environments:
  dev: { account: '123456789012' }
  production:
    account: '345678901234'
    follows: dev
    gate: { approvals: 2, soak: 2h, approve: { people: [ada, grace], notify: issue } }
people: { ada: { id: 1 }, grace: { id: 2 } }
";
    let job = job();
    std::fs::write(job.file("delivery.yaml"), contract).unwrap();
    let unreachable = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("GITHUB_API_URL", "http://127.0.0.1:1"),
    ];
    let explained = |environment: &str| {
        let arguments = ["explain", "--environment", environment];
        let output = job.run(&arguments, &unreachable);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let output = explained("production");
    for piece in [
        "2 approvals of its final head",
        "healthy in dev for 2 h",
        "1 approval of exactly this promotion, by ada, grace",
        "they are notified by issue",
        "calendar\n  not asked: the contract names no change calendar",
        "nobody may override these rules",
    ] {
        assert!(output.contains(piece), "no {piece:?} in\n{output}");
    }
    assert!(explained("dev").contains("dev has no gate"));
}
