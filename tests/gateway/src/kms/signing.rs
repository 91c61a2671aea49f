//! Public keys, signatures, and whether one is right.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::ecdsa::Pair;
use super::keys::{Key, Material, State};
use super::{ALGORITHM, Desk, validation};
use crate::error::AwsError;

/// The longest message that is sent whole.
const LONGEST: usize = 4096;

/// Everything of a public key on P-256 before its point: an X.509 `SubjectPublicKeyInfo` (RFC 5480).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

pub(super) fn public_key(desk: &Desk<'_>) -> Result<Value, AwsError> {
    without_grants(desk)?;
    let key = desk.key()?;
    let Material::P256(pair) = &key.material else {
        return Err(AwsError::new(
            400,
            "UnsupportedOperationException",
            format!("{} is not an asymmetric key", key.arn()),
        ));
    };
    usable(&key)?;
    Ok(json!({
        "KeyId": key.arn(),
        "PublicKey": STANDARD.encode([&SPKI, pair.point()].concat()),
        "CustomerMasterKeySpec": key.spec(),
        "KeySpec": key.spec(),
        "KeyUsage": key.usage(),
        "SigningAlgorithms": [ALGORITHM],
    }))
}

pub(super) fn sign(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let asked = Asked::read(desk)?;
    let signature = asked.pair()?.sign(&asked.digest);
    let signature = signature.ok_or_else(super::manage::no_random)?;
    Ok(json!({
        "KeyId": asked.key.arn(),
        "Signature": STANDARD.encode(signature),
        "SigningAlgorithm": ALGORITHM,
    }))
}

pub(super) fn verify(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let signature = blob(desk, "Signature", 6144)?;
    let asked = Asked::read(desk)?;
    if !asked.pair()?.verify(&asked.digest, &signature) {
        return Err(AwsError::new(400, "KMSInvalidSignatureException", ""));
    }
    Ok(json!({
        "KeyId": asked.key.arn(),
        "SignatureValid": true,
        "SigningAlgorithm": ALGORITHM,
    }))
}

/// The key and the digest of a call that signs or verifies.
struct Asked {
    key: Key,
    digest: Vec<u8>,
}

impl Asked {
    fn read(desk: &Desk<'_>) -> Result<Self, AwsError> {
        let message = blob(desk, "Message", LONGEST)?;
        let kind = desk.input["MessageType"].as_str().unwrap_or("RAW");
        let algorithm = desk.text("SigningAlgorithm");
        without_grants(desk)?;
        let key = desk.key_with(|context| {
            context.set("kms:SigningAlgorithm", vec![algorithm.to_owned()]);
            context.set("kms:MessageType", vec![kind.to_owned()]);
        })?;
        usable(&key)?;
        let operation = &desk.call.operation;
        if !matches!(key.material, Material::P256(_)) {
            return Err(usage(format!(
                "{} key usage is {} which is not valid for {operation}.",
                key.arn(),
                key.usage()
            )));
        }
        if algorithm != ALGORITHM {
            return Err(usage(format!(
                "Algorithm {algorithm} is incompatible with key spec {}.",
                key.spec()
            )));
        }
        let digest = match kind {
            "RAW" => digest(&SHA256, &message).as_ref().to_vec(),
            "DIGEST" if message.len() == 32 => message,
            "DIGEST" => {
                return Err(validation(format!(
                    "Digest is invalid length for algorithm {ALGORITHM}."
                )));
            }
            _ => {
                return Err(validation(format!(
                    "MessageType {kind} is not valid for key spec {}.",
                    key.spec()
                )));
            }
        };
        if desk.input["DryRun"] == true {
            return Err(AwsError::new(
                412,
                "DryRunOperationException",
                "The request would have succeeded, but the DryRun option is set.",
            ));
        }
        Ok(Self { key, digest })
    }

    fn pair(&self) -> Result<&Pair, AwsError> {
        match &self.key.material {
            Material::P256(pair) => Ok(pair),
            Material::Symmetric(_) => Err(usage("the key does not sign".to_owned())),
        }
    }
}

pub(super) fn usage(message: String) -> AwsError {
    AwsError::new(400, "InvalidKeyUsageException", message)
}

/// Grants are not simulated, so a token of one is none that was given.
pub(super) fn without_grants(desk: &Desk<'_>) -> Result<(), AwsError> {
    match desk.input["GrantTokens"].as_array() {
        Some(tokens) if !tokens.is_empty() => Err(AwsError::new(
            400,
            "InvalidGrantTokenException",
            "The grant token is not valid",
        )),
        _ => Ok(()),
    }
}

pub(super) fn usable(key: &Key) -> Result<(), AwsError> {
    match key.state {
        State::Enabled => Ok(()),
        State::Disabled => Err(AwsError::new(
            400,
            "DisabledException",
            format!("{} is disabled.", key.arn()),
        )),
        State::PendingDeletion(_) => Err(AwsError::new(
            400,
            "KMSInvalidStateException",
            format!("{} is pending deletion.", key.arn()),
        )),
    }
}

pub(super) fn blob(desk: &Desk<'_>, member: &str, longest: usize) -> Result<Vec<u8>, AwsError> {
    let bytes = STANDARD
        .decode(desk.text(member))
        .map_err(|_| AwsError::new(400, "ValidationException", "the blob is not Base64"))?;
    // The model's name of a member and the message's differ in their first letter.
    let named = format!("{}{}", member[..1].to_lowercase(), &member[1..]);
    let fault = |range: &str| {
        validation(format!(
            "1 validation error detected: Value at '{named}' failed to satisfy constraint: Member must have length {range}"
        ))
    };
    match bytes.len() {
        0 => Err(fault("greater than or equal to 1")),
        length if length > longest => Err(fault(&format!("less than or equal to {longest}"))),
        _ => Ok(bytes),
    }
}
