//! Changes from outside of the stack.

use serde_json::json;

use super::{DEADLINE, Stacked, TEMPLATE, shows, wait};

#[test]
fn a_change_from_outside_is_found_and_shown() {
    let stack = Stacked::new("drift");
    let job = stack.job(TEMPLATE, "");
    stack.applied(&job);
    stack.ends(&job, &["drift"], 0, &["is as its template says"]);
    let shown = stack.json(&job, &["status"]);
    let url = shown["outputs"]["QueueUrl"].as_str().unwrap();
    let change = json!({"QueueUrl": url, "Attributes": {"DelaySeconds": "60"}});
    let call = stack
        .aws
        .json("sqs", "AmazonSQS.SetQueueAttributes", &change);
    wait(DEADLINE, call).unwrap().unwrap();
    stack.ends(
        &job,
        &["drift"],
        6,
        &[
            "has drifted: 1 resource",
            "modified Queue (AWS::SQS::Queue)",
            "DelaySeconds: 5 → 60",
        ],
    );
    assert!(job.read("summary").contains("DelaySeconds: 5 → 60"));
    assert!(job.read("output").contains("drifted"));
    // A plan compares templates, so it does not see the change.
    stack.ends(&job, &["plan"], 0, &["no changes"]);
    stack.ends(&job, &["status"], 0, &["DRIFTED"]);
    let ended = job.run(&mut stack.step(&job, &["drift", "--json"]));
    shows(
        &ended,
        &["drift"],
        6,
        &["\"drifted\": true", "\"actual\": \"60\""],
    );
}

#[test]
fn a_stack_that_cannot_be_compared_is_not_called_unchanged() {
    let stack = Stacked::new("blind");
    // Nothing allows the read role to read parameters.
    let setting = "  Setting:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: v}\nOutputs:";
    let job = stack.job(&TEMPLATE.replace("Outputs:", setting), "");
    stack.ends(&job, &["drift"], 1, &["there is no stack"]);
    stack.applied(&job);
    stack.ends(
        &job,
        &["drift"],
        3,
        &["it is not known whether", "DETECTION_FAILED", "Setting"],
    );
    assert!(job.read("output").contains("unknown"));
}

#[test]
fn a_resource_that_is_not_compared_leaves_the_answer_open_unless_it_is_named() {
    let stack = Stacked::new("uncompared");
    let handle = "  Handle:\n    Type: AWS::CloudFormation::WaitConditionHandle\nOutputs:";
    let job = stack.job(&TEMPLATE.replace("Outputs:", handle), "");
    stack.applied(&job);
    let compares = format!("CloudFormation compares the stack {}", stack.name);
    let open = [
        compares.as_str(),
        "it is not known whether",
        "not compared: Handle (AWS::CloudFormation::WaitConditionHandle): NOT_CHECKED",
        "--unchecked Handle",
    ];
    stack.ends(&job, &["drift"], 3, &open);
    let named = ["drift", "--unchecked", "Handle"];
    stack.ends(&job, &named, 0, &["is as its template says", "Handle"]);
    let nothing = ["--unchecked Queue allows nothing"];
    let named = ["drift", "--unchecked", "Handle", "--unchecked", "Queue"];
    stack.ends(&job, &named, 0, &nothing);
}
