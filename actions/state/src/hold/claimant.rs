//! A run that wants the lock.

use super::proof::Asker;
use crate::args::Wait;
use crate::lock::{Lock, Record};
use kit::Cx;

/// A run that wants the lock, with everything that it needs to acquire it.
pub(super) struct Claimant<'a> {
    pub(super) lock: &'a Lock,
    pub(super) record: &'a Record,
    pub(super) wait: &'a Wait,
    pub(super) asker: Asker<'a>,
    pub(super) cx: &'a Cx,
}
