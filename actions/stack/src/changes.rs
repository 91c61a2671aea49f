//! The order of changes, and which of them lose data. Pure.

use crate::seen::{Change, ChangeSet, STACK};
use crate::stateful::is_stateful;

/// The effect of a change on a resource, the most dangerous first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// A new one takes its place.
    Replace,
    /// A new one may take its place: CloudFormation knows only when it makes the change.
    MayReplace,
    Remove,
    /// CloudFormation does not say what it does, or says something that is not known here.
    Unknown,
    Modify,
    Import,
    Add,
}

impl Effect {
    /// The effect of a change; `opened` says whether the changes within it, if it is a nested stack, are known.
    pub(crate) fn of(change: &Change, opened: bool) -> Self {
        match (change.action.as_str(), change.replacement.as_deref()) {
            ("Remove", _) => Self::Remove,
            // A change of which CloudFormation shows no change set can be anything.
            ("Add" | "Modify" | "Import", _) if change.kind == STACK && !opened => Self::Unknown,
            ("Add", _) => Self::Add,
            ("Import", _) => Self::Import,
            ("Modify", Some("True")) => Self::Replace,
            ("Modify", Some("False")) => Self::Modify,
            ("Modify", Some(_)) => Self::MayReplace,
            // It says `False` where nothing is replaced; only a nested stack has no replacement of its own.
            ("Modify", None) if change.kind == STACK => Self::Modify,
            _ => Self::Unknown,
        }
    }

    /// Its name in lists.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::MayReplace => "may replace",
            Self::Remove => "remove",
            Self::Unknown => "unknown",
            Self::Modify => "modify",
            Self::Import => "import",
            Self::Add => "add",
        }
    }
}

/// One change, with the stacks that it is nested in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned<'a> {
    /// The logical IDs of the nested stacks and of the resource, joined by slashes.
    pub(crate) path: String,
    pub(crate) effect: Effect,
    pub(crate) change: &'a Change,
}

impl Planned<'_> {
    /// Returns true if the resource holds data that the change loses, or that the new resource does not have.
    pub(crate) fn loses_data(&self) -> bool {
        let gone = match self.effect {
            Effect::Replace | Effect::MayReplace => true,
            // A removed resource that is retained stays as it is, outside of the stack.
            Effect::Remove => self.change.policy_action.as_deref() != Some("Retain"),
            Effect::Unknown => true,
            Effect::Modify | Effect::Import | Effect::Add => false,
        };
        gone && match &self.change.inside {
            // A nested stack has no data of its own.
            Some(inside) => inside.iter().any(|it| is_stateful(&it.kind)),
            None => is_stateful(&self.change.kind),
        }
    }

    /// The resources with data in a nested stack that goes with them, as a line; nothing of any other resource.
    pub(crate) fn holding(&self) -> String {
        if self.change.kind != STACK || self.effect != Effect::Remove {
            return String::new();
        }
        let Some(inside) = &self.change.inside else {
            return ", and what is in it could not be listed".to_owned();
        };
        let stateful = inside.iter().filter(|it| is_stateful(&it.kind));
        let names: Vec<String> = stateful
            .map(|it| format!("{} ({})", it.path, it.kind))
            .collect();
        format!(", and in it {}", names.join(", "))
    }
}

/// The changes of a change set and of those nested in it, the most dangerous first.
pub(crate) fn ordered(set: &ChangeSet) -> Vec<Planned<'_>> {
    let mut all = Vec::new();
    collect(set, "", &mut all);
    all.sort_by(|one, other| (one.effect, &one.path).cmp(&(other.effect, &other.path)));
    all
}

fn collect<'a>(set: &'a ChangeSet, prefix: &str, all: &mut Vec<Planned<'a>>) {
    for change in &set.changes {
        let path = format!("{prefix}{}", change.logical_id);
        let id = change.change_set.as_ref();
        let nested = id.and_then(|id| set.nested.iter().find(|nested| nested.id == *id));
        if let Some(nested) = nested {
            collect(nested, &format!("{path}/"), all);
        }
        all.push(Planned {
            effect: Effect::of(change, nested.is_some()),
            path,
            change,
        });
    }
}

/// The numbers of the changes by effect: `1 to replace, 2 to add`.
pub(crate) fn counts(all: &[Planned<'_>]) -> String {
    let effects = [
        (Effect::Replace, "to replace"),
        (Effect::MayReplace, "that may be replaced"),
        (Effect::Remove, "to remove"),
        (Effect::Unknown, "unknown"),
        (Effect::Modify, "to modify"),
        (Effect::Import, "to import"),
        (Effect::Add, "to add"),
    ];
    let parts: Vec<String> = effects
        .iter()
        .filter_map(|(effect, words)| {
            let number = all
                .iter()
                .filter(|planned| planned.effect == *effect)
                .count();
            (number > 0).then(|| format!("{number} {words}"))
        })
        .collect();
    match parts.is_empty() {
        true => "no resource changes".to_owned(),
        false => parts.join(", "),
    }
}

/// The changes that lose data and that nobody allowed, and the names that allow nothing.
pub(crate) fn refused<'a, 'b>(
    all: &'a [Planned<'_>],
    allowed: &'b [String],
) -> (Vec<&'a Planned<'a>>, Vec<&'b str>) {
    let lost = || all.iter().filter(|planned| planned.loses_data());
    let refused = lost().filter(|planned| !allowed.contains(&planned.path));
    let unused = allowed.iter().map(String::as_str);
    let unused = unused.filter(|name| !lost().any(|planned| planned.path == *name));
    (refused.collect(), unused.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &str, kind: &str, action: &str, replacement: Option<&str>) -> Change {
        Change {
            logical_id: id.to_owned(),
            kind: kind.to_owned(),
            action: action.to_owned(),
            replacement: replacement.map(str::to_owned),
            ..Change::default()
        }
    }

    #[test]
    fn each_change_has_one_effect() {
        for (action, replacement, effect) in [
            ("Add", None, Effect::Add),
            ("Remove", None, Effect::Remove),
            ("Import", None, Effect::Import),
            ("Modify", Some("True"), Effect::Replace),
            ("Modify", Some("Conditional"), Effect::MayReplace),
            ("Modify", Some("SomethingNew"), Effect::MayReplace),
            ("Modify", Some("False"), Effect::Modify),
            ("Modify", None, Effect::Unknown),
            ("SyncWithActual", None, Effect::Unknown),
            ("Dynamic", None, Effect::Unknown),
            ("SomethingNew", None, Effect::Unknown),
        ] {
            let found = Effect::of(&change("A", "T", action, replacement), false);
            assert_eq!(found, effect, "{action} {replacement:?}");
        }
        let words = [Effect::Replace, Effect::Remove, Effect::Add].map(Effect::word);
        assert_eq!(words, ["replace", "remove", "add"]);
    }

    #[test]
    fn a_nested_stack_is_known_only_with_its_own_changes() {
        for (action, opened, effect, lost) in [
            ("Modify", true, Effect::Modify, false),
            ("Add", true, Effect::Add, false),
            ("Modify", false, Effect::Unknown, true),
            ("Add", false, Effect::Unknown, true),
            ("Remove", false, Effect::Remove, true),
        ] {
            let mut stack = change("Inner", STACK, action, None);
            stack.change_set = Some("nested".to_owned());
            let nested = ChangeSet {
                id: "nested".to_owned(),
                ..ChangeSet::default()
            };
            let set = ChangeSet {
                changes: vec![stack],
                nested: if opened { vec![nested] } else { Vec::new() },
                ..ChangeSet::default()
            };
            let all = ordered(&set);
            assert_eq!(
                (all[0].effect, all[0].loses_data()),
                (effect, lost),
                "{action} {opened}"
            );
        }
    }

    #[test]
    fn the_most_dangerous_changes_come_first_whatever_stack_they_are_in() {
        let mut stack = change("Inner", "AWS::CloudFormation::Stack", "Modify", None);
        stack.change_set = Some("nested".to_owned());
        let set = ChangeSet {
            changes: vec![
                change("New", "AWS::SNS::Topic", "Add", None),
                change("Old", "AWS::SNS::Topic", "Remove", None),
                stack,
                change("Queue", "AWS::SQS::Queue", "Modify", Some("Conditional")),
            ],
            nested: vec![ChangeSet {
                id: "nested".to_owned(),
                changes: vec![change(
                    "Table",
                    "AWS::DynamoDB::Table",
                    "Modify",
                    Some("True"),
                )],
                ..ChangeSet::default()
            }],
            ..ChangeSet::default()
        };
        let all = ordered(&set);
        let paths: Vec<&str> = all.iter().map(|planned| planned.path.as_str()).collect();
        assert_eq!(paths, ["Inner/Table", "Queue", "Old", "Inner", "New"]);
        assert_eq!(
            counts(&all),
            "1 to replace, 1 that may be replaced, 1 to remove, 1 to modify, 1 to add"
        );
        let allowed = ["Queue".to_owned(), "Table".to_owned()];
        let (refused, unused) = refused(&all, &allowed);
        let refused: Vec<&str> = refused
            .iter()
            .map(|planned| planned.path.as_str())
            .collect();
        // A resource of a nested stack is named with that stack.
        assert_eq!((refused, unused), (vec!["Inner/Table"], vec!["Table"]));
        assert_eq!(counts(&[]), "no resource changes");
    }

    #[test]
    fn a_nested_stack_that_is_removed_loses_the_data_that_is_in_it() {
        let inside = |kinds: &[&str]| {
            let all = kinds.iter().map(|kind| crate::seen::Inside {
                path: "Deep/A".to_owned(),
                kind: (*kind).to_owned(),
            });
            Some(all.collect())
        };
        let (topic, table) = ("AWS::SNS::Topic", "AWS::DynamoDB::Table");
        for (policy, inside, lost) in [
            (None, None, Some(", and what is in it could not be listed")),
            (None, inside(&[]), None),
            (None, inside(&[topic]), None),
            (
                Some("Delete"),
                inside(&[topic, table]),
                Some(", and in it Deep/A (AWS::DynamoDB::Table)"),
            ),
            (Some("Retain"), inside(&[table]), None),
        ] {
            let mut change = change("Inner", STACK, "Remove", None);
            change.policy_action = policy.map(str::to_owned);
            change.inside = inside;
            let set = ChangeSet {
                changes: vec![change],
                ..ChangeSet::default()
            };
            let planned = &ordered(&set)[0];
            assert_eq!(planned.loses_data(), lost.is_some(), "{lost:?}");
            if let Some(line) = lost {
                assert_eq!(planned.holding(), line);
            }
        }
    }

    #[test]
    fn data_is_lost_with_a_resource_that_holds_some_and_goes() {
        for (kind, action, replacement, policy, lost) in [
            ("AWS::DynamoDB::Table", "Remove", None, Some("Delete"), true),
            (
                "AWS::DynamoDB::Table",
                "Remove",
                None,
                Some("Snapshot"),
                true,
            ),
            ("AWS::DynamoDB::Table", "Remove", None, None, true),
            (
                "AWS::DynamoDB::Table",
                "Remove",
                None,
                Some("Retain"),
                false,
            ),
            (
                "AWS::DynamoDB::Table",
                "Modify",
                Some("True"),
                Some("ReplaceAndRetain"),
                true,
            ),
            ("AWS::DynamoDB::Table", "Modify", Some("False"), None, false),
            ("AWS::DynamoDB::Table", "Dynamic", None, None, true),
            ("AWS::DynamoDB::Table", "Add", None, None, false),
            (
                "AWS::CloudFormation::Stack",
                "Remove",
                None,
                Some("Delete"),
                true,
            ),
            ("AWS::SNS::Topic", "Remove", None, Some("Delete"), false),
        ] {
            let mut change = change("A", kind, action, replacement);
            change.policy_action = policy.map(str::to_owned);
            let set = ChangeSet {
                changes: vec![change],
                ..ChangeSet::default()
            };
            let found = ordered(&set)[0].loses_data();
            assert_eq!(found, lost, "{kind} {action} {replacement:?} {policy:?}");
        }
    }
}
