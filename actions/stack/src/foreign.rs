//! The signs that somebody other than `plan` made a change set, or that the stack is another than the one it was made for. Pure.
//!
//! A person who may make change sets can give one the name and the description of a plan, so its other settings count too.

use crate::identity::Made;
use crate::readable::revealed;
use crate::seen::{ChangeSet, Stack};
use crate::standing::Kind;

/// The settings of a change set that no plan of this stack has, each as a line.
pub(crate) fn foreign(set: &ChangeSet, made: &Made, stack: &Stack, kind: Kind) -> Vec<String> {
    let mut lines: Vec<String> = set
        .unusual
        .iter()
        .map(|setting| format!("it has {setting}"))
        .collect();
    if !set.includes_nested {
        lines.push("it does not include nested stacks".to_owned());
    }
    // A stack that is not there yet has nothing that a plan could keep, except the role of an earlier plan.
    let none = Stack::default();
    let before = match kind {
        Kind::Create => &none,
        Kind::Update => stack,
    };
    for (noun, given, kept) in [
        (
            "notifications to",
            &set.notifications,
            &before.notifications,
        ),
        ("rollback triggers", &set.rollback, &before.rollback),
    ] {
        if !given.is_empty() && given != kept {
            lines.push(format!("it has {noun} {}", given.join(", ")));
        }
    }
    if made.role.is_none() && made.kept_role != stack.role {
        let name = |role: &Option<String>| role.as_deref().unwrap_or("none").to_owned();
        lines.push(format!(
            "the stack has the role {} now, and the plan is for {}",
            name(&stack.role),
            name(&made.kept_role)
        ));
    }
    let unsaid = revealed(before, set).into_iter();
    lines.extend(
        unsaid
            .filter(|parameter| !made.readable.iter().any(|it| it == parameter))
            .map(|parameter| {
                format!("it makes the value of the parameter {parameter} readable, which the plan does not say")
            }),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack() -> Stack {
        Stack {
            role: Some("arn:role".to_owned()),
            notifications: vec!["arn:topic".to_owned()],
            parameters: [("Password".to_owned(), "****".to_owned())].into(),
            ..Stack::default()
        }
    }

    type Alter = fn(&mut ChangeSet, &mut Made);

    fn found(change: Alter, kind: Kind) -> Vec<String> {
        let mut set = ChangeSet {
            includes_nested: true,
            ..ChangeSet::default()
        };
        let mut made = Made {
            kept_role: stack().role,
            ..Made::default()
        };
        change(&mut set, &mut made);
        foreign(&set, &made, &stack(), kind)
    }

    #[test]
    fn a_change_set_with_settings_that_no_plan_has_is_recognized() {
        use Kind::{Create, Update};
        let topic = |set: &mut ChangeSet, _: &mut Made| {
            set.notifications.push("arn:topic".to_owned());
        };
        let alarm = |set: &mut ChangeSet, _: &mut Made| set.rollback.push("alarm".to_owned());
        let mode = |set: &mut ChangeSet, _: &mut Made| {
            set.unusual.push("DeploymentMode REVERT_DRIFT".to_owned());
        };
        let nested = |set: &mut ChangeSet, _: &mut Made| set.includes_nested = false;
        let given = |_: &mut ChangeSet, made: &mut Made| {
            (made.role, made.kept_role) = (Some("arn:other".to_owned()), None);
        };
        let moved = |_: &mut ChangeSet, made: &mut Made| {
            made.kept_role = Some("arn:other".to_owned());
        };
        let shows = |set: &mut ChangeSet, _: &mut Made| {
            set.parameters
                .insert("Password".to_owned(), "hunter2".to_owned());
        };
        let says = |set: &mut ChangeSet, made: &mut Made| {
            set.parameters
                .insert("Password".to_owned(), "hunter2".to_owned());
            made.readable.push("Password".to_owned());
        };
        let readable =
            "it makes the value of the parameter Password readable, which the plan does not say";
        let cases: [(Alter, Kind, &str); 13] = [
            (shows, Update, readable),
            (shows, Create, ""),
            (says, Update, ""),
            (|_, _| {}, Create, ""),
            (|_, _| {}, Update, ""),
            (topic, Update, ""),
            (topic, Create, "it has notifications to arn:topic"),
            (alarm, Update, "it has rollback triggers alarm"),
            (mode, Update, "it has DeploymentMode REVERT_DRIFT"),
            (nested, Create, "it does not include nested stacks"),
            (given, Update, ""),
            (
                moved,
                Update,
                "the stack has the role arn:role now, and the plan is for arn:other",
            ),
            (
                moved,
                Create,
                "the stack has the role arn:role now, and the plan is for arn:other",
            ),
        ];
        for (change, kind, wanted) in cases {
            assert_eq!(found(change, kind).join("; "), wanted, "{kind:?}");
        }
    }
}
