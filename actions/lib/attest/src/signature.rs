//! A signature and the bytes that it covers, as DSSE has them (secure-systems-lab/dsse, "DSSE Protocol" 1.0.0).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

/// The bytes that are signed, DSSE's pre-authentication encoding of a payload and its type. Because
/// the type is signed too, a signature made for one kind of document never stands for another kind.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

/// A signature, as an envelope has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// [`crate::PublicKey::id`] of the signer's key. It is not signed, so nothing may be decided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
    /// Base64 of the signature, ASN.1 DER as KMS makes it.
    pub sig: String,
}

/// Base64 of either alphabet, which a reader has to accept ("DSSE Envelope").
pub(crate) fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text))
        .ok()
}
