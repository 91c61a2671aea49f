//! The copies of states that could not be written: where they are, and which states they belong to. Pure.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The prefix of copies of states in other buckets.
const FOREIGN: &str = "errored/";
/// The separator in a copy's key between the key of its state and the lock ID.
const MARK: &str = ".errored-";
const SCHEME: &str = "s3://";

/// The locations of the copies, `s3://BUCKET/KEY` each. A lock has texts and numbers only, so that there they are one text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) struct Copies(Vec<String>);

impl Copies {
    /// Copies at these locations.
    pub(crate) fn at(locations: Vec<String>) -> Self {
        Self(locations)
    }

    /// Returns true if there is no copy.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The location of the only copy.
    pub(crate) fn only(&self) -> Option<&str> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Adds more copies.
    pub(crate) fn add(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// `BUCKET/KEY` of the states whose copies these are.
    pub(crate) fn origins(&self) -> Vec<String> {
        let mut origins: Vec<String> = self
            .0
            .iter()
            .filter_map(|location| {
                let (state, _) = location.strip_prefix(SCHEME)?.rsplit_once(MARK)?;
                let (_, key) = state.split_once('/')?;
                Some(key.strip_prefix(FOREIGN).unwrap_or(state).to_owned())
            })
            .collect();
        origins.dedup();
        origins
    }
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl From<Copies> for String {
    fn from(copies: Copies) -> Self {
        copies.to_string()
    }
}

impl From<String> for Copies {
    /// A key may have a comma in it, so only one before another location ends a location.
    fn from(text: String) -> Self {
        let mut locations: Vec<String> = Vec::new();
        for (number, part) in text.split(&format!(", {SCHEME}")).enumerate() {
            match number {
                0 if part.is_empty() => {}
                0 => locations.push(part.to_owned()),
                _ => locations.push(format!("{SCHEME}{part}")),
            }
        }
        Self(locations)
    }
}

/// The workspace of a state, if its key has the default `workspace_key_prefix` and the name needs no quotes in a shell.
pub(crate) fn workspace(origin: &str) -> Option<&str> {
    let (_, key) = origin.split_once('/')?;
    let (workspace, _) = key.strip_prefix("env:/")?.split_once('/')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    workspace.chars().all(plain).then_some(workspace)
}

/// The key beside which a copy is kept of the state at `key` of another bucket.
pub(super) fn foreign_key(bucket: &str, key: &str) -> String {
    format!("{FOREIGN}{bucket}/{key}")
}

/// The key of the copy with this number beside the state at `key`.
pub(super) fn copy_key(key: &str, lock_id: &str, number: usize) -> String {
    match number {
        0 => format!("{key}{MARK}{lock_id}"),
        number => format!("{key}{MARK}{lock_id}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Copies {
        Copies::from(text.to_owned())
    }

    #[test]
    fn copies_come_back_from_their_text_and_tell_which_states_they_belong_to() {
        for (text, origins, only) in [
            ("", &[][..], false),
            ("s3://b/app/dev.errored-1", &["b/app/dev"], true),
            (
                "s3://b/app/dev.errored-1, s3://b/env:/w/app/dev.errored-1-1",
                &["b/app/dev", "b/env:/w/app/dev"],
                false,
            ),
            (
                "s3://b/app/dev.errored-1, s3://b/app/dev.errored-1-1",
                &["b/app/dev"],
                false,
            ),
            (
                "s3://b/errored/c/net/dev.errored-x.errored-1",
                &["c/net/dev.errored-x"],
                true,
            ),
            (
                "s3://b/shop, blue/dev.errored-1",
                &["b/shop, blue/dev"],
                true,
            ),
        ] {
            let copies = read(text);
            assert_eq!(copies.origins(), origins, "{text}");
            assert_eq!(copies.only().is_some(), only, "{text}");
            assert_eq!(copies.to_string(), text);
            assert_eq!(copies.is_empty(), text.is_empty());
        }
    }

    #[test]
    fn further_copies_are_added() {
        let mut copies = read("");
        copies.add(read("s3://b/k.errored-1"));
        copies.add(Copies::default());
        copies.add(read("s3://b/k.errored-1-1"));
        assert_eq!(
            copies.to_string(),
            "s3://b/k.errored-1, s3://b/k.errored-1-1"
        );
    }
}
