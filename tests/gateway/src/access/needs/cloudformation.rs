//! CloudFormation: stacks and change sets by the stack's ARN, and the role that a call passes.
//! Source: Service Authorization Reference, "AWS CloudFormation".

use super::{Need, Scene};
use crate::Gateway;
use crate::call::Call;
use crate::text::value;

/// The ARN of the stack that the call names, by itself or by a change set.
pub(super) fn stack(gateway: &Gateway, call: &Call, account: &str) -> Option<String> {
    if call.service != "cloudformation" {
        return None;
    }
    let form = call.form();
    let set = value(&form, "ChangeSetName").filter(|name| name.starts_with("arn:"));
    let named = set.or_else(|| value(&form, "StackName"))?;
    Some(gateway.stacks.stack_arn(account, &call.region, named))
}

pub(super) fn needs(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let form = scene.call.form();
    let given = |parameter: &str| value(&form, parameter).map(str::to_owned);
    let any = || scene.stack.clone().unwrap_or_else(|| "*".to_owned());
    // The condition key holds the name, also where the call gives the ARN.
    let set = given("ChangeSetName").map(|named| match named.split_once(":changeSet/") {
        Some((_, rest)) => rest.split('/').next().unwrap_or(rest).to_owned(),
        None => named,
    });
    let of_set = |need: Need| {
        need.with(
            "cloudformation:ChangeSetName",
            set.clone().into_iter().collect(),
        )
    };
    let with_role = |need: Need| {
        let role = given("RoleARN");
        let mut needs =
            vec![need.with("cloudformation:RoleArn", role.clone().into_iter().collect())];
        needs.extend(role.map(|role| scene.pass_role(&role, "cloudformation.amazonaws.com")));
        needs
    };
    Some(match scene.operation() {
        "ValidateTemplate" | "ListStacks" | "ListExports" | "DescribeStackDriftDetectionStatus" => {
            vec![scene.same("*")]
        }
        // Detecting a stack's drift is detecting that of each resource.
        "DetectStackDrift" => {
            let stack = scene.stack.clone()?;
            vec![
                scene.same(&stack),
                scene.need("DetectStackResourceDrift", stack),
            ]
        }
        "DescribeStacks" | "GetTemplateSummary" | "DescribeEvents" => vec![scene.same(any())],
        "CreateChangeSet" => {
            let url = given("TemplateURL").into_iter().collect();
            let need =
                of_set(scene.same(scene.stack.clone()?)).with("cloudformation:TemplateUrl", url);
            with_role(need)
        }
        "DescribeChangeSet" | "DeleteChangeSet" | "ExecuteChangeSet" | "GetTemplate" => {
            vec![of_set(scene.same(scene.stack.clone()?))]
        }
        "DeleteStack" | "ContinueUpdateRollback" | "RollbackStack" => {
            with_role(scene.same(scene.stack.clone()?))
        }
        "SetStackPolicy" => {
            let url = given("StackPolicyURL").into_iter().collect();
            vec![
                scene
                    .same(scene.stack.clone()?)
                    .with("cloudformation:StackPolicyUrl", url),
            ]
        }
        "CancelUpdateStack"
        | "DescribeStackEvents"
        | "DescribeStackResource"
        | "DescribeStackResourceDrifts"
        | "DescribeStackResources"
        | "GetStackPolicy"
        | "ListChangeSets"
        | "ListStackResources"
        | "UpdateTerminationProtection" => vec![scene.same(scene.stack.clone()?)],
        _ => return None,
    })
}

/// The tags that a call puts on a stack: `aws:RequestTag/KEY` and `aws:TagKeys`.
pub(super) fn tags(scene: &Scene<'_>) -> Vec<(String, Vec<String>)> {
    let form = scene.call.form();
    let mut keys = Vec::new();
    let mut found = Vec::new();
    for number in 1.. {
        let part = |part: &str| value(&form, &format!("Tags.member.{number}.{part}"));
        let Some(key) = part("Key") else { break };
        let text = part("Value").unwrap_or_default().to_owned();
        found.push((format!("aws:RequestTag/{key}"), vec![text]));
        keys.push(key.to_owned());
    }
    if !keys.is_empty() {
        found.push(("aws:TagKeys".to_owned(), keys));
    }
    found
}
