//! Keys in AWS KMS (AWS KMS API Reference, "GetPublicKey" and "Sign"). Two calls do not need KMS's
//! whole client.

use crate::key::PublicKey;
use crate::signature::decoded;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kit::aws::{AccountId, Arn, KmsKey};
use kit::error::{Error, Failure, Result};
use net::{Account, Net};
use serde_json::{Value, json};

const SPEC: &str = "ECC_NIST_P256";
const ALGORITHM: &str = "ECDSA_SHA_256";

/// A key as KMS describes it.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) public: PublicKey,
    /// The ARN of the key itself, whatever it was asked for by.
    pub(crate) arn: Arn,
}

/// The public half of the key `key` of `account`, for verifying.
///
/// # Errors
/// There is no such key, it is of another kind or in another account, or the caller may not ask for it.
pub async fn public_key(net: &Net, account: &Account, key: &KmsKey) -> Result<PublicKey> {
    Ok(find(net, account, key).await?.public)
}

pub(crate) async fn find(net: &Net, account: &Account, key: &KmsKey) -> Result<Found> {
    let input = json!({ "KeyId": key });
    let answer = call(net, account, "GetPublicKey", &input)
        .await
        .map_err(|error| {
            hinted(
                error.under(format!("cannot read the public half of the KMS key {key}")),
                "kms:GetPublicKey",
                key.as_str(),
                account,
            )
        })?;
    described(&answer, key, &account.id)
}

pub(crate) async fn sign(
    net: &Net,
    account: &Account,
    arn: &Arn,
    message: &[u8],
) -> Result<Vec<u8>> {
    let answer = call(net, account, "Sign", &signing(arn, message)).await;
    answer.map_err(|error| unsigned(error, arn, account))?["Signature"]
        .as_str()
        .and_then(decoded)
        .ok_or_else(|| Error::failed("KMS answered without a signature"))
}

/// Checks that the key would sign for the caller. Nothing is signed (AWS KMS Developer Guide, "Testing your permissions").
pub(crate) async fn would_sign(net: &Net, account: &Account, arn: &Arn) -> Result<()> {
    let mut input = signing(arn, b"");
    input["DryRun"] = json!(true);
    match call(net, account, "Sign", &input).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let code = error.service().and_then(|service| service.code.clone());
            match code.as_deref() {
                Some("DryRunOperationException") => Ok(()),
                _ => Err(unsigned(error, arn, account)),
            }
        }
    }
}

fn signing(arn: &Arn, message: &[u8]) -> Value {
    // KMS takes at most 4,096 bytes to sign, and any digest.
    let digest = ring::digest::digest(&ring::digest::SHA256, message);
    json!({
        "KeyId": arn,
        "Message": STANDARD.encode(digest),
        "MessageType": "DIGEST",
        "SigningAlgorithm": ALGORITHM,
    })
}

fn unsigned(error: Error, arn: &Arn, account: &Account) -> Error {
    hinted(
        error.under(format!("cannot sign with the KMS key {arn}")),
        "kms:Sign",
        arn.as_str(),
        account,
    )
}

async fn call(net: &Net, account: &Account, operation: &str, input: &Value) -> Result<Value> {
    let target = format!("TrentService.{operation}");
    crate::call::call(net, account, "kms", &target, input).await
}

/// Says what lets a call succeed that KMS refused.
fn hinted(error: Error, permission: &str, key: &str, account: &Account) -> Error {
    let code = error.service().and_then(|service| service.code.clone());
    match (error.failure(), code.as_deref()) {
        (Some(Failure::Denied), _) => error.hint(format!(
            "{} needs {permission} on the key, in its own policy and in the key's",
            account.arn
        )),
        (_, Some("NotFoundException")) => error.hint(format!(
            "account {} has no such key in {}; create it, or correct `build.keys` in the contract",
            account.id, account.region
        )),
        (_, Some("DisabledException" | "KMSInvalidStateException")) => error.hint(format!(
            "the key is disabled or about to be deleted: aws kms describe-key --key-id {key}"
        )),
        _ => error,
    }
}

/// Reads the answer to `GetPublicKey`. The key has to be `account`'s own: what somebody else's key
/// signs, somebody else may have signed.
fn described(answer: &Value, asked: &KmsKey, account: &AccountId) -> Result<Found> {
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    let spec = match text("KeySpec") {
        // The older name of the same member.
        "" => text("CustomerMasterKeySpec"),
        spec => spec,
    };
    if spec != SPEC || text("KeyUsage") != "SIGN_VERIFY" {
        return Err(Error::usage(format!(
            "the KMS key {asked} is of the spec {spec} and for {}",
            text("KeyUsage")
        ))
        .hint(format!(
            "create one: aws kms create-key --key-usage SIGN_VERIFY --key-spec {SPEC}"
        )));
    }
    let id = text("KeyId");
    let arn: Option<Arn> = id.parse().ok();
    let Some(arn) = arn.filter(|arn| arn.account.as_ref() == Some(account)) else {
        return Err(Error::refused(format!(
            "the KMS key {asked} is {id}, which is not in account {account}"
        ))
        .hint("name a key of the build account under `build.keys` in the contract"));
    };
    let der = answer["PublicKey"]
        .as_str()
        .and_then(decoded)
        .ok_or_else(|| Error::failed(format!("KMS answered without the public half of {asked}")))?;
    Ok(Found {
        public: PublicKey::from_spki(&der)?,
        arn,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPKI: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEebzv6HG8R3UioOIIt5SsPhLN7a+JFdiX81qOZ8VC9SfLaPOPy7XzJYyDmfueIKekyVcaOluoqwjuGUIEC16Hw==";
    const ARN: &str = "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn answer() -> Value {
        json!({
            "KeyId": ARN,
            "PublicKey": SPKI,
            "CustomerMasterKeySpec": SPEC,
            "KeySpec": SPEC,
            "KeyUsage": "SIGN_VERIFY",
            "SigningAlgorithms": [ALGORITHM],
        })
    }

    fn read(answer: &Value) -> Result<Found> {
        let account = "111111111111".parse().unwrap();
        described(
            answer,
            &"alias/slipway-provenance".parse().unwrap(),
            &account,
        )
    }

    #[test]
    fn a_key_is_its_accounts_and_signs_on_p256() {
        let found = read(&answer()).unwrap();
        assert_eq!(found.arn, ARN);
        assert_eq!(
            found.public.id(),
            "dac3785dd9896e038faa420f91b92cce2d41da22b8b956e2e0567874923154c2"
        );
        let mut older = answer();
        older.as_object_mut().unwrap().remove("KeySpec");
        assert_eq!(read(&older).unwrap(), found);
        for (member, value, exit) in [
            ("KeySpec", json!("ECC_NIST_P384"), kit::Exit::Usage),
            ("KeySpec", json!("RSA_2048"), kit::Exit::Usage),
            ("KeyUsage", json!("ENCRYPT_DECRYPT"), kit::Exit::Usage),
            ("PublicKey", json!("AAAA"), kit::Exit::Usage),
            ("PublicKey", Value::Null, kit::Exit::Failed),
            (
                "KeyId",
                json!(ARN.replace("111111111111", "222222222222")),
                kit::Exit::Refused,
            ),
            ("KeyId", Value::Null, kit::Exit::Refused),
        ] {
            let mut wrong = answer();
            wrong[member] = value;
            let error = read(&wrong).unwrap_err();
            assert_eq!(error.exit(), exit, "{wrong}: {error}");
        }
    }
}
