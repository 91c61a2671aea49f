//! Names in documents that others write too, or that an older version wrote. Pure.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A name that is parsed where it has its form and kept as the text it is where it has not: in a stored record, a lock's
/// lease or an image's label, one odd name must not make the rest unreadable. Serde writes it as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Lenient<T> {
    /// It has the form.
    Parsed(T),
    /// Any other text.
    Text(String),
}

impl<T> Lenient<T> {
    /// The name, if it has its form.
    pub fn parsed(&self) -> Option<&T> {
        match self {
            Self::Parsed(name) => Some(name),
            Self::Text(_) => None,
        }
    }
}

impl<T: AsRef<str>> Lenient<T> {
    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Parsed(name) => name.as_ref(),
            Self::Text(text) => text,
        }
    }
}

impl<T: FromStr> From<&str> for Lenient<T> {
    fn from(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Text(text.to_owned()), Self::Parsed)
    }
}

impl<T: AsRef<str>> fmt::Display for Lenient<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Arn;
    use crate::id::CommitId;

    #[test]
    fn every_text_is_read_and_written_back_as_it_was() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for (text, parses) in [
            (commit, true),
            (&commit[..7], false),
            (" v1.2\n", false),
            ("", false),
        ] {
            let json = serde_json::to_string(text).unwrap();
            let name: Lenient<CommitId> = serde_json::from_str(&json).unwrap();
            assert_eq!(name, Lenient::from(text));
            assert_eq!(name.parsed().is_some(), parses, "{text:?}");
            assert_eq!(name.as_str(), text);
            assert_eq!(serde_json::to_string(&name).unwrap(), json);
        }
    }

    #[test]
    fn a_value_that_is_not_text_is_still_refused() {
        for json in ["null", "7", "[]", "{}"] {
            assert!(
                serde_json::from_str::<Lenient<Arn>>(json).is_err(),
                "{json}"
            );
        }
    }
}
