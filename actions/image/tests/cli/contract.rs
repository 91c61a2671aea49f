//! The contract that is read, and the parts of it that are needed.

use crate::job::{COMMIT, Job, publish};

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
    std::fs::write(job.file("app/delivery.yaml"), CONTRACT).unwrap();
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
            job.refuses(&arguments, &ACCOUNTS, 1, IN_ORDER);
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
fn the_dockerfile_is_named_from_the_contract_s_folder() {
    let job = Job::new();
    let image = "image: {context: src, dockerfile: docker/Dockerfile}\n";
    job.write("app/delivery.yaml", &format!("{CONTRACT}{image}"));
    job.write("app/src/docker/Dockerfile", "FROM scratch\n");
    let first = job.commit();
    let log = job.refuses(
        &["publish", "--commit", &first],
        &ACCOUNTS,
        2,
        "there is no Dockerfile at docker/Dockerfile",
    );
    assert!(log.contains("it is at src/docker/Dockerfile"), "{log}");
    job.write("app/docker/Dockerfile", "FROM scratch\n");
    let second = job.commit();
    let both = "docker/Dockerfile is built, not src/docker/Dockerfile";
    job.refuses(&["publish", "--commit", &second], &ACCOUNTS, 1, both);
    std::fs::remove_dir_all(job.file("app/src/docker")).unwrap();
    job.write("app/src/main", "");
    let third = job.commit();
    let log = job.refuses(&["publish", "--commit", &third], &ACCOUNTS, 1, IN_ORDER);
    assert!(!log.contains("is built, not"), "{log}");
}

#[test]
fn an_account_of_another_environment_is_missed_by_name() {
    let job = Job::new();
    std::fs::write(job.file("app/delivery.yaml"), CONTRACT).unwrap();
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
    job.refuses(&named, &ACCOUNTS[..2], 1, IN_ORDER);
}

#[test]
fn a_contract_that_nobody_named_leaves_the_arguments_alone() {
    let job = Job::new();
    std::fs::write(job.file("app/delivery.yaml"), "version: [").unwrap();
    job.refuses(&publish(&[]), &[], 2, "the region is missing");
    job.refuses(
        &publish(&["--contract", "delivery.yaml"]),
        &[],
        2,
        "delivery.yaml is wrong",
    );
}
