//! What a person sees on bad input: the exit code, one message, and nothing exported.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::process::{Command, Output};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const COMMIT: &str = "1111111111111111111111111111111111111111";

struct Job {
    dir: tempfile::TempDir,
}

impl Job {
    /// A GitHub job in a folder with a Dockerfile, and without Docker.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Dockerfile"), "FROM scratch\n").unwrap();
        Self { dir }
    }

    fn run(&self, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        let file = |name: &str| self.dir.path().join(name);
        Command::new(env!("CARGO_BIN_EXE_slipway-image"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_OUTPUT", file("output"))
            .env("GITHUB_ENV", file("env"))
            .env("GITHUB_STATE", file("state"))
            .env("GITHUB_STEP_SUMMARY", file("summary"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(env.iter().copied())
            .output()
            .unwrap()
    }

    /// Runs, and expects `exit`, `message` and no output.
    fn refuses(&self, arguments: &[&str], env: &[(&str, &str)], exit: i32, message: &str) {
        let output = self.run(arguments, env);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {log}");
        assert!(log.contains(message), "{arguments:?}: {log}");
        for name in ["output", "env", "state"] {
            let written = std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
            assert_eq!(written, "", "{arguments:?} exported");
        }
    }
}

fn publish<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "publish",
        "--repository",
        "acme/storefront",
        "--commit",
        COMMIT,
    ];
    arguments.extend(more);
    arguments
}

#[test]
fn bad_input_is_named() {
    let job = Job::new();
    for (arguments, message) in [
        (vec!["publish"], "--repository is missing"),
        (
            vec!["publish", "--repository", "Acme"],
            "--repository \"Acme\" is no ECR repository name",
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
            "\"main\" is not a full commit hash",
        ),
        (publish(&["--tag", "a:b"]), "--tag \"a:b\" is no tag"),
        (
            publish(&["--context", "gone"]),
            "the build context gone is no folder",
        ),
        (
            publish(&["--file", "x/Dockerfile"]),
            "there is no Dockerfile at x/Dockerfile",
        ),
        (
            publish(&["--platform", "linux"]),
            "--platform \"linux\" is no platform",
        ),
        (
            publish(&["--build-arg", "A"]),
            "a --build-arg is not NAME=VALUE",
        ),
        (publish(&["--label", "=x"]), "a --label is not NAME=VALUE"),
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
            "--kms-key is one of eu-west-1, and --to names eu-west-2",
        ),
        (
            publish(&["--secret", "id=npm,src=file"]),
            "the file of build secret npm is not there",
        ),
        (
            publish(&["--secret", "id=npm,env=NPM_TOKEN"]),
            "the variable NPM_TOKEN of build secret npm is not set",
        ),
        (
            publish(&["--pull-account", "12345678901"]),
            "--pull-account \"12345678901\" is not an account ID",
        ),
        (
            publish(&["--mutable-tag", "*"]),
            "--mutable-tag \"*\" also fits the tag of a commit",
        ),
        (
            publish(&["--mutable-tag", "content-*"]),
            "--mutable-tag \"content-*\" also fits the tag of an image's content",
        ),
        (
            publish(&["--lifecycle-policy", "gone.json"]),
            "cannot read the lifecycle policy gone.json",
        ),
        (
            publish(&["--lifecycle-policy", "Dockerfile"]),
            "Dockerfile is no lifecycle policy: not JSON",
        ),
        (
            publish(&["--kms-key", "alias/images"]),
            "--kms-key \"alias/images\" is not the ARN of a key",
        ),
        (
            publish(&["--resource-tag", "team"]),
            "--resource-tag \"team\" is not KEY=VALUE",
        ),
        (vec!["scan", "--repository", "ab"], "--digest is missing"),
        (
            vec!["scan", "--repository", "ab", "--digest", "latest"],
            "\"latest\" is not a digest",
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
            "--waive \"CVE-1\" is not ID=DAY",
        ),
        (publish(&[]), "no region is known"),
    ] {
        job.refuses(&arguments, &[], 2, message);
    }
}

#[test]
fn an_image_is_made_from_the_commit_it_is_tagged_with() {
    let job = Job::new();
    let path = std::env::var("PATH").unwrap();
    let app = job.dir.path().join("app");
    std::fs::create_dir(&app).unwrap();
    std::fs::write(app.join("Dockerfile"), "FROM scratch\n").unwrap();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(arguments)
            .current_dir(&app)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "Dockerfile"]);
    let [first, second] = ["first", "second"].map(|message| {
        git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        git(&["rev-parse", "HEAD"])
    });
    let arguments = |commit: &str| -> Vec<String> {
        let arguments = [
            "publish",
            "--repository",
            "acme/storefront",
            "--context",
            "app",
        ];
        let of = ["--commit", commit];
        arguments
            .iter()
            .chain(&of)
            .map(|text| (*text).to_owned())
            .collect()
    };
    let run = |commit: &str, env: &[(&str, &str)]| {
        let arguments = arguments(commit);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = job.run(&arguments, &[&[("PATH", path.as_str())], env].concat());
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // A time that is given says nothing of where the checkout stands.
    for env in [&[][..], &[("SOURCE_DATE_EPOCH", "7")]] {
        let said = run(&first, env);
        assert!(
            said.contains(&format!("is checked out at {second}")),
            "{said}"
        );
        let said = run(&second, env);
        assert!(said.contains("no region is known"), "{said}");
        assert!(!said.contains("is not as commit"), "{said}");
    }
    std::fs::write(app.join("Dockerfile"), "FROM scratch\n\n").unwrap();
    std::fs::write(app.join("new"), "").unwrap();
    let said = run(&second, &[]);
    assert!(
        said.contains(&format!("is not as commit {second} has it")),
        "{said}"
    );
    assert!(
        said.contains("Dockerfile") && said.contains("new"),
        "{said}"
    );
}

const CONTRACT: &str = "\
version: 1
service: storefront
build: {account: var:BUILD_ACCOUNT_ID, region: ca-central-1}
environments:
  dev: {account: var:DEV_ACCOUNT_ID}
  production: {account: var:PRODUCTION_ACCOUNT_ID, follows: dev}
";

/// Accounts alone, nothing of Terraform's state.
const ACCOUNTS: [(&str, &str); 3] = [
    ("BUILD_ACCOUNT_ID", "111111111111"),
    ("DEV_ACCOUNT_ID", "222222222222"),
    ("PRODUCTION_ACCOUNT_ID", "333333333333"),
];

/// Credentials are asked for once arguments and contract are in order.
const IN_ORDER: &str = "there are no AWS credentials";

#[test]
fn a_contract_needs_no_environment_and_no_state() {
    let job = Job::new();
    std::fs::write(job.dir.path().join("delivery.yaml"), CONTRACT).unwrap();
    for verb in ["publish", "repository"] {
        for more in [
            &["--contract", "delivery.yaml"][..],
            &["--environment", "dev"],
            &[],
        ] {
            let mut arguments = vec![verb];
            arguments.extend(more);
            if verb == "publish" {
                arguments.extend(["--commit", COMMIT]);
            }
            job.refuses(&arguments, &ACCOUNTS, 2, IN_ORDER);
        }
    }
    job.refuses(
        &["repository", "--environment", "prod"],
        &ACCOUNTS,
        2,
        "delivery.yaml has no environment `prod`",
    );
    job.refuses(
        &["repository", "--contract", "gone.yaml"],
        &ACCOUNTS,
        2,
        "cannot read the contract gone.yaml",
    );
}

#[test]
fn an_account_of_another_environment_is_missed_by_name() {
    let job = Job::new();
    std::fs::write(job.dir.path().join("delivery.yaml"), CONTRACT).unwrap();
    let arguments = ["repository", "--environment", "dev"];
    for message in [
        "delivery.yaml gives no account for production",
        "`PRODUCTION_ACCOUNT_ID` is not set",
    ] {
        job.refuses(&arguments, &ACCOUNTS[..2], 2, message);
    }
    let named = [
        "repository",
        "--environment",
        "dev",
        "--pull-account",
        "333333333333",
    ];
    job.refuses(&named, &ACCOUNTS[..2], 2, IN_ORDER);
}

#[test]
fn a_contract_that_nobody_named_leaves_the_arguments_alone() {
    let job = Job::new();
    std::fs::write(job.dir.path().join("delivery.yaml"), "version: [").unwrap();
    job.refuses(&publish(&[]), &[], 2, "no region is known");
    job.refuses(
        &publish(&["--contract", "delivery.yaml"]),
        &[],
        2,
        "delivery.yaml is wrong",
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

/// Runs the binary under the name by which Docker calls it.
fn helper(verb: &str, env: &[(&str, &Path)]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("docker-credential-slipway-image");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_slipway-image"), &name).unwrap();
    Command::new(name)
        .arg(verb)
        .env_clear()
        .envs(env.iter().copied())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn the_credential_helper_works_only_for_its_own_step() {
    let output = helper("get", &[]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("it works only for its own step"), "{text}");

    let output = helper("list", &[]);
    assert!(output.status.success());
    assert_eq!(output.stdout, b"{}");

    for verb in ["store", "erase"] {
        assert!(!helper(verb, &[]).status.success());
    }
}

#[test]
fn a_login_the_step_does_not_know_is_docker_s_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let output = helper("get", &[("SLIPWAY_CREDENTIAL_SOCKET", &socket)]);
    server.join().unwrap();
    assert!(!output.status.success());
    assert_eq!(output.stdout, b"credentials not found in native keychain");
}

#[test]
fn a_login_comes_over_a_socket_in_however_deep_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let short = dir.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&short).unwrap();
    let deep = dir.path().join("x".repeat(200));
    std::fs::create_dir(&deep).unwrap();
    let socket = deep.join("socket");
    std::fs::rename(short, &socket).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"{}").unwrap();
    });
    let output = helper("get", &[("SLIPWAY_CREDENTIAL_SOCKET", &socket)]);
    server.join().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"{}");
}

#[test]
fn action_yml_and_readme_say_what_the_arguments_say() {
    kit::action::check::<slipway_image::Image>(env!("CARGO_MANIFEST_DIR")).unwrap();
}
