//! A fact that GitHub did not provide, and why.

use kit::error::{Failure, ServiceError};
use std::fmt;

/// A fact that GitHub did not provide. A gate refuses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The operation, e.g. `read the reviews of #7`.
    pub action: String,
    /// Why there is no answer.
    pub why: Why,
    /// The permission that the token lacks, e.g. `pull-requests: read`, if that is why.
    pub permission: Option<String>,
}

/// Why GitHub did not provide a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// GitHub answered with a failure.
    Answered(ServiceError),
    /// No whole answer arrived.
    Unanswered(String),
    /// GitHub's answer does not hold the fact.
    Incomplete(String),
    /// There is more than GitHub lists or than is read. Asking again does not change that.
    TooMany(String),
}

impl Unknown {
    pub(crate) fn new(action: &str, why: impl Into<String>) -> Self {
        Self {
            action: action.to_owned(),
            why: Why::Incomplete(why.into()),
            permission: None,
        }
    }

    pub(crate) fn unanswered(action: &str, why: impl Into<String>) -> Self {
        Self {
            why: Why::Unanswered(why.into()),
            ..Self::new(action, "")
        }
    }

    pub(crate) fn too_many(action: &str, why: impl Into<String>) -> Self {
        Self {
            why: Why::TooMany(why.into()),
            ..Self::new(action, "")
        }
    }

    /// How the call failed.
    pub fn failure(&self) -> Failure {
        match &self.why {
            Why::Answered(service) => service.failure,
            Why::Unanswered(_) => Failure::NoAnswer,
            Why::Incomplete(_) | Why::TooMany(_) => Failure::Rejected,
        }
    }

    /// Returns true if the same call may be answered a moment later. A rate limit lasts longer.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self.failure(), Failure::Unavailable | Failure::NoAnswer)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = match self {
            Self::Answered(service) => service,
            Self::Unanswered(why) | Self::Incomplete(why) | Self::TooMany(why) => {
                return f.write_str(why);
            }
        };
        f.write_str("GitHub answered")?;
        if let Some(status) = service.status {
            write!(f, " {status}")?;
        }
        if !service.message.is_empty() {
            write!(f, " {}", service.message)?;
        }
        if service.failure == Failure::Throttled {
            f.write_str(", a rate limit")?;
        }
        match &service.request_id {
            Some(id) => write!(f, " (request ID {id})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.action, self.why)?;
        match &self.permission {
            Some(permission) => write!(f, " (needs `{permission}`)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Unknown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            Why::Answered(service) => Some(service),
            Why::Unanswered(_) | Why::Incomplete(_) | Why::TooMany(_) => None,
        }
    }
}
