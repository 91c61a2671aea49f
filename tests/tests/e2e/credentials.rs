//! The credentials and values that `identity` and `secrets` hand to other people's tools: masked before anything else, and only for the
//! command or the later steps that asked for them.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use sandbox::world::World;
use serde_json::Value;

use crate::job::Job;
use crate::support::{TIMEOUT, instance, log, wait, world};

const CONTRACT: &str = include_str!("../../../docs/examples/storefront/delivery.yaml");

/// A job of dev's stage in a world of its own, beside the contract.
pub(crate) fn job(purpose: &str) -> (World, Job) {
    let world = wait(TIMEOUT, world(purpose));
    let keys = wait(TIMEOUT, world.codebuild_session(instance(), "dev", "e2e")).unwrap();
    let mut variables = world.variables(instance());
    variables.extend(world.repository_variables());
    variables.extend(world.environment_variables(world.environment("dev").unwrap()));
    variables.extend(keys.variables());
    // Earlier credentials left these; botocore and the JavaScript SDK act on them.
    variables.extend(
        [
            ("AWS_PROFILE", "nobody"),
            ("AWS_SECURITY_TOKEN", "stale"),
            ("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let job = Job::new(variables);
    std::fs::write(job.file("delivery.yaml"), CONTRACT).unwrap();
    (world, job)
}

fn run(job: &Job, binary: &str, arguments: &[&str]) -> Output {
    let mut all = arguments.to_vec();
    let at = all
        .iter()
        .position(|word| *word == "--")
        .unwrap_or(all.len());
    all.splice(at..at, ["--environment", "dev"]);
    let ended = job.run(&mut job.command(binary, &all));
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{arguments:?}: {}",
        log(&ended)
    );
    ended
}

/// The variables that a file of the runner's holds, by name.
fn exported(job: &Job) -> Vec<(String, String)> {
    step_job::entries(&job.read("env"))
}

/// Every value was masked by a line of its own, and stands nowhere else in what was printed.
fn masked(ended: &Output, values: &[&str]) {
    let printed = format!("{}{}", String::from_utf8_lossy(&ended.stdout), log(ended));
    for value in values {
        let mask = format!("::add-mask::{value}");
        assert!(
            printed.lines().any(|line| line == mask),
            "no mask in {printed}"
        );
        let leaked = printed
            .lines()
            .filter(|line| !line.starts_with("::add-mask::"));
        for line in leaked {
            assert!(!line.contains(value), "{line}");
        }
    }
}

#[test]
fn exported_credentials_are_masked_and_are_the_role_that_was_asked_for() {
    let (world, job) = job("identity-export");
    let ended = run(&job, "slipway-identity", &["export", "--purpose", "read"]);
    let found = exported(&job);
    let value = |name: &str| {
        let of_name = found.iter().find(|(other, _)| other == name);
        of_name
            .unwrap_or_else(|| panic!("no {name}: {found:?}"))
            .1
            .as_str()
    };
    let names = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ];
    masked(&ended, &names.map(value));
    assert_eq!(value("AWS_SECURITY_TOKEN"), "");
    assert_eq!(value("AWS_CREDENTIAL_EXPIRATION"), "");
    let warning = "::warning::AWS_PROFILE is `nobody` in this job";
    assert!(log(&ended).contains(warning), "{}", log(&ended));
    assert_eq!(value("AWS_REGION"), world.region);
    // The credentials are those of the role: another tool has that role with them.
    let mut check = job.command("slipway-identity", &["check", "--json"]);
    check.args([
        "--role",
        &role(&world, "slipway-read"),
        "--account",
        &account(&world),
    ]);
    check.envs(
        found
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let checked = job.run(&mut check);
    assert_eq!(checked.status.code(), Some(0), "{}", log(&checked));
    let answer: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(
        answer.to_string().contains("assumed-role/slipway-read/"),
        "{answer}"
    );
}

fn account(world: &World) -> String {
    world.environment("dev").unwrap().account.id.clone()
}

fn role(world: &World, name: &str) -> String {
    format!("arn:aws:iam::{}:role/{name}", account(world))
}

#[test]
fn a_command_has_the_credentials_and_nothing_that_comes_after_it() {
    let (world, job) = job("identity-exec");
    let identity = instance()
        .built()
        .join("slipway-identity")
        .display()
        .to_string();
    let role = role(&world, "slipway-deploy");
    let account = account(&world);
    let mine = ["check", "--role", &role, "--account", &account, "--json"];
    // A command gets none of the runner's files, so a step in it behaves as at a terminal.
    let mut arguments = vec![
        "exec",
        "--",
        "/usr/bin/env",
        "-u",
        "GITHUB_ACTIONS",
        &identity,
    ];
    arguments.extend(mine);
    let ended = run(&job, "slipway-identity", &arguments);
    let answer: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert!(
        answer.to_string().contains("assumed-role/slipway-deploy/"),
        "{answer}"
    );
    assert_eq!(
        (job.read("env"), job.read("output")),
        (String::new(), String::new())
    );
    let failing = [
        "exec",
        "--environment",
        "dev",
        "--",
        "/bin/sh",
        "-c",
        "[ -z \"$AWS_PROFILE$AWS_SECURITY_TOKEN$AWS_CREDENTIAL_EXPIRATION\" ] && exit 7",
    ];
    let ended = job.run(&mut job.command("slipway-identity", &failing));
    assert_eq!(ended.status.code(), Some(7), "{}", log(&ended));
}

#[test]
fn secrets_from_both_stores_reach_the_command_the_later_steps_or_a_file() {
    let (world, job) = job("secrets");
    let dev = world.environment("dev").unwrap();
    let (url, token) = (world.database_url(dev), world.api_token(dev));
    let print = "printf %s \"$API_TOKEN\" > token; printf %s \"$DATABASE_URL\" > url";
    run(
        &job,
        "slipway-secrets",
        &["exec", "--", "/bin/sh", "-c", print],
    );
    assert_eq!(
        (job.read("token"), job.read("url")),
        (token.clone(), url.clone())
    );
    assert_eq!(job.read("env"), "");

    let sources = [
        "--source",
        "URL=ssm:/storefront/dev/database-url",
        "--source",
        "TOKEN=secretsmanager:storefront/dev/api#token",
    ];
    // As a parameter that another account shares is named.
    let shared = "parameter/storefront/dev/database-url";
    let shared = format!("SHARED=ssm:{}", world.arn(&dev.account.id, "ssm", shared));
    let mut export = vec!["export", "--source", &shared];
    export.extend(sources);
    let ended = run(&job, "slipway-secrets", &export);
    masked(&ended, &[&url, &token]);
    let found = exported(&job);
    for pair in [("URL", &url), ("TOKEN", &token), ("SHARED", &url)] {
        assert!(
            found
                .iter()
                .any(|(name, value)| (name.as_str(), value) == pair),
            "{pair:?}"
        );
    }

    let mut file = vec!["file", "--path", "secrets.env"];
    file.extend(sources);
    let ended = run(&job, "slipway-secrets", &file);
    masked(&ended, &[&url, &token]);
    let path = job.file("secrets.env");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = job.read("secrets.env");
    assert!(
        text.contains(&token) && text.contains(&url),
        "the file lacks a value"
    );
    // The post step takes it away.
    let mut post = job.command("slipway-secrets", &[]);
    post.env("SLIPWAY_PHASE", "post")
        .envs([("INPUT_COMMAND", "file"), ("INPUT_PATH", "secrets.env")]);
    post.envs(job.state());
    let ended = job.run(&mut post);
    assert_eq!(ended.status.code(), Some(0), "{}", log(&ended));
    assert!(!path.exists());

    // One that is missing is one error, and nothing is exported.
    std::fs::write(job.file("env"), "").unwrap();
    let missing = [
        "export",
        "--environment",
        "dev",
        "--source",
        "NONE=ssm:/storefront/dev/none",
        "--source",
        "URL=ssm:/storefront/dev/database-url",
    ];
    let ended = job.run(&mut job.command("slipway-secrets", &missing));
    assert_ne!(ended.status.code(), Some(0));
    assert!(
        log(&ended).contains("/storefront/dev/none"),
        "{}",
        log(&ended)
    );
    assert_eq!(job.read("env"), "");
}
