//! AWS errors as a person reads them: what was being done, the service's own code and words, and
//! a hint where the code tells what to do.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use kit::error::{Error, Result};

/// The service's error code, e.g. `AccessDeniedException`, if the service answered with one.
pub fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error()?.code()
}

/// Says what was being done when AWS answered with an error.
pub trait AwsContext<T> {
    /// Turns the SDK's error into one for people: `cannot {what}`.
    ///
    /// # Errors
    /// The SDK's error, wrapped; exit 1.
    fn cannot(self, what: impl Into<String>) -> Result<T>;
}

impl<T, E, R> AwsContext<T> for std::result::Result<T, SdkError<E, R>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    fn cannot(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|error| cannot(&error, &what.into()))
    }
}

pub(crate) fn cannot<E, R>(error: &SdkError<E, R>, what: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let failed = Error::failed(format!("cannot {what}"));
    let Some(service) = error.as_service_error() else {
        return failed.because(error).hint(
            "AWS did not answer; check the network, the region, and AWS_ENDPOINT_URL if it is set",
        );
    };
    let code = service.code().unwrap_or("an unnamed error");
    let failed = failed.cause(format!("{code}: {}", service.message().unwrap_or_default()));
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => failed.hint(
            "the role lacks the permission named above; the step's README lists what it needs",
        ),
        "ExpiredToken" | "ExpiredTokenException" => {
            failed.hint("the credentials have ended; start the step anew")
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" => {
            failed.hint("the credentials belong to no account this endpoint knows")
        }
        _ => failed,
    }
}
