//! Errors as AWS phrases them, in the protocol the caller speaks.

use http::StatusCode;

/// How a service talks, which decides the shape of its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// awsJson 1.0 and 1.1: the operation in `X-Amz-Target`.
    Json,
    /// awsQuery: the operation in `Action`.
    Query,
    /// ec2Query: awsQuery with its own error envelope.
    Ec2,
    /// restXml as S3 has it.
    S3,
    /// restJson1.
    RestJson,
    /// OCI distribution, on the registry's front.
    Registry,
}

/// One refusal: AWS's code, the message, the HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsError {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl AwsError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// A part of the sandbox behind the gateway did not do its work. 502 is retried by SDKs, as a real outage would be.
    pub(crate) fn upstream(backend: &str, cause: impl std::fmt::Display) -> Self {
        Self::new(
            502,
            "ServiceUnavailable",
            format!("the sandbox's {backend} did not answer: {cause}"),
        )
    }

    /// The error for a call that the sandbox does not support. No SDK retries 501 or 400.
    pub(crate) fn unimplemented(
        protocol: Protocol,
        service: &str,
        operation: &str,
        part: &str,
    ) -> Self {
        let (status, code) = match protocol {
            Protocol::Json => (400, "UnknownOperationException"),
            Protocol::Query | Protocol::Ec2 => (400, "InvalidAction"),
            Protocol::S3 | Protocol::RestJson => (501, "NotImplemented"),
            Protocol::Registry => (501, "UNSUPPORTED"),
        };
        Self::new(
            status,
            code,
            format!("the sandbox's {part} does not implement {service}:{operation}"),
        )
    }
}
