//! The parts of a secret that a log can hide. A mask hides its text wherever it stands, so a short or common
//! one would blank out half of every log, and GitHub drops each output that contains it. One policy
//! for everything that masks; what it leaves visible is said, never passed over.

use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::fmt;

/// Shorter text is not masked.
pub const SHORTEST: usize = 4;
/// Shorter numbers are not masked: they stand in dates, ports and sizes.
const SHORTEST_NUMBER: usize = 6;
/// Words of configuration that any log holds.
const COMMON: [&str; 20] = [
    "true",
    "false",
    "null",
    "none",
    "undefined",
    "default",
    "enabled",
    "disabled",
    "admin",
    "root",
    "user",
    "test",
    "main",
    "localhost",
    "postgres",
    "mysql",
    "http",
    "https",
    "production",
    "staging",
];

/// The masks of one secret, and what they leave visible.
#[derive(PartialEq, Eq)]
pub struct Masks {
    /// Texts to hide, the whole value first. Secret.
    pub hidden: Vec<String>,
    /// The part that stays visible, if there is one.
    pub visible: Option<Visible>,
}

/// The parts that no mask hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visible {
    /// The value itself.
    Whole,
    /// So many of its lines or of the values in its JSON.
    Parts(usize),
}

impl fmt::Display for Visible {
    /// The rest of a sentence that begins with the secret's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = format_args!(
            "shorter than {SHORTEST} characters ({SHORTEST_NUMBER} digits) or a common word"
        );
        match self {
            Self::Whole => write!(f, "is {rule}, which a log cannot hide"),
            Self::Parts(1) => write!(f, "has a part that is {rule}, which a log cannot hide"),
            Self::Parts(count) => write!(
                f,
                "has {count} parts that are {rule}, which a log cannot hide"
            ),
        }
    }
}

impl Masks {
    /// The masks of `value`: the whole; each line, since a log shows a value of several lines line
    /// by line; and each value inside, where it is JSON.
    pub fn of(value: &str) -> Self {
        let whole = value.trim();
        if !whole.is_empty() && !maskable(whole) {
            return Self {
                hidden: Vec::new(),
                visible: Some(Visible::Whole),
            };
        }
        let mut parts = BTreeSet::new();
        if is_json(value) {
            json_values(value, &mut parts);
        } else {
            lines(value, &mut parts);
        }
        parts.remove(whole);
        let (hidden, visible): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| maskable(part));
        let whole = (!whole.is_empty()).then(|| value.to_owned());
        Self {
            hidden: whole.into_iter().chain(hidden).collect(),
            visible: (!visible.is_empty()).then_some(Visible::Parts(visible.len())),
        }
    }
}

/// Returns whether a mask of `text` hides little else.
fn maskable(text: &str) -> bool {
    let shortest = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => SHORTEST_NUMBER,
        false => SHORTEST,
    };
    text.chars().count() >= shortest && !COMMON.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// The lines of `text`. Those without a letter or digit, such as a bracket, say nothing.
fn lines(text: &str, parts: &mut BTreeSet<String>) {
    parts.extend(
        text.split(['\r', '\n'])
            .map(str::trim)
            .filter(|line| line.contains(char::is_alphanumeric))
            .map(str::to_owned),
    );
}

/// Returns whether `text` is a JSON object or array. Neither this nor [`json_values`] calls itself for what is
/// nested, so no depth is left out.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Every string and number in valid JSON that is not a key: as it is meant, and as it is written
/// where that differs.
fn json_values(json: &str, parts: &mut BTreeSet<String>) {
    let mut rest = json;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = &rest[at..];
        let end = match rest.strip_prefix('"') {
            Some(inside) => 2 + string_end(inside),
            None => rest
                .find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        rest = after;
        if after.trim_start().starts_with(':') {
            continue;
        }
        match serde_json::from_str::<String>(token) {
            Ok(text) => {
                lines(&text, parts);
                let written = &token[1..token.len() - 1];
                if written != text {
                    lines(written, parts);
                }
            }
            Err(_) => lines(token, parts),
        }
    }
}

/// The end of the string in which `inside` begins.
fn string_end(inside: &str) -> usize {
    let mut escaped = false;
    inside
        .bytes()
        .position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })
        .unwrap_or(inside.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_masked_or_reported_as_visible() {
        let deep = format!("{}\"hunter2\"{}", "[".repeat(500), "]".repeat(500));
        for (value, hidden, visible) in [
            ("hunter2", &["hunter2"][..], None),
            ("", &[], None),
            (" \n", &[], None),
            ("x", &[], Some(Visible::Whole)),
            ("abc", &[], Some(Visible::Whole)),
            ("true", &[], Some(Visible::Whole)),
            ("TRUE\n", &[], Some(Visible::Whole)),
            ("12345", &[], Some(Visible::Whole)),
            ("123456", &["123456"], None),
            (
                "-----BEGIN\nabc\n50%off\n",
                &["-----BEGIN\nabc\n50%off\n", "-----BEGIN", "50%off"],
                Some(Visible::Parts(1)),
            ),
            ("key-value\n", &["key-value\n"], None),
            (
                r#"{"username": "admin", "password": "a\"bcd", "port": 5432, "on": true, "no": null, "pin": 987654}"#,
                &[
                    r#"{"username": "admin", "password": "a\"bcd", "port": 5432, "on": true, "no": null, "pin": 987654}"#,
                    "987654",
                    r#"a"bcd"#,
                    r#"a\"bcd"#,
                ],
                Some(Visible::Parts(2)),
            ),
            (
                r#"["line one\nline two", {"k": ["v:::v", -1.5e10]}]"#,
                &[
                    r#"["line one\nline two", {"k": ["v:::v", -1.5e10]}]"#,
                    "-1.5e10",
                    "line one",
                    r"line one\nline two",
                    "line two",
                    "v:::v",
                ],
                None,
            ),
            (&deep, &[&deep, "hunter2"], None),
            ("[not json", &["[not json"], None),
        ] {
            let masks = Masks::of(value);
            assert_eq!(masks.hidden, hidden, "{value}");
            assert_eq!(masks.visible, visible, "{value}");
        }
    }
}
