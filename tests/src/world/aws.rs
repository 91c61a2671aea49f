//! A small AWS client: plain requests signed with Signature Version 4, for making worlds and looking at them without the
//! SDKs that the product itself is built on.

use reqwest::{Client, Method};
use ring::hmac;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use super::runner::Variables;
use crate::fault::{Context, Fault, Result};
use crate::instance::{hex, sha256};

/// Temporary or long-lived AWS credentials. Debug shows the key's ID alone.
#[derive(Clone, serde::Deserialize)]
pub struct Keys {
    /// The access key's ID.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
    /// The session's token, for temporary credentials.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.access_key_id)
    }
}

impl Keys {
    /// The variables every AWS tool reads credentials from.
    pub fn variables(&self) -> Variables {
        let mut variables = Variables::from([
            ("AWS_ACCESS_KEY_ID".to_owned(), self.access_key_id.clone()),
            (
                "AWS_SECRET_ACCESS_KEY".to_owned(),
                self.secret_access_key.clone(),
            ),
        ]);
        if let Some(token) = &self.session_token {
            variables.insert("AWS_SESSION_TOKEN".to_owned(), token.clone());
        }
        variables
    }
}

/// AWS as one account's caller sees it.
#[derive(Debug, Clone)]
pub struct Aws {
    http: Client,
    endpoint: String,
    region: String,
    keys: Keys,
}

/// An answer that is not a success.
#[derive(Debug)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The body of AWS's answer.
    pub body: String,
}

impl Refused {
    /// Returns true if AWS named this error.
    pub fn is(&self, code: &str) -> bool {
        self.body.contains(code)
    }
}

/// A request, with the service's name in the credential scope.
struct Request<'a> {
    service: &'a str,
    region: &'a str,
    method: Method,
    path: &'a str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Aws {
    /// A caller at the endpoint `http://HOST:PORT`.
    pub fn new(http: Client, endpoint: &str, region: &str, keys: Keys) -> Self {
        Self {
            http,
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            keys,
        }
    }

    /// The same caller in another region.
    pub fn in_region(&self, region: &str) -> Self {
        Self {
            region: region.to_owned(),
            ..self.clone()
        }
    }

    /// The same caller at another endpoint, such as that of an API of its own.
    pub fn at(&self, endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            ..self.clone()
        }
    }

    /// The variables that make another tool the same caller.
    pub fn variables(&self) -> Variables {
        self.keys.variables()
    }

    /// Calls an API of the JSON protocol; `target` is `PREFIX.Operation`.
    pub async fn json(
        &self,
        service: &str,
        target: &str,
        body: &Value,
    ) -> Result<std::result::Result<Value, Refused>> {
        let version = if matches!(service, "dynamodb" | "sqs") {
            "1.0"
        } else {
            "1.1"
        };
        let request = Request {
            service,
            region: &self.region,
            method: Method::POST,
            path: "/",
            headers: vec![
                ("content-type", format!("application/x-amz-json-{version}")),
                ("x-amz-target", target.to_owned()),
            ],
            body: body.to_string(),
        };
        let answer = self.send(request).await?;
        Ok(answer.map(|text| serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// Calls an API of the query protocol; answers XML.
    pub async fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<std::result::Result<String, Refused>> {
        let mut body = format!("Action={action}&Version={version}");
        for (name, value) in parameters {
            body.push_str(&format!("&{}={}", encode(name), encode(value)));
        }
        // IAM is global, and its credential scope is us-east-1.
        let region = if service == "iam" {
            "us-east-1"
        } else {
            &self.region
        };
        let headers = vec![(
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        )];
        self.send(Request {
            service,
            region,
            method: Method::POST,
            path: "/",
            headers,
            body,
        })
        .await
    }

    /// Calls Route 53, whose credential scope is us-east-1; answers XML.
    pub async fn names(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<std::result::Result<String, Refused>> {
        self.send(Request {
            service: "route53",
            region: "us-east-1",
            method,
            path,
            headers: Vec::new(),
            body,
        })
        .await
    }

    /// Calls an API whose operations are named by method and path; answers its body, null where there is none.
    pub async fn rest(
        &self,
        service: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<std::result::Result<Value, Refused>> {
        let request = Request {
            service,
            region: &self.region,
            method: method.parse().context("reading a method")?,
            path,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.map(Value::to_string).unwrap_or_default(),
        };
        let answer = self.send(request).await?;
        Ok(answer.map(|text| serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// Gets an object from S3's REST API.
    pub async fn get(&self, path: &str) -> Result<std::result::Result<String, Refused>> {
        self.send(Request {
            service: "s3",
            region: &self.region,
            method: Method::GET,
            path,
            headers: Vec::new(),
            body: String::new(),
        })
        .await
    }

    /// Deletes an object by S3's REST API.
    pub async fn delete(&self, path: &str) -> Result<std::result::Result<String, Refused>> {
        self.send(Request {
            service: "s3",
            region: &self.region,
            method: Method::DELETE,
            path,
            headers: Vec::new(),
            body: String::new(),
        })
        .await
    }

    /// Puts something to S3's REST API.
    pub async fn put(
        &self,
        path: &str,
        body: String,
    ) -> Result<std::result::Result<String, Refused>> {
        let headers = vec![("content-type", "application/xml".to_owned())];
        self.send(Request {
            service: "s3",
            region: &self.region,
            method: Method::PUT,
            path,
            headers,
            body,
        })
        .await
    }

    /// Puts an object to S3 unless it is there.
    pub async fn create(
        &self,
        path: &str,
        body: String,
    ) -> Result<std::result::Result<String, Refused>> {
        let headers = vec![
            ("content-type", "text/plain".to_owned()),
            ("if-none-match", "*".to_owned()),
        ];
        self.send(Request {
            service: "s3",
            region: &self.region,
            method: Method::PUT,
            path,
            headers,
            body,
        })
        .await
    }

    async fn send(&self, request: Request<'_>) -> Result<std::result::Result<String, Refused>> {
        let action = format!("calling {} at {}", request.service, self.endpoint);
        let now = OffsetDateTime::now_utc();
        let headers = self.sign(&request, now)?;
        let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
        let url = if query.is_empty() {
            format!("{}{path}", self.endpoint)
        } else {
            format!("{}{path}?{query}", self.endpoint)
        };
        let mut builder = self.http.request(request.method, url).body(request.body);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let answer = builder.send().await.context(&action)?;
        let status = answer.status();
        let body = answer.text().await.context(&action)?;
        Ok(if status.is_success() {
            Ok(body)
        } else {
            Err(Refused {
                status: status.as_u16(),
                body,
            })
        })
    }

    /// The headers to send, the signature among them.
    /// Source: IAM User Guide, "Create a signed AWS API request".
    fn sign(
        &self,
        request: &Request<'_>,
        now: OffsetDateTime,
    ) -> Result<Vec<(&'static str, String)>> {
        let stamp = now
            .format(format_description!(
                "[year][month][day]T[hour][minute][second]Z"
            ))
            .context("writing the time of a signature")?;
        let date = stamp.get(..8).unwrap_or_default();
        let host = self
            .endpoint
            .split_once("://")
            .map_or(self.endpoint.as_str(), |(_, host)| host);
        let content = sha256(request.body.as_bytes());
        let mut headers = request.headers.clone();
        headers.push(("host", host.to_owned()));
        headers.push(("x-amz-content-sha256", content.clone()));
        headers.push(("x-amz-date", stamp.clone()));
        if let Some(token) = &self.keys.session_token {
            headers.push(("x-amz-security-token", token.clone()));
        }
        headers.sort_unstable();
        let names = headers
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(";");
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{}\n", value.trim()))
            .collect();
        let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
        let query = if query.is_empty() || query.contains('=') {
            query.to_owned()
        } else {
            format!("{query}=")
        };
        let canonical = format!(
            "{}\n{path}\n{query}\n{lines}\n{names}\n{content}",
            request.method
        );
        let scope = format!("{date}/{}/{}/aws4_request", request.region, request.service);
        let text = format!(
            "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
            sha256(canonical.as_bytes())
        );
        let mut key = format!("AWS4{}", self.keys.secret_access_key).into_bytes();
        for part in [date, request.region, request.service, "aws4_request"] {
            key = mac(&key, part.as_bytes());
        }
        let signature = hex(&mac(&key, text.as_bytes()));
        headers.push((
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
                self.keys.access_key_id
            ),
        ));
        Ok(headers)
    }
}

/// Turns a refusal into a failure, except one that says the thing is there already.
pub fn unless_there<T>(
    answer: std::result::Result<T, Refused>,
    action: &str,
    there: &[&str],
) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(refused) if there.iter().any(|code| refused.is(code)) => Ok(None),
        Err(refused) => Err(Fault::new(format!(
            "{action}: AWS answered {}: {}",
            refused.status, refused.body
        ))),
    }
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
        .as_ref()
        .to_vec()
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// The example of the IAM User Guide's older edition, "Examples of the complete Signature Version 4 signing
    /// process", differs by its headers; this pins the derivation by the key that the guide prints for it.
    #[test]
    fn the_signing_key_is_derived_as_documented() {
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        for part in ["20120215", "us-east-1", "iam", "aws4_request"] {
            key = mac(&key, part.as_bytes());
        }
        assert_eq!(
            hex(&key),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
    }

    #[test]
    fn every_sent_header_is_signed_and_no_secret_is_shown() {
        let keys = Keys {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "hidden-half".to_owned(),
            session_token: Some("hidden-token".to_owned()),
        };
        assert_eq!(format!("{keys:?}"), "Keys(ASIAEXAMPLE)");
        let aws = Aws::new(
            crate::world::http_client().unwrap(),
            "http://127.1.2.3:4000",
            "ca-central-1",
            keys,
        );
        let request = Request {
            service: "s3",
            region: "ca-central-1",
            method: Method::PUT,
            path: "/bucket?versioning",
            headers: vec![("content-type", "application/xml".to_owned())],
            body: String::new(),
        };
        let headers = aws
            .sign(&request, datetime!(2026-01-02 03:04:05 UTC))
            .unwrap();
        let (_, authorization) = headers.last().unwrap();
        assert!(
            authorization.contains("Credential=ASIAEXAMPLE/20260102/ca-central-1/s3/aws4_request")
        );
        assert!(authorization.contains(
            "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"
        ));
    }

    #[test]
    fn only_a_named_refusal_counts_as_being_there() {
        let refused = |body: &str| {
            Err::<(), _>(Refused {
                status: 400,
                body: body.to_owned(),
            })
        };
        assert!(
            unless_there(
                refused("EntityAlreadyExists"),
                "x",
                &["EntityAlreadyExists"]
            )
            .unwrap()
            .is_none()
        );
        let fault = unless_there(
            refused("AccessDenied"),
            "creating x",
            &["EntityAlreadyExists"],
        )
        .unwrap_err();
        assert_eq!(
            fault.to_string(),
            "creating x: AWS answered 400: AccessDenied"
        );
    }
}
