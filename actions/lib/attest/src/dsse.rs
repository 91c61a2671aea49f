//! DSSE, the envelope of signed statements (secure-systems-lab/dsse, "DSSE Protocol" 1.0.0 and
//! "DSSE Envelope").

use crate::key::{PublicKey, Unproven};
use crate::signature::{Signature, decoded};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many signatures of an envelope are tried. An envelope comes from whoever can write to where it
/// is stored, so its length says nothing about how much work it deserves.
const MOST_SIGNATURES: usize = 16;

/// A payload with signatures over it and its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Base64 of the payload.
    payload: String,
    /// The media type of the payload.
    payload_type: String,
    signatures: Vec<Signature>,
}

/// Text that is not an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is not a DSSE envelope: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl Malformed {
    pub(crate) fn new(why: &str) -> Self {
        Self(why.to_owned())
    }
}

impl Envelope {
    /// The envelope of a payload that was signed.
    pub fn new(payload_type: &str, payload: &[u8], signature: Signature) -> Self {
        Self {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![signature],
        }
    }

    /// Reads an envelope. It is not verified.
    ///
    /// # Errors
    /// Something else.
    pub fn parse(json: &[u8]) -> Result<Self, Malformed> {
        let envelope: Self =
            serde_json::from_slice(json).map_err(|error| Malformed(error.to_string()))?;
        match decoded(&envelope.payload) {
            Some(_) => Ok(envelope),
            None => Err(Malformed("its payload is not base64".to_owned())),
        }
    }

    /// The envelope as it is stored.
    pub fn to_json(&self) -> String {
        let signatures: Vec<serde_json::Value> = self
            .signatures
            .iter()
            .map(|signature| serde_json::json!(signature))
            .collect();
        serde_json::json!({
            "payload": self.payload,
            "payloadType": self.payload_type,
            "signatures": signatures,
        })
        .to_string()
    }

    /// The payload, which only means something once a signature of a trusted key was verified over it.
    ///
    /// # Errors
    /// The envelope is for another type of payload, or none of its signatures is by `key`.
    pub fn verified(&self, payload_type: &str, key: &PublicKey) -> Result<Vec<u8>, Unproven> {
        if self.payload_type != payload_type {
            return Err(Unproven::OtherType(self.payload_type.clone()));
        }
        let payload = decoded(&self.payload).ok_or(Unproven::Unsigned)?;
        let signed = self
            .signatures
            .iter()
            .take(MOST_SIGNATURES)
            .any(|signature| key.verify(payload_type, &payload, signature).is_ok());
        match signed {
            true => Ok(payload),
            false => Err(Unproven::Unsigned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signer;
    use crate::signature::pae;

    /// The specification's own vector: `protocol.md`, "Test Vectors". Its signature is the two numbers
    /// one after the other; here they are in DER.
    const TYPE: &str = "http://example.com/HelloWorld";
    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ805D3eqNZywjCI19lInBJOp7YMrCrzAH3CVTAOQ0jgMeCvVTiaRJaRPRDOv8UMs6U4SvKc6pnrIDOoSYI3fdA==";
    const SIGNATURE: &str = "MEQCIANyarEBrVbCdjtsaqyOSHJ14qeRk6CdxfhZ2fjvPEo7AiBR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==";

    fn key() -> PublicKey {
        PublicKey::from_spki(&STANDARD.decode(KEY).unwrap()).unwrap()
    }

    fn envelope(signatures: &str) -> Envelope {
        let text = format!(
            r#"{{"payload":"aGVsbG8gd29ybGQ=","payloadType":"{TYPE}","signatures":{signatures}}}"#
        );
        Envelope::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_specifications_vector() {
        assert_eq!(
            pae(TYPE, b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
        // Lengths are of bytes, not of characters.
        assert_eq!(pae("ü", "ä".as_bytes()), "DSSEv1 2 ü 2 ä".as_bytes());
        let signed = envelope(&format!(r#"[{{"sig":"{SIGNATURE}"}}]"#));
        assert_eq!(signed.verified(TYPE, &key()).unwrap(), b"hello world");
    }

    #[test]
    fn one_good_signature_is_enough_and_none_is_not() {
        let good = format!(r#"{{"keyid":"anything","sig":"{SIGNATURE}"}}"#);
        let bad = r#"{"sig":"MEQCIANyarEBrVbCdjtsaqyOSHJ14qeRk6CdxfhZ2fjvPEo7"}"#;
        for (signatures, fits) in [
            (format!("[{bad},{good}]"), true),
            (format!("[{bad}]"), false),
            ("[]".to_owned(), false),
            (r#"[{"sig":"%"}]"#.to_owned(), false),
            (format!("[{}{good}]", format!("{bad},").repeat(16)), false),
        ] {
            let verified = envelope(&signatures).verified(TYPE, &key());
            assert_eq!(verified.is_ok(), fits, "{signatures}");
        }
    }

    #[tokio::test]
    async fn nothing_of_what_is_signed_can_be_changed() {
        let signer = Signer::local();
        let signature = signer.sign("a/b", b"payload").await.unwrap();
        let key = signer.public_key();
        let signed = Envelope::new("a/b", b"payload", signature.clone());
        let read = Envelope::parse(signed.to_json().as_bytes()).unwrap();
        assert_eq!(read, signed);
        assert_eq!(read.verified("a/b", key).unwrap(), b"payload");
        let other = Signer::local();
        for (envelope, payload_type, key) in [
            (signed.clone(), "a/c", key),
            (signed.clone(), "a/b", other.public_key()),
            (
                Envelope::new("a/c", b"payload", signature.clone()),
                "a/c",
                key,
            ),
            (
                Envelope::new("a/b", b"Payload", signature.clone()),
                "a/b",
                key,
            ),
            // The same bytes in a row, parted elsewhere.
            (
                Envelope::new("a/b 7 p", b"ayload", signature),
                "a/b 7 p",
                key,
            ),
        ] {
            assert!(
                envelope.verified(payload_type, key).is_err(),
                "{envelope:?}"
            );
        }
    }

    #[test]
    fn text_that_is_not_an_envelope_is_malformed() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"payload":"%","payloadType":"a","signatures":[]}"#,
            r#"{"payload":"YQ==","payloadType":"a","signatures":{}}"#,
            r#"{"payload":"YQ==","payloadType":"a","signatures":[{}]}"#,
        ] {
            assert!(Envelope::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
