//! Operations in their less usual states: reviews, cancellation, tokens, what is kept and what is given up.

use super::{Stacks, TEMPLATE, one};

const SIZE: [(&str, &str); 2] = [
    ("Parameters.member.1.ParameterKey", "Size"),
    ("Parameters.member.1.ParameterValue", "2"),
];

#[tokio::test]
async fn a_stack_in_review_takes_only_change_sets_that_create() {
    let stacks = Stacks::new().await;
    stacks.plan("review", "CREATE", TEMPLATE, &[]).await;
    let form = |name, kind| {
        [
            ("StackName", "review"),
            ("ChangeSetName", name),
            ("ChangeSetType", kind),
            ("TemplateBody", TEMPLATE),
        ]
    };
    let (_, text) = stacks
        .call("CreateChangeSet", &form("next", "UPDATE"))
        .await;
    assert!(
        one(&text, "Message").contains("is in REVIEW_IN_PROGRESS state and can not be updated"),
        "{text}"
    );
    let (_, text) = stacks.call("CreateChangeSet", &form("set", "CREATE")).await;
    assert_eq!(one(&text, "Code"), "AlreadyExistsException");
    stacks
        .done("CreateChangeSet", &form("next", "CREATE"))
        .await;
    stacks.done("DeleteStack", &[("StackName", "review")]).await;
    stacks.plan("review", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("review").await;
    let (_, text) = stacks
        .call("CreateChangeSet", &form("more", "CREATE"))
        .await;
    assert_eq!(
        one(&text, "Message"),
        "Stack [review] already exists and cannot be created again with the changeSet [more]."
    );
}

#[tokio::test]
async fn a_token_makes_a_call_happen_once() {
    let stacks = Stacks::new().await;
    let form = [
        ("StackName", "once"),
        ("ChangeSetName", "set"),
        ("ChangeSetType", "CREATE"),
        ("TemplateBody", TEMPLATE),
        ("ClientToken", "a"),
    ];
    let first = stacks.done("CreateChangeSet", &form).await;
    let again = stacks.done("CreateChangeSet", &form).await;
    assert_eq!(one(&first, "Id"), one(&again, "Id"));
    stacks.described("once").await;
    let execute = [
        ("StackName", "once"),
        ("ChangeSetName", "set"),
        ("ClientRequestToken", "b"),
    ];
    stacks.done("ExecuteChangeSet", &execute).await;
    stacks.done("ExecuteChangeSet", &execute).await;
    let (_, text) = stacks.call("ExecuteChangeSet", &execute[..2]).await;
    assert_eq!(one(&text, "Code"), "InvalidChangeSetStatus", "{text}");
    let stack = stacks.ended("once").await;
    assert_eq!(one(&stack, "StackStatus"), "CREATE_COMPLETE");
    let events = stacks
        .done("DescribeStackEvents", &[("StackName", "once")])
        .await;
    assert_eq!(one(&events, "ClientRequestToken"), "b");
}

#[tokio::test]
async fn what_becomes_of_a_failed_creation_is_the_callers_choice() {
    let stacks = Stacks::new().await;
    for (stack, choice, wanted) in [
        ("leave", "DO_NOTHING", "CREATE_FAILED"),
        ("clear", "DELETE", "DELETE_COMPLETE"),
    ] {
        stacks.fail(stack, "Queue", "create").await;
        let set = stacks
            .plan(stack, "CREATE", TEMPLATE, &[("OnStackFailure", choice)])
            .await;
        let id = one(&set, "StackId");
        let named = one(&set, "ChangeSetId");
        let form = [
            ("ChangeSetName", named.as_str()),
            ("DisableRollback", "true"),
        ];
        let (_, text) = stacks.call("ExecuteChangeSet", &form).await;
        assert!(
            one(&text, "Message").starts_with("DisableRollback cannot be specified"),
            "{text}"
        );
        stacks.done("ExecuteChangeSet", &form[..1]).await;
        let ended = stacks.ended(&id).await;
        assert_eq!(one(&ended, "StackStatus"), wanted, "{ended}");
    }
}

#[tokio::test]
async fn a_cancelled_update_is_taken_back() {
    let stacks = Stacks::new().await;
    stacks.plan("stop", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("stop").await;
    let slow = serde_json::json!({
        "account": stacks.world.dev_id, "stack": "stop", "resource": "Setting", "operation": "update", "delay": 2000,
    });
    assert_eq!(stacks.world.control("stacks", &slow).await.0, 204);
    stacks.plan("stop", "UPDATE", TEMPLATE, &SIZE).await;
    stacks
        .done(
            "ExecuteChangeSet",
            &[("StackName", "stop"), ("ChangeSetName", "set")],
        )
        .await;
    stacks
        .done("CancelUpdateStack", &[("StackName", "stop")])
        .await;
    let stack = stacks.ended("stop").await;
    assert_eq!(
        one(&stack, "StackStatus"),
        "UPDATE_ROLLBACK_COMPLETE",
        "{stack}"
    );
    let (_, text) = stacks
        .call("CancelUpdateStack", &[("StackName", "stop")])
        .await;
    assert_eq!(
        one(&text, "Message"),
        "CancelUpdateStack cannot be called from current stack status"
    );
}

#[tokio::test]
async fn a_change_set_is_not_executed_on_a_stack_that_became_another() {
    let stacks = Stacks::new().await;
    stacks.plan("late", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("late").await;
    let other = [
        ("StackName", "late"),
        ("ChangeSetName", "other"),
        ("TemplateBody", TEMPLATE),
        SIZE[0],
        SIZE[1],
    ];
    stacks.plan("late", "UPDATE", TEMPLATE, &SIZE).await;
    stacks.done("CreateChangeSet", &other).await;
    stacks.apply("late").await;
    let (_, text) = stacks.call("ExecuteChangeSet", &other[..2]).await;
    assert_eq!(one(&text, "Code"), "ChangeSetNotFound", "{text}");
}

#[tokio::test]
async fn actions_and_members_that_are_not_there_are_refused_by_name() {
    let stacks = Stacks::new().await;
    for (action, form, wanted) in [
        (
            "CreateStackSet",
            vec![("StackSetName", "x")],
            "CreateStackSet",
        ),
        (
            "CreateChangeSet",
            vec![("StackName", "x"), ("Nope", "y")],
            "Nope",
        ),
        (
            "CreateChangeSet",
            vec![
                ("StackName", "x"),
                ("ChangeSetName", "set"),
                ("ChangeSetType", "IMPORT"),
                ("TemplateBody", TEMPLATE),
            ],
            "change sets of type IMPORT",
        ),
        (
            "CreateChangeSet",
            vec![
                ("StackName", "x"),
                ("ChangeSetName", "set"),
                ("ImportExistingResources", "true"),
                ("TemplateBody", TEMPLATE),
            ],
            "ImportExistingResources",
        ),
    ] {
        let (status, text) = stacks.call(action, &form).await;
        assert_eq!(status, 400, "{text}");
        assert!(one(&text, "Message").contains(wanted), "{text}");
    }
}

#[tokio::test]
async fn an_update_that_is_left_failed_is_mended_by_the_next_one() {
    let stacks = Stacks::new().await;
    stacks.plan("mend", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("mend").await;
    stacks.fail("mend", "More", "create").await;
    let more = TEMPLATE.replace("Outputs:", "  More: {Type: AWS::SQS::Queue}\nOutputs:");
    stacks.plan("mend", "UPDATE", &more, &[]).await;
    let form = [
        ("StackName", "mend"),
        ("ChangeSetName", "set"),
        ("DisableRollback", "true"),
    ];
    stacks.done("ExecuteChangeSet", &form).await;
    let stack = stacks.ended("mend").await;
    assert_eq!(one(&stack, "StackStatus"), "UPDATE_FAILED", "{stack}");
    let set = stacks.plan("mend", "UPDATE", &more, &[]).await;
    assert_eq!(one(&set, "Action"), "Add", "{set}");
    let stack = stacks.apply("mend").await;
    assert_eq!(one(&stack, "StackStatus"), "UPDATE_COMPLETE", "{stack}");
}

#[tokio::test]
async fn an_update_that_is_left_failed_can_be_taken_back() {
    let stacks = Stacks::new().await;
    stacks.plan("return", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("return").await;
    stacks.fail("return", "More", "create").await;
    let more = TEMPLATE.replace(
        "Outputs:",
        "  More: {Type: AWS::SQS::Queue, DependsOn: Setting}\nOutputs:",
    );
    let set = stacks.plan("return", "UPDATE", &more, &SIZE).await;
    assert_eq!(set.matches("<ResourceChange>").count(), 2, "{set}");
    let form = [
        ("StackName", "return"),
        ("ChangeSetName", "set"),
        ("DisableRollback", "true"),
    ];
    stacks.done("ExecuteChangeSet", &form).await;
    stacks.ended("return").await;
    stacks
        .done("RollbackStack", &[("StackName", "return")])
        .await;
    let stack = stacks.ended("return").await;
    assert_eq!(
        one(&stack, "StackStatus"),
        "UPDATE_ROLLBACK_COMPLETE",
        "{stack}"
    );
    assert_eq!(one(&stack, "ParameterValue"), "1", "{stack}");
    let set = stacks.plan("return", "UPDATE", TEMPLATE, &[]).await;
    assert_eq!(
        one(&set, "Status"),
        "FAILED",
        "nothing is left of the update: {set}"
    );
}
