//! Whose permissions a stack's operations have.

use serde_json::json;

use super::{Stacks, TEMPLATE, one};
use crate::support::assume;

#[tokio::test]
async fn a_stack_has_the_permissions_of_its_caller() {
    let mut stacks = Stacks::new().await;
    let account = stacks.world.dev_id.clone();
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}}]});
    let administrator = stacks.caller.clone();
    stacks.world.role(&administrator, "deployer", &trust).await;
    let permit = |action: &str, resource: &str, condition: serde_json::Value| json!({"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition});
    let of_slipway = json!({"StringLike": {"cloudformation:ChangeSetName": "set*"}});
    let mut statements = vec![
        permit(
            "cloudformation:*ChangeSet",
            "arn:aws:cloudformation:*:*:stack/shop/*",
            of_slipway,
        ),
        permit(
            "cloudformation:DescribeStack*",
            "arn:aws:cloudformation:*:*:stack/shop/*",
            json!({}),
        ),
        permit(
            "ssm:*",
            "*",
            json!({"StringEquals": {"aws:CalledViaFirst": "cloudformation.amazonaws.com"}}),
        ),
    ];
    let document = |statements: &[serde_json::Value]| json!({"Version": "2012-10-17", "Statement": statements});
    stacks
        .world
        .permit(&administrator, "deployer", &document(&statements))
        .await;
    stacks.caller = assume(
        &stacks.world,
        &administrator,
        &format!("arn:aws:iam::{account}:role/deployer"),
    )
    .await;

    let form = |name, stack| {
        [
            ("StackName", stack),
            ("ChangeSetName", name),
            ("ChangeSetType", "CREATE"),
            ("TemplateBody", TEMPLATE),
        ]
    };
    for (name, stack) in [("other", "shop"), ("set", "shelf")] {
        let (status, text) = stacks.call("CreateChangeSet", &form(name, stack)).await;
        assert_eq!(
            (status, &*one(&text, "Code")),
            (403, "AccessDenied"),
            "{text}"
        );
    }
    stacks.plan("shop", "CREATE", TEMPLATE, &[]).await;
    let stack = stacks.apply("shop").await;
    assert_eq!(one(&stack, "StackStatus"), "ROLLBACK_COMPLETE", "{stack}");
    let events = stacks.events("shop").await;
    let denied = |it: &String| {
        it.starts_with("Queue CREATE_FAILED") && it.contains("HandlerErrorCode: AccessDenied")
    };
    assert!(events.iter().any(denied), "{events:#?}");

    statements.push(permit("sqs:*", "*", json!({})));
    stacks
        .world
        .permit(&administrator, "deployer", &document(&statements))
        .await;
    stacks.caller = administrator;
    stacks.done("DeleteStack", &[("StackName", "shop")]).await;
    let calls = stacks.world.calls().await;
    let own = calls.iter().filter(|call| call["via"] == "cloudformation");
    assert!(
        own.into_iter()
            .any(|call| call["operation"] == "PutParameter"),
        "{calls:#?}"
    );
}

#[tokio::test]
async fn a_stack_has_the_permissions_of_the_role_that_is_passed() {
    let stacks = Stacks::new().await;
    let account = stacks.world.dev_id.clone();
    let trust = |service: &str| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}]})
    };
    stacks
        .world
        .role(
            &stacks.caller,
            "stranger",
            &trust("ecs-tasks.amazonaws.com"),
        )
        .await;
    stacks
        .world
        .role(
            &stacks.caller,
            "executor",
            &trust("cloudformation.amazonaws.com"),
        )
        .await;
    let document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ssm:*", "sqs:*"], "Resource": "*"}]});
    stacks
        .world
        .permit(&stacks.caller, "executor", &document)
        .await;
    let arn = |role: &str| format!("arn:aws:iam::{account}:role/{role}");
    let form = [
        ("StackName", "passed"),
        ("ChangeSetName", "set"),
        ("ChangeSetType", "CREATE"),
        ("TemplateBody", TEMPLATE),
        ("RoleARN", &arn("stranger")),
    ];
    let (_, text) = stacks.call("CreateChangeSet", &form).await;
    assert!(
        one(&text, "Message").ends_with("is invalid or cannot be assumed"),
        "{text}"
    );
    stacks
        .plan(
            "passed",
            "CREATE",
            TEMPLATE,
            &[("RoleARN", &arn("executor"))],
        )
        .await;
    let stack = stacks.apply("passed").await;
    assert_eq!(one(&stack, "StackStatus"), "CREATE_COMPLETE", "{stack}");
    let calls = stacks.world.calls().await;
    let put = calls
        .iter()
        .find(|call| call["operation"] == "PutParameter");
    assert_eq!(put.unwrap()["role"], arn("executor"));
}
