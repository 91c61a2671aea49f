//! What a person sees who gives it bad input: exit code, one message, and nothing exported.

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

#[test]
fn bad_arguments_are_named_and_nothing_is_exported() {
    refuses(&["check"], &[], 2, "--environment is missing");
    refuses(
        &["check", "--environment", "x", "--digest", "latest"],
        &[],
        2,
        "is not a digest",
    );
    refuses(
        &[
            "check",
            "--environment",
            "x",
            "--digest",
            DIGEST,
            "--from",
            "y",
        ],
        &[],
        2,
        "cannot be used with",
    );
    refuses(&["check", "--environment", "x"], &[], 2, "delivery.yaml");
    refuses(
        &[
            "record",
            "--environment",
            "x",
            "--digest",
            DIGEST,
            "--commit",
            "main",
        ],
        &[],
        2,
        "is not a full commit hash",
    );
    refuses(
        &[
            "record",
            "--environment",
            "x",
            "--digest",
            DIGEST,
            "--commit",
            "c",
            "--verdict",
            "fine",
        ],
        &[],
        2,
        "fine",
    );
    refuses(
        &["record", "--verdict", "rolled_back"],
        &[],
        2,
        "[possible values: healthy, failed, rolled-back]",
    );
    refuses(&["advance"], &[], 2, "advance");
    refuses(&["approve", "--environment", "x"], &[], 2, "--request");
    for number in ["0", "latest", "-1"] {
        let approve = format!("--request={number}");
        let words = "is not a whole number from 1 to";
        refuses(&["approve", "--environment", "x", &approve], &[], 2, words);
    }
    for limit in ["0", "1001", "all"] {
        let words = "is not a whole number from 1 to 1000";
        refuses(&["history", "--limit", limit], &[], 2, words);
    }
    refuses(
        &["reject", "--environment", "x", "--request", "4"],
        &[],
        2,
        "--reason is missing",
    );
    refuses(
        &["request", "--environment", "x", "--digest", DIGEST],
        &[],
        2,
        "--reason",
    );
    refuses(
        &["review", "--environment", "x", "--digest", DIGEST],
        &[],
        2,
        "--reason <TEXT>",
    );
    for reason in [" ", "two\nlines"] {
        let glass = ["check", "--environment", "x", "--break-glass", reason];
        refuses(&glass, &[], 2, "say why, in one line");
    }
    for head in ["latest", "123"] {
        let commit = "c".repeat(40);
        let record = [
            "record",
            "--environment",
            "x",
            "--digest",
            DIGEST,
            "--commit",
            &commit,
            "--expect-head",
            head,
        ];
        refuses(&record, &[], 2, "is not the hash of a record");
    }
    let commit = "c".repeat(40);
    let record = [
        "record",
        "--environment",
        "x",
        "--digest",
        DIGEST,
        "--commit",
        &commit,
        "--permit",
    ];
    for (permit, words) in [
        (&["0"][..], "is not a whole number from 1 to"),
        (&["7", "--rollback"], "cannot be used with"),
        (&["7", "--break-glass", "down"], "cannot be used with"),
        (
            &["7", "--expect-head", &"1".repeat(64)],
            "cannot be used with",
        ),
    ] {
        refuses(&[&record[..], permit].concat(), &[], 2, words);
    }
    let alone = [
        "grant",
        "--environment",
        "x",
        "--digest",
        DIGEST,
        "--ledger-service",
        "x",
        "--ledger",
        "y",
    ];
    refuses(&alone, &[], 2, "which only a contract names");
    for repository in ["storefront", "acme/store front", "https://github.com"] {
        refuses(
            &["check", "--github-repository", repository],
            &[],
            2,
            "write it as OWNER/NAME",
        );
    }
    let github = [("GITHUB_ACTIONS", "true")];
    refuses(&[], &github, 2, "the input `command` is not given");
    refuses(
        &[],
        &github,
        2,
        "it is one of: check, grant, record, review, request, approve, reject, withdraw, status, history, verify, export, board, diff, doctor",
    );
    refuses(&["diff", "dev"], &[], 2, "2 values required");
    refuses(&["diff"], &[], 2, "diff compares two environments");
    refuses(&["diff", "dev", "dev"], &[], 2, "compared with itself");
    // A verb may come as an action's input.
    refuses(
        &[],
        &[("INPUT_COMMAND", "check")],
        2,
        "--environment is missing",
    );
}

#[test]
fn without_a_contract_what_is_missing_is_named() {
    let place = ["--ledger-service", "s", "--ledger", "t"];
    let with = |more: &[&'static str]| [&more[..1], &place, &more[1..]].concat();
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
fn a_token_that_is_none_is_not_repeated() {
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
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the GitHub token"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
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
