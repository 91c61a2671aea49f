//! Appends to a chain to which other runs append at the same time.

use crate::chain::Chain;
use kit::backoff;
use kit::error::{Error, ErrorKind};
use std::time::Duration;

/// How often an append is tried.
const ATTEMPTS: usize = 60;
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// The wait before each attempt of an append; the first one does not wait.
pub fn attempts() -> impl Iterator<Item = Duration> {
    backoff::attempts(ATTEMPTS, FIRST_WAIT)
}

/// Another run was faster at every attempt (exit 4). `undone` says what was therefore not done.
pub fn busy(chain: &Chain, undone: &str) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!("other runs appended to the ledger's chain {chain} during all {ATTEMPTS} attempts"),
    )
    .hint(format!("{undone}; run the step again"))
}
