//! What is inside a secret: one key of a JSON object, and whether a log could hide it. Pure.

use crate::{Problem, all_or_nothing};
use kit::error::Result;
use kit::secret::Secret;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Shorter values would blank out half of every log, or not be hidden at all.
const SHORTEST_MASK: usize = 4;

/// The text of `key` in a JSON object. Numbers keep every digit, since they are never parsed.
///
/// # Errors
/// No JSON object, or no such key; the message quotes nothing of the value.
pub(crate) fn json_key(text: &Secret, key: &str) -> Result<Secret, String> {
    let object: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text.expose())
        .map_err(|_| format!("has no key `{key}`: its value is no JSON object"))?;
    let found = object
        .get(key)
        .ok_or_else(|| format!("its JSON object has no key `{key}`"))?
        .get();
    if let Ok(text) = serde_json::from_str::<String>(found) {
        return Ok(Secret::new(text));
    }
    Ok(Secret::new(found.to_owned()))
}

/// Refuses values that GitHub's log could not hide without hiding everything else.
///
/// # Errors
/// Each such value, by name.
pub(crate) fn maskable(values: &[(String, Secret)]) -> Result<()> {
    let problems = values
        .iter()
        .filter(|(_, value)| value.expose().trim().chars().count() < SHORTEST_MASK)
        .map(|(name, _)| Problem {
            name: name.clone(),
            reason: format!("shorter than {SHORTEST_MASK} characters, which a log cannot hide"),
            create: None,
        })
        .collect();
    all_or_nothing(problems, "cannot be exported")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_without_changing_it() {
        let text = Secret::new(r#"{"n":9007199254740993,"s":"a\"b","o":{"x":1},"t":true}"#.into());
        for (key, value) in [
            ("n", "9007199254740993"),
            ("s", "a\"b"),
            ("o", r#"{"x":1}"#),
            ("t", "true"),
        ] {
            assert_eq!(json_key(&text, key).unwrap().expose(), value);
        }
    }

    #[test]
    fn problems_quote_nothing() {
        let text = Secret::new("hunter2".into());
        assert!(!json_key(&text, "k").unwrap_err().contains("hunter"));
        let values = [("A".to_owned(), Secret::new("abc".into()))];
        let error = maskable(&values).unwrap_err();
        assert_eq!(
            error.causes,
            ["A: shorter than 4 characters, which a log cannot hide"]
        );
    }
}
