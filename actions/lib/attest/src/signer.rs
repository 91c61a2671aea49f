//! A key that can sign: in KMS, or for a test in memory.

use crate::key::PublicKey;
use crate::kms;
use crate::signature::{Signature, pae};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kit::aws::{Arn, KmsKey};
use kit::error::{Error, Result};
use net::{Account, Net};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use std::fmt;

/// A key that signs, with its public half.
pub struct Signer {
    public: PublicKey,
    key: Key,
}

#[expect(clippy::large_enum_variant, reason = "a run has one or two")]
enum Key {
    Kms {
        net: Net,
        account: Account,
        /// The key's ARN: an alias may lead to another key by the time something is signed.
        arn: Arn,
    },
    Local(EcdsaKeyPair),
}

impl Signer {
    /// The key `key` of KMS in `account`. Asks KMS for the public half.
    ///
    /// # Errors
    /// There is no such key, it is of another kind, or the caller may not ask for it.
    pub async fn kms(net: &Net, account: &Account, key: &KmsKey) -> Result<Self> {
        let found = kms::find(net, account, key).await?;
        Ok(Self {
            public: found.public,
            key: Key::Kms {
                net: net.clone(),
                account: account.clone(),
                arn: found.arn,
            },
        })
    }

    /// A new key in memory, for tests.
    ///
    /// # Panics
    /// The machine gives no random bytes.
    #[expect(clippy::expect_used, reason = "only tests make one")]
    pub fn local() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let bytes = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("random bytes");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, bytes.as_ref(), &random)
            .expect("a key that was just made");
        let public = PublicKey::from_point(pair.public_key().as_ref()).expect("a point on P-256");
        Self {
            public,
            key: Key::Local(pair),
        }
    }

    /// The public half, with which others verify.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Checks that the key would sign for this caller. Nothing is signed.
    ///
    /// # Errors
    /// KMS would not sign.
    pub async fn would_sign(&self) -> Result<()> {
        match &self.key {
            Key::Kms { net, account, arn } => kms::would_sign(net, account, arn).await,
            Key::Local(_) => Ok(()),
        }
    }

    /// Signs a payload and its type, and verifies the signature before it is returned.
    ///
    /// # Errors
    /// KMS does not sign, for want of a permission for example, or signs with another key.
    pub async fn sign(&self, payload_type: &str, payload: &[u8]) -> Result<Signature> {
        let encoded = pae(payload_type, payload);
        let bytes = match &self.key {
            Key::Kms { net, account, arn } => kms::sign(net, account, arn, &encoded).await?,
            Key::Local(pair) => pair
                .sign(&SystemRandom::new(), &encoded)
                .map_err(|_| Error::failed("cannot sign with the key in memory"))?
                .as_ref()
                .to_vec(),
        };
        let signature = Signature {
            keyid: Some(self.public.id()),
            sig: STANDARD.encode(bytes),
        };
        self.public
            .verify(payload_type, payload, &signature)
            .map_err(|unproven| {
                Error::failed(
                    "the signature that KMS made does not verify with the key's public half",
                )
                .because(unproven)
                .hint("check that AWS_ENDPOINT_URL, where it is set, leads to KMS")
            })?;
        Ok(signature)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({:?})", self.public)
    }
}
