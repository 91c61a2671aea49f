//! Operations that fail, and how they are taken back.

use super::{Stacks, TEMPLATE, one};

#[tokio::test]
async fn a_creation_that_fails_is_taken_back() {
    let stacks = Stacks::new().await;
    stacks.fail("back", "Queue", "create").await;
    stacks.plan("back", "CREATE", TEMPLATE, &[]).await;
    let stack = stacks.apply("back").await;
    assert_eq!(one(&stack, "StackStatus"), "ROLLBACK_COMPLETE", "{stack}");
    let events = stacks.events("back").await;
    let cause = events
        .iter()
        .position(|it| it.starts_with("Queue CREATE_FAILED") && it.contains("no room"));
    let stop = "back ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Queue]. Rollback requested by user.";
    let back = events.iter().position(|it| it == stop);
    assert!(cause.is_some() && cause < back, "{events:#?}");
    assert!(
        events.contains(&"Setting DELETE_COMPLETE".to_owned()),
        "{events:#?}"
    );

    let form = [
        ("StackName", "back"),
        ("ChangeSetName", "again"),
        ("TemplateBody", TEMPLATE),
    ];
    let (_, text) = stacks.call("CreateChangeSet", &form).await;
    assert!(
        one(&text, "Message").contains("is in ROLLBACK_COMPLETE state and can not be updated"),
        "{text}"
    );
}

#[tokio::test]
async fn an_update_that_fails_is_taken_back() {
    let stacks = Stacks::new().await;
    stacks.plan("undo", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("undo").await;
    stacks.fail("undo", "Queue", "create").await;
    let other = TEMPLATE
        .replace("QueueName: !Ref AWS::StackName", "QueueName: undo-next")
        .replace("Default: 1", "Default: 3");
    stacks.plan("undo", "UPDATE", &other, &[]).await;
    let stack = stacks.apply("undo").await;
    assert_eq!(
        one(&stack, "StackStatus"),
        "UPDATE_ROLLBACK_COMPLETE",
        "{stack}"
    );
    assert!(stack.contains("/undo</OutputValue>"), "{stack}");
    let set = stacks.plan("undo", "UPDATE", &other, &[]).await;
    assert_eq!(
        set.matches("<ResourceChange>").count(),
        2,
        "nothing of the update is left: {set}"
    );
}

#[tokio::test]
async fn a_rollback_that_fails_is_continued() {
    let stacks = Stacks::new().await;
    stacks.plan("stuck", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("stuck").await;
    stacks.fail("stuck", "Setting", "update").await;
    stacks.fail("stuck", "Setting", "rollback").await;
    let size = [
        ("Parameters.member.1.ParameterKey", "Size"),
        ("Parameters.member.1.ParameterValue", "2"),
    ];
    stacks.plan("stuck", "UPDATE", TEMPLATE, &size).await;
    let stack = stacks.apply("stuck").await;
    assert_eq!(
        one(&stack, "StackStatus"),
        "UPDATE_ROLLBACK_FAILED",
        "{stack}"
    );
    stacks
        .done("ContinueUpdateRollback", &[("StackName", "stuck")])
        .await;
    let stack = stacks.ended("stuck").await;
    assert_eq!(
        one(&stack, "StackStatus"),
        "UPDATE_ROLLBACK_COMPLETE",
        "{stack}"
    );
}

#[tokio::test]
async fn a_policy_keeps_an_update_from_a_resource() {
    let stacks = Stacks::new().await;
    stacks.plan("held", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("held").await;
    let policy = r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":"Update:*","Resource":"LogicalResourceId/Setting"}]}"#;
    stacks
        .done(
            "SetStackPolicy",
            &[("StackName", "held"), ("StackPolicyBody", policy)],
        )
        .await;
    let size = [
        ("Parameters.member.1.ParameterKey", "Size"),
        ("Parameters.member.1.ParameterValue", "2"),
    ];
    stacks.plan("held", "UPDATE", TEMPLATE, &size).await;
    let stack = stacks.apply("held").await;
    assert_eq!(
        one(&stack, "StackStatus"),
        "UPDATE_ROLLBACK_COMPLETE",
        "{stack}"
    );
    let events = stacks.events("held").await;
    assert!(
        events
            .iter()
            .any(|it| it.contains("Action denied by stack policy")),
        "{events:#?}"
    );
}

#[tokio::test]
async fn a_protected_stack_is_not_deleted() {
    let stacks = Stacks::new().await;
    stacks.plan("kept", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("kept").await;
    let on = |on| [("StackName", "kept"), ("EnableTerminationProtection", on)];
    stacks
        .done("UpdateTerminationProtection", &on("true"))
        .await;
    let (status, text) = stacks.call("DeleteStack", &[("StackName", "kept")]).await;
    assert_eq!(status, 400);
    assert_eq!(
        one(&text, "Message"),
        "Stack [kept] cannot be deleted while TerminationProtection is enabled"
    );
    stacks
        .done("UpdateTerminationProtection", &on("false"))
        .await;
    stacks.done("DeleteStack", &[("StackName", "kept")]).await;
}
