//! Plans in an environment whose gate says `plan: true`.

use serde_json::json;

use super::{Stacked, TEMPLATE};
use crate::govern::permitted::Planned;
use crate::job::Job;

/// A job in dev, whose gate asks for a permit.
fn gated(stack: &Stacked, settings: &str) -> Job {
    let job = stack.job(TEMPLATE, settings);
    let contract = job.file("delivery.yaml");
    let text = std::fs::read_to_string(&contract).unwrap();
    let dev = "dev: {account: var:DEV_ACCOUNT_ID";
    let text = text.replace(dev, &format!("{dev}, gate: {{plan: true}}"));
    std::fs::write(&contract, text).unwrap();
    job
}

#[test]
fn nothing_is_opened_under_a_plan_that_was_executed() {
    let stack = Stacked::alone("reopened");
    let ledger = Planned::new(stack.world, "of-a-protected-stack");
    let settings = ", termination-protection: true, policy: policy.json";
    let job = gated(&stack, settings);
    let policy =
        r#"{"Statement":[{"Effect":"Deny","Action":"Update:*","Principal":"*","Resource":"*"}]}"#;
    std::fs::write(job.file("policy.json"), policy).unwrap();
    let grant = "slipway-promote grant --environment dev --digest DIGEST --plan";
    stack.ends(&job, &["plan"], 0, &[grant, "--permit NUMBER"]);
    let plan = stack.planned(&job, &[]);
    let permit = ledger.permit(&plan, &json!({}));
    let apply = ["apply", "--plan", &plan, "--permit", &permit];
    stack.ends(&job, &apply, 0, &["termination protection switched on"]);
    let is_protected = || {
        stack
            .described()
            .contains("<EnableTerminationProtection>true")
    };
    // Another contract opens nothing, even under a permit that is valid.
    let other = gated(&stack, &settings.replace("true", "false"));
    std::fs::write(other.file("policy.json"), policy.replace("Deny", "Allow")).unwrap();
    let another = "was applied with another protection of the stack";
    stack.ends(&other, &apply, 3, &[another]);
    assert!(is_protected());
    let set = stack.call("GetStackPolicy", &[("StackName", &stack.name)]);
    assert!(set.contains("Deny"), "{set}");
    // Where nothing has to be set, a run only looks; where something does, it needs a permit for that.
    let foreign = ledger.permit(&"9".repeat(64), &json!({}));
    let unpermitted = ["apply", "--plan", &plan, "--permit", &foreign];
    stack.ends(&job, &unpermitted, 0, &["an earlier run executed plan"]);
    stack.call(
        "UpdateTerminationProtection",
        &[
            ("StackName", &stack.name),
            ("EnableTerminationProtection", "false"),
        ],
    );
    stack.ends(
        &job,
        &unpermitted,
        3,
        &["does not let plan", "the stack is not protected as it says"],
    );
    assert!(!is_protected());
    stack.ends(&job, &apply, 0, &["termination protection switched on"]);
    assert!(is_protected());
}

#[test]
fn where_the_gate_asks_for_it_a_plan_is_applied_only_under_a_permit_that_names_it() {
    let stack = Stacked::alone("permitted");
    let ledger = Planned::new(stack.world, "of-a-stack");
    let job = gated(&stack, "");
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
    // What it began may be followed after the permit is over.
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
