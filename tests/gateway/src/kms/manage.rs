//! Making keys, naming them, and who may do what with them.

use std::sync::Arc;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::cipher::Cipher;
use super::ecdsa::Pair;
use super::keys::{At, Key, Material, State};
use super::{Desk, validation};
use crate::access::{self, Own, Request};
use crate::error::AwsError;

pub(super) fn create(desk: &Desk<'_>) -> Result<Value, AwsError> {
    may_create(desk)?;
    let input = &desk.input;
    let spec = input["KeySpec"]
        .as_str()
        .or(input["CustomerMasterKeySpec"].as_str());
    let usage = input["KeyUsage"].as_str().unwrap_or("ENCRYPT_DECRYPT");
    let material = match (spec.unwrap_or("SYMMETRIC_DEFAULT"), usage) {
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT") => {
            Material::Symmetric(Arc::new(Cipher::generate().ok_or_else(no_random)?))
        }
        ("ECC_NIST_P256", "SIGN_VERIFY") => {
            Material::P256(Arc::new(Pair::generate().ok_or_else(no_random)?))
        }
        (spec, usage) => {
            return Err(validation(format!(
                "the sandbox's gateway has no keys of the spec {spec} for {usage}"
            )));
        }
    };
    let at = desk.at.clone();
    let policy = policy(desk, &at);
    let id = uuid::Uuid::new_v4();
    let primary = (input["MultiRegion"] == true).then(|| at.region.clone());
    let key = Key {
        // The ID of a multi-region key tells it from others (Developer Guide, "Multi-Region keys in AWS KMS").
        id: match primary {
            Some(_) => format!("mrk-{}", id.simple()),
            None => id.to_string(),
        },
        at,
        material,
        policy,
        description: desk.text("Description").to_owned(),
        created: OffsetDateTime::now_utc(),
        state: State::Enabled,
        aliases: Vec::new(),
        rotates: false,
        primary,
        replicas: Vec::new(),
    };
    policy_of(desk, &key, &key.policy)?;
    let metadata = key.metadata();
    desk.gateway.keys.add(key);
    Ok(json!({"KeyMetadata": metadata}))
}

/// The policy that a call gives to a key, or that of a key without one (Developer Guide, "Default key policy").
pub(super) fn policy(desk: &Desk<'_>, at: &At) -> String {
    match desk.input["Policy"].as_str() {
        Some(policy) => policy.to_owned(),
        None => json!({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{}:root", at.account)},
            "Action": "kms:*",
            "Resource": "*",
        }]})
        .to_string(),
    }
}

/// Checks that the caller may create keys, which replicas are too.
pub(super) fn may_create(desk: &Desk<'_>) -> Result<(), AwsError> {
    let context = access::context(desk.principal);
    let request = Request {
        requester: &access::requester(desk.principal),
        action: "kms:CreateKey",
        resource: "*",
        owner: &desk.at.account,
        context: &context,
    };
    access::evaluate(&request, &desk.policies, Own::None).map_err(|refusal| {
        let message = refusal.message(&desk.principal.arn, request.action, "*");
        AwsError::new(400, "AccessDeniedException", message)
    })
}

pub(super) fn no_random() -> AwsError {
    AwsError::new(500, "KMSInternalException", "no random number could be had")
}

pub(super) fn describe(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let key = desk.key()?;
    Ok(json!({"KeyMetadata": key.metadata()}))
}

/// Needs the permission on the alias and, by the key's policy, on the key.
pub(super) fn create_alias(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let alias = desk.text("AliasName");
    if !alias.starts_with("alias/") || alias.starts_with("alias/aws/") {
        return Err(AwsError::new(
            400,
            "InvalidAliasNameException",
            "Alias must start with the prefix \"alias/\" and must not begin with \"alias/aws/\".",
        ));
    }
    desk.may_here(&desk.at.arn(alias))?;
    let (key, named) = desk.gateway.keys.find(&desk.at, desk.text("TargetKeyId"))?;
    if named.is_some() {
        return Err(validation("Aliases must refer to keys. Not aliases"));
    }
    desk.may(&key, None, |_| {})?;
    desk.gateway.keys.name(&desk.at, alias, &key.id)?;
    Ok(Value::Null)
}

pub(super) fn list_aliases(desk: &Desk<'_>) -> Result<Value, AwsError> {
    desk.may_here("*")?;
    let only = match desk.input["KeyId"].as_str() {
        Some(named) => Some(desk.gateway.keys.find(&desk.at, named)?.0.id),
        None => None,
    };
    let listed: Vec<Value> = desk
        .gateway
        .keys
        .aliases(&desk.at)
        .into_iter()
        .filter(|(_, id)| only.as_ref().is_none_or(|only| only == id))
        .map(|(alias, id)| {
            json!({"AliasName": alias, "AliasArn": desk.at.arn(&alias), "TargetKeyId": id})
        })
        .collect();
    Ok(json!({"Aliases": listed, "Truncated": false}))
}

pub(super) fn get_policy(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let key = desk.key()?;
    Ok(json!({"Policy": key.policy, "PolicyName": "default"}))
}

pub(super) fn put_policy(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let key = desk.key()?;
    let policy = desk.text("Policy");
    policy_of(desk, &key, policy)?;
    let policy = policy.to_owned();
    desk.gateway.keys.change(&key, |key| key.policy = policy);
    Ok(Value::Null)
}

pub(super) fn change_state(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let key = desk.key()?;
    let leaving = matches!(key.state, State::PendingDeletion(_));
    let operation = desk.call.operation.as_str();
    if leaving != (operation == "CancelKeyDeletion") {
        let arn = key.arn();
        let why = match leaving {
            true => format!("{arn} is pending deletion."),
            false => format!("{arn} is not pending deletion."),
        };
        return Err(AwsError::new(400, "KMSInvalidStateException", why));
    }
    let days = desk.input["PendingWindowInDays"].as_i64().unwrap_or(30);
    let end = OffsetDateTime::now_utc() + Duration::days(days);
    let (state, answer) = match operation {
        "EnableKey" => (State::Enabled, Value::Null),
        "CancelKeyDeletion" => (State::Disabled, json!({"KeyId": key.arn()})),
        "ScheduleKeyDeletion" => {
            if !(7..=30).contains(&days) {
                return Err(validation("PendingWindowInDays is between 7 and 30"));
            }
            let answer = json!({
                "KeyId": key.arn(),
                "DeletionDate": end.unix_timestamp(),
                "KeyState": "PendingDeletion",
                "PendingWindowInDays": days,
            });
            (State::PendingDeletion(end), answer)
        }
        _ => (State::Disabled, Value::Null),
    };
    desk.gateway.keys.change(&key, |key| key.state = state);
    Ok(answer)
}

/// Refuses a policy that is none, or that would lock its author out.
pub(super) fn policy_of(desk: &Desk<'_>, key: &Key, policy: &str) -> Result<(), AwsError> {
    let malformed = |message: &str| AwsError::new(400, "MalformedPolicyDocumentException", message);
    if !serde_json::from_str::<Value>(policy).is_ok_and(|it| it["Statement"].is_array()) {
        return Err(malformed("The policy is not a valid JSON document."));
    }
    if desk.input["BypassPolicyLockoutSafetyCheck"] == true {
        return Ok(());
    }
    let request = Request {
        requester: &access::requester(desk.principal),
        action: "kms:PutKeyPolicy",
        resource: &key.arn(),
        owner: &key.at.account,
        context: &access::context(desk.principal),
    };
    access::evaluate(&request, &desk.policies, Own::Required(policy)).map_err(|_| {
        malformed("The new key policy will not allow you to update the key policy in the future.")
    })
}
