//! The meaning of a failed request, by the registry's own codes (OCI Distribution Specification, "Error Codes"; ECR adds
//! the names of its API's exceptions) and not by its words, which AWS changes.

use super::request::Request;
use kit::Error;
use reqwest::{Response, StatusCode, header};
use std::time::Duration;

/// How much of an error's body is read.
const LONGEST: usize = 16 << 10;

/// The kinds of failures, by what to do about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It may be over the next time: no answer, 429, 5xx, an upload session that is gone.
    Passing,
    /// The token is not accepted.
    Login,
    /// There is no such repository, manifest or blob.
    Missing,
    /// A manifest names what is not there.
    Incomplete,
    /// The tag is immutable and names another image.
    TagTaken,
    /// Trying again would end the same way.
    Final,
}

/// A request that failed.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) error: Error,
    /// The pause that the registry asks for.
    pub(crate) after: Option<Duration>,
    /// The registry reported too many requests, not necessarily from this step.
    pub(crate) throttled: bool,
    /// The registry failed (500) without reporting that it is busy.
    pub(crate) broken: bool,
    /// The registry's first error code.
    pub(crate) code: Option<String>,
}

impl Fault {
    pub(crate) fn new(kind: Kind, error: Error) -> Self {
        Self {
            kind,
            error,
            after: None,
            throttled: false,
            broken: false,
            code: None,
        }
    }

    /// There was no answer. The request's URL is left out: it may hold what signs it.
    pub(crate) fn no_answer(operation: &Request, error: reqwest::Error) -> Self {
        let kind = if error.is_builder() {
            Kind::Final
        } else {
            Kind::Passing
        };
        let error = error.without_url();
        let reason = net::no_answer(&error).unwrap_or_else(|| error.to_string());
        Self::new(
            kind,
            operation.failed()
                .cause(reason)
                .hint("check the network between here and the registry; run the step again: blobs that arrived are not sent again"),
        )
    }

    /// The registry answered, and not with success.
    pub(crate) async fn answered(operation: &Request, mut response: Response) -> Self {
        let status = response.status();
        let after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= LONGEST {
                break;
            }
        }
        let (code, message) = first_error(&body);
        let kind = kind(status, code.as_deref());
        let detail = match (&code, &message) {
            (Some(code), Some(message)) => format!(": {code}: {message}"),
            (Some(code), None) => format!(": {code}"),
            (None, Some(message)) => format!(": {message}"),
            (None, None) => String::new(),
        };
        let mut error = operation
            .failed()
            .cause(format!("the registry answered {status}{detail}"));
        if let Some(hint) = hint(status, code.as_deref(), kind) {
            error = error.hint(hint);
        }
        Self {
            kind,
            error,
            after,
            throttled: status == StatusCode::TOO_MANY_REQUESTS,
            broken: status == StatusCode::INTERNAL_SERVER_ERROR,
            code,
        }
    }

    /// The same fault with another kind, for a caller that knows more.
    pub(crate) fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(Kind::Final, error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

fn first_error(body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else {
        return (None, None);
    };
    let text = |name: &str| {
        body.pointer(&format!("/errors/0/{name}"))
            .and_then(serde_json::Value::as_str)
            .map(|text| text.chars().take(500).collect())
    };
    (text("code"), text("message"))
}

fn kind(status: StatusCode, code: Option<&str>) -> Kind {
    match (status.as_u16(), code) {
        // ECR refuses an expired token with 403 DENIED, like a permission that is missing, and only the words differ. Another
        // token tells them apart.
        (401 | 403, _) => Kind::Login,
        (_, Some("TAG_INVALID" | "ImageTagAlreadyExistsException")) => Kind::TagTaken,
        // A session that ended, or (ECR) one that was begun twice: a new one starts at byte 0.
        (_, Some("BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID")) | (416, _) => Kind::Passing,
        (
            _,
            Some(
                "MANIFEST_BLOB_UNKNOWN"
                | "LayersNotFoundException"
                | "ReferencedImagesNotFoundException",
            ),
        ) => Kind::Incomplete,
        (408 | 425 | 429 | 500..=599, _) => Kind::Passing,
        (404, _) => Kind::Missing,
        _ => Kind::Final,
    }
}

fn hint(status: StatusCode, code: Option<&str>, kind: Kind) -> Option<&'static str> {
    match (status.as_u16(), code, kind) {
        (429, ..) => Some(
            "the account's rate limit for the registry is reached; run the step again later: blobs that arrived are not sent again",
        ),
        (500..=599, ..) => Some(
            "the registry failed several times; run the step again: blobs that arrived are not sent again",
        ),
        (401 | 403, ..) => Some(
            "the role needs ecr:GetAuthorizationToken, and on the repository the permissions to push: https://github.com/slipway-delivery/slipway/blob/main/actions/image/README.md#permissions",
        ),
        (_, Some("NAME_UNKNOWN"), _) => {
            Some("create the repository there first: slipway-image repository --repository NAME")
        }
        (_, Some("DIGEST_INVALID"), _) => {
            Some("the bytes do not hash to the name they have; make the image again")
        }
        (_, _, Kind::Incomplete) => Some(
            "something deletes from the repository while this runs; look at its lifecycle policy, and run the step again",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_a_failure_means() {
        for (status, code, wanted) in [
            (401, None, Kind::Login),
            (401, Some("UNAUTHORIZED"), Kind::Login),
            (403, None, Kind::Login),
            (403, Some("DENIED"), Kind::Login),
            (400, Some("TAG_INVALID"), Kind::TagTaken),
            (404, Some("BLOB_UPLOAD_UNKNOWN"), Kind::Passing),
            (416, Some("BLOB_UPLOAD_INVALID"), Kind::Passing),
            (404, Some("MANIFEST_BLOB_UNKNOWN"), Kind::Incomplete),
            (404, Some("NAME_UNKNOWN"), Kind::Missing),
            (429, Some("TOOMANYREQUESTS"), Kind::Passing),
            (500, None, Kind::Passing),
            (503, Some("UNAVAILABLE"), Kind::Passing),
            (400, Some("DIGEST_INVALID"), Kind::Final),
            (405, Some("UNSUPPORTED"), Kind::Final),
            (307, None, Kind::Final),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(kind(status, code), wanted, "{status} {code:?}");
        }
    }

    #[test]
    fn the_first_error_is_quoted_and_others_are_not_read() {
        let body = br#"{"errors":[{"code":"A","message":"b"},{"code":"C"}]}"#;
        assert_eq!(
            first_error(body),
            (Some("A".to_owned()), Some("b".to_owned()))
        );
        assert_eq!(first_error(b"<html>"), (None, None));
        assert_eq!(first_error(br#"{"errors":[]}"#), (None, None));
    }
}
