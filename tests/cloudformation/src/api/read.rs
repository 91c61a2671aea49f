//! Stacks and their resources, as they are read.

use serde_json::{Value, json};

use super::{Scope, change_sets, drift, present, tag_list};
use crate::error::{Answer, ApiError};
use crate::ids;
use crate::state::{Resource, Stack};

pub(super) fn stacks(scope: &Scope<'_>) -> Answer {
    let found = scope.with(|region| match scope.text("StackName") {
        Some(named) => match region.find(named) {
            Some(stack) => Ok(vec![described(stack)]),
            None => Err(ApiError::validation(format!(
                "Stack with id {named} does not exist"
            ))),
        },
        None => Ok(region
            .stacks
            .iter()
            .filter(|stack| stack.deleted.is_none())
            .map(described)
            .collect()),
    })?;
    scope.page("Stacks", found).map(Value::Object)
}

fn described(stack: &Stack) -> Value {
    let outputs: Vec<Value> = stack
        .outputs
        .iter()
        .map(|output| {
            json!({
                "OutputKey": output.name,
                "OutputValue": output.value,
                "Description": output.description,
                "ExportName": output.export,
            })
        })
        .collect();
    let template = stack.template.as_ref();
    let parameters = template.map(|it| change_sets::parameters(it, &stack.parameters));
    let mut last = stack.operations.iter().rev();
    let last = last.find(|operation| operation.kind != "CREATE_CHANGESET");
    let last = last.map(|it| json!([{"OperationType": it.kind, "OperationId": it.id}]));
    present(json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "ParentId": stack.parent,
        "RootId": stack.root,
        "ChangeSetId": stack.change_set,
        "Description": stack.description,
        "Parameters": parameters,
        "CreationTime": ids::text(stack.created),
        "LastUpdatedTime": stack.updated.map(ids::text),
        "DeletionTime": stack.deleted.map(ids::text),
        "RollbackConfiguration": {},
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "DisableRollback": stack.disable_rollback,
        "NotificationARNs": stack.notification_arns,
        "Capabilities": stack.capabilities,
        "Outputs": outputs,
        "RoleARN": stack.role,
        "Tags": tag_list(&stack.tags),
        "EnableTerminationProtection": stack.protected,
        "DriftInformation": drift::of_stack(stack),
        "LastOperations": last,
    }))
}

pub(super) fn list(scope: &Scope<'_>) -> Answer {
    let wanted = scope.texts("StackStatusFilter");
    let found = scope.with(|region| {
        let stacks = region.stacks.iter().filter(|stack| {
            wanted.is_empty() || wanted.iter().any(|status| status == stack.status)
        });
        stacks
            .map(|stack| {
                present(json!({
                    "StackId": stack.id,
                    "StackName": stack.name,
                    "TemplateDescription": stack.description,
                    "CreationTime": ids::text(stack.created),
                    "LastUpdatedTime": stack.updated.map(ids::text),
                    "DeletionTime": stack.deleted.map(ids::text),
                    "StackStatus": stack.status,
                    "StackStatusReason": stack.reason,
                    "DriftInformation": drift::of_stack(stack),
                }))
            })
            .collect()
    });
    scope.page("StackSummaries", found).map(Value::Object)
}

/// The stack that a call about resources names. Its error is one of its own.
fn of<T>(
    scope: &Scope<'_>,
    work: impl FnOnce(&Stack) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let named = scope.need("StackName");
    scope.with(|region| match region.find(named) {
        Some(stack) => work(stack),
        None => Err(ApiError::validation(format!(
            "Stack with id {named} does not exist"
        ))),
    })
}

pub(super) fn resources(scope: &Scope<'_>) -> Answer {
    let found = of(scope, |stack| {
        let resources = stack.resources.iter();
        Ok(resources
            .map(|(id, it)| summary(id, it, "LastUpdatedTimestamp"))
            .collect())
    })?;
    scope
        .page("StackResourceSummaries", found)
        .map(Value::Object)
}

fn summary(id: &str, resource: &Resource, time: &str) -> Value {
    let physical = Some(&resource.physical).filter(|it| !it.is_empty());
    let drift = resource.drift.as_ref();
    let mut summary = json!({
        "LogicalResourceId": id,
        "PhysicalResourceId": physical,
        "ResourceType": resource.declared.kind,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
        "DriftInformation": {
            "StackResourceDriftStatus": drift.map_or(&json!("NOT_CHECKED"), |it| &it["StackResourceDriftStatus"]),
            "LastCheckTimestamp": drift.map(|it| &it["Timestamp"]),
        },
    });
    summary[time] = json!(ids::text(resource.changed));
    present(summary)
}

pub(super) fn resource(scope: &Scope<'_>) -> Answer {
    let id = scope.need("LogicalResourceId");
    of(scope, |stack| {
        let resource = stack.resource(id).ok_or_else(|| {
            ApiError::validation(format!(
                "Resource {id} does not exist for stack {}",
                stack.name
            ))
        })?;
        let mut detail = summary(id, resource, "LastUpdatedTimestamp");
        detail["StackId"] = json!(stack.id);
        detail["StackName"] = json!(stack.name);
        if let Some(metadata) = &resource.declared.metadata {
            detail["Metadata"] = json!(metadata.to_string());
        }
        Ok(json!({"StackResourceDetail": detail}))
    })
}

pub(super) fn described_resources(scope: &Scope<'_>) -> Answer {
    scope.refuse(&["PhysicalResourceId"])?;
    let wanted = scope.text("LogicalResourceId");
    of(scope, |stack| {
        let resources = stack.resources.iter();
        let resources = resources.filter(|(id, _)| wanted.is_none_or(|wanted| wanted == id));
        let found: Vec<Value> = resources
            .map(|(id, resource)| {
                let mut described = summary(id, resource, "Timestamp");
                described["StackId"] = json!(stack.id);
                described["StackName"] = json!(stack.name);
                described
            })
            .collect();
        Ok(json!({"StackResources": found}))
    })
}

pub(super) fn exports(scope: &Scope<'_>) -> Answer {
    let found = scope.with(|region| {
        let stacks = region.stacks.iter().filter(|stack| stack.deleted.is_none());
        let mut found = Vec::new();
        for stack in stacks {
            for output in &stack.outputs {
                if let Some(name) = &output.export {
                    found.push(json!({
                        "ExportingStackId": stack.id,
                        "Name": name,
                        "Value": output.value,
                    }));
                }
            }
        }
        found
    });
    scope.page("Exports", found).map(Value::Object)
}
