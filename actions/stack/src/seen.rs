//! CloudFormation's answers about stacks, change sets and events, in this step's own types.

use serde::Serialize;
use std::collections::BTreeMap;

/// The type of a stack among the resources of another one, and in its own events.
pub(crate) const STACK: &str = "AWS::CloudFormation::Stack";

/// How deep nested stacks are followed; more than anybody has.
pub(crate) const DEPTH: usize = 8;

/// A stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stack {
    /// Its ARN. A stack that is made again under the same name has another one.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) created: String,
    pub(crate) updated: Option<String>,
    pub(crate) role: Option<String>,
    /// The topics that hear of its operations, by ARN.
    pub(crate) notifications: Vec<String>,
    /// The alarms that roll an operation back, and for how long they are watched.
    pub(crate) rollback: Vec<String>,
    pub(crate) termination_protection: bool,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) outputs: BTreeMap<String, String>,
    /// The result of the last drift detection and its time, if there was one.
    pub(crate) drift: Option<(String, Option<String>)>,
}

/// A change set as far as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedChangeSet {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) execution: String,
    pub(crate) created: String,
}

/// A change set with its changes. A plan's ID covers the serialized members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ChangeSet {
    pub(crate) id: String,
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) stack_id: String,
    #[serde(skip)]
    pub(crate) status: String,
    #[serde(skip)]
    pub(crate) reason: Option<String>,
    #[serde(skip)]
    pub(crate) execution: String,
    /// When CloudFormation began to make it. Its ID is of this one alone, so the plan's ID covers the time too.
    #[serde(skip)]
    pub(crate) created: String,
    pub(crate) description: Option<String>,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) capabilities: Vec<String>,
    /// The topics that hear of the operation, by ARN.
    pub(crate) notifications: Vec<String>,
    /// The alarms that roll the operation back, and for how long they are watched.
    pub(crate) rollback: Vec<String>,
    /// Settings that a plan never has.
    pub(crate) unusual: Vec<String>,
    /// True if it has a change set for each nested stack.
    pub(crate) includes_nested: bool,
    pub(crate) changes: Vec<Change>,
    /// The change sets of nested stacks.
    pub(crate) nested: Vec<ChangeSet>,
}

/// A change of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Change {
    pub(crate) logical_id: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) kind: String,
    /// `Add`, `Modify`, `Remove`, `Import`, `Dynamic` or another.
    pub(crate) action: String,
    /// `True`, `False`, `Conditional`, or nothing.
    pub(crate) replacement: Option<String>,
    /// The fate of the old resource: `Delete`, `Retain`, `Snapshot`, `ReplaceAndDelete` and so on.
    pub(crate) policy_action: Option<String>,
    pub(crate) details: Vec<Detail>,
    /// The resource's properties before and after, as JSON text.
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    /// The change set of a nested stack.
    pub(crate) change_set: Option<String>,
    /// The resources in a nested stack that is removed, and in those in it; `None` where they were not seen.
    #[serde(skip)]
    pub(crate) inside: Option<Vec<Inside>>,
}

/// A resource in a nested stack that is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inside {
    /// The logical IDs of the nested stacks in it and of the resource, joined by slashes.
    pub(crate) path: String,
    pub(crate) kind: String,
}

/// The change of one property or attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Detail {
    /// `Properties`, `Tags`, `Metadata`, `CreationPolicy` and so on.
    pub(crate) attribute: String,
    pub(crate) name: Option<String>,
    /// A JSON pointer into the resource, such as `/Properties/Tags/0/Value`.
    pub(crate) path: Option<String>,
    /// `Always`, `Conditionally` or `Never`.
    pub(crate) recreation: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    /// `Add`, `Remove`, `Modify`.
    pub(crate) change: Option<String>,
    /// `Static` if the value is known, `Dynamic` if it is known only when the change is made.
    pub(crate) evaluation: Option<String>,
    /// The origin of the change: `ParameterReference`, `ResourceAttribute`, `DirectModification` and so on.
    pub(crate) source: Option<String>,
    /// The parameter or the attribute that it comes from.
    pub(crate) cause: Option<String>,
}

/// Something that happened to a stack or to one of its resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) at: String,
    /// The same moment in milliseconds, to compare.
    pub(crate) millis: i64,
    pub(crate) stack_id: String,
    pub(crate) logical_id: String,
    pub(crate) physical_id: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    /// The token of the call that began the operation.
    pub(crate) token: Option<String>,
    /// The hook that the event is about, with its answer.
    pub(crate) hook: Option<String>,
}

impl Event {
    /// Returns true if it is about the stack itself and not about a resource, of which a nested stack is one.
    pub(crate) fn is_of_stack(&self) -> bool {
        self.kind == STACK && self.physical_id == self.stack_id
    }
}

/// The parameters and capabilities that a template asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) parameters: Vec<Declared>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) capabilities_reason: Option<String>,
    /// The resources of types that can be taken over, by logical ID.
    pub(crate) identifiers: BTreeMap<String, Identifiers>,
}

/// The properties that identify a resource to CloudFormation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identifiers {
    pub(crate) kind: String,
    pub(crate) names: Vec<String>,
}

/// A parameter that a template declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) has_default: bool,
    pub(crate) no_echo: bool,
}
