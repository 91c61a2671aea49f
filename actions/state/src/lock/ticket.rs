//! The items of a queue: a ticket for each waiter, and the queue's head and end.

use super::item::Attributes;
use crate::lease::Lease;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

/// A place in the queue.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) number: u64,
    /// The waiter's lease.
    pub(crate) lease: Lease,
    /// No ticket has a lower number than this one.
    pub(super) head: u64,
    /// The number of the nearest waiter ahead at the last look.
    pub(super) nearest: u64,
    /// All tickets from this number to the nearest one have been read.
    pub(super) known: Option<u64>,
}

impl Ticket {
    /// The number of waiters ahead at most.
    pub(crate) fn max_ahead(&self) -> u64 {
        (self.nearest + 1).saturating_sub(self.head)
    }
}

/// A waiter further ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub(crate) number: u64,
    pub(crate) lease: Lease,
}

/// The queue's head and end: tickets may exist from `head` on, `next` is not given yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) head: u64,
    pub(super) next: u64,
}

/// The condition that the queue's head and end are as they were read.
pub(super) const SAME: &str = "#next = :next AND #head = :head";

pub(super) fn names() -> HashMap<String, String> {
    [("#next", "Next"), ("#head", "Head")]
        .map(|(short, name)| (short.to_owned(), name.to_owned()))
        .into()
}

impl Ends {
    pub(super) fn values(self) -> Attributes {
        [(":next", self.next), (":head", self.head)]
            .map(|(name, number)| (name.to_owned(), number_of(number)))
            .into()
    }
}

pub(super) fn number_of(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn ends(item: &Attributes) -> Ends {
    let number = |name: &str| {
        item.get(name)
            .and_then(|value| value.as_n().ok())
            .and_then(|value| value.parse().ok())
            .unwrap_or_default()
    };
    Ends {
        head: number("Head"),
        next: number("Next"),
    }
}
