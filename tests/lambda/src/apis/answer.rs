//! What a function answered, as a response over HTTP. Pure.
//! Source: Amazon API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway", "Lambda function
//! response for format 2.0".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// An answer of the API's own, such as to a request that no route takes.
pub(super) fn own(status: StatusCode, message: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(json!({ "message": message }).to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The answer to a request whose integration failed.
pub(super) fn failed() -> Response<Bytes> {
    own(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

/// A function's answer. JSON without `statusCode` is the body of a success; what does not fit the format is a failure.
pub(super) fn of_function(answered: &[u8]) -> Response<Bytes> {
    let Ok(value) = serde_json::from_slice::<Value>(answered) else {
        return failed();
    };
    if value.get("statusCode").is_none() {
        let body = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut response = Response::new(Bytes::from(body));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        return response;
    }
    structured(&value).unwrap_or_else(failed)
}

fn structured(value: &Value) -> Option<Response<Bytes>> {
    let status = &value["statusCode"];
    let number = status.as_u64().or_else(|| status.as_str()?.parse().ok())?;
    let status = StatusCode::from_u16(u16::try_from(number).ok()?).ok()?;
    let text = match &value["body"] {
        Value::Null => "",
        body => body.as_str()?,
    };
    let body = match value["isBase64Encoded"] == true {
        true => STANDARD.decode(text).ok()?.into(),
        false => Bytes::from(text.to_owned()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in value["headers"].as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.insert(name, HeaderValue::from_str(&text).ok()?);
    }
    let cookies = value["cookies"].as_array().into_iter().flatten();
    for cookie in cookies.filter_map(Value::as_str) {
        headers.append(SET_COOKIE, HeaderValue::from_str(cookie).ok()?);
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_form_that_the_function_gave_it() {
        let answer = of_function(br#"{"statusCode":201,"headers":{"x-a":"b"},"cookies":["c=1"],"body":"AAE=","isBase64Encoded":true}"#);
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.headers()["x-a"], "b");
        assert_eq!(answer.headers()["set-cookie"], "c=1");
        assert_eq!(answer.body().as_ref(), [0, 1]);
        let answer = of_function(br#"{"hello":"world"}"#);
        assert_eq!(
            (answer.status().as_u16(), answer.body().as_ref()),
            (200, &br#"{"hello":"world"}"#[..])
        );
        assert_eq!(of_function(br#"{"statusCode":204}"#).body().len(), 0);
        for broken in [
            &b"no json"[..],
            br#"{"statusCode":"x"}"#,
            br#"{"statusCode":200,"body":{}}"#,
        ] {
            assert_eq!(of_function(broken).status(), 500);
        }
    }
}
