//! The errors that GraphQL answers instead of data.

use crate::unknown::{Unknown, Why};
use kit::error::{Failure, ServiceError};
use serde::Deserialize;

/// One entry of `errors`.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    message: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

impl Problem {
    /// GitHub reports a missing permission and a rate limit with status 200 and a type; what has no
    /// type is a mistake in the query or GitHub's own failure, which no permission mends.
    pub(crate) fn unknown(&self, action: &str, permission: &str) -> Unknown {
        let failure = match self.kind.as_deref() {
            Some("RATE_LIMITED") => Failure::Throttled,
            Some("FORBIDDEN" | "INSUFFICIENT_SCOPES") => Failure::Denied,
            Some("NOT_FOUND") => Failure::Missing,
            _ => Failure::Rejected,
        };
        let denied = matches!(failure, Failure::Denied | Failure::Missing);
        Unknown {
            action: action.to_owned(),
            permission: denied.then(|| permission.to_owned()),
            why: Why::Answered(ServiceError {
                service: "github".to_owned(),
                operation: "POST /graphql".to_owned(),
                failure,
                code: self.kind.clone(),
                message: self.message.clone(),
                status: None,
                request_id: None,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rate_limit_is_not_a_missing_permission() {
        let problem = |kind: &str| {
            let text = json!({ "message": "no", "type": kind }).to_string();
            let problem: Problem = serde_json::from_str(&text).unwrap();
            problem.unknown("read it", "pull-requests: read")
        };
        let limited = problem("RATE_LIMITED");
        assert_eq!(
            (limited.failure(), &limited.permission),
            (Failure::Throttled, &None)
        );
        let denied = problem("FORBIDDEN");
        assert_eq!(denied.permission.as_deref(), Some("pull-requests: read"));
        let broken: Problem =
            serde_json::from_str(r#"{"message": "Something went wrong"}"#).unwrap();
        assert_eq!(broken.unknown("read it", "x: read").permission, None);
    }
}
