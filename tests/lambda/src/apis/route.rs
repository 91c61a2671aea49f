//! The operation that method and path of a call to the control API name (the service model's `http` of each operation).

use http::Method;
use serde_json::{Map, Value, json};

use super::raised;

/// The members that name a resource in a path, and the ends of the names of its operations.
const KINDS: [(&str, &str, &str); 3] = [
    ("integrations", "IntegrationId", "Integration"),
    ("routes", "RouteId", "Route"),
    ("stages", "StageName", "Stage"),
];

/// Reads a request; nothing if no operation has such a method and path.
pub fn route(method: &Method, path: &str, body: &[u8]) -> Option<(String, Value)> {
    let decoded = crate::route::decoded;
    let parts: Vec<String> = path.trim_matches('/').split('/').map(decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (named, kind, one) = match parts.as_slice() {
        ["v2", "apis"] => (json!({}), "Api", false),
        ["v2", "apis", api] => (json!({"ApiId": api}), "Api", true),
        ["v2", "apis", api, rest @ ..] => {
            let [kind, id @ ..] = rest else { return None };
            let (_, member, name) = KINDS.iter().find(|(part, ..)| part == kind)?;
            let mut named = json!({"ApiId": api});
            match id {
                [] => (named, *name, false),
                [id] => {
                    named[*member] = json!(id);
                    (named, *name, true)
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    let operation = match (method.as_str(), one) {
        ("POST", false) => format!("Create{kind}"),
        ("GET", false) => format!("Get{kind}s"),
        ("GET", true) => format!("Get{kind}"),
        ("PATCH", true) => format!("Update{kind}"),
        ("DELETE", true) => format!("Delete{kind}"),
        _ => return None,
    };
    let given: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut input = match raised(&given) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    input.extend(named.as_object().cloned().unwrap_or_default());
    Some((operation, Value::Object(input)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_and_path_name_the_operation() {
        let body = br#"{"routeKey":"GET /","target":"integrations/i"}"#;
        let (operation, input) = route(&Method::POST, "/v2/apis/a/routes", body).unwrap();
        let wanted = json!({"ApiId": "a", "RouteKey": "GET /", "Target": "integrations/i"});
        assert_eq!((operation.as_str(), input), ("CreateRoute", wanted));
        let (operation, input) =
            route(&Method::PATCH, "/v2/apis/a/stages/%24default", b"{}").unwrap();
        let wanted = json!({"ApiId": "a", "StageName": "$default"});
        assert_eq!((operation.as_str(), input), ("UpdateStage", wanted));
        assert!(route(&Method::PUT, "/v2/apis/a", b"").is_none());
        assert!(route(&Method::GET, "/v2/apis/a/models", b"").is_none());
    }
}
