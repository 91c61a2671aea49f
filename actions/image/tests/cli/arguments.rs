//! Bad input is named, in one message.

use crate::job::{COMMIT, DIGEST, IN_ORDER, Job, publish};

#[test]
fn build_options_are_refused_together_with_a_layout() {
    let job = Job::new();
    for option in [
        &["--builder", "buildx"][..],
        &["--context", "."],
        &["--file", "Dockerfile"],
        &["--target", "a"],
        &["--build-arg", "A=b"],
        &["--label", "a=b"],
        &["--secret", "id=a,env=A"],
        &["--platform", "linux/arm64"],
        &["--cache-from", "type=gha"],
        &["--cache-to", "type=gha"],
        &["--no-cache"],
        &["--pull"],
        &["--ssh", "default"],
        &["--build-context", "a=."],
        &["--add-host", "a:127.0.0.1"],
        &["--annotation", "a=b"],
        &["--no-cache-filter", "a"],
        &["--ulimit", "nofile=1"],
        &["--shm-size", "1m"],
        &["--allow", "network.host"],
        &["--network", "none"],
        &["--provenance", "mode=max"],
        &["--sbom"],
    ] {
        let arguments = [&["--layout", "oci"], option].concat();
        let message = format!("'--layout <PATH>' cannot be used with '{}", option[0]);
        job.refuses(&publish(&arguments), &[], 2, &message);
    }
}

/// Expects that each call is refused before AWS is asked, by its message.
#[track_caller]
fn refuses_each(calls: &[(Vec<&str>, &str)]) {
    let job = Job::new();
    for (arguments, message) in calls {
        job.refuses(arguments, &[], 2, message);
    }
}

#[test]
fn bad_input_is_named() {
    refuses_each(&[
        (vec!["publish"], "--repository is missing"),
        (
            vec!["publish", "--repository", "Acme"],
            "--repository `Acme` is not an ECR repository name",
        ),
        (
            vec!["publish", "--repository", "acme/storefront"],
            "--commit is missing",
        ),
        (
            vec![
                "publish",
                "--repository",
                "acme/storefront",
                "--commit",
                "main",
            ],
            "`main` is not a full commit hash",
        ),
        (
            publish(&["--tag", "a:b"]),
            "--tag `a:b` does not name repository acme/storefront",
        ),
        (
            publish(&["--context", "gone"]),
            "the build context gone is not a folder",
        ),
        (
            publish(&["--file", "x/Dockerfile"]),
            "there is no Dockerfile at x/Dockerfile",
        ),
    ]);
}

#[test]
fn build_options_are_validated_before_the_build() {
    refuses_each(&[
        (
            publish(&["--platform", "linux"]),
            "--platform `linux` is not a platform",
        ),
        (
            publish(&["--build-arg", "A"]),
            "a --build-arg is not NAME=VALUE",
        ),
        (publish(&["--label", "=x"]), "a --label is not NAME=VALUE"),
        (
            publish(&["--ulimit", "nofile"]),
            "--ulimit `nofile` is not TYPE=SOFT:HARD",
        ),
        (
            publish(&["--shm-size", "much"]),
            "--shm-size `much` is not a size such as 128m",
        ),
        (
            publish(&["--add-host", "db:here"]),
            "--add-host `db:here` is not HOST:IP",
        ),
        (
            publish(&["--allow", "all"]),
            "--allow `all` is not an entitlement",
        ),
        (
            publish(&[
                "--cache-to",
                "type=s3,region=eu-west-1,bucket=b,secret_access_key=hunter2",
            ]),
            "secret_access_key of a --cache-from or --cache-to would be in the builder's argument list",
        ),
        (
            publish(&["--cache-from", "type=gha,Token = hunter2"]),
            "token of a --cache-from or --cache-to",
        ),
        (
            publish(&[
                "--kms-key",
                "arn:aws:kms:eu-west-1:111111111111:key/x",
                "--to",
                "eu-west-2",
            ]),
            "--kms-key is a key of eu-west-1, and --to names eu-west-2",
        ),
        (
            publish(&["--secret", "id=npm,src=file"]),
            "the file of build secret npm is not there",
        ),
        (
            publish(&["--secret", "id=npm,env=NPM_TOKEN"]),
            "the variable NPM_TOKEN of build secret npm is not set",
        ),
    ]);
}

#[test]
fn settings_of_the_repository_are_checked_first() {
    refuses_each(&[
        (
            publish(&["--pull-account", "12345678901"]),
            "--pull-account `12345678901` is not an account ID",
        ),
        (
            publish(&["--mutable-tag", "*"]),
            "--mutable-tag `*` also fits the tag of a commit",
        ),
        (
            publish(&["--mutable-tag", "content-*"]),
            "--mutable-tag `content-*` also fits the tag of an image's content",
        ),
        (
            publish(&["--lifecycle-policy", "gone.json"]),
            "cannot read the lifecycle policy gone.json",
        ),
        (
            publish(&["--lifecycle-policy", "Dockerfile"]),
            "Dockerfile is not a lifecycle policy\nCaused by:\n  expected value at line 1 column 1",
        ),
        (
            publish(&["--kms-key", "alias/images"]),
            "--kms-key `alias/images` is not the ARN of a key",
        ),
        (
            publish(&["--resource-tag", "team"]),
            "--resource-tag `team` is not KEY=VALUE",
        ),
    ]);
}

#[test]
fn missing_or_malformed_scan_arguments_are_named() {
    refuses_each(&[
        (vec!["scan", "--repository", "ab"], "--digest is missing"),
        (
            vec!["scan", "--repository", "ab", "--digest", "latest"],
            "`latest` is not a digest",
        ),
        (
            vec![
                "scan",
                "--repository",
                "ab",
                "--digest",
                DIGEST,
                "--waive",
                "CVE-1",
            ],
            "--waive `CVE-1` is not ID=DAY",
        ),
        (publish(&[]), "the region is missing"),
    ]);
}

#[test]
fn a_value_of_several_lines_is_one_argument_if_it_is_quoted() {
    let job = Job::new();
    let list = "A=1\n\"B=hunter2\n3\"\n";
    for (value, message) in [
        (list, IN_ORDER),
        (
            "A=1\n\"B=hunter2",
            "--build-arg: entry 2 begins with a quote that is not closed",
        ),
        (
            "\"A=1\" hunter2",
            "--build-arg: entry 1 goes on after its closing quote",
        ),
        ("B=1\nhunter2", "a --build-arg is not NAME=VALUE"),
    ] {
        for variable in ["INPUT_BUILD-ARG", "SLIPWAY_BUILD_ARG"] {
            let log = job.refuses(&publish(&[]), &[(variable, value)], 2, message);
            assert!(!log.contains("hunter2"), "{log}");
        }
    }
    // A flag is one argument, whatever is in it.
    job.refuses(&publish(&["--build-arg", "A=1\nhunter2"]), &[], 2, IN_ORDER);
    job.refuses(&publish(&["--label", "\"a=b"]), &[], 2, IN_ORDER);
    job.refuses(
        &publish(&[]),
        &[("INPUT_LABEL", "\"a=b")],
        2,
        "--label: entry 1",
    );
}

#[test]
fn a_build_argument_that_the_dockerfile_does_not_declare_is_a_warning() {
    let job = Job::new();
    let given = publish(&["--build-arg", "GIVEN=hunter2"]);
    let log = job.refuses(
        &given,
        &[],
        2,
        "build argument GIVEN has no effect: ./Dockerfile has no `ARG GIVEN`",
    );
    assert!(
        log.contains("::warning") && !log.contains("hunter2"),
        "{log}"
    );
}

#[test]
fn inputs_of_an_action_are_arguments() {
    let job = Job::new();
    let inputs = [
        ("INPUT_COMMAND", "publish"),
        ("INPUT_REPOSITORY", "acme/storefront"),
        ("INPUT_COMMIT", COMMIT),
        ("INPUT_BUILD-ARG", "A=1\nhunter2\n"),
        ("INPUT_TAG", ""),
    ];
    job.refuses(&[], &inputs, 2, "a --build-arg is not NAME=VALUE");
    let output = job.run(&[], &inputs);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"));
}

#[test]
fn long_lived_keys_are_refused() {
    // Nothing listens there; the guard comes before the first call.
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_REGION", "ca-central-1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ];
    Job::new().refuses(
        &publish(&[]),
        &env,
        3,
        "access key AKIAEXAMPLE is long-lived",
    );
}

#[test]
fn action_yml_and_readme_say_what_the_arguments_say() {
    kit::render::check::<slipway_image::Image>(env!("CARGO_MANIFEST_DIR")).unwrap();
}

#[test]
fn it_behaves_like_every_step() {
    let program = env!("CARGO_BIN_EXE_slipway-image");
    let asking = &["repository", "--repository", "acme/storefront"];
    step_job::behaves_like_every_step(program, asking, &[asking]);
}
