//! The content of a change set, and its outcome.

use aws_sdk_ssm::Client;

use super::{Stacks, TEMPLATE, one};

#[tokio::test]
async fn a_stack_is_made_changed_and_deleted() {
    let stacks = Stacks::new().await;
    let set = stacks.plan("shop", "CREATE", TEMPLATE, &[]).await;
    assert_eq!(one(&set, "Status"), "CREATE_COMPLETE", "{set}");
    assert_eq!(set.matches("<Action>Add</Action>").count(), 2, "{set}");
    let stack = stacks
        .done("DescribeStacks", &[("StackName", "shop")])
        .await;
    assert_eq!(one(&stack, "StackStatus"), "REVIEW_IN_PROGRESS");

    let stack = stacks.apply("shop").await;
    assert_eq!(one(&stack, "StackStatus"), "CREATE_COMPLETE", "{stack}");
    assert!(stack.contains(":shop</OutputValue>"), "{stack}");
    let ssm = Client::new(&stacks.world.sdk(&stacks.caller).await);
    let value = || async {
        let found = ssm.get_parameter().name("/shop/size").send().await;
        found.map(|it| it.parameter.unwrap().value.unwrap())
    };
    assert_eq!(value().await.unwrap(), "1");

    let size = [
        ("Parameters.member.1.ParameterKey", "Size"),
        ("Parameters.member.1.ParameterValue", "2"),
    ];
    let set = stacks.plan("shop", "UPDATE", TEMPLATE, &size).await;
    assert_eq!(set.matches("<ResourceChange>").count(), 1, "{set}");
    for (tag, wanted) in [
        ("Action", "Modify"),
        ("Replacement", "False"),
        ("LogicalResourceId", "Setting"),
        ("BeforeValue", "1"),
        ("AfterValue", "2"),
        ("CausingEntity", "Size"),
    ] {
        assert_eq!(one(&set, tag), wanted, "{tag}: {set}");
    }
    let stack = stacks.apply("shop").await;
    assert_eq!(one(&stack, "StackStatus"), "UPDATE_COMPLETE", "{stack}");
    assert_eq!(value().await.unwrap(), "2");

    stacks.done("DeleteStack", &[("StackName", "shop")]).await;
    let id = one(&stack, "StackId");
    assert_eq!(
        one(&stacks.ended(&id).await, "StackStatus"),
        "DELETE_COMPLETE"
    );
    assert!(value().await.is_err());
    let (status, text) = stacks
        .call("DescribeStacks", &[("StackName", "shop")])
        .await;
    assert_eq!(status, 400);
    assert_eq!(one(&text, "Message"), "Stack with id shop does not exist");
}

#[tokio::test]
async fn a_change_set_without_changes_fails() {
    let stacks = Stacks::new().await;
    stacks.plan("same", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("same").await;
    let set = stacks.plan("same", "UPDATE", TEMPLATE, &[]).await;
    assert_eq!(one(&set, "Status"), "FAILED");
    assert!(
        one(&set, "StatusReason").starts_with("The submitted information didn't contain changes."),
        "{set}"
    );
    let (_, text) = stacks
        .call(
            "ExecuteChangeSet",
            &[("StackName", "same"), ("ChangeSetName", "set")],
        )
        .await;
    assert_eq!(one(&text, "Code"), "InvalidChangeSetStatus");
}

#[tokio::test]
async fn a_replacement_is_shown_and_made() {
    let stacks = Stacks::new().await;
    stacks.plan("moved", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("moved").await;
    let other = TEMPLATE.replace("QueueName: !Ref AWS::StackName", "QueueName: elsewhere");
    let set = stacks.plan("moved", "UPDATE", &other, &[]).await;
    assert_eq!(one(&set, "Replacement"), "True", "{set}");
    assert_eq!(one(&set, "PolicyAction"), "ReplaceAndDelete");
    let stack = stacks.apply("moved").await;
    assert!(stack.contains("/elsewhere</OutputValue>"), "{stack}");
    let events = stacks.events("moved").await;
    let cleanup = events
        .iter()
        .position(|it| it == "moved UPDATE_COMPLETE_CLEANUP_IN_PROGRESS");
    let deleted = events.iter().position(|it| it == "Queue DELETE_COMPLETE");
    assert!(cleanup.is_some() && cleanup < deleted, "{events:#?}");
}

#[tokio::test]
async fn executing_one_change_set_deletes_the_others() {
    let stacks = Stacks::new().await;
    stacks.plan("many", "CREATE", TEMPLATE, &[]).await;
    let form = [
        ("StackName", "many"),
        ("ChangeSetName", "other"),
        ("ChangeSetType", "CREATE"),
        ("TemplateBody", TEMPLATE),
    ];
    stacks.done("CreateChangeSet", &form).await;
    stacks.apply("many").await;
    let listed = stacks
        .done("ListChangeSets", &[("StackName", "many")])
        .await;
    assert_eq!(listed.matches("<ChangeSetName>").count(), 1, "{listed}");
    assert_eq!(one(&listed, "ExecutionStatus"), "EXECUTE_COMPLETE");
    let (_, text) = stacks
        .call(
            "ExecuteChangeSet",
            &[("StackName", "many"), ("ChangeSetName", "other")],
        )
        .await;
    assert_eq!(one(&text, "Code"), "ChangeSetNotFound");
}

#[tokio::test]
async fn a_template_that_cannot_be_is_refused() {
    let stacks = Stacks::new().await;
    for (template, wanted) in [
        (
            "Resources: {}",
            "At least one Resources member must be defined",
        ),
        (
            "Resources: {A: {Type: AWS::Nope::Nope}}",
            "Unrecognized resource types: [AWS::Nope::Nope]",
        ),
        (
            "Resources: {A: {Type: AWS::EC2::Instance}}",
            "does not implement resources of type AWS::EC2::Instance",
        ),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref B}}}",
            "Unresolved resource dependencies [B]",
        ),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, DependsOn: B}, B: {Type: AWS::SQS::Queue, DependsOn: A}}",
            "Circular dependency between resources: [A, B]",
        ),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, Propertys: {}}}",
            "Invalid template resource property 'Propertys'",
        ),
    ] {
        let form = [
            ("StackName", "wrong"),
            ("ChangeSetName", "set"),
            ("ChangeSetType", "CREATE"),
            ("TemplateBody", template),
        ];
        let (status, text) = stacks.call("CreateChangeSet", &form).await;
        assert_eq!(status, 400, "{template}");
        assert!(one(&text, "Message").contains(wanted), "{template}: {text}");
    }
}

#[tokio::test]
async fn early_validation_names_each_property() {
    let stacks = Stacks::new().await;
    let template =
        "Resources: {A: {Type: AWS::SSM::Parameter, Properties: {Type: Sting, Nmae: x}}}";
    let set = stacks.plan("early", "CREATE", template, &[]).await;
    assert_eq!(one(&set, "Status"), "FAILED");
    assert!(
        one(&set, "StatusReason").contains("[AWS::EarlyValidation::PropertyValidation]"),
        "{set}"
    );
    let id = one(&set, "ChangeSetId");
    let form = [("ChangeSetName", &*id), ("Filters.FailedEvents", "true")];
    let events = stacks.done("DescribeEvents", &form).await;
    for wanted in [
        "Unsupported property [Nmae]",
        "Required property [Value] not found",
        "Sting is not a valid enum value",
    ] {
        assert!(events.contains(wanted), "{wanted}: {events}");
    }
}
