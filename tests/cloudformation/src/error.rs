//! Errors as CloudFormation answers them.

/// An error answer: the code that clients match on and the message that people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: String,
    pub(crate) message: String,
    /// HTTP status, 400 unless the service model names another.
    pub(crate) status: u16,
}

impl ApiError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            status: 400,
        }
    }

    /// The code of nearly every refusal.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    /// Something that AWS has and this stand-in does not.
    pub(crate) fn missing(what: impl std::fmt::Display) -> Self {
        Self::new(
            "StandInNotImplemented",
            format!("the sandbox's CloudFormation does not implement {what}"),
        )
    }
}

pub(crate) type Answer = Result<serde_json::Value, ApiError>;
