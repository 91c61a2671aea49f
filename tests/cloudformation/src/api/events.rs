//! Events, by stack and by operation.
//! Source: AWS CloudFormation API Reference, `DescribeStackEvents` and `DescribeEvents`.

use serde_json::{Value, json};

use super::{Scope, change_sets, present};
use crate::error::{Answer, ApiError};
use crate::ids;
use crate::state::{ChangeSet, Event, Stack};

const STACK: &str = "AWS::CloudFormation::Stack";

/// A stack's events, newest first.
pub(super) fn of_stack(scope: &Scope<'_>) -> Answer {
    let found = scope.stack(|stack| {
        let events = stack.events.iter().rev();
        Ok(events.map(|event| event_of(stack, event)).collect())
    })?;
    scope.page("StackEvents", found).map(Value::Object)
}

fn event_of(stack: &Stack, event: &Event) -> Value {
    present(json!({
        "StackId": stack.id,
        "EventId": event.id,
        "StackName": stack.name,
        "OperationId": event.operation,
        "LogicalResourceId": event.logical,
        "PhysicalResourceId": event.physical,
        "ResourceType": event.kind,
        "Timestamp": ids::text(event.time),
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason,
        "ResourceProperties": event.properties,
        "ClientRequestToken": event.token,
    }))
}

/// The events of a stack, of one of its operations or of a change set's creation, newest first.
pub(super) fn of_operations(scope: &Scope<'_>) -> Answer {
    let failed = scope.input["Filters"]["FailedEvents"].as_bool() == Some(true);
    let mut found = scope.with(|region| selected(scope, region))?;
    if failed {
        found.retain(|event| {
            let kind = event["EventType"].as_str().unwrap_or_default();
            kind.ends_with("_ERROR")
        });
    }
    scope.page("OperationEvents", found).map(Value::Object)
}

fn selected(scope: &Scope<'_>, region: &mut crate::state::Region) -> Result<Vec<Value>, ApiError> {
    if scope.text("ChangeSetName").is_some() {
        return change_sets::named(scope, region, |stack, at| {
            Ok(validations(stack, &stack.change_sets[at]))
        });
    }
    let operation = scope.text("OperationId");
    let stack = match (scope.text("StackName"), operation) {
        (Some(named), _) => region
            .find(named)
            .ok_or_else(|| ApiError::validation(format!("Stack [{named}] does not exist")))?,
        (None, Some(id)) => {
            let mut stacks = region.stacks.iter();
            let has = |stack: &&Stack| stack.operations.iter().any(|it| it.id == id);
            stacks
                .find(has)
                .ok_or_else(|| ApiError::validation(format!("Operation [{id}] does not exist")))?
        }
        (None, None) => {
            return Err(ApiError::validation(
                "One of ChangeSetName, OperationId or StackName must be specified",
            ));
        }
    };
    let mut found: Vec<(time::OffsetDateTime, Value)> = Vec::new();
    for event in &stack.events {
        if operation.is_none_or(|wanted| wanted == event.operation) {
            found.push((event.time, operation_event(stack, event)));
        }
    }
    for set in &stack.change_sets {
        if operation.is_none_or(|wanted| wanted == set.operation) {
            let events = validations(stack, set).into_iter();
            let times = set.invalid.iter().map(|it| it.time);
            found.extend(times.zip(events));
        }
    }
    found.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    Ok(found.into_iter().map(|(_, event)| event).collect())
}

fn operation_event(stack: &Stack, event: &Event) -> Value {
    let operations = stack.operations.iter();
    let kind = operations
        .rev()
        .find(|operation| operation.id == event.operation)
        .map(|operation| operation.kind);
    let of_stack = event.kind == STACK && event.physical == stack.id;
    let failed = event.status.ends_with("_FAILED");
    let (event_type, status) = match (of_stack, failed) {
        (false, true) => ("PROVISIONING_ERROR", None),
        (false, false) => ("PROGRESS_EVENT", None),
        (true, _) if event.status.ends_with("_IN_PROGRESS") => ("STACK_EVENT", Some("IN_PROGRESS")),
        (true, true) => ("STACK_EVENT", Some("FAILED")),
        (true, false) if event.status.contains("ROLLBACK") => ("STACK_EVENT", Some("FAILED")),
        (true, false) => ("STACK_EVENT", Some("SUCCEEDED")),
    };
    present(json!({
        "EventId": event.id,
        "StackId": stack.id,
        "OperationId": event.operation,
        "OperationType": kind,
        "OperationStatus": status,
        "EventType": event_type,
        "LogicalResourceId": event.logical,
        "PhysicalResourceId": event.physical,
        "ResourceType": event.kind,
        "Timestamp": ids::text(event.time),
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason,
        "ResourceProperties": event.properties,
        "ClientRequestToken": event.token,
    }))
}

/// The findings of early validation while a change set was made.
fn validations(stack: &Stack, set: &ChangeSet) -> Vec<Value> {
    let findings = set.invalid.iter();
    findings
        .map(|finding| {
            json!({
                "EventId": finding.id,
                "StackId": stack.id,
                "OperationId": set.operation,
                "OperationType": "CREATE_CHANGESET",
                "EventType": "VALIDATION_ERROR",
                "LogicalResourceId": finding.logical,
                "PhysicalResourceId": "",
                "ResourceType": finding.kind,
                "Timestamp": ids::text(finding.time),
                "ValidationFailureMode": "FAIL",
                "ValidationName": finding.name,
                "ValidationStatus": "FAILED",
                "ValidationStatusReason": finding.reason,
                "ValidationPath": finding.path,
            })
        })
        .collect()
}
