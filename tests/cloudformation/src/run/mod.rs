//! Operations on a stack: each is a task that goes from resource to resource and writes events as it goes.
//! Source: AWS CloudFormation User Guide, "Stack status codes" and "Understand CloudFormation stack creation events".

mod create;
mod delete;
mod import;
mod nested;
mod put;
mod rollback;
mod update;
mod waves;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};

use crate::handlers::{self, Desk, Failure};
use crate::ids;
use crate::services::{Services, Session};
use crate::state::{Event, Operation, Resource, Stack};
use crate::template::resolve::{Inputs, Resolver, Seen};
use crate::template::{Template, resolve};
use crate::{Inner, state};

pub(crate) use create::create;
pub(crate) use delete::delete;
pub(crate) use import::import;
pub(crate) use nested::take;
pub(crate) use rollback::{continue_rollback, roll_back};
pub(crate) use update::update;

/// One operation under way.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) inner: Arc<Inner>,
    pub(crate) account: String,
    pub(crate) region: String,
    /// The stack's ID and name.
    pub(crate) stack: String,
    pub(crate) name: String,
    pub(crate) session: Arc<dyn Session>,
    pub(crate) operation: String,
    pub(crate) token: Option<String>,
    /// Set once a resource has failed: what is under way then counts as cancelled.
    pub(crate) failed: Arc<AtomicBool>,
    /// True if a failure leaves everything as it is.
    pub(crate) keep_failed: bool,
}

/// The wanted content of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) template: Template,
    pub(crate) inputs: Inputs,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) policy: Option<String>,
    pub(crate) capabilities: Vec<String>,
}

/// Why a resource was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It failed, in being made or being changed.
    Create,
    Update,
    /// Another one failed first, or the update was cancelled.
    Cancelled,
}

impl Work {
    /// Notes that an operation of this kind begins on the stack.
    pub(crate) fn note(&self, kind: &'static str) {
        let id = self.operation.clone();
        self.with(|stack| stack.operations.push(Operation { id, kind }));
    }

    /// Reads or changes the stack.
    pub(crate) fn with<T: Default>(&self, work: impl FnOnce(&mut Stack) -> T) -> T {
        let mut world = self.inner.world();
        let region = world.region(&self.account, &self.region);
        let found = region.stacks.iter_mut().find(|it| it.id == self.stack);
        found.map(work).unwrap_or_default()
    }

    pub(crate) fn status(&self, status: &'static str, reason: Option<String>) {
        let (operation, token) = (self.operation.clone(), self.token.clone());
        self.with(|stack| stack.become_status(status, reason, &operation, token.as_deref()));
    }

    /// Sets a resource's status, with its event. A resource that the stack does not have any more has an event alone.
    pub(crate) fn resource(&self, id: &str, at: &At<'_>) {
        let event = Event {
            id: ids::uuid(),
            time: ids::now(),
            logical: id.to_owned(),
            physical: at.physical.to_owned(),
            kind: at.kind.to_owned(),
            status: at.status,
            reason: at.reason.clone(),
            properties: at
                .shown
                .map(|shown| Value::Object(shown.clone()).to_string()),
            token: self.token.clone(),
            operation: self.operation.clone(),
        };
        self.with(|stack| {
            if let Some(resource) = stack.resource_mut(id)
                && (resource.physical.is_empty() || resource.physical == at.physical)
            {
                resource.status = at.status;
                resource.reason.clone_from(&at.reason);
                resource.changed = event.time;
            }
            stack.events.push(event);
        });
    }

    pub(crate) fn desk(&self, logical: &str) -> Desk {
        Desk {
            services: Services {
                session: Arc::clone(&self.session),
                region: self.region.clone(),
            },
            account: self.account.clone(),
            stack: self.name.clone(),
            logical: logical.to_owned(),
        }
    }

    /// Lets the operation take its time, and fails it where a fault was injected.
    pub(crate) async fn linger(&self, logical: &str, operation: &str) -> Result<(), Failure> {
        let faults = &self.inner.faults;
        let struck = faults.strike(&self.account, &self.name, logical, operation);
        tokio::time::sleep(self.inner.timings.resource + struck.delay).await;
        match struck.reason {
            Some(reason) => Err(Failure::new("GeneralServiceException", reason)),
            None => Ok(()),
        }
    }

    /// Returns true if nothing more is to be begun.
    pub(crate) fn stopped(&self) -> bool {
        self.failed.load(Ordering::SeqCst) || self.with(|stack| stack.cancelled)
    }

    /// The resources as they are now.
    pub(crate) fn resources(&self) -> Vec<(String, Resource)> {
        self.with(|stack| stack.resources.clone())
    }

    /// A resource's properties, without functions and with the stack's tags; and the same for people's eyes.
    pub(crate) fn properties(
        &self,
        plan: &Plan,
        id: &str,
    ) -> Result<[Map<String, Value>; 2], String> {
        let resources = self.resources();
        let seen = |id: &str| seen(&resources, id);
        let mut both = [Map::new(), Map::new()];
        for (slot, hide) in both.iter_mut().zip([false, true]) {
            let resolver = Resolver {
                template: &plan.template,
                inputs: &plan.inputs,
                seen: &seen,
                hide,
            };
            let properties = resolver.properties(id)?;
            let kind = plan.template.resource(id).map_or("", |it| it.kind.as_str());
            let schema = self.inner.schemas.get(kind);
            *slot = match schema {
                Some(schema) => {
                    let tags = handlers::tags_for(kind, &plan.tags);
                    crate::tags::with(schema, schema.normalized(properties), tags)
                }
                None => properties,
            };
        }
        Ok(both)
    }

    /// The resources that the plan has under its conditions.
    pub(crate) fn included(&self, plan: &Plan) -> Vec<String> {
        included(plan).unwrap_or_default()
    }

    /// The values of the outputs.
    pub(crate) fn outputs(&self, plan: &Plan) -> Result<Vec<state::Output>, String> {
        let resources = self.resources();
        let seen = |id: &str| seen(&resources, id);
        let resolver = Resolver {
            template: &plan.template,
            inputs: &plan.inputs,
            seen: &seen,
            hide: false,
        };
        let mut found = Vec::new();
        for (name, output) in &plan.template.outputs {
            if !resolver.included(output.condition.as_ref())? {
                continue;
            }
            let text = |value: &Value| -> Result<Option<String>, String> {
                let value = resolver.value(value)?;
                Ok(value.map(|value| crate::template::parameters::text(&value)))
            };
            let export = match &output.export {
                Some(export) => text(export)?,
                None => None,
            };
            found.push(state::Output {
                name: name.clone(),
                value: text(&output.value)?.unwrap_or_default(),
                description: output.description.clone(),
                export,
            });
        }
        Ok(found)
    }
}

/// The resources that a plan has under its conditions, in the order in which they are made.
pub(crate) fn included(plan: &Plan) -> Result<Vec<String>, String> {
    let nothing = |_: &str| None;
    let resolver = Resolver {
        template: &plan.template,
        inputs: &plan.inputs,
        seen: &nothing,
        hide: false,
    };
    let mut found = Vec::new();
    for id in crate::template::graph::order(&plan.template)? {
        let condition = plan
            .template
            .resource(&id)
            .and_then(|it| it.condition.as_ref());
        if resolver.included(condition)? {
            found.push(id);
        }
    }
    Ok(found)
}

fn seen<'a>(resources: &'a [(String, Resource)], id: &str) -> Option<resolve::Seen<'a>> {
    let found = crate::template::find(resources, id)?;
    Some(Seen::There(&found.physical, &found.attributes))
}

/// The resource that an event is about.
pub(crate) struct At<'a> {
    pub(crate) kind: &'a str,
    pub(crate) physical: &'a str,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) shown: Option<&'a Map<String, Value>>,
}

/// `The following resource(s) failed to create: [A, B]. `
pub(crate) fn failed_to(what: &str, ids: &[String]) -> String {
    match ids {
        [] => String::new(),
        ids => format!(
            "The following resource(s) failed to {what}: [{}]. ",
            ids.join(", ")
        ),
    }
}
