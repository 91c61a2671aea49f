//! The failed answer of a service, as data.

use std::fmt;

/// Why a call to a service gave nothing to work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The service limits the rate of calls; the same call is accepted later.
    Throttled,
    /// The service itself failed (a status of 500 or above).
    Unavailable,
    /// No answer arrived, or none that could be read.
    NoAnswer,
    /// The role or the token lacks the permission.
    Denied,
    /// The credentials have expired.
    Expired,
    /// The call was signed with a time that is too far from the service's.
    Skewed,
    /// The object does not exist.
    Missing,
    /// Anything else: the service would refuse the same call again.
    Rejected,
}

impl Failure {
    /// Returns true if the same call may succeed later.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Throttled | Self::Unavailable | Self::NoAnswer => true,
            Self::Denied | Self::Expired | Self::Skewed | Self::Missing | Self::Rejected => false,
        }
    }
}

/// An answer of a service that says that a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// The service, e.g. `ecs` or `github`.
    pub service: String,
    /// The operation, e.g. `DescribeServices`.
    pub operation: String,
    /// The meaning of code and status.
    pub failure: Failure,
    /// The service's error code, e.g. `AccessDeniedException`, if it sent one.
    pub code: Option<String>,
    /// The service's own message, unchanged.
    pub message: String,
    /// The HTTP status, if known.
    pub status: Option<u16>,
    /// The ID by which the service's support finds the call.
    pub request_id: Option<String>,
}

impl fmt::Display for ServiceError {
    /// `AccessDeniedException: User … is not authorized … (ecs DescribeServices, request ID …)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.status) {
            (Some(code), _) => f.write_str(code)?,
            (None, Some(status)) => write!(f, "status {status}")?,
            (None, None) => f.write_str("an error without a code")?,
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        write!(f, " ({} {}", self.service, self.operation)?;
        if let Some(id) = &self.request_id {
            write!(f, ", request ID {id}")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for ServiceError {}
