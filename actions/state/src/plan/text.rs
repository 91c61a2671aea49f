//! Paths and values as the lines of a plan show them. Pure.

use kit::misleading::is_misleading;
use serde_json::Value;

/// The longest form of a value in a line.
const VALUE_LIMIT: usize = 2000;
/// Of two longer texts only the part that differs is shown, with this much of the text around it.
const LONG: usize = 160;
const AROUND: usize = 40;

/// `a.b[0]`, as Terraform spells a path.
pub(super) fn spelled<'a>(steps: impl Iterator<Item = &'a Value>) -> String {
    steps.fold(String::new(), |path, step| match step {
        Value::String(name) => joined(&path, name),
        other => format!("{path}[{other}]"),
    })
}

/// A name that is more than a word could look like another path, or like another line.
pub(super) fn joined(path: &str, name: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    match (path, name.chars().all(word) && !name.is_empty()) {
        ("", true) => name.to_owned(),
        (path, true) => format!("{path}.{name}"),
        (path, false) => format!("{path}[{}]", quoted(&Value::from(name))),
    }
}

/// The document in a text, if nothing of it would be lost: of two members with one name, for
/// example, only one is left after reading.
pub(super) fn document(text: &str) -> Option<Value> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let (mut inside, mut escaped, mut length) = (false, false, 0);
    for byte in text.bytes() {
        if inside || !byte.is_ascii_whitespace() {
            length += 1;
        }
        if byte == b'"' && !escaped {
            inside = !inside;
        }
        escaped = inside && byte == b'\\' && !escaped;
    }
    (value.to_string().len() == length).then_some(value)
}

/// Both values as a line shows them. Of two long texts the part that differs.
pub(super) fn excerpts(before: &Value, after: &Value) -> (String, String) {
    let (Value::String(one), Value::String(other)) = (before, after) else {
        return (cut(&quoted(before)), cut(&quoted(after)));
    };
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().max(other.len()) <= LONG {
        return (cut(&quoted(before)), cut(&quoted(after)));
    }
    let same = |pairs: &mut dyn Iterator<Item = (&char, &char)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let start = same(&mut one.iter().zip(&other));
    let end = same(&mut one[start..].iter().rev().zip(other[start..].iter().rev()));
    let (from, tail) = (start.saturating_sub(AROUND), end.saturating_sub(AROUND));
    let part = |text: &[char]| {
        let part: String = text[from..text.len() - tail].iter().collect();
        let mark = |there: bool| if there { "…" } else { "" };
        let (left, right) = (mark(from > 0), mark(tail > 0));
        cut(&format!("{left}{}{right}", quoted(&part.into())))
    };
    (part(&one), part(&other))
}

/// A value as JSON, with the characters escaped that would change the order in which a line is
/// read.
pub(super) fn quoted(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(is_misleading) {
        return text;
    }
    text.chars().fold(String::new(), |mut out, c| {
        match is_misleading(c) {
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
        out
    })
}

pub(super) fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= VALUE_LIMIT {
        return text.to_owned();
    }
    let start: String = text.chars().take(VALUE_LIMIT).collect();
    format!("{start}… ({} more characters)", length - VALUE_LIMIT)
}
