//! Errors as AWS answers them.

/// An error answer: the code clients match on and the message people read.
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

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(crate) fn client(message: impl Into<String>) -> Self {
        Self::new("ClientException", message)
    }

    pub(crate) fn server(message: impl Into<String>) -> Self {
        let mut error = Self::new("ServerException", message);
        error.status = 500;
        error
    }
}

pub(crate) type Answer = Result<serde_json::Value, ApiError>;
