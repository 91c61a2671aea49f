//! One who wants the lock, and what it asks with.

use super::proof::Asker;
use crate::args::Wait;
use crate::lock::{Lock, Record};
use kit::Cx;

/// One who wants the lock, and what it asks with.
pub(super) struct Claimant<'a> {
    pub(super) lock: &'a Lock,
    pub(super) record: &'a Record,
    pub(super) wait: &'a Wait,
    pub(super) asker: Asker<'a>,
    pub(super) cx: &'a Cx,
}
