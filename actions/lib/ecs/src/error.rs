//! Why a call gave no answer that can be relied on: the failure to decide by, and an error to read.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use kit::error::Failure;

/// A call that failed, and the IAM action it needs.
#[derive(Debug, Clone)]
pub struct Error {
    /// The kind of failure, by which callers decide.
    pub failure: Failure,
    /// The IAM action, e.g. `ecs:DescribeServices`.
    pub permission: &'static str,
    error: kit::Error,
}

impl Error {
    pub(crate) fn of<E>(
        permission: &'static str,
        doing: &str,
        error: SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let failure = net::failure(&error);
        let failed = net::cannot(error, doing);
        Self {
            failure,
            permission,
            error: match failure {
                Failure::Denied => failed.hint(format!("the role needs {permission}")),
                _ => failed,
            },
        }
    }

    /// There is an answer, and it is not one to work with.
    pub fn answered(failure: Failure, permission: &'static str, error: kit::Error) -> Self {
        Self {
            failure,
            permission,
            error,
        }
    }

    /// ECS answered, and names something in a form that it does not document.
    pub(crate) fn unreadable(permission: &'static str, error: kit::Error) -> Self {
        Self::answered(Failure::Rejected, permission, error)
    }

    /// The service's own error code, if it answered with one.
    pub fn code(&self) -> Option<&str> {
        self.error.service()?.code.as_deref()
    }

    /// Returns true if ECS's code does not tell whether the call was wrong or came at the wrong moment: it
    /// answers `ClientException` to a RegisterTaskDefinition that is mistaken and to one of too many
    /// at once (Amazon ECS API Reference, "RegisterTaskDefinition").
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.permission == "ecs:RegisterTaskDefinition" && self.code() == Some("ClientException")
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.hint(hint);
        self
    }

    /// Adds why.
    #[must_use]
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.error = self.error.cause(cause);
        self
    }

    /// Returns true if the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        self.failure.is_transient()
    }

    /// One line for a log: the call and the code.
    pub fn line(&self) -> String {
        let why = match (self.code(), self.failure) {
            (Some(code), _) => code,
            (None, Failure::NoAnswer) => "no answer",
            (None, _) => "no error code",
        };
        format!("{} ({why})", self.error.message)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<Error> for kit::Error {
    fn from(error: Error) -> Self {
        error.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    #[derive(Debug)]
    struct Failed(ErrorMetadata);

    impl std::fmt::Display for Failed {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("failed")
        }
    }

    impl std::error::Error for Failed {}

    impl ProvideErrorMetadata for Failed {
        fn meta(&self) -> &ErrorMetadata {
            &self.0
        }
    }

    fn answered(status: u16, code: &str, message: &str) -> Error {
        let meta = ErrorMetadata::builder().code(code).message(message).build();
        let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        Error::of(
            "ecs:DescribeTasks",
            "describe the tasks",
            SdkError::service_error(Failed(meta), raw),
        )
    }

    #[test]
    fn a_client_exception_of_a_registration_is_ambiguous() {
        let error = |permission| {
            let mut error = answered(400, "ClientException", "");
            error.permission = permission;
            error.is_ambiguous()
        };
        assert!(error("ecs:RegisterTaskDefinition"));
        assert!(!error("ecs:DescribeTasks"));
    }

    #[test]
    fn a_denied_call_names_its_permission() {
        let error: kit::Error = answered(400, "AccessDeniedException", "not you").into();
        assert!(
            error
                .hints
                .contains(&"the role needs ecs:DescribeTasks".to_owned()),
            "{error}"
        );
    }
}
