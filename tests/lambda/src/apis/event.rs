//! The event of a request, in payload format 2.0. Pure.
//! Source: Amazon API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

/// A request, and the route that it takes.
pub(super) struct Request<'a> {
    pub(super) account: &'a str,
    pub(super) api: &'a str,
    pub(super) stage: &'a str,
    pub(super) route: &'a str,
    pub(super) parameters: &'a Map<String, Value>,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// The caller, where the route authorizes with IAM.
    pub(super) caller: Option<Value>,
    pub(super) now: OffsetDateTime,
}

/// Types whose bodies are text; any other is sent in Base64.
fn is_text(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/")
        || [
            "application/json",
            "application/javascript",
            "application/xml",
        ]
        .contains(&kind)
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

pub(super) fn event(request: &Request<'_>) -> Value {
    let (mut headers, mut cookies) = (Map::new(), Vec::new());
    for name in request.headers.keys() {
        let values = request.headers.get_all(name).iter();
        let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        match name.as_str() {
            "cookie" => cookies.extend(
                values
                    .iter()
                    .flat_map(|it| it.split("; "))
                    .map(str::to_owned),
            ),
            name => drop(headers.insert(name.to_owned(), values.join(",").into())),
        }
    }
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let host = header("host");
    let form =
        format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
    let mut event = json!({
        "version": "2.0",
        "routeKey": request.route,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "requestContext": {
            "accountId": request.account,
            "apiId": request.api,
            "domainName": host,
            "domainPrefix": host.split('.').next(),
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": header("user-agent"),
            },
            "requestId": uuid::Uuid::new_v4().to_string(),
            "routeKey": request.route,
            "stage": request.stage,
            "time": request.now.format(form).unwrap_or_default(),
            "timeEpoch": request.now.unix_timestamp_nanos() / 1_000_000,
        },
        "isBase64Encoded": false,
    });
    let text = is_text(header("content-type"));
    if let Some(caller) = &request.caller {
        event["requestContext"]["authorizer"] = json!({ "iam": caller });
    }
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !request.query.is_empty() {
        event["queryStringParameters"] = query(request.query);
    }
    if !request.parameters.is_empty() {
        event["pathParameters"] = json!(request.parameters);
    }
    if !request.body.is_empty() {
        event["isBase64Encoded"] = json!(!text);
        event["body"] = match text {
            true => json!(String::from_utf8_lossy(request.body)),
            false => json!(STANDARD.encode(request.body)),
        };
    }
    event["headers"] = Value::Object(headers);
    event
}

/// Parameters of the query; values of one name are joined by commas.
fn query(query: &str) -> Value {
    let mut found: Map<String, Value> = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| crate::route::decoded(&text.replace('+', " "));
        let (name, value) = (decode(name), decode(value));
        let joined = match found.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        found.insert(name, joined.into());
    }
    Value::Object(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, body: &[u8]) -> Value {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", kind.parse().unwrap());
        headers.append("x-many", "1".parse().unwrap());
        headers.append("x-many", "2".parse().unwrap());
        headers.insert("cookie", "a=1; b=2".parse().unwrap());
        event(&Request {
            account: "111111111111",
            api: "abc",
            stage: "$default",
            route: "PUT /notes/{name}",
            parameters: &Map::from_iter([("name".to_owned(), json!("n"))]),
            method: "PUT",
            path: "/notes/n",
            query: "a=1&a=2&b=x%20y",
            headers: &headers,
            body,
            caller: None,
            now: OffsetDateTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn text_is_sent_as_it_is_and_everything_else_in_base64() {
        let event = of("text/plain; charset=utf-8", "é".as_bytes());
        assert_eq!(
            (&event["body"], &event["isBase64Encoded"]),
            (&json!("é"), &json!(false))
        );
        assert_eq!(
            event["queryStringParameters"],
            json!({"a": "1,2", "b": "x y"})
        );
        assert_eq!(event["headers"]["x-many"], "1,2");
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["pathParameters"], json!({"name": "n"}));
        assert_eq!(
            event["requestContext"]["time"],
            "01/Jan/1970:00:00:00 +0000"
        );
        let event = of("application/octet-stream", &[0, 1]);
        assert_eq!(
            (&event["body"], &event["isBase64Encoded"]),
            (&json!("AAE="), &json!(true))
        );
        assert!(of("text/plain", b"").get("body").is_none());
    }
}
