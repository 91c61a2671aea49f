//! The few text encodings that AWS protocols use: percent, forms, XML.

use serde_json::Value;
use std::fmt::Write;

/// Percent-encodes as SigV4 does: everything but `A-Za-z0-9-._~`, and `/` where `keep_slash`.
pub(crate) fn percent_encode(text: &str, keep_slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            b'/' if keep_slash => out.push('/'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Decodes percent escapes; a broken escape stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The pairs of a form body or query string, decoded, in order; `+` is a space only in forms.
pub(crate) fn pairs(text: &str, form: bool) -> Vec<(String, String)> {
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            if form {
                (
                    percent_decode(&key.replace('+', " ")),
                    percent_decode(&value.replace('+', " ")),
                )
            } else {
                (percent_decode(key), percent_decode(value))
            }
        })
        .collect()
}

/// The first value of a key.
pub(crate) fn value<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.as_str())
}

/// Escapes text for an XML element.
pub(crate) fn xml_escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The text of every `<tag>` without attributes, entities resolved.
pub(crate) fn xml_all(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find(&open) {
        let inside = &rest[start + open.len()..];
        let Some(end) = inside.find(&close) else {
            break;
        };
        found.push(
            inside[..end]
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&#39;", "'")
                .replace("&amp;", "&"),
        );
        rest = &inside[end + close.len()..];
    }
    found
}

/// The first of [`xml_all`].
pub(crate) fn xml_one(xml: &str, tag: &str) -> Option<String> {
    xml_all(xml, tag).into_iter().next()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

/// A pattern of IAM's: `*` stands for any text, `?` for one character. Text from a variable stands for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Char(char),
    One,
    Any,
}

impl Pattern {
    /// Adds text whose `*` and `?` are wildcards.
    pub(crate) fn push(&mut self, text: &str) {
        self.0.extend(text.chars().map(|c| match c {
            '*' => Piece::Any,
            '?' => Piece::One,
            c => Piece::Char(c),
        }));
    }

    /// Adds text that stands for itself.
    pub(crate) fn push_literal(&mut self, text: &str) {
        self.0.extend(text.chars().map(Piece::Char));
    }

    /// The pattern as it is spelled.
    pub(crate) fn text(&self) -> String {
        let spelled = |piece: &Piece| match piece {
            Piece::Char(c) => *c,
            Piece::One => '?',
            Piece::Any => '*',
        };
        self.0.iter().map(spelled).collect()
    }

    /// Returns true if it stands for the whole text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        matches(&self.0, text)
    }

    /// Returns true if it stands for an ARN, part by part: a `*` does not reach over a colon, except in the last part.
    pub(crate) fn matches_arn(&self, arn: &str) -> bool {
        let wanted: Vec<&[Piece]> = self.0.splitn(6, |p| *p == Piece::Char(':')).collect();
        let seen: Vec<&str> = arn.splitn(6, ':').collect();
        wanted.len() == seen.len()
            && wanted
                .iter()
                .zip(&seen)
                .all(|(wanted, seen)| matches(wanted, seen))
    }
}

fn matches(pattern: &[Piece], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Piece::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Piece::One) => (p, t) = (p + 1, t + 1),
            Some(Piece::Char(c)) if *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    (p, t) = (at + 1, from + 1);
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|piece| *piece == Piece::Any)
}

/// Returns true if a text matches a pattern in which `*` stands for any text and `?` for one character.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let mut read = Pattern::default();
    read.push(pattern);
    read.matches(text)
}

/// A string or a list of strings, the two spellings of every list in a policy.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(scalar).collect(),
        other => scalar(other).into_iter().collect(),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_iam_does() {
        assert!(wildcard(
            "repo:acme/*:ref:refs/heads/main",
            "repo:acme/shop:ref:refs/heads/main"
        ));
        assert!(!wildcard(
            "repo:acme/*:ref:refs/heads/main",
            "repo:acme/shop:ref:refs/heads/main2"
        ));
        assert!(wildcard("a?c*", "abc"));
        assert!(!wildcard("a?c", "ac"));
        assert!(wildcard("*", ""));
    }

    #[test]
    fn percent_survives_both_ways() {
        assert_eq!(percent_encode("a b/ü", true), "a%20b/%C3%BC");
        assert_eq!(percent_decode("a%20b%2F%zz"), "a b/%zz");
    }
}
