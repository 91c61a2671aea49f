//! The root cause of a failed operation: the resource that failed first, not those that were cancelled because of it. Pure.

use crate::hidden;
use crate::prose;
use crate::seen::{Event, STACK};
use std::collections::BTreeMap;

/// Why an operation failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Causes {
    /// The first failure in time, as a line.
    pub(crate) root: Option<String>,
    /// The nested stack that failed first, by its ARN: its own events say why.
    pub(crate) nested: Option<String>,
    /// The other resources that failed by themselves.
    pub(crate) others: Vec<String>,
    /// How many resources were cancelled because of them.
    pub(crate) cancelled: usize,
    /// The resources that could not be rolled back.
    pub(crate) rollback: Vec<String>,
    /// The resources that an operation that succeeded could not remove: they stay, outside of the stack.
    pub(crate) left: Vec<String>,
}

impl Causes {
    /// Notes that nobody can tell why a nested stack failed. That it failed is not the root cause.
    pub(crate) fn unread(&mut self, nested: &str, why: &str) {
        let unknown = format!(
            "unknown, in the nested stack {nested}, whose events could not be read: {why}; see them: aws cloudformation describe-stack-events --stack-name {nested}"
        );
        self.others.extend(self.root.replace(unknown));
    }
}

/// The resources that an operation that succeeded left behind, from its events, the oldest first.
pub(crate) fn left_behind(events: &[Event]) -> Causes {
    let mut last: BTreeMap<(&str, &str), &Event> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.is_of_stack()) {
        last.insert((&event.logical_id, &event.physical_id), event);
    }
    let left = last.into_values();
    Causes {
        left: left
            .filter(|event| event.status == "DELETE_FAILED")
            .map(|event| format!("{} ({})", line(event), event.physical_id))
            .collect(),
        ..Causes::default()
    }
}

/// Reads the causes from the events of one operation, the oldest first.
pub(crate) fn causes(events: &[Event]) -> Causes {
    let mut causes = Causes::default();
    let mut rolling_back = false;
    for event in events {
        if event.is_of_stack() {
            rolling_back |= event.status.contains("ROLLBACK");
        }
        let failed = event.status.ends_with("_FAILED");
        if event.is_of_stack() || !failed {
            continue;
        }
        if event.reason.as_deref().is_some_and(prose::cancelled) {
            causes.cancelled += 1;
        } else if rolling_back {
            causes.rollback.push(line(event));
        } else if causes.root.is_none() {
            causes.root = Some(line(event));
            causes.nested = embedded(event, events);
        } else {
            causes.others.push(line(event));
        }
    }
    if causes.root.is_none() {
        // No resource failed: the operation itself did, by a stack policy, a hook or a timeout.
        let failed = events.iter().find(|event| {
            let bad = event.status.ends_with("_FAILED") || event.status.contains("ROLLBACK");
            event.is_of_stack() && bad && event.reason.is_some()
        });
        causes.root = failed.map(line);
    }
    causes
}

/// The ARN of the nested stack that an event is about. The event of a failure may lack it, where an earlier one of the resource has it.
fn embedded(event: &Event, events: &[Event]) -> Option<String> {
    let same = |it: &&Event| it.logical_id == event.logical_id && it.kind == STACK;
    let named = events.iter().filter(same).rev();
    let mut ids = std::iter::once(event)
        .filter(|it| it.kind == STACK)
        .chain(named)
        .map(|it| &it.physical_id);
    ids.find(|id| id.starts_with("arn:")).cloned()
}

/// An event in one line.
pub(crate) fn line(event: &Event) -> String {
    let mut line = format!("{} {} ({})", event.status, event.logical_id, event.kind);
    if let Some(reason) = &event.reason {
        line.push_str(&format!(": {}", hidden::reason(reason)));
    }
    if let Some(hook) = &event.hook {
        line.push_str(&format!(": hook {hook}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::tests::{ID, of_stack};

    fn event(id: &str, kind: &str, status: &str, reason: &str) -> Event {
        Event {
            stack_id: ID.to_owned(),
            logical_id: id.to_owned(),
            physical_id: format!("arn:{id}"),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            ..Event::default()
        }
    }

    #[test]
    fn the_first_failure_in_time_is_the_root_and_cancelled_ones_are_counted() {
        let events = [
            of_stack("UPDATE_IN_PROGRESS", "t"),
            event("Topic", "AWS::SNS::Topic", "CREATE_COMPLETE", ""),
            event("Queue", "AWS::SQS::Queue", "CREATE_FAILED", "it exists"),
            event(
                "Role",
                "AWS::IAM::Role",
                "CREATE_FAILED",
                "Resource creation cancelled",
            ),
            event(
                "Table",
                "AWS::DynamoDB::Table",
                "UPDATE_FAILED",
                "Resource update cancelled",
            ),
            event("Key", "AWS::KMS::Key", "CREATE_FAILED", "not authorized"),
            of_stack("UPDATE_ROLLBACK_IN_PROGRESS", "t"),
            event("Topic", "AWS::SNS::Topic", "DELETE_FAILED", "in use"),
            of_stack("UPDATE_ROLLBACK_FAILED", "t"),
        ];
        assert_eq!(
            causes(&events),
            Causes {
                root: Some("CREATE_FAILED Queue (AWS::SQS::Queue): it exists".to_owned()),
                nested: None,
                others: vec!["CREATE_FAILED Key (AWS::KMS::Key): not authorized".to_owned()],
                cancelled: 2,
                rollback: vec!["DELETE_FAILED Topic (AWS::SNS::Topic): in use".to_owned()],
                left: Vec::new(),
            }
        );
    }

    #[test]
    fn what_could_not_be_removed_is_left_behind() {
        let mut old = event("Role", "AWS::IAM::Role", "DELETE_FAILED", "in use");
        old.physical_id = "old".to_owned();
        let gone = event("Queue", "AWS::SQS::Queue", "DELETE_COMPLETE", "");
        let events = [
            event("Role", "AWS::IAM::Role", "UPDATE_COMPLETE", ""),
            event("Queue", "AWS::SQS::Queue", "DELETE_FAILED", "later"),
            old,
            gone,
            of_stack("UPDATE_COMPLETE", "t"),
        ];
        assert_eq!(
            left_behind(&events).left,
            ["DELETE_FAILED Role (AWS::IAM::Role): in use (old)"]
        );
    }

    #[test]
    fn a_nested_stack_is_asked_for_its_own_reason() {
        let events = [event(
            "Inner",
            STACK,
            "CREATE_FAILED",
            "Embedded stack was not created",
        )];
        assert_eq!(causes(&events).nested.as_deref(), Some("arn:Inner"));
        let mut begun = events[0].clone();
        begun.status = "CREATE_IN_PROGRESS".to_owned();
        let mut unnamed = events[0].clone();
        unnamed.physical_id = String::new();
        let found = causes(&[begun, unnamed]);
        assert_eq!(found.nested.as_deref(), Some("arn:Inner"));
    }

    #[test]
    fn a_nested_stack_whose_events_cannot_be_read_leaves_the_root_cause_unknown() {
        let failed = event("Inner", STACK, "CREATE_FAILED", "was not created");
        let mut found = causes(&[failed]);
        found.unread("arn:Inner", "AccessDenied: no");
        let root = found.root.unwrap();
        for piece in [
            "unknown, in the nested stack arn:Inner",
            "AccessDenied: no",
            "describe-stack-events --stack-name arn:Inner",
        ] {
            assert!(root.contains(piece), "{root}");
        }
        assert!(found.others[0].contains("was not created"));
    }

    #[test]
    fn without_a_failed_resource_the_stack_says_why() {
        let mut refused = of_stack("UPDATE_ROLLBACK_IN_PROGRESS", "t");
        refused.reason = Some("Action denied by stack policy".to_owned());
        let found = causes(&[of_stack("UPDATE_IN_PROGRESS", "t"), refused]);
        assert_eq!(
            found.root.as_deref(),
            Some(
                "UPDATE_ROLLBACK_IN_PROGRESS shop (AWS::CloudFormation::Stack): Action denied by stack policy"
            )
        );
        assert_eq!(causes(&[]), Causes::default());
    }
}
