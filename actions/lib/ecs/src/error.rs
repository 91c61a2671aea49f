//! Why a call gave no answer that can be relied on, as a kind to decide by and an error to read.

use crate::prose;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// What stood in the way of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// AWS limits the rate of calls; the same call is taken later.
    Throttled,
    /// The service failed by itself (a status of 500 and above).
    Unavailable,
    /// Nothing came back, or nothing that could be read.
    NoAnswer,
    /// The role lacks the permission.
    Denied,
    /// What was asked for does not exist.
    Missing,
    /// Anything else; the same call would be refused again.
    Refused,
}

/// A call that failed, and the IAM action it needs.
#[derive(Debug, Clone)]
pub struct Error {
    /// What to decide by.
    pub kind: Kind,
    /// The IAM action, e.g. `ecs:DescribeServices`.
    pub permission: &'static str,
    /// The service's own error code, if it answered with one.
    pub code: Option<String>,
    error: kit::Error,
}

impl Error {
    pub(crate) fn of<E>(
        permission: &'static str,
        doing: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let kind = kind(error);
        let failed = net::cannot(error, doing);
        Self {
            kind,
            permission,
            code: net::code(error).map(str::to_owned),
            error: match kind {
                Kind::Denied => failed.hint(format!("the role needs {permission}")),
                _ => failed,
            },
        }
    }

    /// There is an answer, and it is not one to work with.
    pub fn answered(kind: Kind, permission: &'static str, error: kit::Error) -> Self {
        Self {
            kind,
            permission,
            code: None,
            error,
        }
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

    /// Whether the same call may be answered later.
    pub fn is_passing(&self) -> bool {
        matches!(
            self.kind,
            Kind::Throttled | Kind::Unavailable | Kind::NoAnswer
        )
    }

    /// One line for a log: the call and the code.
    pub fn line(&self) -> String {
        let why = match (&self.code, self.kind) {
            (Some(code), _) => code.as_str(),
            (None, Kind::NoAnswer) => "no answer",
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

impl std::error::Error for Error {}

impl From<Error> for kit::Error {
    fn from(error: Error) -> Self {
        error.error
    }
}

/// Codes by which AWS's services limit the rate of calls (AWS SDKs and Tools Reference, "Retry behavior").
const THROTTLING: &[&str] = &[
    "BandwidthLimitExceeded",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

fn kind<E>(error: &SdkError<E, HttpResponse>) -> Kind
where
    E: ProvideErrorMetadata,
{
    let failed = match error {
        SdkError::ServiceError(failed) => failed,
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
            return Kind::NoAnswer;
        }
        _ => return Kind::Refused,
    };
    let (code, message) = (failed.err().code(), failed.err().message());
    match code {
        Some(code) if THROTTLING.contains(&code) => Kind::Throttled,
        Some("AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation") => Kind::Denied,
        Some("ClientException") if message.is_some_and(prose::registers_too_often) => {
            Kind::Throttled
        }
        Some("ClusterNotFoundException" | "ServiceNotFoundException" | "TargetGroupNotFound") => {
            Kind::Missing
        }
        _ if failed.raw().status().as_u16() >= 500 => Kind::Unavailable,
        _ => Kind::Refused,
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
            &SdkError::service_error(Failed(meta), raw),
        )
    }

    #[test]
    fn codes_and_statuses_become_kinds() {
        let concurrent =
            "Too many concurrent attempts to create a new revision of the specified family.";
        for (status, code, message, kind, passing) in [
            (
                400,
                "ThrottlingException",
                "Rate exceeded",
                Kind::Throttled,
                true,
            ),
            (400, "Throttling", "Rate exceeded", Kind::Throttled, true),
            (503, "SlowDown", "", Kind::Throttled, true),
            (400, "ClientException", concurrent, Kind::Throttled, true),
            (500, "ServerException", "", Kind::Unavailable, true),
            (502, "", "", Kind::Unavailable, true),
            (400, "AccessDeniedException", "no", Kind::Denied, false),
            (400, "ClusterNotFoundException", "", Kind::Missing, false),
            (400, "ClientException", "other", Kind::Refused, false),
            (400, "ExpiredTokenException", "", Kind::Refused, false),
        ] {
            let error = answered(status, code, message);
            assert_eq!((error.kind, error.is_passing()), (kind, passing), "{code}");
        }
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
