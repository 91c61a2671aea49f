//! Stacks, change sets and events as this stand-in keeps them, by account and region.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::change::Change;
use crate::ids;
use crate::template::parameters::Given;
use crate::template::{Declaration, Section, Template};

/// The type of a stack, also of one that is nested in another.
pub(crate) const STACK: &str = "AWS::CloudFormation::Stack";

/// Everything, by account and region.
#[derive(Debug, Default)]
pub(crate) struct World(BTreeMap<(String, String), Region>);

impl World {
    pub(crate) fn region(&mut self, account: &str, region: &str) -> &mut Region {
        self.0
            .entry((account.to_owned(), region.to_owned()))
            .or_default()
    }
}

/// One account's stacks in one region, deleted ones too.
#[derive(Debug, Default)]
pub(crate) struct Region {
    pub(crate) stacks: Vec<Stack>,
}

impl Region {
    /// A stack by its name, which a deleted one has lost, or by its ID.
    pub(crate) fn find(&self, named: &str) -> Option<&Stack> {
        self.stacks.iter().find(|stack| stack.is(named))
    }

    pub(crate) fn find_mut(&mut self, named: &str) -> Option<&mut Stack> {
        self.stacks.iter_mut().find(|stack| stack.is(named))
    }

    /// The change sets nested in one, with their stacks' IDs.
    pub(crate) fn nested(&self, set: &str) -> Vec<(String, ChangeSet)> {
        let all = self.stacks.iter().flat_map(|stack| {
            let sets = stack.change_sets.iter();
            sets.map(|set| (stack.id.clone(), set.clone()))
        });
        all.filter(|(_, nested)| nested.owner.as_ref().is_some_and(|it| it.set == set))
            .collect()
    }

    /// Deletes the change sets nested in one, and the stacks that were made for them and have no resources.
    /// Source: AWS CloudFormation API Reference, `DeleteChangeSet`.
    pub(crate) fn forget_nested(&mut self, set: &str) {
        for (stack, nested) in self.nested(set) {
            self.forget_nested(&nested.id);
            if let Some(stack) = self.find_mut(&stack) {
                stack.change_sets.retain(|known| known.id != nested.id);
            }
            self.stacks.retain(|known| {
                known.id != stack
                    || known.status != "REVIEW_IN_PROGRESS"
                    || !known.change_sets.is_empty()
            });
        }
    }

    /// The exports of all stacks, by name, each with its stack's name.
    pub(crate) fn exports(&self) -> BTreeMap<String, (String, String)> {
        let live = self.stacks.iter().filter(|stack| stack.deleted.is_none());
        live.flat_map(|stack| {
            stack.outputs.iter().filter_map(|output| {
                let export = output.export.clone()?;
                Some((export, (output.value.clone(), stack.name.clone())))
            })
        })
        .collect()
    }
}

/// A stack.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The stack that it is nested in, and the outermost one.
    pub(crate) parent: Option<String>,
    pub(crate) root: Option<String>,
    pub(crate) created: OffsetDateTime,
    pub(crate) updated: Option<OffsetDateTime>,
    pub(crate) deleted: Option<OffsetDateTime>,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    /// The template that the resources were made from; none in `REVIEW_IN_PROGRESS`.
    pub(crate) template: Option<Template>,
    pub(crate) description: Option<String>,
    pub(crate) parameters: Vec<Given>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) notification_arns: Vec<String>,
    pub(crate) role: Option<String>,
    pub(crate) disable_rollback: bool,
    pub(crate) protected: bool,
    pub(crate) policy: Option<String>,
    pub(crate) resources: Section<Resource>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) change_sets: Vec<ChangeSet>,
    /// The change set that was executed last.
    pub(crate) change_set: Option<String>,
    pub(crate) events: Vec<Event>,
    pub(crate) operations: Vec<Operation>,
    /// The client tokens of operations, each with what it asked for.
    pub(crate) tokens: BTreeMap<String, String>,
    /// True if the update is to be given up.
    pub(crate) cancelled: bool,
    /// The token of the cancellation.
    pub(crate) cancel_token: Option<String>,
    /// The stack that a failing update returns to, while it is under way or has failed to.
    pub(crate) before: Option<Box<Before>>,
    pub(crate) detections: Vec<Detection>,
}

/// One detection of drift.
#[derive(Debug, Clone)]
pub(crate) struct Detection {
    pub(crate) id: String,
    pub(crate) started: OffsetDateTime,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    /// How many resources differ.
    pub(crate) drifted: usize,
}

/// A stack before an update.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    pub(crate) template: Option<Template>,
    pub(crate) description: Option<String>,
    pub(crate) parameters: Vec<Given>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) resources: Section<Resource>,
    pub(crate) outputs: Vec<Output>,
}

impl Stack {
    /// A stack in review, which has no resources yet.
    pub(crate) fn of(name: &str, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            parent: None,
            root: None,
            created: ids::now(),
            updated: None,
            deleted: None,
            status: "REVIEW_IN_PROGRESS",
            reason: None,
            template: None,
            description: None,
            parameters: Vec::new(),
            tags: Vec::new(),
            capabilities: Vec::new(),
            notification_arns: Vec::new(),
            role: None,
            disable_rollback: false,
            protected: false,
            policy: None,
            resources: Vec::new(),
            outputs: Vec::new(),
            change_sets: Vec::new(),
            change_set: None,
            events: Vec::new(),
            operations: Vec::new(),
            tokens: BTreeMap::new(),
            cancelled: false,
            cancel_token: None,
            before: None,
            detections: Vec::new(),
        }
    }

    /// Returns true if a call that names a stack means this one.
    pub(crate) fn is(&self, named: &str) -> bool {
        self.id == named || (self.name == named && self.deleted.is_none())
    }

    pub(crate) fn resource(&self, id: &str) -> Option<&Resource> {
        crate::template::find(&self.resources, id)
    }

    pub(crate) fn resource_mut(&mut self, id: &str) -> Option<&mut Resource> {
        let found = self.resources.iter_mut().find(|(known, _)| known == id);
        found.map(|(_, resource)| resource)
    }

    /// A change set by its name or ID.
    pub(crate) fn change_set(&self, named: &str) -> Option<&ChangeSet> {
        self.change_sets
            .iter()
            .find(|set| set.id == named || set.name == named)
    }

    /// Returns true if an operation is under way.
    pub(crate) fn busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }

    pub(crate) fn before(&self) -> Before {
        Before {
            template: self.template.clone(),
            description: self.description.clone(),
            parameters: self.parameters.clone(),
            tags: self.tags.clone(),
            capabilities: self.capabilities.clone(),
            resources: self.resources.clone(),
            outputs: self.outputs.clone(),
        }
    }

    /// Sets the stack's status, with its event.
    pub(crate) fn become_status(
        &mut self,
        status: &'static str,
        reason: Option<String>,
        operation: &str,
        token: Option<&str>,
    ) {
        self.status = status;
        self.reason.clone_from(&reason);
        let event = Event {
            id: ids::uuid(),
            time: ids::now(),
            logical: self.name.clone(),
            physical: self.id.clone(),
            kind: STACK.to_owned(),
            status,
            reason,
            properties: None,
            token: token.map(str::to_owned),
            operation: operation.to_owned(),
        };
        self.events.push(event);
    }
}

/// A resource that a stack has made.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) declared: Declaration,
    pub(crate) physical: String,
    pub(crate) attributes: Map<String, Value>,
    /// The properties as they were sent, without functions; dynamic references stay as they are written.
    pub(crate) properties: Map<String, Value>,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) changed: OffsetDateTime,
    /// The findings of the last detection of drift, as `DescribeStackResourceDrifts` answers them.
    pub(crate) drift: Option<Value>,
}

/// A stack's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) description: Option<String>,
    pub(crate) export: Option<String>,
}

/// A change set.
#[derive(Debug, Clone)]
pub(crate) struct ChangeSet {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) created: OffsetDateTime,
    pub(crate) description: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) execution: &'static str,
    pub(crate) template: Template,
    pub(crate) parameters: Vec<Given>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) notification_arns: Vec<String>,
    pub(crate) role: Option<String>,
    pub(crate) on_failure: Option<String>,
    /// True if the change sets of nested stacks were asked for.
    pub(crate) nested: bool,
    /// The change set that it is nested in.
    pub(crate) owner: Option<Owner>,
    /// The resources that it takes over, each with its physical ID.
    pub(crate) imports: Vec<(String, String)>,
    pub(crate) changes: Vec<Change>,
    pub(crate) operation: String,
    /// The findings of early validation.
    pub(crate) invalid: Vec<Invalid>,
    pub(crate) token: Option<String>,
    /// The input of the call that made it, to know the same call again.
    pub(crate) asked: Value,
}

/// The change set that another one is nested in.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) set: String,
    pub(crate) root: String,
    /// The nested stack's name in the template.
    pub(crate) logical: String,
}

/// One finding of early validation.
#[derive(Debug, Clone)]
pub(crate) struct Invalid {
    pub(crate) id: String,
    pub(crate) time: OffsetDateTime,
    pub(crate) logical: String,
    pub(crate) kind: String,
    pub(crate) name: &'static str,
    pub(crate) reason: String,
    pub(crate) path: String,
}

/// One event of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) time: OffsetDateTime,
    pub(crate) logical: String,
    pub(crate) physical: String,
    pub(crate) kind: String,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) properties: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) operation: String,
}

/// An operation on a stack, as `DescribeStacks` and `DescribeEvents` name it.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
}
