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
    // Whoever may change the policy may change the resource, in one reviewed plan.
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
