//! CloudFormation as its clients see it: change sets, stacks, events, with resources that are really there.

mod change_sets;
mod drift;
mod failures;
mod operations;
mod permissions;
mod resources;

use std::time::Duration;

use aws_credential_types::Credentials;

use crate::support::{World, world};

/// A parameter and a queue, with the value of the parameter as the stack's own parameter.
pub(crate) const TEMPLATE: &str = r#"
Parameters:
  Size: {Type: Number, Default: 1}
Resources:
  Setting:
    Type: AWS::SSM::Parameter
    Properties: {Name: !Sub '/${AWS::StackName}/size', Type: String, Value: !Ref Size}
  Queue:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Ref AWS::StackName}
Outputs:
  Url: {Value: !Ref Queue}
  Arn: {Value: !GetAtt Queue.Arn}
"#;

/// A caller of CloudFormation in one world.
pub(crate) struct Stacks {
    pub(crate) world: World,
    pub(crate) caller: Credentials,
}

impl Stacks {
    pub(crate) async fn new() -> Self {
        let world = world().await;
        let caller = world.dev.clone();
        Self { world, caller }
    }

    /// One call; the answer's status and XML.
    pub(crate) async fn call(&self, action: &str, form: &[(&str, &str)]) -> (u16, String) {
        let mut all = vec![("Action", action), ("Version", "2010-05-15")];
        all.extend(form);
        self.world.query(&self.caller, "cloudformation", &all).await
    }

    /// One call that succeeds.
    pub(crate) async fn done(&self, action: &str, form: &[(&str, &str)]) -> String {
        let (status, text) = self.call(action, form).await;
        assert_eq!(status, 200, "{action}: {text}");
        text
    }

    /// Makes a change set named `set`, in place of the one that was executed before, and waits for its end; answers its
    /// description.
    pub(crate) async fn plan(
        &self,
        stack: &str,
        kind: &str,
        template: &str,
        more: &[(&str, &str)],
    ) -> String {
        if kind == "UPDATE" {
            let earlier = [("StackName", stack), ("ChangeSetName", "set")];
            self.done("DeleteChangeSet", &earlier).await;
        }
        let mut form = vec![
            ("StackName", stack),
            ("ChangeSetName", "set"),
            ("ChangeSetType", kind),
            ("TemplateBody", template),
        ];
        form.extend(more);
        self.done("CreateChangeSet", &form).await;
        self.described(stack).await
    }

    /// The description of the change set named `set`, once it is made.
    pub(crate) async fn described(&self, stack: &str) -> String {
        for _ in 0..600 {
            let form = [
                ("StackName", stack),
                ("ChangeSetName", "set"),
                ("IncludePropertyValues", "true"),
            ];
            let text = self.done("DescribeChangeSet", &form).await;
            if matches!(&*one(&text, "Status"), "CREATE_COMPLETE" | "FAILED") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the change set of {stack} was not made within thirty seconds")
    }

    /// Executes the change set named `set` and waits for the stack's end; answers its description.
    pub(crate) async fn apply(&self, stack: &str) -> String {
        let form = [("StackName", stack), ("ChangeSetName", "set")];
        self.done("ExecuteChangeSet", &form).await;
        self.ended(stack).await
    }

    /// The stack's description once no operation is under way.
    pub(crate) async fn ended(&self, stack: &str) -> String {
        for _ in 0..600 {
            let text = self.done("DescribeStacks", &[("StackName", stack)]).await;
            if !one(&text, "StackStatus").ends_with("_IN_PROGRESS") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the operation on {stack} did not end within thirty seconds")
    }

    /// The stack's events, oldest first: logical ID, status, and the reason if there is one.
    pub(crate) async fn events(&self, stack: &str) -> Vec<String> {
        let text = self
            .done("DescribeStackEvents", &[("StackName", stack)])
            .await;
        let inner = one(&text, "StackEvents");
        let mut events: Vec<String> = inner
            .split("<EventId>")
            .skip(1)
            .map(|event| {
                let reason = one(event, "ResourceStatusReason");
                let (id, status) = (
                    one(event, "LogicalResourceId"),
                    one(event, "ResourceStatus"),
                );
                format!("{id} {status} {reason}").trim_end().to_owned()
            })
            .collect();
        events.reverse();
        events
    }

    /// Injects a failure into an operation on a resource.
    pub(crate) async fn fail(&self, stack: &str, resource: &str, operation: &str) {
        let fault = serde_json::json!({
            "account": self.world.dev_id, "stack": stack, "resource": resource, "operation": operation,
            "reason": "no room",
        });
        assert_eq!(self.world.control("stacks", &fault).await.0, 204);
    }
}

/// The text of the first element of a name; empty where there is none.
pub(crate) fn one(xml: &str, tag: &str) -> String {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let Some(start) = xml.find(&open) else {
        return String::new();
    };
    let rest = &xml[start + open.len()..];
    let end = rest.find(&close).unwrap_or(rest.len());
    rest[..end].replace("&quot;", "\"").replace("&amp;", "&")
}
