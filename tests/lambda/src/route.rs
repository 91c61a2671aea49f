//! The operation that a request's method and path name, and its input as one JSON object: the body, the parts of the path and
//! the parameters of the query (AWS Lambda API Reference; the service model's `http` of each operation).

use http::Method;
use serde_json::{Map, Value};

/// Method, path and operation. A part in braces is a member of the input.
const ROUTES: [(&str, &str, &str); 25] = [
    ("POST", "/2015-03-31/functions", "CreateFunction"),
    ("GET", "/2015-03-31/functions/{FunctionName}", "GetFunction"),
    (
        "DELETE",
        "/2015-03-31/functions/{FunctionName}",
        "DeleteFunction",
    ),
    (
        "GET",
        "/2015-03-31/functions/{FunctionName}/configuration",
        "GetFunctionConfiguration",
    ),
    (
        "PUT",
        "/2015-03-31/functions/{FunctionName}/configuration",
        "UpdateFunctionConfiguration",
    ),
    (
        "PUT",
        "/2015-03-31/functions/{FunctionName}/code",
        "UpdateFunctionCode",
    ),
    (
        "POST",
        "/2015-03-31/functions/{FunctionName}/versions",
        "PublishVersion",
    ),
    (
        "GET",
        "/2015-03-31/functions/{FunctionName}/versions",
        "ListVersionsByFunction",
    ),
    (
        "POST",
        "/2015-03-31/functions/{FunctionName}/aliases",
        "CreateAlias",
    ),
    (
        "GET",
        "/2015-03-31/functions/{FunctionName}/aliases",
        "ListAliases",
    ),
    (
        "GET",
        "/2015-03-31/functions/{FunctionName}/aliases/{Name}",
        "GetAlias",
    ),
    (
        "PUT",
        "/2015-03-31/functions/{FunctionName}/aliases/{Name}",
        "UpdateAlias",
    ),
    (
        "DELETE",
        "/2015-03-31/functions/{FunctionName}/aliases/{Name}",
        "DeleteAlias",
    ),
    (
        "POST",
        "/2015-03-31/functions/{FunctionName}/invocations",
        "Invoke",
    ),
    (
        "POST",
        "/2015-03-31/functions/{FunctionName}/policy",
        "AddPermission",
    ),
    (
        "GET",
        "/2015-03-31/functions/{FunctionName}/policy",
        "GetPolicy",
    ),
    (
        "DELETE",
        "/2015-03-31/functions/{FunctionName}/policy/{StatementId}",
        "RemovePermission",
    ),
    ("GET", "/2017-03-31/tags/{Resource}", "ListTags"),
    ("POST", "/2017-03-31/tags/{Resource}", "TagResource"),
    ("DELETE", "/2017-03-31/tags/{Resource}", "UntagResource"),
    (
        "GET",
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
        "GetProvisionedConcurrencyConfig",
    ),
    (
        "PUT",
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
        "PutProvisionedConcurrencyConfig",
    ),
    (
        "DELETE",
        "/2019-09-30/functions/{FunctionName}/provisioned-concurrency",
        "DeleteProvisionedConcurrencyConfig",
    ),
    ("GET", "/2015-03-31/functions", "ListFunctions"),
    ("GET", "/2016-08-19/account-settings", "GetAccountSettings"),
];

/// Reads a request; nothing if no operation has such a method and path. A body that is not JSON is refused later, as the
/// member `Payload` of an operation that has none.
pub fn route(
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Option<(&'static str, Value)> {
    let parts: Vec<String> = path.trim_end_matches('/').split('/').map(decoded).collect();
    let (operation, captured) = ROUTES.iter().find_map(|(verb, pattern, operation)| {
        let captured = captured(pattern, &parts)?;
        (method.as_str() == *verb).then_some((*operation, captured))
    })?;
    let mut input = match serde_json::from_slice(body) {
        Ok(Value::Object(members)) if operation != "Invoke" => members,
        _ if body.is_empty() => Map::new(),
        _ => {
            let payload = String::from_utf8_lossy(body).into_owned();
            Map::from_iter([("Payload".to_owned(), Value::from(payload))])
        }
    };
    for (name, value) in captured {
        input.insert(name.to_owned(), value.into());
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        match name.as_str() {
            "MaxItems" => {
                let number = value.parse::<i64>().map_or(Value::from(value), Value::from);
                input.insert(name, number);
            }
            // The members of other operations' queries that are lists are named in the singular there.
            "tagKeys" => {
                let keys = input
                    .entry("TagKeys")
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Some(keys) = keys.as_array_mut() {
                    keys.push(value.into());
                }
            }
            _ => {
                input.insert(name, value.into());
            }
        }
    }
    Some((operation, Value::Object(input)))
}

/// The members that a path holds, if the pattern is its.
fn captured<'a>(pattern: &'a str, parts: &[String]) -> Option<Vec<(&'a str, String)>> {
    let wanted: Vec<&str> = pattern.split('/').collect();
    if wanted.len() != parts.len() {
        return None;
    }
    let mut found = Vec::new();
    for (wanted, part) in wanted.into_iter().zip(parts) {
        match wanted.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
            Some(name) if !part.is_empty() => found.push((name, part.clone())),
            None if wanted == part => {}
            _ => return None,
        }
    }
    Some(found)
}

pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let escaped = (*first == b'%')
            .then(|| others.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(method: Method, path: &str, query: &str, body: &str) -> Option<(&'static str, Value)> {
        route(&method, path, query, body.as_bytes())
    }

    #[test]
    fn path_query_and_body_are_one_input() {
        let (operation, input) = read(
            Method::PUT,
            "/2015-03-31/functions/web/aliases/live",
            "",
            r#"{"FunctionVersion":"2"}"#,
        )
        .unwrap();
        assert_eq!(operation, "UpdateAlias");
        let wanted = json!({"FunctionName": "web", "Name": "live", "FunctionVersion": "2"});
        assert_eq!(input, wanted);
        let arn = "arn%3Aaws%3Alambda%3Aeu-west-1%3A111111111111%3Afunction%3Aweb";
        let (operation, input) = read(
            Method::GET,
            &format!("/2015-03-31/functions/{arn}"),
            "Qualifier=live",
            "",
        )
        .unwrap();
        assert_eq!(operation, "GetFunction");
        assert_eq!(
            input["FunctionName"],
            "arn:aws:lambda:eu-west-1:111111111111:function:web"
        );
        assert_eq!(input["Qualifier"], "live");
        let (_, input) = read(
            Method::POST,
            "/2015-03-31/functions/web/invocations",
            "",
            r#"{"FunctionName":"other"}"#,
        )
        .unwrap();
        assert_eq!(input["FunctionName"], "web");
        assert_eq!(input["Payload"], r#"{"FunctionName":"other"}"#);
        assert!(read(Method::GET, "/2015-03-31/functions/web/code", "", "").is_none());
        assert!(read(Method::PATCH, "/2015-03-31/functions/web", "", "").is_none());
    }
}
