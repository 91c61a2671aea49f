//! The events of nested stacks, which are told while an operation is followed. They have no part in its verdict, which the outermost
//! stack gives.

use crate::cause::line;
use crate::client::Client;
use crate::seen::{Event, STACK};
use kit::Cx;
use std::collections::{BTreeMap, BTreeSet};

/// The nested stacks of an operation, by ARN.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    stacks: BTreeMap<String, Nested>,
}

/// A nested stack.
#[derive(Debug)]
struct Nested {
    /// The logical IDs that lead to it, joined by slashes.
    path: String,
    /// When the operation on it began. What happened before is of another operation.
    since: i64,
    /// The events that were told.
    known: BTreeSet<String>,
    is_ended: bool,
    /// True if its events may not be read.
    is_refused: bool,
}

impl Inner {
    /// Notes the nested stacks among the events of a stack, whose path is `within`. Returns those that are to be looked at.
    fn note(&mut self, events: &[Event], within: &str) {
        let nested = |event: &&Event| {
            event.kind == STACK && !event.is_of_stack() && event.physical_id.starts_with("arn:")
        };
        for event in events.iter().filter(nested) {
            let path = match within {
                "" => event.logical_id.clone(),
                within => format!("{within}/{}", event.logical_id),
            };
            let stack = self.stacks.entry(event.physical_id.clone());
            let stack = stack.or_insert_with(|| Nested {
                path,
                since: event.millis,
                known: BTreeSet::new(),
                is_ended: false,
                is_refused: false,
            });
            stack.is_ended = !event.status.ends_with("_IN_PROGRESS");
        }
    }

    /// Tells what happened in nested stacks since the last look; returns how much it was. `new` are the new events of the outermost one.
    pub(crate) async fn look(&mut self, cx: &Cx, client: &Client, new: &[Event]) -> usize {
        let pending = |all: &Self| -> Vec<String> {
            let open = all.stacks.iter().filter(|(_, it)| !it.is_ended);
            open.map(|(id, _)| id.clone()).collect()
        };
        // One that has ended by now is looked at for the last time, also where it began since the last look.
        let mut todo = pending(self);
        self.note(new, "");
        let unread = self.stacks.iter().filter(|(_, it)| it.known.is_empty());
        todo.extend(unread.map(|(id, _)| id.clone()));
        let (mut number, mut seen) = (0, BTreeSet::new());
        while let Some(id) = todo.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            let nested = self.stacks.get_mut(&id).filter(|it| !it.is_refused);
            let Some(nested) = nested else {
                continue;
            };
            let since = nested.since;
            let found = client.events(&id, |event| event.millis < since).await;
            let mut events = match found {
                Ok(events) => events,
                Err(error) => {
                    nested.is_refused = true;
                    let path = &nested.path;
                    cx.host.info(format!(
                        "the nested stack {path} is not followed: {}",
                        error.line()
                    ));
                    continue;
                }
            };
            events.retain(|event| nested.known.insert(event.id.clone()));
            let path = nested.path.clone();
            for event in events.iter().filter(|event| !event.is_of_stack()) {
                cx.host.info(format!("{path}: {}", line(event)));
            }
            number += events.len();
            self.note(&events, &path);
            let deeper = self.stacks.iter();
            let deeper = deeper.filter(|(_, it)| it.path.starts_with(&format!("{path}/")));
            let open = deeper.filter(|(_, it)| !it.is_ended || it.known.is_empty());
            todo.extend(open.map(|(id, _)| id.clone()));
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, logical: &str, physical: &str, status: &str, millis: i64) -> Event {
        Event {
            kind: kind.to_owned(),
            logical_id: logical.to_owned(),
            physical_id: physical.to_owned(),
            status: status.to_owned(),
            stack_id: "arn:outer".to_owned(),
            millis,
            ..Event::default()
        }
    }

    #[test]
    fn nested_stacks_are_found_among_events_and_end_with_them() {
        let mut inner = Inner::default();
        inner.note(
            &[
                event(STACK, "outer", "arn:outer", "UPDATE_IN_PROGRESS", 1),
                event(STACK, "Pagers", "", "CREATE_IN_PROGRESS", 2),
                event(STACK, "Pagers", "arn:pagers", "CREATE_IN_PROGRESS", 3),
                event(
                    "AWS::SNS::Topic",
                    "Topic",
                    "arn:topic",
                    "CREATE_IN_PROGRESS",
                    4,
                ),
            ],
            "",
        );
        let found = |inner: &Inner| -> Vec<(String, i64, bool)> {
            let all = inner.stacks.values();
            all.map(|it| (it.path.clone(), it.since, it.is_ended))
                .collect()
        };
        assert_eq!(found(&inner), [("Pagers".to_owned(), 3, false)]);
        inner.note(
            &[event(STACK, "Deep", "arn:z", "CREATE_IN_PROGRESS", 5)],
            "Pagers",
        );
        inner.note(
            &[event(STACK, "Pagers", "arn:pagers", "CREATE_FAILED", 6)],
            "",
        );
        let wanted = [
            ("Pagers".to_owned(), 3, true),
            ("Pagers/Deep".to_owned(), 5, false),
        ];
        assert_eq!(found(&inner), wanted);
    }
}
