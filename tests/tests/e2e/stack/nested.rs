//! Stacks with nested stacks, whose templates are assets of an assembly.

use std::fs;

use serde_json::json;

use super::assembly::{bucket, synthesised};
use super::{DEADLINE, Stacked, wait};

/// The nested stack and the topic in it.
const PAGERS: &str = "PagersNestedStackPagersNestedStackResourceD8904501";
const PAGER: &str = "Pager3330101C";
/// The hash in the key of the nested template.
const KEY: &str = "175944e4a06528f394a8693e8cb78b7dd99ae0ec869ab9d750d7ba258adf6d04";
const NESTED: &str = "cdk.out/shopalarmsPagers0616CF71.nested.template.json";

#[test]
fn a_nested_stack_is_planned_with_its_parent_and_followed() {
    let stack = Stacked::alone("nested");
    let bucket = bucket(&stack);
    let mut job = synthesised(&stack, "");
    let name = format!("{}-alarms", stack.name);
    let named = ["--name", name.as_str()];
    let plan = |more: &[&'static str]| [&["plan"][..], &named, more].concat();
    let added = [
        "2 to add".to_owned(),
        format!("add {PAGERS} (AWS::CloudFormation::Stack)"),
        format!("add {PAGERS}/{PAGER} (AWS::SNS::Topic)"),
        format!("s3://{bucket}/{KEY}.json, published"),
    ];
    let added: Vec<&str> = added.iter().map(String::as_str).collect();
    stack.ends(&job, &plan(&[]), 0, &added);
    let apply = |id: &str| -> Vec<String> {
        let all = ["apply", "--plan", id, named[0], named[1]];
        all.iter().map(|it| (*it).to_owned()).collect()
    };
    let applied = |job: &crate::job::Job, expected: &[&str]| {
        let id = stack.planned(job, &named);
        let arguments = apply(&id);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        stack.ends(job, &arguments, 0, expected)
    };
    let followed = format!("{PAGERS}: CREATE_COMPLETE {PAGER} (AWS::SNS::Topic)");
    applied(&job, &[&followed, "CREATE_COMPLETE"]);

    // Another nested template is another asset, and so another address in the parent.
    let other = "f".repeat(64);
    for file in [
        "cdk.out/shop-alarms.template.json",
        "cdk.out/shop-alarms.assets.json",
    ] {
        let text = fs::read_to_string(job.file(file)).unwrap();
        assert!(text.contains(KEY), "{file}");
        fs::write(job.file(file), text.replace(KEY, &other)).unwrap();
    }
    let text = fs::read_to_string(job.file(NESTED)).unwrap();
    fs::write(job.file(NESTED), text.replace("\"pager\"", "\"alarms\"")).unwrap();
    let modified = format!("modify {PAGERS}/{PAGER} (AWS::SNS::Topic)");
    let modified = [modified.as_str(), "DisplayName: pager → alarms"];
    stack.ends(&job, &plan(&[]), 0, &modified);
    // On a pull request, with the templates that are there.
    job.set("GITHUB_EVENT_NAME", "pull_request");
    let looked = [modified[0], "not published for a pull request"];
    stack.ends(&job, &plan(&[]), 0, &looked);
    job.set("GITHUB_EVENT_NAME", "push");
    let followed = format!("{PAGERS}: UPDATE_COMPLETE {PAGER} (AWS::SNS::Topic)");
    applied(&job, &[&followed, "UPDATE_COMPLETE"]);
    stack.ends(&job, &plan(&[]), 0, &["no changes"]);
}

/// Where the events of a nested stack may not be read, nobody knows why it failed, and that is said in the place of the root cause.
#[test]
fn a_nested_stack_whose_events_may_not_be_read_leaves_the_root_cause_unknown() {
    let stack = Stacked::alone("hidden");
    bucket(&stack);
    let job = synthesised(&stack, "");
    let name = format!("{}-alarms", stack.name);
    let denied = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": "cloudformation:DescribeStackEvents",
        "Resource": format!("arn:aws:cloudformation:*:*:stack/{name}-*"),
    }]});
    let parameters = [
        ("RoleName", "slipway-deploy"),
        ("PolicyName", "blind"),
        ("PolicyDocument", &denied.to_string()),
    ];
    let put = stack
        .aws
        .query("iam", "2010-05-08", "PutRolePolicy", &parameters);
    wait(DEADLINE, put).unwrap().unwrap();
    let planned = stack.json(&job, &["plan", "--name", &name]);
    let plan = planned["plan_id"].as_str().unwrap();
    let listed = stack.call("ListStacks", &[]);
    let names = listed.split("<StackName>").skip(1);
    let names = names.map(|part| part.split('<').next().unwrap());
    let inner = names
        .filter(|it| it.starts_with(&format!("{name}-")))
        .collect::<Vec<_>>();
    let [inner] = inner.as_slice() else {
        panic!("{listed}");
    };
    crate::gateway::tell(
        "stacks",
        &json!({"account": stack.account(), "stack": inner, "resource": PAGER, "operation": "create",
                "reason": "the pager says no"}),
    );
    let apply = ["apply", "--plan", plan, "--name", &name];
    let unknown = "root cause: unknown, in the nested stack arn:aws:cloudformation:";
    let expected = [
        unknown,
        "AccessDenied",
        "aws cloudformation describe-stack-events --stack-name arn:",
        &format!("also: CREATE_FAILED {PAGERS}"),
    ];
    let text = stack.ends(&job, &apply, 5, &expected);
    assert!(!text.contains("the pager says no"), "{text}");
}
