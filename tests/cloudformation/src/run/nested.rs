//! Stacks that are resources of other stacks: made and changed by the change sets that were made for them.
//! Source: AWS CloudFormation User Guide, "Embed stacks within other stacks using nested stacks".

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value};

use super::{At, Plan, Work, create, delete, update};
use crate::handlers::{Failure, Made};
use crate::services::Pending;
use crate::state::{ChangeSet, STACK, Stack};
use crate::template::resolve::Inputs;
use crate::{ids, inputs};

/// Takes a change set for execution; answers what the stack is to be.
pub(crate) fn take(stack: &mut Stack, set: &ChangeSet, inputs: Inputs) -> Plan {
    stack.change_sets.retain(|known| known.id == set.id);
    for known in &mut stack.change_sets {
        known.execution = "EXECUTE_IN_PROGRESS";
    }
    stack.change_set = Some(set.id.clone());
    stack.role.clone_from(&set.role);
    stack.notification_arns.clone_from(&set.notification_arns);
    if set.kind == "CREATE" {
        stack.template = Some(set.template.clone());
        stack.description.clone_from(&set.template.description);
        stack.parameters.clone_from(&set.parameters);
        stack.tags.clone_from(&set.tags);
        stack.capabilities.clone_from(&set.capabilities);
    }
    Plan {
        template: set.template.clone(),
        inputs,
        tags: set.tags.clone(),
        capabilities: set.capabilities.clone(),
        policy: stack.policy.clone().filter(|_| set.kind != "CREATE"),
    }
}

// A stack in a stack in a stack: each of these is a type of its own.
fn make(work: Work, plan: Plan) -> Pending<()> {
    Box::pin(create(work, plan, "DO_NOTHING".to_owned()))
}

fn change(work: Work, plan: Plan) -> Pending<()> {
    Box::pin(update(work, plan))
}

fn unmake(work: Work) -> Pending<()> {
    Box::pin(delete(work, Vec::new()))
}

impl Work {
    /// The same work on a nested stack.
    fn inner(&self, stack: &Stack) -> Self {
        Self {
            stack: stack.id.clone(),
            name: stack.name.clone(),
            operation: ids::uuid(),
            failed: Arc::new(AtomicBool::new(false)),
            keep_failed: false,
            ..self.clone()
        }
    }

    /// Executes the change set of a nested stack; answers the stack as a resource of this one.
    pub(super) async fn embed(
        &self,
        logical: &str,
        status: &'static str,
        shown: &Map<String, Value>,
    ) -> Result<Made, Failure> {
        let Some((work, plan, new)) = self.embedded(logical) else {
            return Err(Failure::new(
                "InvalidRequest",
                "the sandbox's CloudFormation changes a nested stack only by a change set that includes nested stacks, and takes no change of it back",
            ));
        };
        let at = At {
            kind: STACK,
            physical: &work.stack,
            status,
            reason: new.then(|| "Resource creation Initiated".to_owned()),
            shown: Some(shown),
        };
        self.with(|stack| {
            if let Some(resource) = stack.resource_mut(logical) {
                resource.physical.clone_from(&work.stack);
            }
        });
        self.resource(logical, &at);
        let run = match new {
            true => make(work.clone(), plan),
            false => change(work.clone(), plan),
        };
        run.await;
        let (ended, reason, outputs) =
            work.with(|stack| (stack.status, stack.reason.clone(), stack.outputs.clone()));
        let done = matches!(ended, "CREATE_COMPLETE" | "UPDATE_COMPLETE");
        work.with(|stack| {
            for set in &mut stack.change_sets {
                set.execution = if done {
                    "EXECUTE_COMPLETE"
                } else {
                    "EXECUTE_FAILED"
                };
            }
        });
        if !done {
            let what = if new { "created" } else { "updated" };
            return Err(Failure::new(
                "GeneralServiceException",
                format!(
                    "Embedded stack {} was not successfully {what}: {}",
                    work.stack,
                    reason.unwrap_or_default()
                ),
            ));
        }
        let attributes = outputs.into_iter();
        let attributes =
            attributes.map(|it| (format!("Outputs.{}", it.name), Value::from(it.value)));
        Ok(Made {
            physical: work.stack.clone(),
            attributes: attributes.collect(),
        })
    }

    /// The work on the nested stack that the executed change set has one for, and whether it is new.
    fn embedded(&self, logical: &str) -> Option<(Self, Plan, bool)> {
        let mut world = self.inner.world();
        let region = world.region(&self.account, &self.region);
        let executed = region.find(&self.stack)?.change_set.clone()?;
        let nested = region.nested(&executed).into_iter();
        let (stack, set) = nested.into_iter().find(|(_, set)| {
            set.execution == "AVAILABLE"
                && set.owner.as_ref().is_some_and(|it| it.logical == logical)
        })?;
        let exports = region.exports().into_iter();
        let exports = exports.map(|(name, (value, _))| (name, value)).collect();
        let stack = region.find_mut(&stack)?;
        let inputs = inputs::of(&self.account, &self.region, stack, &set, exports);
        let plan = take(stack, &set, inputs);
        Some((self.inner(stack), plan, set.kind == "CREATE"))
    }

    /// Deletes a nested stack.
    pub(super) async fn unembed(&self, physical: &str) -> Result<(), Failure> {
        let found = {
            let mut world = self.inner.world();
            let region = world.region(&self.account, &self.region);
            region
                .find(physical)
                .filter(|it| it.deleted.is_none())
                .cloned()
        };
        let Some(stack) = found else { return Ok(()) };
        let work = self.inner(&stack);
        unmake(work.clone()).await;
        match work.with(|stack| stack.status) {
            "DELETE_COMPLETE" => Ok(()),
            status => Err(Failure::new(
                "GeneralServiceException",
                format!("Embedded stack {physical} was not successfully deleted: {status}"),
            )),
        }
    }
}
