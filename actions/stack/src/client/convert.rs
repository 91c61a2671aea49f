//! CloudFormation's answers as this step's own types. Pure.

use crate::seen::{Change, ChangeSet, Detail, Event, ListedChangeSet, Stack};
use aws_sdk_cloudformation::primitives::{DateTime, DateTimeFormat};
use aws_sdk_cloudformation::types::{
    self, OnStackFailure, ResourceTargetDefinition, StackDriftStatus,
};

/// One reason why a change set could not be made, in a line.
pub(super) fn problem(event: types::OperationEvent) -> Option<String> {
    let reason = event
        .validation_status_reason
        .or(event.hook_status_reason)
        .or(event.resource_status_reason)?;
    let mut line = String::new();
    if let Some(id) = event.logical_resource_id {
        line.push_str(&id);
        if let Some(kind) = event.resource_type {
            line.push_str(&format!(" ({kind})"));
        }
        line.push_str(": ");
    }
    if let Some(path) = event.validation_path {
        line.push_str(&format!("{path}: "));
    }
    if let Some(hook) = event.hook_type {
        line.push_str(&format!("hook {hook}: "));
    }
    Some(format!("{line}{reason}"))
}

pub(super) fn stack(stack: types::Stack) -> Stack {
    Stack {
        id: stack.stack_id.unwrap_or_default(),
        name: stack.stack_name.unwrap_or_default(),
        status: word(stack.stack_status).unwrap_or_default(),
        reason: stack
            .stack_status_reason
            .filter(|reason| !reason.is_empty()),
        created: time(stack.creation_time).unwrap_or_default(),
        updated: time(stack.last_updated_time),
        role: stack.role_arn,
        notifications: words(stack.notification_arns),
        rollback: rollback(stack.rollback_configuration),
        termination_protection: stack.enable_termination_protection.unwrap_or_default(),
        parameters: parameters(stack.parameters),
        tags: tags(stack.tags),
        capabilities: words(stack.capabilities),
        outputs: stack
            .outputs
            .unwrap_or_default()
            .into_iter()
            .map(|output| {
                (
                    output.output_key.unwrap_or_default(),
                    output.output_value.unwrap_or_default(),
                )
            })
            .collect(),
        drift: stack
            .drift_information
            .and_then(|drift| match drift.stack_drift_status {
                None | Some(StackDriftStatus::NotChecked) => None,
                Some(status) => {
                    Some((status.as_str().to_owned(), time(drift.last_check_timestamp)))
                }
            }),
    }
}

pub(super) fn listed(summary: types::ChangeSetSummary) -> ListedChangeSet {
    ListedChangeSet {
        id: summary.change_set_id.unwrap_or_default(),
        name: summary.change_set_name.unwrap_or_default(),
        status: word(summary.status).unwrap_or_default(),
        execution: word(summary.execution_status).unwrap_or_default(),
        created: time(summary.creation_time).unwrap_or_default(),
    }
}

pub(super) fn change_set(
    answer: aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput,
) -> ChangeSet {
    let unusual = unusual(&answer);
    ChangeSet {
        id: answer.change_set_id.unwrap_or_default(),
        name: answer.change_set_name.unwrap_or_default(),
        stack_id: answer.stack_id.unwrap_or_default(),
        status: word(answer.status).unwrap_or_default(),
        reason: answer.status_reason.filter(|reason| !reason.is_empty()),
        execution: word(answer.execution_status).unwrap_or_default(),
        created: time(answer.creation_time).unwrap_or_default(),
        description: answer.description,
        parameters: parameters(answer.parameters),
        tags: tags(answer.tags),
        capabilities: words(answer.capabilities),
        notifications: words(answer.notification_arns),
        rollback: rollback(answer.rollback_configuration),
        unusual,
        includes_nested: answer.include_nested_stacks.unwrap_or_default(),
        changes: Vec::new(),
        nested: Vec::new(),
    }
}

/// The settings that `plan` never gives, each where it is not CloudFormation's default.
fn unusual(
    answer: &aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput,
) -> Vec<String> {
    let mut found = Vec::new();
    let failure = answer.on_stack_failure();
    if let Some(failure) = failure.filter(|it| **it != OnStackFailure::Rollback) {
        found.push(format!("OnStackFailure {}", failure.as_str()));
    }
    if answer.import_existing_resources() == Some(true) {
        found.push("ImportExistingResources true".to_owned());
    }
    if let Some(mode) = answer.deployment_mode() {
        found.push(format!("DeploymentMode {}", mode.as_str()));
    }
    let config = answer.deployment_config();
    if let Some(mode) = config.and_then(|config| config.mode())
        && mode.as_str() != "STANDARD"
    {
        found.push(format!("DeploymentConfig {}", mode.as_str()));
    }
    if config.and_then(|config| config.disable_rollback()) == Some(true) {
        found.push("DeploymentConfig DisableRollback".to_owned());
    }
    if let Some(parent) = answer.parent_change_set_id() {
        found.push(format!("ParentChangeSetId {parent}"));
    }
    found
}

fn rollback(configuration: Option<types::RollbackConfiguration>) -> Vec<String> {
    let Some(configuration) = configuration else {
        return Vec::new();
    };
    let mut found: Vec<String> = configuration
        .rollback_triggers()
        .iter()
        .map(|trigger| {
            format!(
                "{} {}",
                trigger.r#type().unwrap_or_default(),
                trigger.arn().unwrap_or_default()
            )
        })
        .collect();
    found.sort();
    let minutes = configuration.monitoring_time_in_minutes();
    found.extend(
        minutes
            .filter(|minutes| *minutes > 0)
            .map(|minutes| format!("{minutes} minutes")),
    );
    found
}

pub(super) fn change(change: types::Change) -> Option<Change> {
    let change = change.resource_change?;
    Some(Change {
        logical_id: change.logical_resource_id.unwrap_or_default(),
        physical_id: change.physical_resource_id,
        kind: change.resource_type.unwrap_or_default(),
        action: word(change.action).unwrap_or_default(),
        replacement: word(change.replacement),
        policy_action: word(change.policy_action),
        details: change
            .details
            .unwrap_or_default()
            .into_iter()
            .map(detail)
            .collect(),
        before: change.before_context,
        after: change.after_context,
        change_set: change.change_set_id,
        inside: None,
    })
}

fn detail(detail: types::ResourceChangeDetail) -> Detail {
    let target = detail
        .target
        .unwrap_or_else(|| ResourceTargetDefinition::builder().build());
    Detail {
        attribute: word(target.attribute).unwrap_or_default(),
        name: target.name,
        path: target.path,
        recreation: word(target.requires_recreation),
        before: target.before_value,
        after: target.after_value,
        change: word(target.attribute_change_type),
        evaluation: word(detail.evaluation),
        source: word(detail.change_source),
        cause: detail.causing_entity,
    }
}

pub(super) fn event(event: types::StackEvent) -> Event {
    let hook = event.hook_type.map(|hook| {
        let status = word(event.hook_status).unwrap_or_default();
        let reason = event.hook_status_reason.unwrap_or_default();
        format!("{hook} {status} {reason}").trim_end().to_owned()
    });
    Event {
        id: event.event_id.unwrap_or_default(),
        millis: event
            .timestamp
            .and_then(|at| at.to_millis().ok())
            .unwrap_or_default(),
        at: time(event.timestamp).unwrap_or_default(),
        stack_id: event.stack_id.unwrap_or_default(),
        logical_id: event.logical_resource_id.unwrap_or_default(),
        physical_id: event.physical_resource_id.unwrap_or_default(),
        kind: event.resource_type.unwrap_or_default(),
        status: word(event.resource_status).unwrap_or_default(),
        reason: event
            .resource_status_reason
            .filter(|reason| !reason.is_empty()),
        token: event.client_request_token,
        hook,
    }
}

fn parameters(all: Option<Vec<types::Parameter>>) -> std::collections::BTreeMap<String, String> {
    let all = all.unwrap_or_default().into_iter();
    all.map(|one| {
        let value = one.parameter_value.unwrap_or_default();
        // Of a parameter that names one in Parameter Store, the value behind the name counts too.
        let value = match one.resolved_value {
            Some(resolved) => format!("{value} ({resolved})"),
            None => value,
        };
        (one.parameter_key.unwrap_or_default(), value)
    })
    .collect()
}

fn tags(all: Option<Vec<types::Tag>>) -> std::collections::BTreeMap<String, String> {
    let all = all.unwrap_or_default().into_iter();
    all.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()))
        .collect()
}

pub(super) fn words<T: AsRef<str>>(all: Option<Vec<T>>) -> Vec<String> {
    let mut all: Vec<String> = all
        .unwrap_or_default()
        .iter()
        .map(|one| one.as_ref().to_owned())
        .collect();
    all.sort();
    all
}

pub(super) fn word<T: AsRef<str>>(value: Option<T>) -> Option<String> {
    value.map(|value| value.as_ref().to_owned())
}

pub(super) fn time(at: Option<DateTime>) -> Option<String> {
    at?.fmt(DateTimeFormat::DateTime).ok()
}
