//! The change sets of nested stacks, each made with that of its parent.
//! Source: AWS CloudFormation User Guide, "Change sets for nested stacks".

use std::sync::Arc;

use serde_json::{Value, json};

use super::validate::{self, Draft};
use crate::change::Change;
use crate::error::ApiError;
use crate::ids;
use crate::services::Services;
use crate::state::{ChangeSet, Operation, Owner, STACK, Stack};
use crate::template::Template;
use crate::template::parameters::{Given, assign};

impl Draft {
    /// Makes a change set for each nested stack that is added or modified; answers the changes with those change sets.
    pub(super) async fn nest(
        &self,
        set: &ChangeSet,
        changes: Vec<Change>,
    ) -> Result<Vec<Change>, String> {
        let mut found = Vec::new();
        for mut change in changes {
            if change.kind == STACK && change.action != "Remove" && set.nested {
                let (stack, nested) = self
                    .nested(set, &change)
                    .await
                    .map_err(|error| format!("Nested stack {}: {}", change.id, error.message))?;
                change.physical = Some(stack);
                change.change_set = Some(nested);
            }
            found.push(change);
        }
        Ok(found)
    }

    /// Makes the change set of one nested stack, and the stack itself if it is new; answers the IDs of both.
    async fn nested(&self, set: &ChangeSet, change: &Change) -> Result<(String, String), ApiError> {
        let properties = change.after.as_ref().map(|it| &it["Properties"]);
        let properties = properties.unwrap_or(&Value::Null);
        let services = Services {
            session: Arc::clone(&self.session),
            region: self.region.clone(),
        };
        let url = properties["TemplateURL"].as_str().unwrap_or_default();
        let text = validate::fetch(&services, url).await?;
        let template = Template::read(&text).map_err(validate::refusal)?;
        validate::known(&self.inner, &template)?;
        validate::capable(&template, &set.capabilities)?;
        let given: Vec<Value> = properties["Parameters"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| json!({"ParameterKey": name, "ParameterValue": value}))
            .collect();
        let parameters = assign(&template, &given, &[]).map_err(ApiError::validation)?;
        let stack = self.inner_stack(set, change, &template);
        let nested = self.inner_set(set, change, template, parameters);
        let id = nested.id.clone();
        {
            let mut world = self.inner.world();
            let region = world.region(&self.account, &self.region);
            if let Some(stack) = region.find_mut(&stack) {
                stack.operations.push(Operation {
                    id: nested.operation.clone(),
                    kind: "CREATE_CHANGESET",
                });
                stack.change_sets.push(nested);
            }
        }
        let draft = Self {
            inner: Arc::clone(&self.inner),
            account: self.account.clone(),
            region: self.region.clone(),
            stack: stack.clone(),
            id: id.clone(),
            session: Arc::clone(&self.session),
        };
        draft.compute().await;
        let mut world = self.inner.world();
        let region = world.region(&self.account, &self.region);
        let ended = region.find(&stack).and_then(|it| it.change_set(&id));
        match ended {
            Some(set) if set.status == "CREATE_COMPLETE" => Ok((stack, id)),
            Some(set) => Err(ApiError::validation(format!(
                "Nested change set {id} was not successfully created: Currently in {}. {}",
                set.status,
                set.reason.as_deref().unwrap_or_default()
            ))),
            None => Err(ApiError::validation(format!(
                "Nested change set {id} is gone"
            ))),
        }
    }

    /// The stack of a change, which an addition makes; answers its ID.
    fn inner_stack(&self, set: &ChangeSet, change: &Change, template: &Template) -> String {
        if let Some(physical) = &change.physical {
            return physical.clone();
        }
        let mut world = self.inner.world();
        let region = world.region(&self.account, &self.region);
        let parent = region.find(&self.stack);
        let (name, root) = parent.map_or_else(Default::default, |it| {
            let root = it.root.clone().unwrap_or_else(|| it.id.clone());
            (it.name.clone(), root)
        });
        let name = format!("{name}-{}-{}", change.id, ids::suffix());
        let id = format!(
            "arn:aws:cloudformation:{}:{}:stack/{name}/{}",
            self.region,
            self.account,
            ids::uuid()
        );
        let mut stack = Stack::of(&name, &id);
        stack.parent = Some(self.stack.clone());
        stack.root = Some(root);
        stack.description.clone_from(&template.description);
        stack.become_status(
            "REVIEW_IN_PROGRESS",
            Some("User Initiated".to_owned()),
            &set.operation,
            None,
        );
        region.stacks.push(stack);
        id
    }

    fn inner_set(
        &self,
        set: &ChangeSet,
        change: &Change,
        template: Template,
        parameters: Vec<Given>,
    ) -> ChangeSet {
        let name = format!("{}-{}-{}", set.name, change.id, ids::suffix());
        let root = set.owner.as_ref().map(|it| it.root.clone());
        ChangeSet {
            id: format!(
                "arn:aws:cloudformation:{}:{}:changeSet/{name}/{}",
                self.region,
                self.account,
                ids::uuid()
            ),
            name,
            kind: match change.action {
                "Add" => "CREATE".to_owned(),
                _ => "UPDATE".to_owned(),
            },
            created: ids::now(),
            description: None,
            status: "CREATE_PENDING",
            reason: None,
            execution: "UNAVAILABLE",
            template,
            parameters,
            owner: Some(Owner {
                set: set.id.clone(),
                root: root.unwrap_or_else(|| set.id.clone()),
                logical: change.id.clone(),
            }),
            changes: Vec::new(),
            imports: Vec::new(),
            operation: ids::uuid(),
            invalid: Vec::new(),
            token: None,
            asked: Value::Null,
            ..set.clone()
        }
    }
}
