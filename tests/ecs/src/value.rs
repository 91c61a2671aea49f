//! Reading members of a checked input.

use serde_json::{Map, Value};

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// A required text. The model check has already refused inputs without it.
pub(crate) fn need<'a>(value: &'a Value, name: &str) -> &'a str {
    text(value, name).unwrap_or_default()
}

pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(crate) fn texts(value: &Value, name: &str) -> Vec<String> {
    list(value, name)
        .iter()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

pub(crate) fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}

pub(crate) fn number(value: &Value, name: &str) -> Option<i64> {
    value.get(name).and_then(Value::as_i64)
}

/// Returns true if a list of texts asks for `word`, as `include: ["TAGS"]` does.
pub(crate) fn asks(value: &Value, name: &str, word: &str) -> bool {
    list(value, name)
        .iter()
        .any(|item| item.as_str() == Some(word))
}

/// Copies the named members that are present.
pub(crate) fn copy(from: &Value, names: &[&str], to: &mut Map<String, Value>) {
    for name in names {
        if let Some(member) = from.get(*name) {
            to.insert((*name).to_owned(), member.clone());
        }
    }
}

/// One page of a list operation, with the token of the next page if there is one.
pub(crate) fn page(
    items: Vec<String>,
    input: &Value,
    default_size: usize,
) -> Result<(Vec<String>, Option<String>), crate::error::ApiError> {
    let start = match text(input, "nextToken") {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| crate::error::ApiError::invalid("Invalid token."))?,
    };
    let size = number(input, "maxResults")
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n > 0)
        .unwrap_or(default_size);
    let end = items.len().min(start + size);
    let next = (end < items.len()).then(|| end.to_string());
    Ok((items.into_iter().skip(start).take(size).collect(), next))
}

/// Returns true if an image reference names a registry that stands for ECR.
pub(crate) fn in_registry(image: &str, registry: &str) -> bool {
    image
        .split_once('/')
        .is_some_and(|(host, _)| host.ends_with(registry))
}
