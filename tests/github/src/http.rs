//! Requests and answers as the handlers see them, GitHub's error bodies, and its two kinds of pagination.

use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

/// One request, read whole.
pub(crate) struct Request {
    pub(crate) method: String,
    /// Still percent-encoded, so that an encoded slash stays within its segment.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) peer: SocketAddr,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The token of `Authorization: Bearer …` or `Authorization: token …`, the two forms GitHub accepts.
    pub(crate) fn token(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token"))
            .then(|| token.trim())
    }
}

/// One answer on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Json(Value),
    /// A custom media type, which the description does not describe.
    Raw(Vec<u8>),
}

impl Body {
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Json(value) => value.to_string().into_bytes(),
            Self::Raw(bytes) => bytes,
        }
    }

    /// Its first bytes.
    pub(crate) fn cut(self, length: usize) -> Self {
        let mut bytes = self.bytes();
        bytes.truncate(length);
        Self::Raw(bytes)
    }
}

/// A handler's `Err` is an answer too: the refusal.
pub(crate) type Outcome = Result<Answer, Box<Answer>>;

impl Answer {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Json(body),
        }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// GitHub's error body: a message, where to read more, and the status once more as text.
pub(crate) fn error(status: u16, message: &str) -> Box<Answer> {
    Box::new(Answer::json(
        status,
        json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()}),
    ))
}

/// GitHub's answer for a resource that does not exist, or that the caller may not know to exist.
pub(crate) fn not_found() -> Box<Answer> {
    error(404, "Not Found")
}

/// A 422 with one entry in `errors`.
pub(crate) fn invalid(resource: &str, field: &str, code: &str, message: &str) -> Box<Answer> {
    Box::new(Answer::json(
        422,
        json!({
            "message": "Validation Failed",
            "errors": [{"resource": resource, "field": field, "code": code, "message": message}],
            "documentation_url": "https://docs.github.com/rest",
            "status": "422",
        }),
    ))
}

/// A 422 that is only a message.
pub(crate) fn unprocessable(message: &str) -> Box<Answer> {
    error(422, message)
}

/// Decodes percent-escapes; a broken escape stays as it is.
pub(crate) fn percent_decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let decoded = (bytes[index] == b'%')
            .then(|| text.get(index + 1..index + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match decoded {
            Some(byte) => {
                out.push(byte);
                index += 3;
            }
            None => {
                out.push(if plus_is_space && bytes[index] == b'+' {
                    b' '
                } else {
                    bytes[index]
                });
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Splits a query string into decoded pairs.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (percent_decode(key, true), percent_decode(value, true))
        })
        .collect()
}

/// Encodes what may not stand in a query value.
pub(crate) fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The page asked for by `per_page` (30, at most 100) and `page` (from 1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) number: usize,
    pub(crate) size: usize,
}

impl Page {
    pub(crate) fn of(request: &Request) -> Self {
        let read = |name, default: usize| {
            request
                .query(name)
                .and_then(|text| text.parse::<usize>().ok())
                .filter(|value| *value > 0)
                .unwrap_or(default)
        };
        Self {
            number: read("page", 1),
            size: read("per_page", 30).min(100),
        }
    }

    pub(crate) fn slice<'a, T>(&self, items: &'a [T]) -> &'a [T] {
        let start = (self.number - 1).saturating_mul(self.size).min(items.len());
        &items[start..(start + self.size).min(items.len())]
    }

    /// The `Link` header GitHub sends when there is more than one page.
    pub(crate) fn link(&self, request: &Request, base: &str, total: usize) -> Option<String> {
        let last = total.div_ceil(self.size).max(1);
        let url = |page: usize| link_url(request, base, &[("page", &page.to_string())], &["page"]);
        let mut links = Vec::new();
        if self.number > 1 {
            links.push(format!(
                "<{}>; rel=\"prev\"",
                url((self.number - 1).min(last))
            ));
        }
        if self.number < last {
            links.push(format!("<{}>; rel=\"next\"", url(self.number + 1)));
            links.push(format!("<{}>; rel=\"last\"", url(last)));
        }
        if self.number > 1 {
            links.push(format!("<{}>; rel=\"first\"", url(1)));
        }
        (!links.is_empty()).then(|| links.join(", "))
    }
}

/// This request's own address with some query parameters replaced.
pub(crate) fn link_url(
    request: &Request,
    base: &str,
    add: &[(&str, &str)],
    drop: &[&str],
) -> String {
    let pairs: Vec<String> = request
        .query
        .iter()
        .filter(|(key, _)| !drop.contains(&key.as_str()))
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .chain(add.iter().copied())
        .map(|(key, value)| format!("{}={}", percent_encode(key), percent_encode(value)))
        .collect();
    format!("{base}{}?{}", request.path, pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_escapes_round_trip() {
        assert_eq!(percent_decode("a%2Fb+c%zz", true), "a/b c%zz");
        assert_eq!(percent_encode("a b&c"), "a%20b%26c");
        assert_eq!(
            parse_query("ref=refs%2Fheads%2Fmain&x"),
            [
                ("ref".into(), "refs/heads/main".into()),
                ("x".into(), String::new())
            ]
        );
    }
}
