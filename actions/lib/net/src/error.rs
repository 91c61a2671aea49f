//! AWS errors as a person reads them: what was being done, the service's own code and words, and
//! a hint where the code tells what to do.

use crate::prose;
use aws_sdk_sts::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use kit::error::{Error, ErrorKind, Failure, Result, ServiceError};
use std::error::Error as StdError;
use std::io;
use time::{Duration, OffsetDateTime};

/// The service's error code, e.g. `AccessDeniedException`, if the service answered with one.
pub fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error()?.code()
}

const DISTRUSTED: &str = "no certificate authority trusted here signed that server's certificate; behind a proxy with certificates of its own, name its authority's PEM file in AWS_CA_BUNDLE";

/// Why a call that is not to AWS got no answer: what failed first, and what to do where a
/// certificate is why. `None` where the error itself is all there is.
pub fn no_answer(error: &(dyn StdError + 'static)) -> Option<String> {
    let first = chain(error).skip(1).last()?;
    Some(if distrusted(error) {
        format!("{first}: {DISTRUSTED}")
    } else {
        first.to_string()
    })
}

/// Returns true if the server was reached and its certificate not accepted.
fn distrusted(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|error| {
        matches!(
            error.downcast_ref(),
            Some(rustls::Error::InvalidCertificate(_))
        )
    })
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn StdError + 'static) = *error;
        // An I/O error skips the error it wraps when it is asked for its source.
        match error.downcast_ref::<io::Error>() {
            Some(io) => Some(io.get_ref()? as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

/// Says what was being done when AWS answered with an error.
pub trait AwsContext<T> {
    /// Turns the SDK's error into one for people: `cannot {action}`.
    ///
    /// # Errors
    /// The SDK's error, wrapped; exit 1.
    fn cannot(self, action: impl Into<String>) -> Result<T>;
}

impl<T, E> AwsContext<T> for std::result::Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn cannot(self, action: impl Into<String>) -> Result<T> {
        self.map_err(|error| cannot(error, &action.into()))
    }
}

/// The SDK's error as one for people, exit 1: `cannot {action}`, the service's answer as data, and a
/// hint where the answer tells what to do.
pub fn cannot<E>(error: SdkError<E, HttpResponse>, action: &str) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let failure = failure(&error);
    let failed = Error::new(ErrorKind::Service(failure), format!("cannot {action}"));
    match error {
        SdkError::ServiceError(context) => {
            let failed = failed.because(service_error(&context, failure));
            let failed = match failure {
                Failure::Skewed => failed.cause(clock(ahead(context.raw()))),
                _ => failed,
            };
            let failed = match context.err().code() {
                Some(_) => failed,
                // An answer that could not be read has neither code nor message, but a source.
                None => failed.because(context.into_err()),
            };
            match hint(failure) {
                Some(hint) => failed.hint(hint),
                None => failed,
            }
        }
        // Without the raw answer, whose body can contain a value.
        error => {
            let hint = if distrusted(&error) {
                DISTRUSTED
            } else {
                "check the network, the region, and AWS_ENDPOINT_URL if it is set"
            };
            if chain(&error).any(|part| prose::quotes_request(&part.to_string())) {
                return failed
                    .cause("the endpoint is not an address")
                    .hint("correct `endpoint_url` in the AWS configuration, or remove it");
            }
            match error.into_source() {
                // The connector's own text is one word; its source names the host.
                Ok(source) => match source.downcast::<ConnectorError>() {
                    Ok(connector) => failed.because(connector.into_source()),
                    Err(source) => failed.because(source),
                },
                Err(error) => failed.cause(error.to_string()),
            }
            .hint(hint)
        }
    }
}

fn service_error<E>(
    context: &aws_smithy_runtime_api::client::result::ServiceError<E, HttpResponse>,
    failure: Failure,
) -> ServiceError
where
    E: ProvideErrorMetadata,
{
    let (service, operation) = call_of(std::any::type_name::<E>());
    let meta = context.err().meta();
    ServiceError {
        service: service.to_owned(),
        operation: operation.to_owned(),
        failure,
        code: meta.code().map(str::to_owned),
        message: meta.message().unwrap_or_default().to_owned(),
        status: Some(context.raw().status().as_u16()),
        request_id: meta
            .request_id()
            .or_else(|| context.raw().request_id())
            .map(str::to_owned),
    }
}

/// Service and operation from the name of the SDK's error type,
/// `aws_sdk_ecs::operation::describe_services::DescribeServicesError`: the SDK says them nowhere else
/// once a call is over. They are shown, and nothing decides by them.
fn call_of(type_name: &str) -> (&str, &str) {
    let krate = type_name.split("::").next().unwrap_or_default();
    let name = type_name.rsplit("::").next().unwrap_or_default();
    (
        krate.strip_prefix("aws_sdk_").unwrap_or(krate),
        name.strip_suffix("Error").unwrap_or(name),
    )
}

fn hint(failure: Failure) -> Option<&'static str> {
    match failure {
        Failure::Denied => Some(
            "the role lacks the permission named above; the step's README lists the permissions it needs: https://github.com/slipway-delivery/slipway/blob/main/README.md#steps",
        ),
        Failure::Expired => Some("the credentials have expired; start the step again"),
        Failure::Skewed => Some("set the clock of this machine, and start the step again"),
        Failure::Throttled => Some("AWS limits the rate of calls; start the step again later"),
        Failure::Unavailable => Some("the service failed; start the step again later"),
        Failure::NoAnswer | Failure::Missing | Failure::Rejected => None,
    }
}

/// Codes by which AWS's services limit the rate of calls (AWS SDKs and Tools Reference, "Retry behavior").
const THROTTLING: &[&str] = &[
    "BandwidthLimitExceeded",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// The meaning of a failed call, by the service's code and status.
pub fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::ServiceError(context) => answered(
            context.err().code(),
            context.err().message(),
            context.raw().status().as_u16(),
            ahead(context.raw()),
        ),
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
            Failure::NoAnswer
        }
        _ => Failure::Rejected,
    }
}

/// By how much this machine's clock is ahead of the service's, by the answer.
fn ahead(answer: &HttpResponse) -> Option<Duration> {
    crate::clock::ahead(answer.headers().get("date"), OffsetDateTime::now_utc())
}

/// The cause of a call that was refused for its time: how far this machine's clock is off.
pub(crate) fn clock(ahead: Option<Duration>) -> String {
    let Some(ahead) = ahead else {
        return "the service did not say its time".to_owned();
    };
    let seconds = ahead.whole_seconds().abs();
    match (ahead.abs() > DETECTED, ahead.is_negative()) {
        (true, true) => format!("this machine's clock is {seconds} seconds behind the service's"),
        (true, false) => format!("this machine's clock is {seconds} seconds ahead of the service's"),
        (false, _) => "this machine's clock is right now: it jumped after the call was signed, or the call took too long".to_owned(),
    }
}

/// Codes by which a service refuses the time of a signature (S3 API Reference, "Error responses"; EC2, "Error codes").
const SKEWED: &[&str] = &[crate::clock::S3_CODE, "RequestExpired"];

/// Codes that also mean a wrong signature. They are about the time where the clocks differ, as the SDK takes them; where the clock is
/// right again when the answer comes, only the message tells.
const MAYBE_SKEWED: &[&str] = &[
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
];

/// From which difference on the SDK takes such a code for a refusal of the time.
const DETECTED: Duration = Duration::minutes(4);

/// The meaning of an answer, by a machine whose clock is ahead of the service's by so much.
pub(crate) fn answered(
    code: Option<&str>,
    message: Option<&str>,
    status: u16,
    ahead: Option<Duration>,
) -> Failure {
    let off = ahead.is_some_and(|ahead| ahead.abs() > DETECTED);
    let is_refused_time = || message.is_some_and(prose::refuses_time);
    match code {
        Some(code) if SKEWED.contains(&code) => Failure::Skewed,
        Some(code) if MAYBE_SKEWED.contains(&code) && (off || is_refused_time()) => Failure::Skewed,
        _ => meaning(code, status),
    }
}

/// The meaning of a code and a status.
fn meaning(code: Option<&str>, status: u16) -> Failure {
    match (code, status) {
        (Some(code), _) if THROTTLING.contains(&code) => Failure::Throttled,
        (
            Some(
                "AccessDenied"
                | "AccessDeniedException"
                | "AuthorizationError"
                | "UnauthorizedOperation",
            ),
            _,
        )
        | (None, 403) => Failure::Denied,
        (Some("ExpiredToken" | "ExpiredTokenException"), _) => Failure::Expired,
        (
            Some(
                "ClusterNotFoundException"
                | "ServiceNotFoundException"
                | "TargetGroupNotFound"
                | "ResourceNotFoundException"
                | "RepositoryNotFoundException",
            ),
            _,
        )
        | (_, 404) => Failure::Missing,
        (_, 500..) => Failure::Unavailable,
        _ => Failure::Rejected,
    }
}

#[cfg(test)]
mod tests;
