//! Keys that are in several regions under one ID, and the rotation of keys.
//! Source: AWS KMS API Reference, "ReplicateKey"; AWS KMS Developer Guide, "Controlling access to multi-Region keys".

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::keys::{At, Key, Material, State};
use super::signing::usable;
use super::{Desk, manage, validation};
use crate::error::AwsError;

/// Needs the permission on the primary key, and that to create keys in the region of the replica. A replica can be used at once;
/// in KMS it is being created for some seconds.
pub(super) fn replicate(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let region = desk.text("ReplicaRegion").to_owned();
    let key = desk.key_with(|context| {
        context.set("kms:ReplicaRegion", vec![region.clone()]);
    })?;
    usable(&key)?;
    if key.primary.as_ref() != Some(&key.at.region) {
        return Err(AwsError::new(
            400,
            "UnsupportedOperationException",
            format!("{} is not a multi-Region primary key.", key.arn()),
        ));
    }
    let at = At {
        account: key.at.account.clone(),
        region,
    };
    if at.region == key.at.region || key.replicas.contains(&at.region) {
        return Err(AwsError::new(
            400,
            "AlreadyExistsException",
            format!("{} already exists in {}.", key.arn(), at.region),
        ));
    }
    manage::may_create(desk)?;
    let replica = Key {
        policy: manage::policy(desk, &at),
        description: desk.text("Description").to_owned(),
        created: OffsetDateTime::now_utc(),
        state: State::Enabled,
        aliases: Vec::new(),
        at,
        ..key
    };
    manage::policy_of(desk, &replica, &replica.policy)?;
    let named = replica.arn();
    let policy = replica.policy.clone();
    let there = replica.at.clone();
    desk.gateway.keys.add(replica);
    let (replica, _) = desk.gateway.keys.find(&there, &named)?;
    Ok(
        json!({"ReplicaKeyMetadata": replica.metadata(), "ReplicaPolicy": policy, "ReplicaTags": []}),
    )
}

/// Rotation is a property of the primary key, which its replicas share.
pub(super) fn rotate(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let key = desk.key()?;
    usable(&key)?;
    if matches!(key.material, Material::P256(_)) {
        return Err(AwsError::new(
            400,
            "UnsupportedOperationException",
            format!("{} is asymmetric and is not rotated.", key.arn()),
        ));
    }
    if desk.input["RotationPeriodInDays"]
        .as_i64()
        .is_some_and(|days| days != 365)
    {
        return Err(validation(
            "the sandbox's gateway rotates keys each year alone",
        ));
    }
    let on = desk.call.operation == "EnableKeyRotation";
    desk.gateway.keys.change(&key, |key| key.rotates = on);
    Ok(Value::Null)
}

pub(super) fn rotation(desk: &Desk<'_>) -> Result<Value, AwsError> {
    let key = desk.key()?;
    let mut answer = json!({"KeyId": key.arn(), "KeyRotationEnabled": key.rotates});
    if key.rotates {
        answer["RotationPeriodInDays"] = json!(365);
    }
    Ok(answer)
}
