//! The ID of a plan: a hash over everything that was reviewed. Pure.

use crate::seen::{ChangeSet, Stack};
use kit::aws::Region;
use kit::id::{CommitId, PlanId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The beginning of the names of change sets that this step makes.
pub(crate) const PREFIX: &str = "slipway-";

/// The beginning of the names of change sets that only show what a pull request would change. The role that plans those may make and
/// delete no others (docs/policies/read-stack-plan.json), and none of them is ever a plan.
pub(crate) const PULL_PREFIX: &str = "slipway-pull-";

/// Returns true if a change set of this name can be a plan.
pub(crate) fn is_plan(name: &str) -> bool {
    name.starts_with(PREFIX) && !name.starts_with(PULL_PREFIX)
}

/// CloudFormation keeps this much of a change set's description.
pub(crate) const LONGEST_DESCRIPTION: usize = 1024;

/// The settings of a change set that CloudFormation does not tell. They are the change set's description, which nobody can
/// change afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    /// The commit of the template, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<CommitId>,
    /// The role that CloudFormation assumes, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    /// The role that the stack had and keeps, where none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept_role: Option<String>,
    /// The resources whose data may be lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow_replace: Vec<String>,
    /// The parameters whose value the stack hides so far, and shows after the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) readable: Vec<String>,
    /// The hash over the assets of a cloud assembly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assets: Option<String>,
    /// The regions of a plan of several, in the order in which they are changed, as far as they were known when this change set was
    /// made. The last change set knows all of them, so its ID is that of the whole plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) regions: Vec<Regional>,
    /// The protection that the plan gives the stack.
    #[serde(default, skip_serializing_if = "Protects::is_nothing")]
    pub(crate) protects: Protects,
}

/// One region of a plan of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Regional {
    pub(crate) region: Region,
    #[serde(flatten)]
    pub(crate) part: Planned,
}

/// The plan in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Planned {
    /// It changes resources: the ID of the plan.
    Plan(PlanId),
    /// It changes none: the ID of the stack as it was.
    Same(PlanId),
    /// It is the one whose change set says so, and cannot name itself.
    Own(()),
    /// It is not known yet, so the change set that says this is only a part of the plan.
    Later(()),
}

/// The protection of the stack after the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Protects {
    /// Termination protection. `None`: it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) termination: Option<bool>,
    /// The SHA-256 of the stack policy's text. `None`: it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
}

impl Protects {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Its parts as lines.
    pub(crate) fn lines(&self) -> [String; 2] {
        let termination = match self.termination {
            Some(true) => "on",
            Some(false) => "off",
            None => "as it is",
        };
        let policy = self.policy.as_deref();
        [
            format!("termination protection: {termination}"),
            policy.map_or_else(
                || "stack policy: as it is".to_owned(),
                |hash| format!("stack policy: the one with the SHA-256 {hash}"),
            ),
        ]
    }
}

impl Made {
    /// The role with which the change set is executed.
    pub(crate) fn effective_role(&self) -> Option<&str> {
        self.role.as_deref().or(self.kept_role.as_deref())
    }

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
    stacks: Vec<Part<'a>>,
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
        status: &'a str,
        protects: &'a Protects,
        /// When it was changed last: a stack that changed since is another one.
        updated: &'a str,
        template: String,
        parameters: &'a BTreeMap<String, String>,
    },
}

const FORMAT: &str = "slipway-stack-plan/3";

/// The ID of a plan that executes this change set, with the template that CloudFormation holds for it.
pub(crate) fn plan_id(change_set: &ChangeSet, template: &str) -> String {
    let mut change_set = change_set.clone();
    sort(&mut change_set);
    id(&Envelope {
        format: FORMAT,
        stacks: vec![Part::Changes {
            template: ledger::sha256(template.as_bytes()),
            change_set: &change_set,
        }],
    })
}

/// A stack as it is, with the text of its template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AsItIs {
    pub(crate) stack: Stack,
    pub(crate) template: String,
}

/// The ID of a plan that changes no resource of these stacks, one in each region, and protects them.
pub(crate) fn empty_plan_id(stacks: &[AsItIs], protects: &Protects) -> String {
    let unchanged = stacks
        .iter()
        .map(|AsItIs { stack, template }| Part::Unchanged {
            stack: &stack.id,
            status: &stack.status,
            protects,
            updated: stack.updated.as_deref().unwrap_or(&stack.created),
            template: ledger::sha256(template.as_bytes()),
            parameters: &stack.parameters,
        });
    id(&Envelope {
        format: FORMAT,
        stacks: unchanged.collect(),
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

/// The token by which the events of a plan's execution can be told. It also says what the plan protects: the change set may be
/// gone when a later run follows its execution, and that run must not set anything else. CloudFormation takes 128 characters.
pub(crate) fn token(plan: &str, protects: &Protects) -> String {
    let bytes = serde_json::to_vec(protects).unwrap_or_default();
    let hash = ledger::sha256(&bytes);
    format!("{}{}", token_prefix(plan), &hash[..32])
}

/// The beginning of the tokens of a plan's executions.
pub(crate) fn token_prefix(plan: &str) -> String {
    format!("{PREFIX}{plan}-")
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
        let differ: [fn(&mut ChangeSet); 14] = [
            |set| {
                let made = Made {
                    commit: Some("c".repeat(40).parse().unwrap()),
                    ..Made::default()
                };
                set.description = Some(made.description());
            },
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
            |set| set.notifications.push("arn:topic".to_owned()),
            |set| set.rollback.push("arn:alarm".to_owned()),
            |set| set.unusual.push("REVERT_DRIFT".to_owned()),
            |set| set.includes_nested = true,
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
        let none = Protects::default();
        let of = |stack: &Stack, template: &str, protects: &Protects| {
            let as_it_is = AsItIs {
                stack: stack.clone(),
                template: template.to_owned(),
            };
            empty_plan_id(&[as_it_is], protects)
        };
        let id = of(&stack, "t", &none);
        assert_eq!(of(&stack.clone(), "t", &none), id);
        assert_ne!(of(&updated, "t", &none), id);
        assert_ne!(of(&stack, "u", &none), id);
        let mut other = stack.clone();
        other.parameters.insert("A".to_owned(), "b".to_owned());
        assert_ne!(of(&other, "t", &none), id);
        // A deletion that stopped halfway does not change the time of the last update.
        let broken = Stack {
            status: "DELETE_FAILED".to_owned(),
            ..stack.clone()
        };
        assert_ne!(of(&broken, "t", &none), id);
        for protects in protections() {
            assert_ne!(of(&stack, "t", &protects), id, "{protects:?}");
        }
    }

    /// Protections that differ from each other and from none.
    fn protections() -> [Protects; 3] {
        [(Some(true), None), (Some(false), None), (None, Some("a"))].map(|(termination, policy)| {
            Protects {
                termination,
                policy: policy.map(str::to_owned),
            }
        })
    }

    #[test]
    fn what_protects_the_stack_is_part_of_a_plan_and_of_its_token() {
        let mut ids = vec![plan_id(&set(), "template")];
        let mut tokens = vec![token(&ids[0], &Protects::default())];
        for protects in protections() {
            tokens.push(token(&ids[0], &protects));
            let made = Made {
                protects,
                ..Made::default()
            };
            let description = Some(made.description());
            assert_eq!(Made::read(description.as_deref()), Some(made));
            let set = ChangeSet {
                description,
                ..set()
            };
            ids.push(plan_id(&set, "template"));
        }
        assert_eq!(token_prefix("plan"), "slipway-plan-");
        for token in &tokens {
            assert!(token.starts_with(&token_prefix(&ids[0])) && token.len() <= 128);
        }
        for all in [&mut ids, &mut tokens] {
            all.sort();
            all.dedup();
            assert_eq!(all.len(), 4, "{all:?}");
        }
    }

    #[test]
    fn what_a_pull_request_would_change_is_not_a_plan() {
        for (name, plan) in [
            ("slipway-1", true),
            ("slipway-pull-1", false),
            ("by-hand", false),
        ] {
            assert_eq!(is_plan(name), plan, "{name}");
        }
    }

    #[test]
    fn the_role_that_was_given_goes_before_the_one_that_the_stack_has() {
        for (role, kept_role, wanted) in [
            (Some("arn:own"), Some("arn:kept"), Some("arn:own")),
            (None, Some("arn:kept"), Some("arn:kept")),
            (None, None, None),
        ] {
            let made = Made {
                role: role.map(str::to_owned),
                kept_role: kept_role.map(str::to_owned),
                ..Made::default()
            };
            assert_eq!(made.effective_role(), wanted);
        }
    }

    #[test]
    fn each_protection_is_told_apart() {
        let lines: Vec<String> = protections().iter().flat_map(Protects::lines).collect();
        let (termination, policy) = ("termination protection: ", "stack policy: ");
        let wanted = [
            format!("{termination}on"),
            format!("{policy}as it is"),
            format!("{termination}off"),
            format!("{policy}as it is"),
            format!("{termination}as it is"),
            format!("{policy}the one with the SHA-256 a"),
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn a_description_is_read_only_if_it_is_one_of_ours() {
        let made = Made {
            commit: Some("c".repeat(40).parse().unwrap()),
            role: Some("arn:role".to_owned()),
            allow_replace: vec!["Table".to_owned()],
            regions: [
                (
                    "ca-central-1",
                    Planned::Plan("1".repeat(64).parse().unwrap()),
                ),
                ("eu-west-1", Planned::Own(())),
                ("us-east-1", Planned::Same("2".repeat(64).parse().unwrap())),
            ]
            .map(|(region, part)| Regional {
                region: region.parse().unwrap(),
                part,
            })
            .into(),
            ..Made::default()
        };
        assert_eq!(Made::read(Some(&made.description())), Some(made.clone()));
        // A setting that a plan does not have takes none of the little room.
        assert_eq!(Made::default().description(), "{}");
        for text in [
            None,
            Some(""),
            Some("by hand"),
            Some(r#"{"x":1}"#),
            Some(r#"{"commit":"main"}"#),
        ] {
            assert_eq!(Made::read(text), None, "{text:?}");
        }
    }
}
