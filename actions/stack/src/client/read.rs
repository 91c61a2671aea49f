//! The calls that read.

use super::convert::{change, change_set, event, listed, problem, stack, words};
use super::{Client, Source, is_code, no_such_stack};
use crate::identity::AsItIs;
use crate::seen::{
    Change, ChangeSet, DEPTH, Declared, Event, Identifiers, Inside, ListedChangeSet, STACK, Stack,
    Template,
};
use aws_sdk_cloudformation::types::{self, TemplateStage};
use kit::error::{Error, Result};
use std::collections::BTreeMap;

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
        self.look_inside(&mut whole, 0).await;
        Ok(Some(whole))
    }

    /// Lists the resources in each nested stack that is removed, of which CloudFormation shows no changes. One that may not be listed is
    /// left as unseen.
    async fn look_inside(&self, set: &mut ChangeSet, depth: usize) {
        let removed = |it: &&mut Change| it.action == "Remove" && it.kind == STACK;
        for change in set.changes.iter_mut().filter(removed) {
            if let Some(id) = &change.physical_id {
                change.inside = self.inside(id).await.ok();
            }
        }
        if depth < DEPTH {
            for nested in &mut set.nested {
                Box::pin(self.look_inside(nested, depth + 1)).await;
            }
        }
    }

    /// The resources in a nested stack and in those in it.
    async fn inside(&self, stack: &str) -> Result<Vec<Inside>> {
        let mut found = Vec::new();
        let mut pending = vec![(stack.to_owned(), String::new(), 0_usize)];
        while let Some((id, prefix, depth)) = pending.pop() {
            for resource in self.resources(&id).await? {
                let path = format!("{prefix}{}", resource.logical_id);
                match resource.physical_id {
                    _ if resource.status == "DELETE_COMPLETE" => {}
                    Some(nested) if resource.kind == STACK && depth < DEPTH => {
                        pending.push((nested, format!("{path}/"), depth + 1));
                    }
                    _ => found.push(Inside {
                        path,
                        kind: resource.kind,
                    }),
                }
            }
        }
        Ok(found)
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

    /// A stack as it is, with the template that CloudFormation has of it.
    pub(crate) async fn as_it_is(&self, stack: &Stack) -> Result<AsItIs> {
        let call = async || {
            let call = self.api.get_template().stack_name(&stack.id);
            call.template_stage(TemplateStage::Original).send().await
        };
        let action = format!("get the template of the stack {}", stack.name);
        let answer = self.retried(&action, call).await?;
        Ok(AsItIs {
            stack: stack.clone(),
            template: answer.template_body.unwrap_or_default(),
        })
    }

    /// The parameters and capabilities that a template asks for.
    pub(crate) async fn template(&self, source: &Source) -> Result<Template> {
        let call = async || {
            self.api
                .get_template_summary()
                .set_template_body(source.body())
                .set_template_url(source.url())
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
            identifiers: identifiers(answer.resource_identifier_summaries),
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

/// The identifying properties of each resource, by logical ID.
fn identifiers(
    all: Option<Vec<types::ResourceIdentifierSummary>>,
) -> BTreeMap<String, Identifiers> {
    let mut found = BTreeMap::new();
    for summary in all.unwrap_or_default() {
        let of_kind = Identifiers {
            kind: summary.resource_type.unwrap_or_default(),
            names: summary.resource_identifiers.unwrap_or_default(),
        };
        for id in summary.logical_resource_ids.unwrap_or_default() {
            found.insert(id, of_kind.clone());
        }
    }
    found
}

/// A change set within another one.
fn at<'a>(root: &'a mut ChangeSet, path: &[usize]) -> &'a mut ChangeSet {
    path.iter().fold(root, |set, index| &mut set.nested[*index])
}
