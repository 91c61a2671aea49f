//! Symmetric keys: what they encrypt is bound to its encryption context, and names the key that it takes to decrypt it.
//! Source: AWS KMS API Reference, "Encrypt" and "Decrypt"; AWS KMS Developer Guide, "Encryption context".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::cipher::{Cipher, named};
use super::keys::{Key, Material};
use super::signing::{blob, usable, usage, without_grants};
use super::{Desk, manage};
use crate::condition::Context;
use crate::error::AwsError;

const ALGORITHM: &str = "SYMMETRIC_DEFAULT";
/// What `Encrypt` takes, and what `Decrypt` does.
const PLAIN: usize = 4096;
const ENCRYPTED: usize = 6144;

/// The encryption context in the form that the key binds: its pairs, by name.
fn bound(desk: &Desk<'_>) -> Vec<(String, String)> {
    let pairs = desk.input["EncryptionContext"]
        .as_object()
        .into_iter()
        .flatten();
    let mut pairs: Vec<(String, String)> = pairs
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    pairs.sort();
    pairs
}

/// The key of a call, if the caller may use it for something with this context.
fn key(desk: &Desk<'_>, named: &str, pairs: &[(String, String)]) -> Result<Key, AwsError> {
    without_grants(desk)?;
    let (key, alias) = desk.gateway.keys.find(&desk.at, named)?;
    desk.may(&key, alias, |context: &mut Context| {
        context.set("kms:EncryptionAlgorithm", vec![ALGORITHM.to_owned()]);
        for (name, value) in pairs {
            let name = format!("kms:EncryptionContext:{name}");
            context.set(&name, vec![value.clone()]);
        }
        if !pairs.is_empty() {
            let names = pairs.iter().map(|(name, _)| name.clone()).collect();
            context.set("kms:EncryptionContextKeys", names);
        }
    })?;
    usable(&key)?;
    Ok(key)
}

fn cipher<'a>(desk: &Desk<'_>, key: &'a Key) -> Result<&'a Cipher, AwsError> {
    match &key.material {
        Material::Symmetric(cipher) => Ok(cipher),
        Material::P256(_) => Err(usage(format!(
            "{} key usage is {} which is not valid for {}.",
            key.arn(),
            key.usage(),
            desk.call.operation
        ))),
    }
}

pub(super) fn encrypt(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let plain = blob(desk, "Plaintext", PLAIN)?;
    let pairs = bound(desk);
    let key = key(desk, desk.text("KeyId"), &pairs)?;
    let context = json!(pairs).to_string();
    let sealed = cipher(desk, &key)?.seal(&key.id, &context, plain);
    let sealed = sealed.ok_or_else(manage::no_random)?;
    Ok(json!({
        "KeyId": key.arn(),
        "CiphertextBlob": STANDARD.encode(sealed),
        "EncryptionAlgorithm": ALGORITHM,
    }))
}

pub(super) fn decrypt(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let invalid = || AwsError::new(400, "InvalidCiphertextException", "");
    let sealed = blob(desk, "CiphertextBlob", ENCRYPTED)?;
    let (id, rest) = named(&sealed).ok_or_else(invalid)?;
    let pairs = bound(desk);
    let asked = desk.input["KeyId"].as_str();
    let key = key(desk, asked.unwrap_or(id), &pairs)?;
    if key.id != id {
        return Err(AwsError::new(
            400,
            "IncorrectKeyException",
            "The key ID in the request does not identify a CMK that can perform this operation.",
        ));
    }
    let context = json!(pairs).to_string();
    let plain = cipher(desk, &key)?.open(&context, rest);
    Ok(json!({
        "KeyId": key.arn(),
        "Plaintext": STANDARD.encode(plain.ok_or_else(invalid)?),
        "EncryptionAlgorithm": ALGORITHM,
    }))
}
