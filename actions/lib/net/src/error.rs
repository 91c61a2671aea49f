//! AWS errors as a person reads them: what was being done, the service's own code and words, and
//! a hint where the code tells what to do.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use kit::error::{Error, Result};
use std::error::Error as StdError;
use std::io;

/// The service's error code, e.g. `AccessDeniedException`, if the service answered with one.
pub fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error()?.code()
}

const DISTRUSTED: &str = "no authority trusted here vouches for that server; behind a proxy that signs certificates itself, name its authority's PEM file in AWS_CA_BUNDLE";

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

/// Whether the server was reached and its certificate not accepted.
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

/// The SDK's error as one for people, exit 1: `cannot {what}`, the service's code and words, and a
/// hint where the code tells what to do.
pub fn cannot<E, R>(error: &SdkError<E, R>, what: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let failed = Error::failed(format!("cannot {what}"));
    let Some(service) = error.as_service_error() else {
        return failed.because(error).hint(if distrusted(error) {
            DISTRUSTED
        } else {
            "AWS did not answer; check the network, the region, and AWS_ENDPOINT_URL if it is set"
        });
    };
    let Some(code) = service.code() else {
        // An answer that could not be read has neither code nor words, but a source.
        return failed.because(service);
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{AlertDescription, CertificateError};

    /// What a client says at the top, whatever is below.
    #[derive(Debug)]
    struct Failed(io::Error);

    impl std::fmt::Display for Failed {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("request failed, with Bearer abc")
        }
    }

    impl StdError for Failed {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn only_a_certificate_is_answered_with_the_bundle_to_name() {
        let certificate = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        // Connectors wrap the I/O error of the handshake in another one.
        let handshake = io::Error::other(io::Error::other(certificate));
        let why = no_answer(&Failed(handshake)).unwrap();
        assert!(
            why.starts_with("invalid peer certificate: UnknownIssuer: no authority"),
            "{why}"
        );
        assert!(why.contains("AWS_CA_BUNDLE"), "{why}");
        let alert = rustls::Error::AlertReceived(AlertDescription::HandshakeFailure);
        for other in [io::Error::other(alert), io::ErrorKind::TimedOut.into()] {
            let why = no_answer(&Failed(other)).unwrap();
            assert!(!why.contains("AWS_CA_BUNDLE"), "{why}");
        }
    }

    /// What the SDK makes of an answer that it cannot read: the service's error, with neither code nor words.
    #[derive(Debug)]
    struct Unread(aws_smithy_types::error::ErrorMetadata);

    impl std::fmt::Display for Unread {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("unhandled error")
        }
    }

    impl StdError for Unread {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&std::fmt::Error)
        }
    }

    impl ProvideErrorMetadata for Unread {
        fn meta(&self) -> &aws_smithy_types::error::ErrorMetadata {
            &self.0
        }
    }

    #[test]
    fn an_error_without_a_code_names_its_source() {
        let error = SdkError::service_error(Unread(Default::default()), ());
        let error = cannot(&error, "read the versioning of b");
        assert_eq!(error.message, "cannot read the versioning of b");
        assert_eq!(
            error.causes,
            ["unhandled error", &std::fmt::Error.to_string()]
        );
    }

    #[test]
    fn what_quotes_the_request_is_left_out() {
        let why = no_answer(&Failed(io::ErrorKind::ConnectionRefused.into())).unwrap();
        assert_eq!(why, "connection refused");
        assert_eq!(
            no_answer(&rustls::Error::General("Bearer abc".into())),
            None
        );
    }
}
