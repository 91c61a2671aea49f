//! Bad input that every step meets alike, and what only AWS can tell: one message each, the exit code of the table, nothing
//! exported, nothing done.

use std::collections::BTreeSet;
use std::process::Output;

use sandbox::world::World;
use sandbox::world::runner::{Variables, without_lock_tables};

use crate::job::Job;
use crate::support::{TIMEOUT, instance, log, session, wait, world};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CONTRACT: &str = include_str!("../../../docs/examples/storefront/delivery.yaml");

/// Every step that works on an environment, in a call that would do something. `ran` is a file that only a command the
/// step runs can make.
const CALLS: [(&str, &[&str]); 6] = [
    ("slipway-identity", &["export"]),
    ("slipway-secrets", &["exec", "--", "touch", "ran"]),
    (
        "slipway-image",
        &[
            "publish",
            "--allow-unverified",
            "there is no checkout",
            "--tag",
            "v1",
        ],
    ),
    ("slipway-state", &["run", "--", "touch", "ran"]),
    ("slipway-service", &["deploy", "--digest", DIGEST]),
    (
        "slipway-promote",
        &["record", "--digest", DIGEST, "--commit", COMMIT],
    ),
];

/// Runs each call on an environment, expects its end, and that all say the same. A mistake beside a command of the user's
/// must not be taken for that command's own 2.
fn all_say(job: &Job, environment: &str, exit: i32, message: &str) {
    for (binary, arguments) in CALLS {
        let mut command = job.command(binary, &["--environment", environment]);
        let output = job.run(command.args(arguments));
        let exit = match exit {
            2 if arguments.contains(&"--") => 64,
            exit => exit,
        };
        refused(job, binary, &output, exit, message);
    }
}

/// One error, which is this one, and nothing left behind.
fn refused(job: &Job, name: &str, output: &Output, exit: i32, message: &str) {
    let log = log(output);
    assert_eq!(output.status.code(), Some(exit), "{name}: {log}");
    let errors: Vec<&str> = log
        .lines()
        .filter_map(|line| line.strip_prefix("error: "))
        .collect();
    assert_eq!(errors, [message], "{name}: {log}");
    assert!(output.stdout.is_empty(), "{name}: {output:?}");
    for file in ["output", "env", "state", "ran"] {
        assert!(
            !job.file(file).exists() || job.read(file).is_empty(),
            "{name}: {file}"
        );
    }
}

/// Where nobody answers: whoever calls AWS here says so in another error.
fn nowhere() -> Variables {
    [
        ("PATH", "/usr/bin:/bin"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", "ca-central-1"),
        ("TF_STATE_BUCKET", "state"),
        ("BUILD_ACCOUNT_ID", "111111111111"),
        ("LEDGER_ANCHOR_BUCKET", "anchor"),
        ("DEV_ACCOUNT_ID", "222222222222"),
        ("STAGING_ACCOUNT_ID", "333333333333"),
        ("PRODUCTION_ACCOUNT_ID", "444444444444"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn with_contract(variables: Variables, contract: &str) -> Job {
    let job = Job::new(variables);
    std::fs::write(job.file("delivery.yaml"), contract).unwrap();
    std::fs::write(job.file("Dockerfile"), "FROM scratch\n").unwrap();
    std::fs::create_dir(job.file("infra")).unwrap();
    job
}

#[test]
fn a_missing_contract_is_one_error_of_every_step() {
    let job = Job::new(nowhere());
    all_say(&job, "dev", 2, "cannot read the contract delivery.yaml");
}

#[test]
fn an_environment_the_contract_does_not_know_is_one_error_of_every_step() {
    let job = with_contract(nowhere(), CONTRACT);
    all_say(&job, "dve", 2, "delivery.yaml has no environment `dve`");
}

#[test]
fn a_runner_without_its_files_is_one_error_of_every_step() {
    let mut variables = nowhere();
    variables.insert("GITHUB_OUTPUT".to_owned(), String::new());
    let job = with_contract(variables, CONTRACT);
    let message = "GITHUB_ACTIONS is set but GITHUB_OUTPUT is not";
    all_say(&job, "dev", 2, message);
}

#[test]
fn a_long_lived_key_is_refused_by_every_step_before_any_call() {
    let mut variables = nowhere();
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        (
            "AWS_SECRET_ACCESS_KEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
    ] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    let job = with_contract(variables, CONTRACT);
    let message =
        "access key AKIAIOSFODNN7EXAMPLE is long-lived; only temporary credentials are used";
    all_say(&job, "dev", 3, message);
}

/// A world's variables with a session of dev's deploy role.
fn in_dev(world: &World) -> Variables {
    let dev = world.environment("dev").unwrap();
    let keys = wait(TIMEOUT, session(world, "dev", "slipway-deploy"));
    let mut variables = world.variables(instance());
    variables.extend(world.repository_variables());
    variables.extend(world.environment_variables(dev));
    let mut variables = without_lock_tables(variables);
    variables.extend(keys.variables());
    variables
}

/// A role that was given by hand is in another account than the contract's: whoever trusted it would change the wrong one.
#[test]
fn credentials_of_another_account_than_the_contracts_are_refused() {
    let world = wait(TIMEOUT, world("mismatch"));
    let (dev, staging) = (
        world.environment("dev").unwrap(),
        world.environment("staging").unwrap(),
    );
    let mut variables = in_dev(&world);
    variables.insert("DEV_ACCOUNT_ID".to_owned(), staging.account.id.clone());
    variables.insert("STAGING_ACCOUNT_ID".to_owned(), dev.account.id.clone());
    let job = with_contract(variables, CONTRACT);
    let role = format!("arn:aws:iam::{}:role/slipway-deploy", dev.account.id);
    let message = format!(
        "these credentials are for account {}, not for {}",
        dev.account.id, staging.account.id
    );
    for (binary, arguments) in CALLS {
        // The others take no role by hand.
        if !matches!(
            binary,
            "slipway-identity" | "slipway-secrets" | "slipway-state"
        ) {
            continue;
        }
        let mut command = job.command(binary, &["--environment", "dev", arguments[0]]);
        let output = job.run(command.args(["--role", &role]).args(&arguments[1..]));
        refused(&job, binary, &output, 3, &message);
    }
    wait(TIMEOUT, async {
        for environment in [dev, staging] {
            let aws = world
                .administrator(instance(), &environment.account)
                .await
                .unwrap();
            let bucket = &environment.state_bucket;
            let lock = format!("/{bucket}/storefront/dev/terraform.tfstate.tflock");
            assert!(aws.get(&lock).await.unwrap().is_err());
        }
    });
}

#[test]
fn all_missing_secrets_are_named_in_one_error_and_none_is_exposed() {
    let world = wait(TIMEOUT, world("missing"));
    let job = Job::new(in_dev(&world));
    let sources = "GOOD=ssm:/storefront/dev/database-url\n\
                   GONE=ssm:/storefront/dev/gone\n\
                   LOST=secretsmanager:storefront/dev/lost#token\n\
                   KEYLESS=secretsmanager:storefront/dev/api#other";
    for arguments in [
        &["export", "--source", sources][..],
        &["exec", "--source", sources, "--", "touch", "ran"],
        &["file", "--path", "ran", "--source", sources],
    ] {
        let output = job.run(&mut job.command("slipway-secrets", arguments));
        let log = log(&output);
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert_eq!(log.matches("error: ").count(), 1, "{log}");
        let missing: BTreeSet<&str> = ["GONE", "LOST", "KEYLESS"]
            .into_iter()
            .filter(|name| log.contains(&format!("  {name}: ")))
            .collect();
        assert_eq!(missing.len(), 3, "{log}");
        assert!(!log.contains("GOOD"), "{log}");
        let dev = world.environment("dev").unwrap();
        let instance = format!("in account {}, region {}", dev.account.id, world.region);
        for piece in [
            format!("SSM has no parameter /storefront/dev/gone {instance}"),
            format!("Secrets Manager has no secret storefront/dev/lost {instance}"),
            "aws ssm put-parameter --name /storefront/dev/gone --type SecureString".to_owned(),
            "aws secretsmanager create-secret --name storefront/dev/lost".to_owned(),
        ] {
            assert!(log.contains(&piece), "no {piece} in\n{log}");
        }
        assert!(!log.contains(&world.database_url(dev)), "{log}");
        for file in ["output", "env", "ran"] {
            assert!(job.read(file).is_empty() && (file != "ran" || !job.file(file).exists()));
        }
    }
}
