//! Single calls to AWS services, for steps that ask one thing of a service: its whole client would weigh
//! more than everything around the call.

use crate::account::Account;
use crate::calls::text;
use crate::http::Net;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::Method;
use kit::aws::Region;
use kit::error::{Error, ErrorKind, Failure, Result, ServiceError};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;

/// Nobody waits longer for one answer.
const TIMEOUT: Duration = Duration::from_secs(20);

impl Net {
    /// Calls `target` (`PREFIX.Operation`) of a service that speaks JSON 1.1 over POST
    /// (smithy.io, "AWS JSON 1.1 protocol"), once, signed as `account`.
    ///
    /// # Errors
    /// No answer, or one that is an error; says the service's own code and words.
    pub async fn json(
        &self,
        account: &Account,
        service: &str,
        target: &str,
        input: &Value,
    ) -> Result<Value> {
        let operation = target.rsplit('.').next().unwrap_or(target);
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target),
        ];
        let request = Request::post(operation, &headers, input.to_string());
        let sent = self.signed(account, service, request).await?;
        sent.json(service, operation)
    }

    /// Makes a call of a service whose operations are named by method and path (smithy.io, "AWS restJson1 protocol"), once,
    /// signed as `account`. The answer is null where it has no body.
    ///
    /// # Errors
    /// As [`Net::json`].
    pub async fn rest(
        &self,
        account: &Account,
        service: &str,
        call: &RestCall<'_>,
    ) -> Result<Value> {
        let path: Vec<String> = call.path.iter().map(|part| percent(part)).collect();
        let query: Vec<String> = call
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
            .collect();
        let mut target = path.join("/");
        if !query.is_empty() {
            target.push_str(&format!("?{}", query.join("&")));
        }
        let request = Request {
            operation: call.operation,
            method: call.method.clone(),
            target,
            headers: &[("content-type", "application/json")],
            body: call.input.map(Value::to_string).unwrap_or_default(),
        };
        let sent = self.signed(account, service, request).await?;
        sent.json(service, call.operation)
    }

    /// Calls an operation of a service that takes forms, as [`Net::query`], where the answer holds nothing that is asked for.
    ///
    /// # Errors
    /// As [`Net::json`].
    pub async fn form(
        &self,
        account: &Account,
        service: &str,
        version: &str,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<()> {
        let sent = self.query(account, service, version, operation, parameters);
        sent.await.map(drop)
    }

    /// Calls an operation of a service that takes forms (smithy.io, "AWS query protocol"), once, signed
    /// as `account`. The answer is XML.
    ///
    /// # Errors
    /// As [`Net::json`].
    pub async fn query(
        &self,
        account: &Account,
        service: &str,
        version: &str,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String> {
        let fixed = [("Action", operation), ("Version", version)];
        let pairs = fixed.iter().chain(parameters);
        let pairs = pairs.map(|(name, value)| format!("{name}={}", percent(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let request = Request::post(operation, &headers, body);
        let Exchange { text, refused } = self.signed(account, service, request).await?;
        match refused {
            None => Ok(text),
            Some(refused) => {
                let (code, message) = (element(&text, "Code"), element(&text, "Message"));
                Err(refused.error(service, operation, code, message.to_owned()))
            }
        }
    }

    /// One signed request and its whole answer.
    async fn signed(
        &self,
        account: &Account,
        service: &str,
        request: Request<'_>,
    ) -> Result<Exchange> {
        let Request {
            operation,
            method,
            target,
            headers,
            body,
        } = request;
        let failed = || cannot_ask(service, operation);
        let url = format!("{}{target}", self.address(service, &account.region));
        let identity = account.current_credentials().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(account.region.as_str())
            .name(service)
            .time(self.signing_time())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed().because(error))?
            .into();
        let request = SignableRequest::new(
            method.as_str(),
            &url,
            headers.iter().copied(),
            SignableBody::Bytes(body.as_bytes()),
        )
        .and_then(|request| sign(request, &params))
        .map_err(|error| failed().because(error))?;
        let (instructions, _) = request.into_parts();
        let mut call = self.http().request(method, &url).timeout(TIMEOUT);
        for (name, value) in headers.iter().copied().chain(instructions.headers()) {
            call = call.header(name, value);
        }
        let description = format!(
            "{service} {operation}, account {}, region {}, attempt 1",
            account.id, account.region
        );
        let answer = crate::calls::send(Some(description), call.body(body)).await;
        let unanswered = |error: &reqwest::Error| {
            let why = crate::error::no_answer(error).unwrap_or_else(|| error.to_string());
            no_answer(service, operation).cause(why)
        };
        let answer = answer.map_err(|error| unanswered(&error))?;
        let status = answer.status();
        let request_id = crate::calls::request_id(|name| text(answer.headers(), name));
        let now = OffsetDateTime::now_utc();
        let refused = Refused {
            status: status.as_u16(),
            request_id: request_id.map(str::to_owned),
            code: text(answer.headers(), "x-amzn-errortype").map(str::to_owned),
            ahead: crate::clock::ahead(text(answer.headers(), "date"), now),
        };
        // An answer that breaks off says no more than none.
        let text = answer.text().await.map_err(|error| unanswered(&error))?;
        Ok(Exchange {
            text,
            refused: (!status.is_success()).then_some(refused),
        })
    }

    /// AWS's time by its newest answer, as the SDK signs with: a wrong clock of this machine makes no signature invalid.
    fn signing_time(&self) -> SystemTime {
        let ahead = self.ahead().unwrap_or_default();
        (OffsetDateTime::now_utc() - ahead).into()
    }

    /// Where a service answers: AWS's own address, or the one that was set by hand.
    fn address(&self, service: &str, region: &Region) -> String {
        let own = format!("AWS_ENDPOINT_URL_{}", service.to_uppercase());
        let set = self
            .env
            .get(&own)
            .or_else(|| self.env.get("AWS_ENDPOINT_URL"));
        match set {
            Some(url) => format!("{}/", url.trim_end_matches('/')),
            None => format!("https://{}/", region.endpoint(host(service))),
        }
    }
}

/// The first part of a service's host, which for most is the name that its requests are signed for (AWS
/// General Reference, "Amazon ECR endpoints and quotas": `ecr` alone is the registry).
fn host(service: &str) -> &str {
    match service {
        "ecr" => "api.ecr",
        service => service,
    }
}

/// One call of an operation that is named by its method and path.
#[derive(Debug, Clone)]
pub struct RestCall<'a> {
    /// The operation, as permissions name it.
    pub operation: &'a str,
    /// Its method.
    pub method: Method,
    /// The parts of its path.
    pub path: &'a [&'a str],
    /// The parameters of its query.
    pub query: &'a [(&'a str, &'a str)],
    /// Its body, if it has one.
    pub input: Option<&'a Value>,
}

/// A request that is to be signed.
struct Request<'a> {
    operation: &'a str,
    method: Method,
    /// Path and query, without the slash that every address ends in.
    target: String,
    headers: &'a [(&'a str, &'a str)],
    body: String,
}

impl<'a> Request<'a> {
    fn post(operation: &'a str, headers: &'a [(&'a str, &'a str)], body: String) -> Self {
        Self {
            operation,
            method: Method::POST,
            target: String::new(),
            headers,
            body,
        }
    }
}

/// The text of an answer, and how it was refused if it was.
struct Exchange {
    text: String,
    refused: Option<Refused>,
}

impl Exchange {
    /// The answer of a service that speaks JSON. The code of a refusal is in its body, or in a header with an address behind it
    /// (smithy.io, "AWS restJson1 protocol", "Operation error serialization").
    fn json(self, service: &str, operation: &str) -> Result<Value> {
        let output: Result<Value, _> = serde_json::from_str(&self.text);
        let Some(refused) = self.refused else {
            return match output {
                Ok(output) => Ok(output),
                Err(_) if self.text.trim().is_empty() => Ok(Value::Null),
                Err(error) => Err(no_answer(service, operation)
                    .cause(
                        "the answer is not JSON, as if it broke off or something between answered",
                    )
                    .because(error)),
            };
        };
        let output = output.unwrap_or_default();
        let word = |names: [&str; 2]| {
            let found = names.into_iter().find_map(|name| output[name].as_str());
            found.unwrap_or_default().to_owned()
        };
        let header = refused.code.as_deref().unwrap_or_default();
        let code = match word(["__type", "code"]) {
            code if code.is_empty() => header.split(':').next().unwrap_or_default().to_owned(),
            code => code,
        };
        Err(refused.error(service, operation, &code, word(["message", "Message"])))
    }
}

/// The parts of an error response outside of its body.
struct Refused {
    status: u16,
    request_id: Option<String>,
    /// The error's code, where a header has it.
    code: Option<String>,
    /// By how much this machine's clock is ahead of the service's.
    ahead: Option<time::Duration>,
}

impl Refused {
    /// The service's refusal, with the code and the message of its body.
    fn error(self, service: &str, operation: &str, code: &str, message: String) -> Error {
        let code = code.rsplit('#').next().filter(|code| !code.is_empty());
        let refusal = ServiceError {
            service: service.to_owned(),
            operation: operation.to_owned(),
            failure: crate::error::answered(code, Some(&message), self.status, self.ahead),
            code: code.map(str::to_owned),
            message,
            status: Some(self.status),
            request_id: self.request_id,
        };
        let mut failed = cannot_ask(service, operation);
        failed.kind = ErrorKind::Service(refusal.failure);
        match refusal.failure {
            Failure::Skewed => failed
                .because(refusal)
                .cause(crate::error::clock(self.ahead)),
            _ => failed.because(refusal),
        }
    }
}

/// The error of a call whose answer did not come, or not whole: the same call may be answered later.
fn no_answer(service: &str, operation: &str) -> Error {
    let mut error = cannot_ask(service, operation);
    error.kind = ErrorKind::Service(Failure::NoAnswer);
    error
}

fn cannot_ask(service: &str, operation: &str) -> Error {
    Error::failed(format!("cannot ask {service} for {operation}"))
}

/// The text of the first element of this name; an error of the query protocol has one of each.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let open = format!("<{name}>");
    let found = xml
        .split_once(&open)
        .and_then(|(_, rest)| rest.split_once("</"));
    found.map_or("", |(text, _)| text)
}

/// Percent-encodes everything but letters, digits and `-._~` (RFC 3986, "Unreserved Characters"), as a form, a query and a segment of a
/// path have it.
pub fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_ends_it() {
        assert_eq!(percent("a-b_c.d~1"), "a-b_c.d~1");
        assert_eq!(percent("a&TopicArn=x\n+é"), "a%26TopicArn%3Dx%0A%2B%C3%A9");
    }

    #[test]
    fn a_code_in_a_header_is_read_where_the_body_has_none() {
        let refused = |text: &str, code: Option<&str>| {
            let exchange = Exchange {
                text: text.to_owned(),
                refused: Some(Refused {
                    status: 412,
                    request_id: None,
                    code: code.map(str::to_owned),
                    ahead: None,
                }),
            };
            let error = exchange.json("lambda", "UpdateAlias").unwrap_err();
            let service = error.service().unwrap();
            (service.code.clone(), service.message.clone())
        };
        let code = |code: &str| Some(code.to_owned());
        let header = Some("PreconditionFailedException:http://internal.amazon.com/x");
        let (found, message) = refused(r#"{"Type":"User","message":"changed"}"#, header);
        assert_eq!(
            (found, message.as_str()),
            (code("PreconditionFailedException"), "changed")
        );
        let (found, _) = refused(r#"{"__type":"a#B"}"#, None);
        assert_eq!(found, code("B"));
        assert_eq!(refused("<html>", None).0, None);
    }

    #[test]
    fn an_answer_that_broke_off_is_none() {
        let answered = |text: &str| {
            let (text, refused) = (text.to_owned(), None);
            Exchange { text, refused }.json("lambda", "GetAlias")
        };
        assert_eq!(answered("").unwrap(), Value::Null);
        assert_eq!(answered(r#"{"a":1}"#).unwrap()["a"], 1);
        for text in [r#"{"a":1"#, "<html>"] {
            let error = answered(text).unwrap_err();
            assert_eq!(error.failure(), Some(Failure::NoAnswer), "{error}");
        }
    }

    #[test]
    fn an_errors_code_and_message_are_read() {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code>\
                   <Message>not you</Message></Error></ErrorResponse>";
        assert_eq!(element(xml, "Code"), "AuthorizationError");
        assert_eq!(element(xml, "Message"), "not you");
        assert_eq!(element(xml, "Other"), "");
    }
}
