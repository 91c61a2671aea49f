//! Resources that exist and join the stack.

use super::{DEADLINE, Stacked, wait};
use serde_json::json;

const TEMPLATE: &str = r"
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: one}
";
const WITH_QUEUE: &str = r"
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: one}
  Queue:
    Type: AWS::SQS::Queue
    DeletionPolicy: Retain
    Properties: {DelaySeconds: 5}
";

/// Makes a queue beside the stack; answers its address.
fn queue(stack: &Stacked, delay: &str) -> String {
    let name = format!("{}-by-hand", stack.name);
    let input = json!({"QueueName": name, "Attributes": {"DelaySeconds": delay}});
    let call = stack.aws.json("sqs", "AmazonSQS.CreateQueue", &input);
    let made = wait(DEADLINE, call).unwrap().unwrap();
    made["QueueUrl"].as_str().unwrap().to_owned()
}

#[test]
fn a_resource_that_exists_joins_the_stack_as_it_is() {
    let stack = Stacked::new("import");
    stack.applied(&stack.job(TEMPLATE, ""));
    let url = queue(&stack, "5");
    let job = stack.job(WITH_QUEUE, "");
    let resource = format!("Queue={url}");
    let import = ["import", "--resource", &resource];
    stack.ends(
        &job,
        &import,
        0,
        &["1 to import", "import Queue (AWS::SQS::Queue)"],
    );
    let plan = stack.json(&job, &import)["plan_id"].clone();
    let plan = plan.as_str().unwrap();
    let apply = ["apply", "--plan", plan];
    stack.ends(&job, &apply, 0, &["IMPORT_COMPLETE", "slipway-stack drift"]);
    stack.ends(&job, &["drift"], 0, &[]);
    // The stack has it now: it is the template's, and another plan has nothing to do.
    stack.ends(&job, &["plan"], 0, &["no changes"]);
    stack.ends(&job, &import, 1, &["already exist in the stack"]);
    let listed = stack.call("ListStackResources", &[("StackName", &stack.name)]);
    assert!(listed.contains(&url), "{listed}");
}

#[test]
fn an_import_is_refused_that_would_change_something_else_or_finds_nothing() {
    let stack = Stacked::new("import-refused");
    stack.applied(&stack.job(TEMPLATE, ""));
    let url = queue(&stack, "7");
    let resource = format!("Queue={url}");
    let job = stack.job(WITH_QUEUE, "");
    stack.ends(&job, &["import"], 2, &["--resource is missing"]);
    let other = ["import", "--resource", "Bucket=b"];
    stack.ends(&job, &other, 2, &["no resource `Bucket`"]);
    let changing = stack.job(&WITH_QUEUE.replace("one", "two"), "");
    let import = ["import", "--resource", &resource];
    stack.ends(&changing, &import, 1, &["not being imported"]);
    // What is not as the template says is found by its drift.
    let plan = stack.json(&job, &import)["plan_id"].clone();
    stack.ends(
        &job,
        &["apply", "--plan", plan.as_str().unwrap()],
        0,
        &["IMPORT_COMPLETE"],
    );
    stack.ends(&job, &["drift"], 6, &["Queue", "DelaySeconds"]);

    let stack = Stacked::new("import-missing");
    let job = stack.job(WITH_QUEUE, "");
    let nothing = format!("Queue={url}-elsewhere");
    stack.applied(&stack.job(TEMPLATE, ""));
    let plan = stack.json(&job, &["import", "--resource", &nothing])["plan_id"].clone();
    let apply = ["apply", "--plan", plan.as_str().unwrap()];
    stack.ends(
        &job,
        &apply,
        5,
        &["IMPORT_ROLLBACK_COMPLETE", "IMPORT_FAILED Queue"],
    );
}
