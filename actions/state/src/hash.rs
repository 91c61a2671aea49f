//! Hashes as text.

/// SHA-256 as lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    kit::hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}
