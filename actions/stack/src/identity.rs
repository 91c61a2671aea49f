//! The ID of a plan: a hash over everything that was reviewed. Pure.

use crate::seen::{ChangeSet, Stack};
use serde::{Deserialize, Serialize};

/// The beginning of the names of change sets that this step makes.
pub(crate) const PREFIX: &str = "slipway-";

/// CloudFormation keeps this much of a change set's description.
pub(crate) const LONGEST_DESCRIPTION: usize = 1024;

/// What a change set was made with and CloudFormation does not tell of it. It is the change set's description, which nobody can
/// change afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    /// The role that CloudFormation assumes, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    /// The resources whose data may be lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow_replace: Vec<String>,
}

impl Made {
    /// The description that says so.
    pub(crate) fn description(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a description; `None` if it is not one of this step's.
    pub(crate) fn read(description: Option<&str>) -> Option<Self> {
        serde_json::from_str(description?).ok()
    }
}

/// A plan, which has a change set for each stack. Its serialized form is what is hashed.
#[derive(Debug, Serialize)]
struct Envelope<'a> {
    format: &'static str,
    stacks: [Part<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Changes {
        template: String,
        change_set: &'a ChangeSet,
    },
    Unchanged {
        stack: &'a str,
        /// When it was changed last: a stack that changed since is another one.
        updated: &'a str,
    },
}

const FORMAT: &str = "slipway-stack-plan/1";

/// The ID of a plan that executes this change set, with the template that CloudFormation holds for it.
pub(crate) fn plan_id(change_set: &ChangeSet, template: &str) -> String {
    let mut change_set = change_set.clone();
    sort(&mut change_set);
    id(&Envelope {
        format: FORMAT,
        stacks: [Part::Changes {
            template: ledger::sha256(template.as_bytes()),
            change_set: &change_set,
        }],
    })
}

/// The ID of a plan that changes nothing in this stack.
pub(crate) fn empty_plan_id(stack: &Stack) -> String {
    id(&Envelope {
        format: FORMAT,
        stacks: [Part::Unchanged {
            stack: &stack.id,
            updated: stack.updated.as_deref().unwrap_or(&stack.created),
        }],
    })
}

/// CloudFormation promises no order of changes and details.
fn sort(set: &mut ChangeSet) {
    for change in &mut set.changes {
        change.details.sort();
    }
    set.changes.sort();
    set.nested.sort_by(|one, other| one.id.cmp(&other.id));
    set.nested.iter_mut().for_each(sort);
}

fn id(envelope: &Envelope<'_>) -> String {
    let bytes = serde_json::to_vec(envelope).unwrap_or_default();
    ledger::sha256(&bytes)
}

/// The token by which the events of a plan's execution can be told.
pub(crate) fn token(plan: &str) -> String {
    format!("{PREFIX}{plan}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::{Change, Detail};

    fn set() -> ChangeSet {
        let change = |id: &str| Change {
            logical_id: id.to_owned(),
            kind: "AWS::SNS::Topic".to_owned(),
            action: "Modify".to_owned(),
            details: vec![
                Detail {
                    name: Some("A".to_owned()),
                    ..Detail::default()
                },
                Detail {
                    name: Some("B".to_owned()),
                    ..Detail::default()
                },
            ],
            ..Change::default()
        };
        ChangeSet {
            id: "arn:change-set".to_owned(),
            name: "slipway-1".to_owned(),
            stack_id: "arn:stack".to_owned(),
            status: "CREATE_COMPLETE".to_owned(),
            description: Some(Made::default().description()),
            changes: vec![change("One"), change("Two")],
            ..ChangeSet::default()
        }
    }

    #[test]
    fn the_same_plan_has_the_same_id_whatever_the_order_and_the_status() {
        let id = plan_id(&set(), "template");
        assert!(kit::hex::is_hex(&id, 64));
        let mut other = set();
        other.changes.reverse();
        other.changes[0].details.reverse();
        other.status = "OTHER".to_owned();
        other.execution = "EXECUTE_IN_PROGRESS".to_owned();
        assert_eq!(plan_id(&other, "template"), id);
    }

    #[test]
    fn whatever_was_reviewed_changes_the_id() {
        let id = plan_id(&set(), "template");
        let differ: [fn(&mut ChangeSet); 9] = [
            |set| set.id.push('x'),
            |set| set.stack_id.push('x'),
            |set| drop(set.parameters.insert("A".to_owned(), "b".to_owned())),
            |set| drop(set.tags.insert("A".to_owned(), "b".to_owned())),
            |set| set.capabilities.push("CAPABILITY_IAM".to_owned()),
            |set| {
                let made = Made {
                    role: Some("r".to_owned()),
                    ..Made::default()
                };
                set.description = Some(made.description());
            },
            |set| set.changes[1].details[1].after = Some("a".to_owned()),
            |set| set.changes[1].replacement = Some("True".to_owned()),
            |set| set.nested.push(ChangeSet::default()),
        ];
        for (index, change) in differ.into_iter().enumerate() {
            let mut other = set();
            change(&mut other);
            assert_ne!(plan_id(&other, "template"), id, "{index}");
        }
        assert_ne!(plan_id(&set(), "another"), id);
    }

    #[test]
    fn a_plan_without_changes_is_of_the_stack_as_it_is() {
        let stack = Stack {
            id: "arn:stack".to_owned(),
            created: "2026-01-01T00:00:00Z".to_owned(),
            ..Stack::default()
        };
        let updated = Stack {
            updated: Some("2026-01-02T00:00:00Z".to_owned()),
            ..stack.clone()
        };
        let id = empty_plan_id(&stack);
        assert_eq!(empty_plan_id(&stack.clone()), id);
        assert_ne!(empty_plan_id(&updated), id);
    }

    #[test]
    fn a_description_is_read_only_if_it_is_one_of_ours() {
        let made = Made {
            role: Some("arn:role".to_owned()),
            allow_replace: vec!["Table".to_owned()],
        };
        assert_eq!(Made::read(Some(&made.description())), Some(made));
        for text in [None, Some(""), Some("by hand"), Some(r#"{"x":1}"#)] {
            assert_eq!(Made::read(text), None, "{text:?}");
        }
    }
}
