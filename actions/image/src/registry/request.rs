//! What a request to a registry is for.

use kit::Error;

/// What a request is for, as its errors name it.
#[derive(Debug)]
pub(crate) struct Request {
    doing: String,
    repository: String,
}

impl Request {
    /// `doing` ends where the repository's name follows.
    pub(super) fn new(doing: String, repository: String) -> Self {
        Self { doing, repository }
    }

    /// The request failed (exit 1).
    pub(super) fn failed(&self) -> Error {
        Error::failed(format!("cannot {self}")).about(&self.repository)
    }

    /// The request is refused here (exit 3).
    pub(super) fn refused(&self) -> Error {
        Error::refused(format!("cannot {self}")).about(&self.repository)
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.doing, self.repository)
    }
}
