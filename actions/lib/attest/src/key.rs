//! The public half of a signing key.

use crate::signature::{Signature, decoded, pae};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kit::error::{Error, Result};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use std::fmt;

/// The prefix of the SubjectPublicKeyInfo of every uncompressed point on P-256: two nested sequences, the identifiers
/// `id-ecPublicKey` and `prime256v1`, and the head of the bit string (RFC 5480, section 2.1.1).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The length of an uncompressed point: `04`, x and y (SEC 1, section 2.3.3).
const POINT: usize = 65;

/// A public key on the curve P-256, for ECDSA with SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey([u8; POINT]);

/// Why a document is not proven to be the key owner's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    /// It is of this type, not of the one that was asked for.
    OtherType(String),
    /// No signature over it is by the key.
    Unsigned,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherType(payload_type) => write!(f, "its payload is {payload_type}"),
            Self::Unsigned => f.write_str("it is not signed by the key"),
        }
    }
}

impl std::error::Error for Unproven {}

impl PublicKey {
    /// Reads a key from its SubjectPublicKeyInfo in DER, which is what KMS returns.
    ///
    /// # Errors
    /// Something else, or a key of another kind (exit 2).
    pub fn from_spki(der: &[u8]) -> Result<Self> {
        der.strip_prefix(&SPKI)
            .and_then(|point| point.try_into().ok())
            .filter(|point: &[u8; POINT]| point[0] == 4)
            .map(Self)
            .ok_or_else(|| {
                Error::usage("the public key is not an uncompressed point on P-256")
                    .hint("the key has to be of the spec ECC_NIST_P256")
            })
    }

    /// Reads a key from PEM (`-----BEGIN PUBLIC KEY-----`, RFC 7468, section 13). Text around the block
    /// is ignored.
    ///
    /// # Errors
    /// There is not exactly one such block, or it holds a key of another kind (exit 2).
    pub fn from_pem(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage("the text is not one public key in PEM").hint(
                "write the key with `aws kms get-public-key --key-id KEY --query PublicKey --output text | base64 -d | openssl pkey -pubin -inform der`",
            )
        };
        let (_, rest) = text
            .split_once("-----BEGIN PUBLIC KEY-----")
            .ok_or_else(wrong)?;
        let (body, rest) = rest
            .split_once("-----END PUBLIC KEY-----")
            .ok_or_else(wrong)?;
        if rest.contains("-----BEGIN") {
            return Err(wrong());
        }
        let body: String = body.split_ascii_whitespace().collect();
        Self::from_spki(&decoded(&body).ok_or_else(wrong)?)
    }

    /// The key in PEM, as [`PublicKey::from_pem`] reads it.
    pub fn to_pem(&self) -> String {
        let body = STANDARD.encode(self.spki());
        let (first, second) = body.split_at(64);
        format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n")
    }

    fn spki(&self) -> Vec<u8> {
        let mut spki = SPKI.to_vec();
        spki.extend_from_slice(&self.0);
        spki
    }

    pub(crate) fn from_point(point: &[u8]) -> Option<Self> {
        point.try_into().ok().map(Self)
    }

    /// The key's name by its bytes: the SHA-256 of its SubjectPublicKeyInfo, in lower-case hexadecimal.
    pub fn id(&self) -> String {
        kit::hex::encode(ring::digest::digest(&ring::digest::SHA256, &self.spki()))
    }

    /// Verifies a signature over a payload and its type.
    ///
    /// # Errors
    /// It is not this key's signature over exactly these bytes.
    pub fn verify(
        &self,
        payload_type: &str,
        payload: &[u8],
        signature: &Signature,
    ) -> std::result::Result<(), Unproven> {
        let signature = decoded(&signature.sig).ok_or(Unproven::Unsigned)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(&pae(payload_type, payload), &signature)
            .map_err(|_| Unproven::Unsigned)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by OpenSSL 3: `openssl ecparam -name prime256v1 -genkey | openssl ec -pubout`.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEebzv6HG8R3UioOIIt5SsPhLN7a+
JFdiX81qOZ8VC9SfLaPOPy7XzJYyDmfueIKekyVcaOluoqwjuGUIEC16Hw==
-----END PUBLIC KEY-----
";

    #[test]
    fn reads_what_openssl_writes_and_verifies_what_it_signed() {
        let key = PublicKey::from_pem(PEM).unwrap();
        assert_eq!(
            key.id(),
            "dac3785dd9896e038faa420f91b92cce2d41da22b8b956e2e0567874923154c2"
        );
        assert!(format!("{key:?}").contains("dac3785d"));
        assert_eq!(key.to_pem(), PEM);
        let dos = format!("a comment\r\n{}", PEM.replace('\n', "\r\n"));
        assert_eq!(PublicKey::from_pem(&dos).unwrap(), key);
        // `openssl dgst -sha256 -sign` over the encoding of the specification's vector.
        let signature = Signature {
            keyid: None,
            sig: "MEUCIQDUvz3958/CobQ7CG4hMFz8+uZFtE17gSQ6x+aJVbJ2dQIgcr4z+5DA8+VqMBMiLLzR0T6p70hSaPE9CRW/ezzQra4=".to_owned(),
        };
        let verify =
            |payload: &[u8]| key.verify("http://example.com/HelloWorld", payload, &signature);
        assert_eq!(verify(b"hello world"), Ok(()));
        assert_eq!(verify(b"hello World"), Err(Unproven::Unsigned));
    }

    #[test]
    fn keys_of_another_kind_are_refused() {
        // A point on P-384, and a compressed one on P-256.
        let p384 = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAETrQnyt/dHHi4YghcWWwfqSCJgxThD+mP
MILyh007eteCFL2Vp+iVCPfWuTxRFPp/BJbSAS5maAuYcSiMP0crzr6+B9AVQ2Lo
ahfmAvhhB8KEDKMxS9RaqtmW1a+QMUZX
-----END PUBLIC KEY-----";
        let compressed = "-----BEGIN PUBLIC KEY-----
MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADEebzv6HG8R3UioOIIt5SsPhLN7a+
JFdiX81qOZ8VC9Q=
-----END PUBLIC KEY-----";
        let two = format!("{PEM}{PEM}");
        for wrong in [
            p384,
            compressed,
            &two,
            "",
            "-----BEGIN PUBLIC KEY-----",
            &PEM[..90],
        ] {
            let error = PublicKey::from_pem(wrong).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage, "{wrong}");
        }
    }
}
