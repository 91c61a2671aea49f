//! The items of a queue: a ticket for each that waits, and where the queue begins and ends.

use super::item::Attributes;
use crate::lease::Lease;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

/// A place in the queue.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) number: u64,
    /// Who waits there.
    pub(crate) lease: Lease,
    /// Below this one nobody is left.
    pub(super) head: u64,
    /// The nearest before us who was there when we last looked.
    pub(super) nearest: u64,
    /// From here on to the nearest all were looked at.
    pub(super) known: Option<u64>,
}

impl Ticket {
    /// How many can be in front at most.
    pub(crate) fn place(&self) -> u64 {
        (self.nearest + 1).saturating_sub(self.head)
    }
}

/// Somebody further ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub(crate) number: u64,
    pub(crate) lease: Lease,
}

/// Where the queue begins and ends: tickets from `head` on may be there, `next` is not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) head: u64,
    pub(super) next: u64,
}

/// The condition that the queue begins and ends where it was seen to.
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
