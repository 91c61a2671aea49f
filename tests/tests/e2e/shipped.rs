//! Every workflow that others call and every buildspec is run by a test.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{instance, read};

/// What is shipped, and the test that runs it: its file below this folder, and its name.
const RUN: [(&str, &str, &str); 14] = [
    (
        ".github/workflows/approve.yml",
        "callable.rs",
        "the_examples_approvals_are_short_runs_that_write_to_the_ledger",
    ),
    (
        ".github/workflows/check.yml",
        "proposal.rs",
        "a_pull_request_is_tested_and_shows_its_plan_while_somebody_else_holds_the_lock",
    ),
    (
        ".github/workflows/continue.yml",
        "permits/continued.rs",
        "both_hosts_end_a_paused_deployment_under_its_permit_and_record_it",
    ),
    (
        ".github/workflows/deliver.yml",
        "callable.rs",
        "the_ten_lines_of_the_readme_deliver_and_their_sibling_promotes",
    ),
    (
        ".github/workflows/plan.yml",
        "proposal.rs",
        "a_pull_request_is_tested_and_shows_its_plan_while_somebody_else_holds_the_lock",
    ),
    (
        ".github/workflows/promote.yml",
        "callable.rs",
        "the_ten_lines_of_the_readme_deliver_and_their_sibling_promotes",
    ),
    (
        ".github/workflows/stack.yml",
        "stack/callable.rs",
        "a_pull_request_is_planned_a_merge_applied_and_a_gate_asked",
    ),
    (
        "buildspecs/approve.yml",
        "planned.rs",
        "the_buildspecs_apply_the_plan_that_was_approved_by_its_id",
    ),
    (
        "buildspecs/build.yml",
        "planned.rs",
        "the_buildspecs_apply_the_plan_that_was_approved_by_its_id",
    ),
    (
        "buildspecs/continue.yml",
        "permits/continued.rs",
        "both_hosts_end_a_paused_deployment_under_its_permit_and_record_it",
    ),
    (
        "buildspecs/deploy.yml",
        "planned.rs",
        "the_buildspecs_apply_the_plan_that_was_approved_by_its_id",
    ),
    (
        "buildspecs/gate.yml",
        "planned.rs",
        "the_buildspecs_apply_the_plan_that_was_approved_by_its_id",
    ),
    (
        "buildspecs/infrastructure.yml",
        "planned.rs",
        "the_buildspecs_apply_the_plan_that_was_approved_by_its_id",
    ),
    (
        "buildspecs/stack.yml",
        "stack/built.rs",
        "builds_plan_and_apply_a_stack_and_under_a_gate_the_plan_that_its_permit_names",
    ),
];

/// The buildspecs, and the workflows that say `workflow_call`.
fn shipped(checkout: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (folder, marked) in [(".github/workflows", "workflow_call:"), ("buildspecs", "")] {
        for entry in std::fs::read_dir(checkout.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if read(&entry.path()).contains(marked) {
                found.insert(format!("{folder}/{}", entry.file_name().to_str().unwrap()));
            }
        }
    }
    found
}

#[test]
fn every_workflow_that_others_call_and_every_buildspec_is_run_by_a_test() {
    let checkout = &instance().checkout;
    let named: BTreeSet<String> = RUN.iter().map(|(file, ..)| (*file).to_owned()).collect();
    assert_eq!(shipped(checkout), named, "name the test that runs it");
    for (file, source, test) in RUN {
        let text = read(&checkout.join("tests/tests/e2e").join(source));
        let there = text.contains(&format!("\nfn {test}() {{"));
        assert!(there, "{file}: {source} has no test {test}");
    }
}
