//! What a pull request would change in a stack, shown by a role that can neither execute nor leave anything.

use super::{Stacked, TEMPLATE};
use crate::job::Job;

/// A job of a pull request's run.
fn of_pull_request(stack: &Stacked, template: &str, settings: &str) -> Job {
    let mut job = stack.job(template, settings);
    job.set("GITHUB_EVENT_NAME", "pull_request");
    job.set("GITHUB_REF", "refs/pull/7/merge");
    job
}

#[test]
fn a_pull_request_is_shown_by_the_role_that_reads_and_leaves_nothing() {
    let stack = Stacked::new("proposed");
    let template = TEMPLATE.replace(
        "Parameters:",
        "Parameters:\n  Note: {Type: String, NoEcho: true}",
    );
    let settings = ", secret-parameters: {Note: NOTE}";
    let mut job = stack.job(&template, settings);
    job.set("NOTE", "correct-horse-battery");
    stack.applied(&job);
    // No secret reaches a pull request; the stack's own value stays in the place of it.
    let job = of_pull_request(&stack, &template.replace("one", "two"), settings);
    let text = stack.ends(
        &job,
        &["plan", "--verbose"],
        0,
        &[
            ":assumed-role/slipway-read/",
            "DisplayName: one → two",
            "parameter Note: kept as the stack has it",
            "it cannot be applied",
            "#7 gets no comment with the plan: there is no GitHub token",
        ],
    );
    assert!(!text.contains("apply it:"), "{text}");
    assert!(!job.read("output").contains("apply"));
    let planned = stack.json(&job, &["plan"]);
    assert_eq!(planned["plan_id"], serde_json::Value::Null);
    // Data that would be lost is refused here too, before anybody merges it.
    let without = template.replace(
        "  Queue:\n    Type: AWS::SQS::Queue\n    Properties: {DelaySeconds: !Ref Delay}\n",
        "",
    );
    let without = without.replace(
        "QueueUrl: {Value: !Ref Queue}",
        "Topic: {Value: !Ref Topic}",
    );
    let losing = of_pull_request(&stack, &without, settings);
    stack.ends(&losing, &["plan"], 3, &["loses data"]);
    assert!(!stack.change_sets().contains("slipway-pull-"));
    let apply = ["apply", "--plan", &"1".repeat(64)];
    let refused = "no stack is changed from a pull request's run";
    stack.ends(&job, &apply, 3, &[refused]);
}
