//! The stack policy, before and while it is in force.

use super::{Stacked, TEMPLATE};

const PROTECTS: &str = r#"{"Statement":[
    {"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*"},
    {"Effect":"Deny","Action":"Update:*","Principal":"*","Resource":"LogicalResourceId/Topic"}]}"#;

#[test]
fn a_plan_that_the_stack_policy_forbids_is_refused() {
    let stack = Stacked::new("policy");
    let job = stack.job(TEMPLATE, ", policy: policy.json");
    std::fs::write(job.file("policy.json"), PROTECTS).unwrap();
    stack.applied(&job);
    // A contract that names no policy leaves the one in force as it is.
    let job = stack.job(&TEMPLATE.replace("one", "two"), "");
    stack.ends(
        &job,
        &["plan"],
        3,
        &[
            "the stack policy of",
            "Update:Modify of Topic (AWS::SNS::Topic) is not allowed",
        ],
    );
    assert!(
        !stack.change_sets().contains("AVAILABLE"),
        "{}",
        stack.change_sets()
    );
    // A person who may change the policy may change the resource, in one reviewed plan.
    let job = stack.job(&TEMPLATE.replace("one", "two"), ", policy: policy.json");
    std::fs::write(job.file("policy.json"), PROTECTS.replace("Deny", "Allow")).unwrap();
    let plan = stack.planned(&job, &[]);
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        0,
        &["stack policy set", "UPDATE_COMPLETE"],
    );
}

#[test]
fn a_plan_sets_only_the_protection_that_was_reviewed() {
    let stack = Stacked::new("reviewed");
    stack.applied(&stack.job(TEMPLATE, ""));
    let job = stack.job(
        &TEMPLATE.replace("one", "two"),
        ", termination-protection: true, policy: policy.json",
    );
    std::fs::write(job.file("policy.json"), PROTECTS.replace("Deny", "Allow")).unwrap();
    let plan = stack.planned(&job, &[]);
    let apply = ["apply", "--plan", &plan];
    let otherwise = "was made for another protection of the stack than is declared here";
    for (settings, policy) in [
        (", policy: policy.json", PROTECTS.replace("Deny", "Allow")),
        (
            ", termination-protection: false, policy: policy.json",
            PROTECTS.replace("Deny", "Allow"),
        ),
        (
            ", termination-protection: true, policy: policy.json",
            PROTECTS.replace("Topic", "None"),
        ),
        ("", String::new()),
    ] {
        let other = stack.job(TEMPLATE, settings);
        std::fs::write(other.file("policy.json"), policy).unwrap();
        stack.ends(&other, &apply, 3, &[otherwise, "the plan: ", "here: "]);
    }
    let described = stack.described();
    assert!(
        described.contains("CREATE_COMPLETE")
            && !described.contains("<EnableTerminationProtection>true"),
        "{described}"
    );
    stack.ends(
        &job,
        &apply,
        0,
        &["termination protection switched on", "stack policy set"],
    );
    // The empty plan of one protection is not that of another.
    let nothing = stack.planned(&job, &[]);
    let other = stack.job(&TEMPLATE.replace("one", "two"), "");
    stack.ends(
        &other,
        &["apply", "--plan", &nothing],
        3,
        &["there is no plan"],
    );
}

#[test]
fn a_policy_that_was_tightened_after_the_plan_refuses_its_execution() {
    let stack = Stacked::new("tight");
    stack.applied(&stack.job(TEMPLATE, ""));
    let job = stack.job(&TEMPLATE.replace("one", "two"), "");
    let plan = stack.planned(&job, &[]);
    stack.call(
        "SetStackPolicy",
        &[("StackName", &stack.name), ("StackPolicyBody", PROTECTS)],
    );
    stack.ends(
        &job,
        &["apply", "--plan", &plan],
        3,
        &["forbids the plan", "Topic"],
    );
    assert!(stack.described().contains("CREATE_COMPLETE"));
}
