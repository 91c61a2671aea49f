//! GitHub's answers, kept as they came, and what answers from them: the facts of a decision can be read again when GitHub
//! would say something else by now.

use crate::answer::Answer;
use crate::unknown::Unknown;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The headers that a fact can depend on; no other one is kept.
const HEADERS: [&str; 5] = [
    "link",
    "retry-after",
    "x-accepted-github-permissions",
    "x-github-request-id",
    "x-ratelimit-remaining",
];

/// A request that changes nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Request<'a> {
    /// Path and query below the REST API's address.
    Get(&'a str),
    /// A GraphQL query with its variables.
    Query(&'a Value),
}

impl Request<'_> {
    pub(crate) fn method(&self) -> Method {
        match self {
            Self::Get(_) => Method::GET,
            Self::Query(_) => Method::POST,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Get(uri) => format!("GET {uri}"),
            Self::Query(_) => "POST /graphql".to_owned(),
        }
    }

    fn is(&self, exchange: &Exchange) -> bool {
        match self {
            Self::Get(_) => exchange.query.is_none() && exchange.request == self.shown(),
            Self::Query(query) => exchange.query.as_ref() == Some(*query),
        }
    }
}

/// A request with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Method and path with query, such as `GET /repos/acme/storefront/actions/runs/5`.
    pub request: String,
    /// The body of a GraphQL request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Value>,
    /// The status; `None` if no whole answer arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The headers that a fact can depend on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body as it came; without a status, why there is none.
    pub answer: String,
}

impl Exchange {
    pub(crate) fn of(request: Request<'_>, answered: &Result<Answer, Unknown>) -> Self {
        let query = match request {
            Request::Get(_) => None,
            Request::Query(query) => Some(query.clone()),
        };
        let empty = Self {
            request: request.shown(),
            query,
            status: None,
            headers: BTreeMap::new(),
            answer: String::new(),
        };
        match answered {
            Err(unknown) => Self {
                answer: unknown.why.to_string(),
                ..empty
            },
            Ok(answer) => Self {
                status: Some(answer.status.as_u16()),
                headers: HEADERS
                    .iter()
                    .filter_map(|name| {
                        let value = net::text(&answer.headers, name)?;
                        Some(((*name).to_owned(), value.to_owned()))
                    })
                    .collect(),
                answer: answer.body.clone(),
                ..empty
            },
        }
    }

    fn answered(self, action: &str) -> Result<Answer, Unknown> {
        let Some(status) = self.status else {
            return Err(Unknown::unanswered(action, self.answer));
        };
        let status = StatusCode::from_u16(status)
            .map_err(|_| Unknown::new(action, format!("{status} is not a status")))?;
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let (Ok(name), Ok(value)) = (
                HeaderName::try_from(name.as_str()),
                HeaderValue::try_from(value.as_str()),
            ) else {
                return Err(Unknown::new(action, format!("{name} is not a header")));
            };
            headers.insert(name, value);
        }
        let path = self.request.split('?').next().unwrap_or_default();
        Ok(Answer {
            operation: path.to_owned(),
            status,
            headers,
            body: self.answer,
        })
    }
}

/// The requests that a client has made so far, with their answers.
#[derive(Debug, Clone, Default)]
pub struct Transcript(Arc<Mutex<Vec<Exchange>>>);

impl Transcript {
    /// All of it.
    pub fn exchanges(&self) -> Vec<Exchange> {
        locked(&self.0).clone()
    }

    /// Notes an answer. That of another attempt replaces the one before it, since only the last one counted; `index` is
    /// where the attempts of one request are noted, since an equal one may be under way.
    pub(crate) fn note(&self, index: &OnceLock<usize>, exchange: Exchange) {
        let mut all = locked(&self.0);
        let at = *index.get_or_init(|| all.len());
        match all.get_mut(at) {
            Some(earlier) => *earlier = exchange,
            None => all.push(exchange),
        }
    }
}

/// Answers from what was kept.
#[derive(Debug)]
pub(crate) struct Kept {
    exchanges: Mutex<Vec<Exchange>>,
    /// Requests that have no answer there.
    missing: Mutex<Vec<String>>,
}

impl Kept {
    pub(crate) fn new(exchanges: Vec<Exchange>) -> Self {
        Self {
            exchanges: Mutex::new(exchanges),
            missing: Mutex::default(),
        }
    }

    /// The answer. Equal requests get their answers in the order in which they were kept.
    pub(crate) fn answer(&self, request: Request<'_>, action: &str) -> Result<Answer, Unknown> {
        let mut all = locked(&self.exchanges);
        let matching: Vec<usize> = (0..all.len())
            .filter(|at| request.is(&all[*at]))
            .take(2)
            .collect();
        let exchange = match matching.as_slice() {
            [] => {
                locked(&self.missing).push(request.shown());
                return Err(Unknown::new(action, "no answer to it was kept"));
            }
            [only] => all[*only].clone(),
            [first, ..] => all.remove(*first),
        };
        exchange.answered(action)
    }

    pub(crate) fn missing(&self) -> Vec<String> {
        locked(&self.missing).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GitHub, Repository};
    use serde_json::json;

    fn exchange(request: &str, status: Option<u16>, answer: &str) -> Exchange {
        Exchange {
            request: request.to_owned(),
            query: None,
            status,
            headers: BTreeMap::new(),
            answer: answer.to_owned(),
        }
    }

    const PATH: &str = "/repos/acme/shop/collaborators/ada/permission";

    fn permission(permission: &str) -> String {
        let user = json!({"login": "ada", "id": 1, "type": "User"});
        json!({"permission": permission, "role_name": permission, "user": user}).to_string()
    }

    /// The client's answers when it is asked for ada's permission `times` times, and the requests without a kept answer.
    async fn asked(exchanges: Vec<Exchange>, times: usize) -> (Vec<String>, Vec<String>) {
        let github = GitHub::kept(Repository::parse("acme/shop").unwrap(), exchanges);
        let mut answers = Vec::new();
        for _ in 0..times {
            answers.push(match github.permission("ada").await {
                Ok(found) => found.permission,
                Err(unknown) => unknown.to_string(),
            });
        }
        (answers, github.unkept())
    }

    #[tokio::test]
    async fn kept_exchanges_are_replayed_in_order_and_other_requests_fail() {
        let get = format!("GET {PATH}");
        let kept = vec![
            exchange(&get, Some(200), &permission("read")),
            exchange("GET /repos/acme/shop/other", Some(200), "{}"),
            exchange(&get, Some(200), &permission("write")),
        ];
        let (answers, unkept) = asked(kept, 3).await;
        assert_eq!(answers, ["read", "write", "write"]);
        assert_eq!(unkept, Vec::<String>::new());

        let (answers, unkept) = asked(Vec::new(), 1).await;
        assert!(
            answers[0].contains("no answer to it was kept"),
            "{answers:?}"
        );
        assert_eq!(unkept, [get]);
    }

    #[tokio::test]
    async fn a_failure_is_kept_as_one_and_not_tried_again() {
        let get = format!("GET {PATH}");
        let mut forbidden = exchange(&get, Some(403), r#"{"message":"Not here"}"#);
        let accepted = ("x-accepted-github-permissions", "metadata=read");
        let (name, value) = accepted;
        forbidden.headers.insert(name.to_owned(), value.to_owned());
        let (answers, _) = asked(vec![forbidden], 1).await;
        assert!(
            answers[0].contains("403 Not here (needs `metadata: read`)"),
            "{answers:?}"
        );
        // A second attempt would get the second answer.
        let gone = exchange(&get, None, "GitHub cannot be reached");
        let second = exchange(&get, Some(200), &permission("read"));
        let (answers, unkept) = asked(vec![gone, second], 2).await;
        assert!(
            answers[0].contains("GitHub cannot be reached"),
            "{answers:?}"
        );
        assert_eq!(answers[1], "read");
        assert_eq!(unkept, Vec::<String>::new());
    }

    #[test]
    fn another_attempt_replaces_what_the_one_before_it_was_answered() {
        let transcript = Transcript::default();
        let [first, second, other] = [const { OnceLock::new() }; 3];
        // Two equal requests at once, of which the first is answered on its second attempt.
        transcript.note(&first, exchange("GET /x", Some(502), ""));
        transcript.note(&second, exchange("GET /x", Some(200), "second"));
        transcript.note(&other, exchange("GET /y", Some(200), "y"));
        transcript.note(&first, exchange("GET /x", Some(200), "first"));
        let kept: Vec<String> = transcript
            .exchanges()
            .into_iter()
            .map(|exchange| exchange.answer)
            .collect();
        assert_eq!(kept, ["first", "second", "y"]);
    }
}
