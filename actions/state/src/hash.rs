//! Hashes as text.

use std::collections::BTreeMap;

/// SHA-256 as lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    kit::hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

/// The hash of a value that may be secret.
pub(crate) fn salted(salt: &str, name: &str, value: &str) -> String {
    sha256(format!("{salt}\n{name}\n{value}").as_bytes())
}

/// The variables' hashes.
pub(crate) fn hashed<'a>(
    salt: &str,
    variables: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    variables
        .filter(|(name, _)| name.starts_with("TF_VAR_"))
        .map(|(name, value)| (name.to_owned(), salted(salt, name, value)))
        .collect()
}
