//! GitHub's answers: the next page of a list, and the meaning of a failure.

use crate::unknown::{Unknown, Why};
use http::StatusCode;
use http::header::HeaderMap;
use kit::error::{Failure, ServiceError};
use serde::de::DeserializeOwned;

/// One answered request.
pub(crate) struct Answer {
    /// Method and path, e.g. `GET /repos/acme/storefront/pulls/7`.
    pub(crate) operation: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The answer as `T`.
    pub(crate) fn decode<T: DeserializeOwned>(&self, action: &str) -> Result<T, Unknown> {
        serde_json::from_str(&self.body).map_err(|error| {
            Unknown::new(
                action,
                format!("GitHub's answer has an unexpected form ({error})"),
            )
        })
    }

    /// The query of the next page, from the Link header. Only the query is used and the address
    /// stays ours, so that no answer can redirect the token.
    pub(crate) fn next_query(&self) -> Option<String> {
        let link = self.headers.get(http::header::LINK)?.to_str().ok()?;
        let next = link.split(',').find(|part| {
            part.split(';')
                .any(|parameter| parameter.trim() == "rel=\"next\"")
        })?;
        let url = next.split_once('<')?.1.split_once('>')?.0;
        Some(url.split_once('?')?.1.to_owned())
    }

    /// The meaning of an answer other than success. GitHub also answers 404 for objects that the
    /// token may not see, so both 403 and 404 name the permission: the one from GitHub's header,
    /// else the documented one.
    pub(crate) fn refusal(&self, action: &str, permission: &str) -> Unknown {
        #[derive(serde::Deserialize)]
        struct Body {
            message: String,
        }
        let failure = self.failure();
        let header = |name: &str| net::text(&self.headers, name);
        let body = serde_json::from_str::<Body>(&self.body);
        let accepted = header("x-accepted-github-permissions")
            .filter(|value| !value.trim().is_empty())
            .map_or_else(|| permission.to_owned(), accepted);
        Unknown {
            action: action.to_owned(),
            permission: matches!(failure, Failure::Denied | Failure::Missing).then_some(accepted),
            why: Why::Answered(ServiceError {
                service: "github".to_owned(),
                operation: self.operation.clone(),
                failure,
                code: None,
                message: body.map(|body| body.message).unwrap_or_default(),
                status: Some(self.status.as_u16()),
                request_id: net::request_id(header).map(str::to_owned),
            }),
        }
    }

    fn failure(&self) -> Failure {
        // docs.github.com, "Rate limits for the REST API".
        let limited = self.headers.contains_key("retry-after")
            || self
                .headers
                .get("x-ratelimit-remaining")
                .is_some_and(|left| left == "0");
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => Failure::Throttled,
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if limited => Failure::Throttled,
            StatusCode::FORBIDDEN => Failure::Denied,
            StatusCode::NOT_FOUND => Failure::Missing,
            StatusCode::UNAUTHORIZED => Failure::Expired,
            status if status.is_server_error() => Failure::Unavailable,
            _ => Failure::Rejected,
        }
    }
}

/// `pull_requests=write,contents=read; issues=read` as a workflow's `permissions` spells it.
/// Source: docs.github.com, "Troubleshooting the REST API", header X-Accepted-GitHub-Permissions.
fn accepted(header: &str) -> String {
    header
        .split(';')
        .map(|set| {
            set.split(',')
                .map(|permission| permission.trim().replace('_', "-").replace('=', ": "))
                .collect::<Vec<_>>()
                .join(" and ")
        })
        .collect::<Vec<_>>()
        .join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        Answer {
            operation: "GET /x".to_owned(),
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    (
                        http::HeaderName::from_static(name),
                        http::HeaderValue::from_str(value).unwrap(),
                    )
                })
                .collect(),
            body: body.to_owned(),
        }
    }

    #[test]
    fn a_refusal_names_the_permission_github_asks_for() {
        let forbidden = answer(
            403,
            &[(
                "x-accepted-github-permissions",
                "pull_requests=read,contents=read; issues=read",
            )],
            r#"{"message":"Resource not accessible by integration"}"#,
        );
        assert_eq!(
            forbidden
                .refusal("read the reviews of #7", "x: read")
                .to_string(),
            "cannot read the reviews of #7: GitHub answered 403 Resource not accessible by \
             integration (needs `pull-requests: read and contents: read or issues: read`)"
        );
        let hidden = answer(404, &[], r#"{"message":"Not Found"}"#);
        let unknown = hidden.refusal("read run 5", "actions: read");
        assert_eq!(unknown.permission.as_deref(), Some("actions: read"));
    }

    #[test]
    fn a_rate_limit_or_an_outage_is_not_a_missing_permission() {
        for limited in [
            answer(403, &[("retry-after", "60")], "{}"),
            answer(403, &[("x-ratelimit-remaining", "0")], "{}"),
            answer(429, &[], "{}"),
            answer(502, &[], "<html>"),
        ] {
            assert_eq!(limited.refusal("x", "y: read").permission, None);
        }
    }

    #[test]
    fn only_the_query_of_the_next_page_is_taken() {
        let paged = answer(
            200,
            &[(
                "link",
                r#"<https://evil.example/x?page=1>; rel="prev", <https://evil.example/y?after=abc&per_page=100>; rel="next""#,
            )],
            "[]",
        );
        assert_eq!(paged.next_query().unwrap(), "after=abc&per_page=100");
        assert_eq!(answer(200, &[], "").next_query(), None);
    }

    #[test]
    fn an_answer_keeps_status_and_request_id_as_data() {
        let down = answer(503, &[("x-github-request-id", "C0DE:1")], "<html>");
        let unknown = down.refusal("read run 5", "actions: read");
        assert!(unknown.is_transient());
        let Why::Answered(service) = &unknown.why else {
            panic!("{unknown}")
        };
        assert_eq!(service.status, Some(503));
        assert_eq!(
            unknown.to_string(),
            "cannot read run 5: GitHub answered 503 (request ID C0DE:1)"
        );
    }
}
