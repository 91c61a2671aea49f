//! The one place of this library that reads sentences. Each is read only where no code and no type says the same. Pure.

/// The beginnings of the messages by which services refuse the time of a signature, under a code that also means a wrong signature
/// (IAM User Guide, "Troubleshoot Signature Version 4 signing").
const REFUSED_TIMES: [&str; 2] = ["Signature expired", "Signature not yet current"];

/// Returns true if a service's message refuses the time of a signature.
pub(crate) fn refuses_time(message: &str) -> bool {
    REFUSED_TIMES.iter().any(|words| message.starts_with(words))
}

/// Returns true if an answer that was not taken apart has such a message in it.
pub(crate) fn holds_refused_time(body: &str) -> bool {
    REFUSED_TIMES.iter().any(|words| body.contains(words))
}

/// Returns true if a message of the SDK quotes the request, whose body can contain a token. It does where it cannot apply an
/// endpoint, with the body's type in the text (aws-smithy-runtime, `apply_endpoint`).
pub(crate) fn quotes_request(message: &str) -> bool {
    message.contains("SdkBody")
}
