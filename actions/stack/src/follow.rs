//! How an operation on a stack stands and how it ended, from the stack's status and events. Pure.
//!
//! All events of an operation have the token of the call that began it, those of its rollback too (CloudFormation API
//! Reference, StackEvent). So an end counts only if the events say that it is the end of this operation, and the stack itself
//! says the same. It is not documented whether the rollback of an update that somebody cancels has the token of the update or of
//! the cancellation, so both are understood.

use crate::seen::{Event, Stack};
use crate::standing::is_terminal;

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    /// The changes were undone.
    RolledBack,
    /// It stopped halfway.
    Failed,
    /// Another operation changed the stack since.
    Superseded {
        /// The stack's status now.
        status: String,
        /// True if this one had succeeded before.
        applied: bool,
    },
}

/// The next action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    Wait,
    Done(Verdict),
}

/// Decides from one look. `events` are those of the stack since the operation began, the oldest first.
pub(crate) fn next(token: &str, stack: Option<&Stack>, events: &[Event]) -> Next {
    let of_stack = || events.iter().filter(|event| event.is_of_stack());
    let ours = |event: &&Event| event.token.as_deref() == Some(token);
    let Some(last) = of_stack().rfind(ours) else {
        return Next::Wait;
    };
    if !is_terminal(&last.status) {
        let newest = of_stack().next_back().filter(|newest| newest.id != last.id);
        return newest.map_or(Next::Wait, |newest| taken_over(stack, newest));
    }
    let verdict = verdict(&last.status);
    let followed = of_stack()
        .next_back()
        .is_some_and(|newest| newest.id != last.id);
    match stack {
        Some(stack) if stack.status == last.status && !followed => Next::Done(verdict),
        // A stack that was deleted because it could not be made.
        None if last.status == "DELETE_COMPLETE" => Next::Done(verdict),
        _ if followed && verdict == Verdict::Succeeded => Next::Done(Verdict::Superseded {
            status: stack.map_or_else(|| "deleted".to_owned(), |stack| stack.status.clone()),
            applied: true,
        }),
        _ if followed => Next::Done(verdict),
        // The status of the stack and its events do not appear at the same moment.
        _ => Next::Wait,
    }
}

/// Returns true if the events may show an end, so that the stack itself has to be asked. Until then [`next`] waits, whatever the
/// stack says.
pub(crate) fn may_have_ended(token: &str, events: &[Event]) -> bool {
    let mut newest_first = events.iter().rev().filter(|event| event.is_of_stack());
    let Some(newest) = newest_first.next() else {
        return false;
    };
    match newest.token.as_deref() == Some(token) {
        true => is_terminal(&newest.status),
        false => newest_first.any(|event| event.token.as_deref() == Some(token)),
    }
}

/// Decides where another operation follows ours, which has no end of its own; `newest` is the last event of the stack.
fn taken_over(stack: Option<&Stack>, newest: &Event) -> Next {
    let status = stack.map_or("DELETE_COMPLETE", |stack| stack.status.as_str());
    if !is_terminal(status) || status != newest.status {
        return Next::Wait;
    }
    Next::Done(match verdict(status) {
        // An update that was cancelled is rolled back like one that failed.
        verdict @ (Verdict::RolledBack | Verdict::Failed) if status.contains("ROLLBACK") => verdict,
        _ => Verdict::Superseded {
            status: status.to_owned(),
            applied: false,
        },
    })
}

/// The other operation that began before ours had an end, as the first event of the stack that is not ours.
pub(crate) fn interference<'a>(token: &str, events: &'a [Event]) -> Option<&'a Event> {
    let ours = |event: &&Event| event.token.as_deref() == Some(token);
    let mut of_stack = events.iter().filter(|event| event.is_of_stack());
    let mut ended = false;
    of_stack.find(ours)?;
    of_stack.find_map(|event| {
        if ours(&event) {
            ended = is_terminal(&event.status);
            return None;
        }
        Some((!ended).then_some(event))
    })?
}

fn verdict(status: &str) -> Verdict {
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Verdict::Succeeded,
        "ROLLBACK_COMPLETE"
        | "UPDATE_ROLLBACK_COMPLETE"
        | "IMPORT_ROLLBACK_COMPLETE"
        | "DELETE_COMPLETE" => Verdict::RolledBack,
        _ => Verdict::Failed,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::seen::STACK;

    pub(crate) const ID: &str = "arn:aws:cloudformation:ca-central-1:111111111111:stack/shop/1";

    pub(crate) fn of_stack(status: &str, token: &str) -> Event {
        Event {
            id: format!("{status}-{token}"),
            stack_id: ID.to_owned(),
            physical_id: ID.to_owned(),
            logical_id: "shop".to_owned(),
            kind: STACK.to_owned(),
            status: status.to_owned(),
            token: Some(token.to_owned()),
            ..Event::default()
        }
    }

    fn stack(status: &str) -> Stack {
        Stack {
            id: ID.to_owned(),
            status: status.to_owned(),
            ..Stack::default()
        }
    }

    fn looked(status: &str, events: &[(&str, &str)]) -> Next {
        let events: Vec<Event> = events
            .iter()
            .map(|(status, token)| of_stack(status, token))
            .collect();
        next("ours", Some(&stack(status)), &events)
    }

    #[test]
    fn an_operation_ends_where_the_stack_and_its_own_events_agree() {
        use Verdict::{Failed, RolledBack, Succeeded};
        for (status, verdict) in [
            ("CREATE_COMPLETE", Succeeded),
            ("UPDATE_COMPLETE", Succeeded),
            ("ROLLBACK_COMPLETE", RolledBack),
            ("UPDATE_ROLLBACK_COMPLETE", RolledBack),
            ("UPDATE_ROLLBACK_FAILED", Failed),
            ("ROLLBACK_FAILED", Failed),
            ("CREATE_FAILED", Failed),
            ("UPDATE_FAILED", Failed),
            ("SOMETHING_NEW", Failed),
        ] {
            let events = [("UPDATE_IN_PROGRESS", "ours"), (status, "ours")];
            assert_eq!(looked(status, &events), Next::Done(verdict), "{status}");
        }
    }

    #[test]
    fn nothing_ends_before_both_say_so() {
        // The call was answered, and neither the stack nor its events show anything of it yet.
        assert_eq!(
            looked("UPDATE_COMPLETE", &[("UPDATE_COMPLETE", "before")]),
            Next::Wait
        );
        assert_eq!(looked("UPDATE_COMPLETE", &[]), Next::Wait);
        assert_eq!(
            looked("UPDATE_IN_PROGRESS", &[("UPDATE_IN_PROGRESS", "ours")]),
            Next::Wait
        );
        // The resources are as they should be, and the old ones are still being removed.
        let cleanup = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS";
        assert_eq!(looked(cleanup, &[(cleanup, "ours")]), Next::Wait);
        // One is ahead of the other.
        assert_eq!(
            looked("UPDATE_IN_PROGRESS", &[("UPDATE_COMPLETE", "ours")]),
            Next::Wait
        );
        assert_eq!(
            looked("UPDATE_COMPLETE", &[("UPDATE_IN_PROGRESS", "ours")]),
            Next::Wait
        );
        for status in ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"] {
            let events = [of_stack(status, "ours")];
            assert_eq!(next("ours", None, &events), Next::Wait, "{status}");
        }
    }

    #[test]
    fn the_stack_is_asked_where_it_can_decide_and_nowhere_else() {
        let all = [
            "UPDATE_IN_PROGRESS",
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "UPDATE_COMPLETE",
            "UPDATE_ROLLBACK_IN_PROGRESS",
            "UPDATE_ROLLBACK_COMPLETE",
            "UPDATE_ROLLBACK_FAILED",
            "DELETE_COMPLETE",
        ];
        let of = |status: &str| ["ours", "theirs"].map(|token| of_stack(status, token));
        let events: Vec<Event> = all.iter().flat_map(|status| of(status)).collect();
        let stacks: Vec<Option<Stack>> = all.iter().map(|status| Some(stack(status))).collect();
        let decides = |events: &[Event]| {
            let mut stacks = stacks.iter().chain([&None]);
            stacks.any(|stack| next("ours", stack.as_ref(), events) != Next::Wait)
        };
        let mut asked = 0;
        for first in &events {
            for second in &events {
                let both = [first.clone(), second.clone()];
                for some in [&[][..], &both[..1], &both] {
                    let may = may_have_ended("ours", some);
                    // An operation of somebody else that is under way has its end before it.
                    assert!(may || !decides(some), "{some:?}");
                    asked += usize::from(may);
                }
            }
        }
        assert!(asked > 0);
        let ours = [of_stack("UPDATE_IN_PROGRESS", "ours")];
        assert!(!may_have_ended("ours", &ours));
        assert!(!may_have_ended("ours", &[]));
    }

    #[test]
    fn an_operation_that_somebody_else_ends_has_an_end() {
        let superseded = |status: &str| {
            Next::Done(Verdict::Superseded {
                status: status.to_owned(),
                applied: false,
            })
        };
        for (theirs, status, wanted) in [
            (
                "UPDATE_ROLLBACK_IN_PROGRESS",
                "UPDATE_ROLLBACK_IN_PROGRESS",
                Next::Wait,
            ),
            // The stack and its events do not agree yet.
            (
                "UPDATE_ROLLBACK_IN_PROGRESS",
                "UPDATE_ROLLBACK_COMPLETE",
                Next::Wait,
            ),
            (
                "UPDATE_ROLLBACK_COMPLETE",
                "UPDATE_ROLLBACK_COMPLETE",
                Next::Done(Verdict::RolledBack),
            ),
            (
                "UPDATE_ROLLBACK_FAILED",
                "UPDATE_ROLLBACK_FAILED",
                Next::Done(Verdict::Failed),
            ),
            ("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", Next::Wait),
            (
                "DELETE_FAILED",
                "DELETE_FAILED",
                superseded("DELETE_FAILED"),
            ),
            (
                "DELETE_COMPLETE",
                "DELETE_COMPLETE",
                superseded("DELETE_COMPLETE"),
            ),
        ] {
            let events = [
                of_stack("UPDATE_IN_PROGRESS", "ours"),
                of_stack(theirs, "theirs"),
            ];
            let found = next("ours", Some(&stack(status)), &events);
            assert_eq!(found, wanted, "{theirs} {status}");
            let other = interference("ours", &events).unwrap();
            assert_eq!(other.status, theirs);
        }
        let events = [
            of_stack("UPDATE_IN_PROGRESS", "ours"),
            of_stack("DELETE_COMPLETE", "theirs"),
        ];
        let found = next("ours", None, &events);
        assert_eq!(found, superseded("DELETE_COMPLETE"));
        let ended = [
            of_stack("UPDATE_IN_PROGRESS", "ours"),
            of_stack("UPDATE_COMPLETE", "ours"),
            of_stack("UPDATE_IN_PROGRESS", "theirs"),
        ];
        assert_eq!(interference("ours", &ended), None);
        assert_eq!(interference("ours", &[]), None);
    }

    #[test]
    fn an_operation_of_somebody_else_after_ours_is_reported() {
        let after = |ours: &'static str, status: &str| {
            looked(
                status,
                &[
                    (ours, "ours"),
                    ("UPDATE_IN_PROGRESS", "theirs"),
                    (status, "theirs"),
                ],
            )
        };
        let superseded = |status: &str| {
            Next::Done(Verdict::Superseded {
                status: status.to_owned(),
                applied: true,
            })
        };
        assert_eq!(
            after("UPDATE_COMPLETE", "UPDATE_IN_PROGRESS"),
            superseded("UPDATE_IN_PROGRESS")
        );
        assert_eq!(
            after("UPDATE_COMPLETE", "UPDATE_COMPLETE"),
            superseded("UPDATE_COMPLETE")
        );
        assert_eq!(
            after("UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE"),
            Next::Done(Verdict::RolledBack)
        );
        assert_eq!(
            next("ours", None, &[of_stack("DELETE_COMPLETE", "ours")]),
            Next::Done(Verdict::RolledBack)
        );
    }
}
