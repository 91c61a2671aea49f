//! The refusals, and the way to go on after each.

use serde_json::json;

use super::{Stacked, TEMPLATE, shows};

const RENAMED: &str = "Properties: {DelaySeconds: !Ref Delay, FifoQueue: true}";
const PLAIN: &str = "Properties: {DelaySeconds: !Ref Delay}";

#[test]
fn data_is_lost_only_if_the_plan_allows_it() {
    let stack = Stacked::new("data");
    stack.applied(&stack.job(TEMPLATE, ""));
    let job = stack.job(&TEMPLATE.replace(PLAIN, RENAMED), "");
    stack.ends(
        &job,
        &["plan"],
        3,
        &[
            "replace Queue (AWS::SQS::Queue)",
            "[LOSES DATA]",
            "FifoQueue",
            "loses data, which is not allowed",
            "--allow-replace Queue",
        ],
    );
    // A refused plan is not left for somebody to execute.
    assert!(
        !stack.change_sets().contains("AVAILABLE"),
        "{}",
        stack.change_sets()
    );
    let plan = stack.planned(&job, &["--allow-replace", "Queue"]);
    stack.ends(&job, &["apply", "--plan", &plan], 0, &["UPDATE_COMPLETE"]);
    let removed =
        "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {DisplayName: one}\n";
    let job = stack.job(removed, "");
    stack.ends(
        &job,
        &["plan"],
        3,
        &["remove Queue (AWS::SQS::Queue)", "--allow-replace Queue"],
    );
    stack.ends(
        &job,
        &["plan", "--allow-replace", "Queue\nTopic"],
        0,
        &["--allow-replace Topic allows nothing"],
    );
}

#[test]
fn only_a_plan_that_is_there_and_of_the_stack_as_it_is_is_applied() {
    let stack = Stacked::new("plans");
    let job = stack.job(TEMPLATE, "");
    let unknown = "0".repeat(64);
    let apply = |plan: &str, exit: i32, expected: &[&str]| {
        stack.ends(&job, &["apply", "--plan", plan], exit, expected);
    };
    apply(&unknown, 3, &["there is no plan 0000", "there is no stack"]);
    let (first, second) = (stack.planned(&job, &[]), stack.planned(&job, &[]));
    assert_ne!(first, second);
    apply(&unknown, 3, &["there is no plan 0000", "plan again"]);
    apply(&first, 0, &["CREATE_COMPLETE"]);
    // CloudFormation deleted the other one with the execution of the first.
    apply(
        &second,
        3,
        &[
            "there is no plan",
            "its change set was deleted, the stack changed since",
        ],
    );
    let update = stack.job(&TEMPLATE.replace("one", "two"), "");
    let plan = stack.planned(&update, &[]);
    let sets = stack.change_sets();
    let set = sets
        .split("<ChangeSetId>")
        .filter_map(|part| part.split_once("</ChangeSetId>"));
    for (id, _) in set.filter(|(id, _)| id.contains("changeSet/slipway-")) {
        if sets.contains("AVAILABLE") {
            stack.aws_delete(id);
        }
    }
    stack.ends(
        &update,
        &["apply", "--plan", &plan],
        3,
        &["there is no plan"],
    );
}

impl Stacked {
    /// Deletes a change set as somebody does by hand; one that is being executed stays.
    fn aws_delete(&self, id: &str) {
        self.call("DeleteChangeSet", &[("ChangeSetName", id)]);
    }
}

#[test]
fn a_plan_without_changes_does_not_outlive_a_change() {
    let stack = Stacked::new("empty");
    let job = stack.job(TEMPLATE, "");
    stack.applied(&job);
    let nothing = stack.planned(&job, &[]);
    stack.applied(&stack.job(&TEMPLATE.replace("one", "two"), ""));
    stack.ends(
        &job,
        &["apply", "--plan", &nothing],
        3,
        &["there is no plan"],
    );
}

#[test]
fn a_plan_without_changes_does_not_succeed_on_a_broken_stack() {
    let stack = Stacked::new("halfgone");
    let job = stack.job(TEMPLATE, "");
    stack.applied(&job);
    let nothing = stack.planned(&job, &[]);
    stack.strike("Topic", "delete", &json!({"reason": "the topic stays"}));
    stack.call("DeleteStack", &[("StackName", &stack.name)]);
    stack.becomes("DELETE_FAILED");
    stack.ends(
        &job,
        &["apply", "--plan", &nothing],
        3,
        &["there is no plan", "the stack is DELETE_FAILED"],
    );
}

#[test]
fn a_stack_that_another_operation_changes_is_busy() {
    let stack = Stacked::new("busy");
    let job = stack.job(TEMPLATE, "");
    stack.applied(&job);
    let update = stack.job(&TEMPLATE.replace("one", "two"), "");
    let (mine, theirs) = (stack.planned(&update, &[]), stack.planned(&update, &[]));
    stack.strike("Topic", "update", &json!({"delay": 4000}));
    let mut command = stack.step(&update, &["apply", "--plan", &theirs]);
    let running = crate::support::Started::new(&mut command);
    stack.becomes("UPDATE_IN_PROGRESS");
    stack.ends(
        &job,
        &["plan"],
        4,
        &["another operation on the stack", "UPDATE_IN_PROGRESS"],
    );
    // Its change set is gone since the other one is executed.
    stack.ends(
        &update,
        &["apply", "--plan", &mine],
        3,
        &["there is no plan"],
    );
    shows(&running.end(super::DEADLINE), &[], 0, &["UPDATE_COMPLETE"]);
}

#[test]
fn inputs_that_do_not_fit_the_template_are_reported_before_anything_is_made() {
    let stack = Stacked::new("input");
    let job = stack.job(TEMPLATE, ", parameters: {Dely: 7}");
    stack.ends(
        &job,
        &["plan"],
        2,
        &["the template has no parameter `Dely`"],
    );
    let needs = TEMPLATE.replace("Delay: {Type: Number, Default: 5}", "Delay: {Type: Number}");
    let job = stack.job(&needs, "");
    stack.ends(
        &job,
        &["plan"],
        2,
        &[
            "the parameter `Delay` has no value",
            "--parameter Delay=VALUE",
        ],
    );
    let job = stack.job("Resources: {Queue: {Type: AWS::SQS::Queue", "");
    stack.ends(
        &job,
        &["plan"],
        2,
        &["CloudFormation does not accept the template"],
    );
    let role = format!(
        "{TEMPLATE}  Ignored: {{Value: none}}\n"
    )
    .replace(
        "Resources:",
        "Resources:\n  Role:\n    Type: AWS::IAM::Role\n    Properties:\n      RoleName: named\n      AssumeRolePolicyDocument: {Version: 2012-10-17, Statement: []}",
    );
    let job = stack.job(&role, "");
    stack.ends(
        &job,
        &["plan"],
        2,
        &[
            "the template needs CAPABILITY_NAMED_IAM",
            "--capability CAPABILITY_NAMED_IAM",
        ],
    );
    let odd = TEMPLATE.replace("DisplayName: one", "DisplayNam: one");
    let job = stack.job(&odd, "");
    stack.ends(
        &job,
        &["plan"],
        1,
        &[
            "could not compute the changes",
            "Topic (AWS::SNS::Topic)",
            "DisplayNam",
        ],
    );
    let other = format!("arn:aws:iam::{}:role/x", stack.world.build.id);
    let job = stack.job(TEMPLATE, "");
    stack.ends(&job, &["plan", "--role", &other], 3, &["is not in account"]);
}
