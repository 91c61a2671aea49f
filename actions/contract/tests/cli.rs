//! slipway-contract as its user sees it: the exit code, the mistakes, and the exported values.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

use std::path::Path;
use std::process::{Command, Output};

use step_job::{Job, entries, log};

const STOREFRONT: &str = include_str!("../../../docs/examples/storefront/delivery.yaml");

const VARS: &str = r#"{"BUILD_ACCOUNT_ID": "000000000001", "DEV_ACCOUNT_ID": "012345678901",
    "LEDGER_ANCHOR_BUCKET": "acme-ledger", "TF_STATE_BUCKET_DEV": "acme-state-dev", "TF_LOCK_TABLE": "acme-locks"}"#;

/// A job in a folder with a contract.
fn in_folder(contract: &str) -> Job {
    let job = Job::new(env!("CARGO_BIN_EXE_slipway-contract"));
    std::fs::write(job.file("delivery.yaml"), contract).unwrap();
    job
}

/// The step at a terminal.
fn command(job: &Job, arguments: &[&str]) -> Command {
    job.command(arguments, &[("GITHUB_ACTIONS", "")])
}

fn in_github(job: &Job, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = job.command(arguments, env);
    command
        .env("GITHUB_WORKSPACE", job.path())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_good_contract_is_ok_and_shows_its_chain() {
    let job = in_folder(STOREFRONT);
    let output = command(&job, &["check"]).output().unwrap();
    assert!(output.status.success(), "{}", log(&output));
    expect_test::expect![[r#"
        ok: delivery.yaml delivers storefront

        environment  follows  account                    region        gate
        dev                   var:DEV_ACCOUNT_ID         ca-central-1  none
        staging      dev      var:STAGING_ACCOUNT_ID     ca-central-1  on main; 1 approval; from .github/workflows/promote.yml; infrastructure without a permit
        production   staging  var:PRODUCTION_ACCOUNT_ID  ca-central-1  on main; 1 approval; checks test@15368; from .github/workflows/promote.yml; infrastructure without a permit
    "#]].assert_eq(&stdout(&output));
    assert_eq!(log(&output), "");
}

#[test]
fn every_mistake_is_shown_and_annotated_and_nothing_is_exported() {
    let job = in_folder(
        &STOREFRONT
            .replace("follows: dev", "folows: dev")
            .replace("10.20.0.0/16", "10.20.0.0"),
    );
    for arguments in [&["check"][..], &["resolve", "--environment", "dev"]] {
        let output = in_github(&job, arguments, &[("SLIPWAY_VARS", VARS)]);
        let log = log(&output);
        assert_eq!(output.status.code(), Some(2), "{log}");
        let annotations: Vec<&str> = log.lines().filter(|line| line.starts_with("::")).collect();
        assert_eq!(
            annotations,
            [
                "::error file=delivery.yaml,line=17,col=5,title=contract::`environments.staging` has no key `folows`%0Ahint: did you mean `follows`?",
                "::error file=delivery.yaml,line=30,col=14,title=contract::`10.20.0.0` is not a network%0Ahint: an address and a length, such as `10.20.0.0/16`",
            ]
        );
        assert!(
            log.contains("17 |     folows: dev\n   |     ^^^^^^"),
            "{log}"
        );
        assert!(
            log.contains("error: delivery.yaml is wrong: 2 mistakes"),
            "{log}"
        );
        assert_eq!(stdout(&output), "");
        assert_eq!(job.exported(), "");
        assert!(
            job.read("GITHUB_STEP_SUMMARY")
                .starts_with("### contract: failed")
        );
    }
}

#[test]
fn an_annotation_names_the_file_from_the_repositorys_root() {
    let job = in_folder("");
    std::fs::create_dir(job.file("shop")).unwrap();
    let path = job.file("shop/delivery.yaml");
    std::fs::write(&path, "version: 1\n").unwrap();
    let output = in_github(&job, &["check", "--contract", path.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(log(&output).contains("::error file=shop/delivery.yaml,line=1,col=1,"));
}

#[test]
fn resolve_writes_outputs_and_variables() {
    let job = in_folder(STOREFRONT);
    let output = in_github(
        &job,
        &[],
        &[
            ("INPUT_COMMAND", "resolve"),
            ("INPUT_ENVIRONMENT", "dev"),
            ("INPUT_CONTRACT", ""),
            ("SLIPWAY_VARS", VARS),
        ],
    );
    assert!(output.status.success(), "{}", log(&output));
    let pairs = |name: &str| entries(&job.read(name));
    let has = |found: &[(String, String)], name: &str, value: &str| {
        assert!(
            found.contains(&(name.to_owned(), value.to_owned())),
            "{name} in {found:?}"
        );
    };
    let outputs = pairs("GITHUB_OUTPUT");
    let written: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    let declared: Vec<&str> = <slipway_contract::Contract as kit::Step>::ACTION
        .outputs
        .iter()
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(written, declared);
    let env = pairs("GITHUB_ENV");
    has(&outputs, "account", "012345678901");
    has(&outputs, "follows", "");
    has(&outputs, "repository", "storefront");
    has(&outputs, "cluster", "storefront-dev");
    has(&env, "TF_VAR_vpc_cidr", "10.20.0.0/16");
    has(&env, "TF_VAR_domain", "dev.storefront.example");
    has(&env, "TF_VAR_environment", "dev");
    assert!(
        job.read("GITHUB_STEP_SUMMARY")
            .contains("| state | s3://acme-state-dev/storefront/dev/terraform.tfstate |")
    );
}

#[test]
fn a_variable_that_is_not_set_stops_everything() {
    let job = in_folder(STOREFRONT);
    for verb in ["resolve", "check"] {
        let output = in_github(
            &job,
            &[verb, "--environment", "staging"],
            &[("SLIPWAY_VARS", VARS)],
        );
        let log = log(&output);
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(log.contains("`STAGING_ACCOUNT_ID` is not set"), "{log}");
        assert!(
            log.contains("STAGING_ACCOUNT_ID_STAGING or STAGING_ACCOUNT_ID"),
            "{log}"
        );
        assert_eq!(job.exported(), "");
    }
}

#[test]
fn a_buildspec_sources_what_was_resolved() {
    let job = in_folder(STOREFRONT);
    let output = command(&job, &["resolve", "--environment", "dev"])
        .env(
            "CODEBUILD_BUILD_ARN",
            "arn:aws:codebuild:ca-central-1:000000000001:build/x",
        )
        .env("SLIPWAY_OUTPUT", job.file("out.sh"))
        .env("SLIPWAY_VARS", VARS)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", log(&output));
    let shell = Command::new("sh")
        .args([
            "-c",
            ". ./out.sh; echo \"$CONTRACT_ACCOUNT $CONTRACT_ECS_SERVICE $TF_VAR_domain\"",
        ])
        .current_dir(job.path())
        .output()
        .unwrap();
    assert_eq!(
        stdout(&shell),
        "012345678901 storefront dev.storefront.example\n"
    );
}

#[test]
fn machines_get_the_environment_and_the_mistakes_as_json() {
    let job = in_folder(STOREFRONT);
    let output = command(&job, &["resolve", "--environment", "dev", "--json"])
        .env("SLIPWAY_VARS", VARS)
        .output()
        .unwrap();
    let resolved: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(resolved["state"]["bucket"], "acme-state-dev");

    let job = in_folder("version: 2\n");
    let output = command(&job, &["check", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["error"]["exit"], 2);
    let version = &error["details"].as_array().unwrap()[3];
    assert_eq!(
        (&version["line"], &version["column"]),
        (&1.into(), &10.into())
    );
}

#[test]
fn wrong_arguments_exit_with_2_and_write_no_output() {
    let job = in_folder(STOREFRONT);
    for (arguments, message) in [
        (
            &["resolve"][..],
            "hint: add --environment NAME; delivery.yaml has dev, staging, production",
        ),
        (
            &["resolve", "--environment", "prod"],
            "error: delivery.yaml has no environment `prod`",
        ),
        (
            &["check", "--contract", "nowhere.yaml"],
            "error: cannot read the contract nowhere.yaml",
        ),
        (
            &["check", "--contract", "."],
            "error: cannot read the contract .",
        ),
        (&["chek"], "unrecognized subcommand 'chek'"),
    ] {
        let output = in_github(&job, arguments, &[]);
        let log = log(&output);
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(log.contains(message), "{log}");
        assert_eq!(job.read("GITHUB_OUTPUT"), "");
    }
}

#[test]
fn the_committed_schema_is_the_one_it_prints() {
    let job = in_folder("");
    let output = command(&job, &["schema"]).output().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/delivery.schema.json");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &output.stdout).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == stdout(&output),
        "docs/delivery.schema.json is out of date; UPDATE_EXPECT=1 cargo test -p slipway-contract rewrites it"
    );
}

#[test]
fn the_contracts_in_the_documentation_are_valid() {
    let text = include_str!("../../../docs/contract.md");
    let examples: Vec<&str> = text
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let output = command(&in_folder(example), &["check"]).output().unwrap();
        assert!(output.status.success(), "{}", log(&output));
    }
}

#[test]
fn a_contract_whose_infrastructure_is_a_stack_alone_needs_no_state() {
    let vault = include_str!("../../../docs/examples/vault/delivery.yaml");
    let job = in_folder(vault);
    let accounts = r#"{"BUILD_ACCOUNT_ID":"111111111111","TEST_ACCOUNT_ID":"222222222222","PRODUCTION_ACCOUNT_ID":"333333333333"}"#;
    for verb in ["check", "resolve"] {
        let output = command(&job, &[verb, "--environment", "test"])
            .env("SLIPWAY_VARS", accounts)
            .output()
            .unwrap();
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{verb}: {output:?}");
        assert!(!text.contains("TF_STATE_BUCKET"), "{text}");
    }
    let with_state = in_folder(&format!("{vault}\nstate:\n  region: ca-central-1\n"));
    let output = command(&with_state, &["check", "--environment", "test"])
        .env("SLIPWAY_VARS", accounts)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn action_and_readme_say_what_the_arguments_say() {
    kit::render::check::<slipway_contract::Contract>(env!("CARGO_MANIFEST_DIR")).unwrap();
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let job = in_folder(STOREFRONT);
    for (word, message) in [
        ("check", "cannot write the result to standard output"),
        ("--help", "cannot write the help to standard output"),
    ] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = command(&job, &[word]).stdout(full).output().unwrap();
        let log = log(&output);
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(message), "{log}");
    }
}

#[test]
fn wrong_arguments_are_json_where_json_is_asked_for_and_2_beside_no_command() {
    let job = in_folder(STOREFRONT);
    let output = command(&job, &["check", "--json", "--jsn"])
        .output()
        .unwrap();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["error"]["exit"], 2, "{result}");
    let output = command(&job, &["check", "--", "x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn the_summary_of_a_wrong_contract_lists_its_mistakes() {
    let job = in_folder(&STOREFRONT.replace("service: storefront", "service: Shop"));
    let summary = job.file("GITHUB_STEP_SUMMARY");
    let output = job.run(&["check"], &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.contains("delivery.yaml:"), "{summary}");
    assert!(summary.contains("`Shop` is not"), "{summary}");
}
