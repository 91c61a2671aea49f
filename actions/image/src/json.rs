//! JSON that others wrote.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};

/// The reason why JSON cannot be read, without quoting any of it: a file that was given by mistake may hold a secret.
pub(crate) fn malformed(error: &serde_json::Error) -> String {
    let reason = match error.classify() {
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a member is missing or of another type",
        serde_json::error::Category::Io => "it cannot be read",
    };
    format!(
        "{reason} (line {}, column {})",
        error.line(),
        error.column()
    )
}

/// JSON without the byte order mark that some programs write before it.
pub(crate) fn without_mark(bytes: Bytes) -> Bytes {
    match bytes.starts_with("\u{feff}".as_bytes()) {
        true => bytes.slice("\u{feff}".len()..),
        false => bytes,
    }
}

/// Reads a list that may be `null`, as Go writes an empty list.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
