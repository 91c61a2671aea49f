//! The contract as its users meet it: what a usual one resolves to, and what is said of wrong
//! ones.

mod gates;
mod mistakes;
mod references;
mod resolution;
mod rules;

use super::*;
use expect_test::Expect;

const STOREFRONT: &str = include_str!("../../../../../../docs/examples/storefront/delivery.yaml");

const VARS: &str = r#"{
    "BUILD_ACCOUNT_ID": "000000000001", "LEDGER_ANCHOR_BUCKET": "acme-ledger", "DEV_ACCOUNT_ID": "012345678901",
    "STAGING_ACCOUNT_ID": "111111111111", "PRODUCTION_ACCOUNT_ID": "222222222222",
    "TF_STATE_BUCKET": "acme-state", "TF_STATE_BUCKET_PRODUCTION": "acme-state-production",
    "TF_LOCK_TABLE": "acme-locks"
}"#;

fn path() -> &'static Path {
    Path::new("delivery.yaml")
}

fn vars() -> Env {
    Env::from([("SLIPWAY_VARS", VARS)])
}

/// A contract that is right, with `more` at its end.
fn with(more: &str) -> String {
    format!(
        "version: 1\nservice: shop\nbuild: {{account: 012345678901, region: ca-central-1}}\n\
         environments:\n  dev: {{account: \"111111111111\"}}\n  \
         live: {{account: 222222222222, follows: dev}}\n{more}"
    )
}

/// Resolves a contract with the state variables set.
fn complete(text: &str, environment: &str) -> Complete {
    parse(path(), text)
        .and_then(|contract| contract.resolve_all(environment, &vars()))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn resolved(text: &str, environment: &str) -> Resolved {
    complete(text, environment).resolved
}

fn assert_error(text: &str, expected: Expect) {
    let error = parse(path(), text).unwrap_err();
    assert_eq!(error.exit(), crate::Exit::Usage);
    expected.assert_eq(&error.to_string());
}

fn cannot_resolve(text: &str, environment: &str, env: &Env, expected: Expect) {
    let contract = parse(path(), text).unwrap_or_else(|error| panic!("{error}"));
    let error = contract.resolve_all(environment, env).unwrap_err();
    assert_eq!(error.exit(), crate::Exit::Usage);
    expected.assert_eq(&error.to_string());
}

fn storefront() -> Contract {
    parse(path(), STOREFRONT).unwrap()
}
