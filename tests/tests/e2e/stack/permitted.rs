//! Plans in an environment whose gate says `plan: true`.

use serde_json::json;

use super::{Stacked, TEMPLATE};
use crate::govern::permitted::Planned;

#[test]
fn where_the_gate_asks_for_it_a_plan_is_applied_only_under_a_permit_that_names_it() {
    let stack = Stacked::alone("permitted");
    let ledger = Planned::new(stack.world, "of-a-stack");
    let job = stack.job(TEMPLATE, "");
    let contract = job.file("delivery.yaml");
    let text = std::fs::read_to_string(&contract).unwrap();
    let dev = "dev: {account: var:DEV_ACCOUNT_ID";
    std::fs::write(
        &contract,
        text.replace(dev, &format!("{dev}, gate: {{plan: true}}")),
    )
    .unwrap();
    let plan = stack.planned(&job, &[]);
    let grant = "slipway-promote grant --environment dev --digest DIGEST --plan";
    let apply = |more: &[&str], exit: i32, expected: &[&str]| {
        stack.ends(
            &job,
            &[&["apply", "--plan", &plan], more].concat(),
            exit,
            expected,
        )
    };
    apply(&[], 3, &["the gate of dev says `plan: true`", grant]);
    let other = ledger.permit(&"9".repeat(64), &json!({}));
    apply(
        &["--permit", &other],
        3,
        &["does not let plan", "it permits plan 9999"],
    );
    let zeros = "0".repeat(40);
    let commit = ledger.permit(&plan, &json!({"commit": zeros}));
    apply(&["--permit", &commit], 3, &["it permits commit 0000"]);
    assert!(stack.described().contains("REVIEW_IN_PROGRESS"));
    let permit = ledger.permit(&plan, &json!({}));
    let under = format!("{permit}, granted by linus");
    apply(&["--permit", &permit], 0, &["CREATE_COMPLETE", &under]);
    // What it began may be followed after the permit is over, and changes nothing any more.
    apply(&["--permit", &permit], 0, &["an earlier run executed plan"]);
    let nothing = stack.planned(&job, &[]);
    stack.ends(
        &job,
        &["apply", "--plan", &nothing],
        3,
        &["the gate of dev says `plan: true`"],
    );
    let permit = ledger.permit(&nothing, &json!({}));
    stack.ends(
        &job,
        &["apply", "--plan", &nothing, "--permit", &permit],
        0,
        &["no changes"],
    );
}
