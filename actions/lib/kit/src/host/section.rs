//! Sections of the log that end with their guard.

use super::{Host, Kind};

/// Ends a folded section of the log when dropped.
pub struct Group<'a>(pub(super) &'a Host);

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if self.0.kind == Kind::GitHub {
            self.0.line("::endgroup::");
        }
    }
}

/// Ends a stretch of other programs' output when dropped.
pub struct Verbatim<'a> {
    pub(super) host: &'a Host,
    pub(super) token: String,
}

impl Drop for Verbatim<'_> {
    fn drop(&mut self) {
        if self.host.kind == Kind::GitHub {
            self.host.line(&format!("::{}::", self.token));
        }
    }
}
