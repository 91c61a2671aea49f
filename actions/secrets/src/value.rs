//! Looks into a secret's value: takes one key of a JSON object, and finds values that a log could not
//! hide. Pure.

use crate::{Problem, all_or_nothing};
use kit::error::Result;
use kit::masks::{Masks, Visible};
use kit::secret::Secret;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// Why a key cannot be taken. Nothing of the value is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// The value is not a JSON object.
    NotAnObject { key: String },
    /// The object has no such key.
    Absent { key: String },
    /// The key is `null`.
    Null { key: String },
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject { key } => write!(
                f,
                "has no key `{key}`, because its value is not a JSON object"
            ),
            Self::Absent { key } => write!(
                f,
                "has no key `{key}` in its JSON object; a key of a nested object cannot be selected"
            ),
            Self::Null { key } => {
                write!(
                    f,
                    "has the key `{key}`, but it is null, which is not a value"
                )
            }
        }
    }
}

/// The text of `key` in a JSON object. Numbers keep every digit, since they are never parsed.
///
/// # Errors
/// No JSON object, no such key, or `null`.
pub(crate) fn json_key(text: &Secret, key: &str) -> Result<Secret, NoKey> {
    let name = || key.to_owned();
    // Editors on Windows begin a file with a byte order mark, which is not part of the JSON.
    let json = text.expose().trim_start_matches('\u{feff}');
    let object: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(json).map_err(|_| NoKey::NotAnObject { key: name() })?;
    let found = object
        .get(key)
        .ok_or_else(|| NoKey::Absent { key: name() })?
        .get();
    if found == "null" {
        return Err(NoKey::Null { key: name() });
    }
    if let Ok(text) = serde_json::from_str::<String>(found) {
        return Ok(Secret::new(text));
    }
    Ok(Secret::new(found.to_owned()))
}

/// Refuses values that GitHub's log could not hide without hiding everything else. `Host::mask` reports
/// the parts of a value that stay visible.
///
/// # Errors
/// Each such value, by name.
pub(crate) fn maskable(values: &[(String, Secret)]) -> Result<()> {
    let problem_of = |value: &str| {
        let visible = Masks::of(value).visible?;
        // An empty one has nothing to hide, and nothing to hand over.
        (visible == Visible::Whole).then(|| visible.to_string())
    };
    refuse(values, problem_of, "cannot be exported")
}

/// Refuses values that no variable can hold.
///
/// # Errors
/// Each such value, by name.
pub(crate) fn without_nul(values: &[(String, Secret)]) -> Result<()> {
    let problem_of = |value: &str| {
        value
            .contains('\0')
            .then(|| "has a NUL character, which ends a variable's value".to_owned())
    };
    refuse(values, problem_of, "cannot be handed over")
}

fn refuse(
    values: &[(String, Secret)],
    problem_of: impl Fn(&str) -> Option<String>,
    failure: &str,
) -> Result<()> {
    let problems = values.iter().filter_map(|(name, value)| {
        Some(Problem {
            name: name.clone(),
            reason: problem_of(value.expose())?,
            create: None,
        })
    });
    all_or_nothing(problems.collect(), failure)
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
        let text = Secret::new("\u{feff}{\"k\": \"v\"}\r\n".into());
        assert_eq!(json_key(&text, "k").unwrap().expose(), "v");
    }

    #[test]
    fn problems_quote_nothing() {
        let text = Secret::new("hunter2".into());
        let error = json_key(&text, "k").unwrap_err();
        assert!(matches!(error, NoKey::NotAnObject { .. }));
        assert!(!error.to_string().contains("hunter"));
        let text = Secret::new(r#"{"j": "hunter2"}"#.into());
        let error = json_key(&text, "k").unwrap_err();
        assert!(matches!(error, NoKey::Absent { .. }));
        assert!(!error.to_string().contains("hunter"));
        let text = Secret::new(r#"{"k": null}"#.into());
        assert!(
            json_key(&text, "k")
                .unwrap_err()
                .to_string()
                .contains("the key `k`, but it is null")
        );
        let values = ["abc", "true", "fine-value", "a\0b-hunter"]
            .map(|value| (value.replace('\0', ""), Secret::new(value.into())));
        let error = maskable(&values).unwrap_err();
        assert_eq!(error.causes().len(), 2, "{error}");
        assert!(error.causes()[1].starts_with("true: is shorter than 4"));
        let error = without_nul(&values).unwrap_err();
        assert_eq!(
            error.causes(),
            ["ab-hunter: has a NUL character, which ends a variable's value"]
        );
    }
}
