//! The examples' code in JavaScript and TypeScript, by its own tests, and what else can be said of them without an account.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::{ends, instance};

/// A copy of an example's package with its dependencies, which its lock file names.
fn installed(package: &str) -> tempfile::TempDir {
    let instance = instance();
    sandbox::install::example(instance, package).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let source = instance.checkout.join("docs/examples").join(package);
    for entry in std::fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let modules = instance.example(package).join("node_modules");
    symlink(modules, folder.path().join("node_modules")).unwrap();
    folder
}

fn node(folder: &tempfile::TempDir, arguments: &[&str]) -> Command {
    let mut node = Command::new(instance().bin().join("node"));
    node.args(arguments).current_dir(folder.path());
    node
}

#[test]
fn the_storefronts_infrastructure_passes_its_own_tests() {
    let folder = installed("storefront/infra-cdktn");
    ends(&mut node(&folder, &["--test"]), 0, &["fail 0"]);
    ends(&mut node(&folder, &["main.ts"]), 0, &[]);
    let written = folder
        .path()
        .join("cdktf.out/stacks/storefront/cdk.tf.json");
    assert!(written.is_file());
}

#[test]
fn the_vaults_components_pass_their_own_tests_and_name_no_registry() {
    for component in ["page", "status", "read", "write"] {
        let folder = installed(&format!("vault/components/{component}"));
        ends(&mut node(&folder, &["--test"]), 0, &["fail 0"]);
        let lock = std::fs::read_to_string(folder.path().join("package-lock.json")).unwrap();
        assert!(!lock.contains("\"resolved\""), "{component}");
    }
}

#[test]
fn the_vaults_contract_holds() {
    let mut check = Command::new(instance().built().join("slipway-contract"));
    check
        .arg("check")
        .current_dir(instance().checkout.join("docs/examples/vault"))
        .env_clear()
        .envs([
            ("BUILD_ACCOUNT_ID", "111111111111"),
            ("TEST_ACCOUNT_ID", "222222222222"),
            ("PRODUCTION_ACCOUNT_ID", "333333333333"),
        ]);
    ends(&mut check, 0, &[]);
}
