//! Failed calls and the errors that they become.

use super::*;
use rustls::{AlertDescription, CertificateError};

/// A client's outermost error, whose text does not depend on its cause.
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
        why.starts_with("invalid peer certificate: UnknownIssuer: no certificate authority"),
        "{why}"
    );
    assert!(why.contains("AWS_CA_BUNDLE"), "{why}");
    let alert = rustls::Error::AlertReceived(AlertDescription::HandshakeFailure);
    for other in [io::Error::other(alert), io::ErrorKind::TimedOut.into()] {
        let why = no_answer(&Failed(other)).unwrap();
        assert!(!why.contains("AWS_CA_BUNDLE"), "{why}");
    }
}

/// The SDK's error for an answer that it cannot read: the service's error, with neither a code nor a message.
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

fn failed(status: u16, meta: aws_smithy_types::error::ErrorMetadata, date: &'static str) -> Error {
    let mut raw = HttpResponse::new(
        status.try_into().unwrap(),
        aws_smithy_types::body::SdkBody::empty(),
    );
    raw.headers_mut().insert("x-amzn-requestid", "4f1c");
    raw.headers_mut().insert("date", date);
    let error = SdkError::service_error(Unread(meta), raw);
    cannot(error, "read the versioning of b")
}

#[test]
fn an_error_without_a_code_names_status_and_source() {
    let error = failed(502, Default::default(), "");
    assert_eq!(error.message, "cannot read the versioning of b");
    assert_eq!(
        error.causes(),
        [
            "status 502 (net Unread, request ID 4f1c)",
            "unhandled error",
            &std::fmt::Error.to_string()
        ]
    );
    assert_eq!(error.kind, ErrorKind::Service(Failure::Unavailable));
}

#[test]
fn a_service_failure_keeps_its_data_and_is_shown_once() {
    let meta = aws_smithy_types::error::ErrorMetadata::builder()
        .code("AccessDeniedException")
        .message("User: u is not authorized")
        .build();
    let error = failed(400, meta, "");
    assert_eq!(
        error.to_string(),
        "error: cannot read the versioning of b\nCaused by:\n  AccessDeniedException: User: u is not \
         authorized (net Unread, request ID 4f1c)\n\nhint: the role lacks the permission named above; the \
         step's README lists the permissions it needs: https://github.com/slipway-delivery/slipway/blob/main/README.md#steps"
    );
    let service = error.service().unwrap();
    assert_eq!(service.status, Some(400));
    assert_eq!(service.request_id.as_deref(), Some("4f1c"));
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn codes_and_statuses_have_one_meaning() {
    for (status, code, meaning_of_it) in [
        (400, Some("ThrottlingException"), Failure::Throttled),
        (400, Some("Throttling"), Failure::Throttled),
        (503, Some("SlowDown"), Failure::Throttled),
        (500, Some("ServerException"), Failure::Unavailable),
        (502, None, Failure::Unavailable),
        (400, Some("AccessDeniedException"), Failure::Denied),
        (403, None, Failure::Denied),
        (400, Some("ClusterNotFoundException"), Failure::Missing),
        (404, Some("NoSuchKey"), Failure::Missing),
        (400, Some("ExpiredTokenException"), Failure::Expired),
        (403, Some("ExpiredToken"), Failure::Expired),
        (400, Some("ClientException"), Failure::Rejected),
    ] {
        assert_eq!(meaning(code, status), meaning_of_it, "{status} {code:?}");
    }
}

/// As the SDK takes these codes, where the clocks differ by more than four minutes.
#[test]
fn a_refusal_of_the_time_says_how_far_the_clock_is_off() {
    let off = |minutes| Some(Duration::minutes(minutes));
    let wrong = "InvalidSignatureException";
    let expired = "Signature expired: 20261130T190745Z is now earlier than";
    for (message, skewed) in [
        (expired, true),
        ("Signature not yet current: 2", true),
        ("The request signature", false),
    ] {
        let found = answered(Some(wrong), Some(message), 403, off(0)) == Failure::Skewed;
        assert_eq!(found, skewed, "{message}");
    }
    for (code, ahead, skewed) in [
        ("RequestTimeTooSkewed", None, true),
        ("RequestTimeTooSkewed", off(0), true),
        (wrong, off(6), true),
        (wrong, off(-6), true),
        (wrong, off(4), false),
        (wrong, None, false),
        ("SignatureDoesNotMatch", off(60), true),
        ("AccessDenied", off(60), false),
    ] {
        let found = answered(Some(code), None, 403, ahead) == Failure::Skewed;
        assert_eq!(found, skewed, "{code} {ahead:?}");
    }
    let meta = aws_smithy_types::error::ErrorMetadata::builder().code(wrong);
    let error = failed(400, meta.build(), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(error.kind, ErrorKind::Service(Failure::Skewed));
    let causes = error.causes();
    let cause = &causes[1];
    assert!(cause.starts_with("this machine's clock is "), "{cause}");
    assert!(
        cause.ends_with(" seconds ahead of the service's"),
        "{cause}"
    );
    assert_eq!(
        error.hints,
        ["set the clock of this machine, and start the step again"]
    );
    assert_eq!(
        clock(off(-6)),
        "this machine's clock is 360 seconds behind the service's"
    );
    assert!(clock(off(1)).contains("is right now"));
    assert_eq!(clock(None), "the service did not say its time");
}

#[test]
fn service_and_operation_are_those_of_the_error_type() {
    use aws_sdk_sts::operation::assume_role::AssumeRoleError;
    assert_eq!(
        call_of(std::any::type_name::<AssumeRoleError>()),
        ("sts", "AssumeRole")
    );
}

#[test]
fn errors_that_could_quote_the_request_are_omitted() {
    let why = no_answer(&Failed(io::ErrorKind::ConnectionRefused.into())).unwrap();
    assert_eq!(why, "connection refused");
    assert_eq!(
        no_answer(&rustls::Error::General("Bearer abc".into())),
        None
    );
}
