//! The calls that read.

use super::{Client, is_code, no_such_stack};
use crate::seen::{
    Change, ChangeSet, DEPTH, Declared, Detail, Event, ListedChangeSet, Stack, Template,
};
use aws_sdk_cloudformation::primitives::{DateTime, DateTimeFormat};
use aws_sdk_cloudformation::types::{
    self, OnStackFailure, ResourceTargetDefinition, StackDriftStatus, TemplateStage,
};
use kit::error::{Error, Result};

impl Client {
    /// The stack, by name or ARN, if there is one. A name leads to the stack that has it now.
    pub(crate) async fn stack(&self, name: &str) -> Result<Option<Stack>> {
        let call = async || self.api.describe_stacks().stack_name(name).send().await;
        let action = format!("describe the stack {name}");
        match self.retried(&action, call).await {
            Ok(answer) => Ok(answer
                .stacks
                .unwrap_or_default()
                .into_iter()
                .next()
                .map(stack)),
            Err(error) if no_such_stack(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The change sets of a stack.
    pub(crate) async fn change_sets(&self, stack: &str) -> Result<Vec<ListedChangeSet>> {
        let (mut found, mut next) = (Vec::new(), None);
        let action = format!("list the change sets of {stack}");
        loop {
            let call = async || {
                let call = self.api.list_change_sets().stack_name(stack);
                call.set_next_token(next.clone()).send().await
            };
            let page = self.retried(&action, call).await?;
            found.extend(page.summaries.unwrap_or_default().into_iter().map(listed));
            next = page.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// A change set with all its changes and those of nested stacks; `None` if there is no such.
    pub(crate) async fn change_set(&self, id: &str) -> Result<Option<ChangeSet>> {
        let Some(mut whole) = self.own_changes(id).await? else {
            return Ok(None);
        };
        let mut pending = vec![(Vec::new(), 0_usize)];
        while let Some((path, depth)) = pending.pop() {
            let parent = at(&mut whole, &path);
            let ids: Vec<String> = parent
                .changes
                .iter()
                .filter_map(|it| it.change_set.clone())
                .collect();
            if ids.is_empty() {
                continue;
            }
            if depth == DEPTH {
                return Err(Error::failed(format!(
                    "nested stacks go deeper than {DEPTH}"
                )));
            }
            for id in ids {
                let nested = self.own_changes(&id).await?.ok_or_else(|| {
                    Error::failed(format!("the change set {id} of a nested stack is gone"))
                        .hint("plan again")
                })?;
                let parent = at(&mut whole, &path);
                parent.nested.push(nested);
                let mut deeper = path.clone();
                deeper.push(parent.nested.len() - 1);
                pending.push((deeper, depth + 1));
            }
        }
        Ok(Some(whole))
    }

    async fn own_changes(&self, id: &str) -> Result<Option<ChangeSet>> {
        let action = format!("describe the change set {id}");
        let mut whole: Option<ChangeSet> = None;
        let mut next = None;
        loop {
            let call = async || {
                let call = self.api.describe_change_set().change_set_name(id);
                let call = call.include_property_values(true);
                call.set_next_token(next.clone()).send().await
            };
            let mut page = match self.retried(&action, call).await {
                Ok(page) => page,
                Err(error)
                    if is_code(&error, &["ChangeSetNotFound", "ChangeSetNotFoundException"]) =>
                {
                    return Ok(None);
                }
                Err(error) if no_such_stack(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            next = page.next_token.take();
            let changes: Vec<Change> = page
                .changes
                .take()
                .unwrap_or_default()
                .into_iter()
                .filter_map(change)
                .collect();
            whole
                .get_or_insert_with(|| change_set(page))
                .changes
                .extend(changes);
            if next.is_none() {
                return Ok(whole);
            }
        }
    }

    /// The template that CloudFormation holds for a change set, as it was sent.
    pub(crate) async fn template_of(&self, change_set: &str) -> Result<String> {
        let call = async || {
            let call = self.api.get_template().change_set_name(change_set);
            call.template_stage(TemplateStage::Original).send().await
        };
        let action = format!("get the template of the change set {change_set}");
        let answer = self.retried(&action, call).await?;
        answer.template_body.ok_or_else(|| {
            Error::failed(format!("CloudFormation holds no template for {change_set}"))
        })
    }

    /// What a template asks for.
    pub(crate) async fn template(&self, body: &str) -> Result<Template> {
        let call = async || {
            self.api
                .get_template_summary()
                .template_body(body)
                .send()
                .await
        };
        let answer = self.retried("read the template", call).await?;
        Ok(Template {
            parameters: answer
                .parameters
                .unwrap_or_default()
                .into_iter()
                .map(|declared| Declared {
                    name: declared.parameter_key.unwrap_or_default(),
                    has_default: declared.default_value.is_some(),
                    no_echo: declared.no_echo.unwrap_or_default(),
                })
                .collect(),
            capabilities: words(answer.capabilities),
            capabilities_reason: answer.capabilities_reason,
        })
    }

    /// The stack policy as JSON text, if the stack has one.
    pub(crate) async fn policy(&self, stack: &str) -> Result<Option<String>> {
        let call = async || self.api.get_stack_policy().stack_name(stack).send().await;
        let action = format!("get the stack policy of {stack}");
        let answer = self.retried(&action, call).await?;
        Ok(answer.stack_policy_body.filter(|body| !body.is_empty()))
    }

    /// The events of a stack from the newest back to the first that `enough` says is one too many; the oldest comes first.
    pub(crate) async fn events(
        &self,
        stack: &str,
        enough: impl Fn(&Event) -> bool,
    ) -> Result<Vec<Event>> {
        let action = format!("read the events of {stack}");
        let (mut found, mut next) = (Vec::new(), None);
        'pages: loop {
            let call = async || {
                let call = self.api.describe_stack_events().stack_name(stack);
                call.set_next_token(next.clone()).send().await
            };
            let page = self.retried(&action, call).await?;
            for event in page.stack_events.unwrap_or_default().into_iter().map(event) {
                if enough(&event) {
                    break 'pages;
                }
                found.push(event);
            }
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }

    /// The newest event of a stack, if it has any.
    pub(crate) async fn newest_event(&self, stack: &str) -> Result<Option<Event>> {
        let call = async || {
            self.api
                .describe_stack_events()
                .stack_name(stack)
                .send()
                .await
        };
        let action = format!("read the events of {stack}");
        let page = self.retried(&action, call).await?;
        Ok(page
            .stack_events
            .unwrap_or_default()
            .into_iter()
            .next()
            .map(event))
    }

    /// Why a change set could not be made, as far as CloudFormation tells it beside the reason: failed validations and hooks.
    pub(crate) async fn problems(&self, change_set: &str) -> Result<Vec<String>> {
        let filter = types::EventFilter::builder().failed_events(true).build();
        let (mut found, mut next) = (Vec::new(), None);
        loop {
            let call = async || {
                let call = self.api.describe_events().change_set_name(change_set);
                call.filters(filter.clone())
                    .set_next_token(next.clone())
                    .send()
                    .await
            };
            let page = self
                .retried("read the events of the change set", call)
                .await?;
            found.extend(
                page.operation_events
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(problem),
            );
            next = page.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
    }
}

/// A change set within another one.
fn at<'a>(root: &'a mut ChangeSet, path: &[usize]) -> &'a mut ChangeSet {
    path.iter().fold(root, |set, index| &mut set.nested[*index])
}

fn problem(event: types::OperationEvent) -> Option<String> {
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

fn stack(stack: types::Stack) -> Stack {
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

fn listed(summary: types::ChangeSetSummary) -> ListedChangeSet {
    ListedChangeSet {
        id: summary.change_set_id.unwrap_or_default(),
        name: summary.change_set_name.unwrap_or_default(),
        status: word(summary.status).unwrap_or_default(),
        execution: word(summary.execution_status).unwrap_or_default(),
        created: time(summary.creation_time).unwrap_or_default(),
    }
}

fn change_set(
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

fn change(change: types::Change) -> Option<Change> {
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

fn event(event: types::StackEvent) -> Event {
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

fn words<T: AsRef<str>>(all: Option<Vec<T>>) -> Vec<String> {
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
