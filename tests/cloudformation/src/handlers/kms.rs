//! `AWS::KMS::Key` and `AWS::KMS::ReplicaKey`.

use serde_json::{Map, Value, json};

use super::{Desk, Failure, Made, Properties, copied};
use crate::services::{Refusal, Services};
use crate::template::parameters::text;

pub(super) const KEY: [&str; 7] = [
    "Description",
    "EnableKeyRotation",
    "KeyPolicy",
    "KeySpec",
    "KeyUsage",
    "MultiRegion",
    "PendingWindowInDays",
];
pub(super) const REPLICA: [&str; 4] = [
    "Description",
    "KeyPolicy",
    "PendingWindowInDays",
    "PrimaryKeyArn",
];

async fn call(services: &Services, target: &'static str, input: Value) -> Result<Value, Refusal> {
    services.json("kms", target, input).await
}

fn made(metadata: &Value) -> Made {
    Made {
        physical: text(&metadata["KeyId"]),
        attributes: Map::from_iter([
            ("Arn".to_owned(), metadata["Arn"].clone()),
            ("KeyId".to_owned(), metadata["KeyId"].clone()),
        ]),
    }
}

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let mut input = copied(
        properties,
        &["Description", "KeySpec", "KeyUsage", "MultiRegion"],
    );
    if let Some(policy) = properties.get("KeyPolicy") {
        input.insert("Policy".to_owned(), json!(text(policy)));
    }
    let answer = call(
        &desk.services,
        "TrentService.CreateKey",
        Value::Object(input),
    )
    .await?;
    let made = made(&answer["KeyMetadata"]);
    rotate(desk, &made.physical, &Map::new(), properties).await?;
    Ok(made)
}

/// The replica is made by a call in the region of its primary key.
pub(super) async fn replicate(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let primary = properties
        .get("PrimaryKeyArn")
        .map(text)
        .unwrap_or_default();
    let parts: Vec<&str> = primary.split(':').collect();
    let (Some(region), Some(id)) = (parts.get(3), primary.rsplit('/').next()) else {
        return Err(Failure::new(
            "InvalidRequest",
            "PrimaryKeyArn is not the ARN of a key",
        ));
    };
    let mut input = copied(properties, &["Description"]);
    input.insert("KeyId".to_owned(), json!(id));
    input.insert("ReplicaRegion".to_owned(), json!(desk.services.region));
    if let Some(policy) = properties.get("KeyPolicy") {
        input.insert("Policy".to_owned(), json!(text(policy)));
    }
    let there = desk.services.in_region(region);
    let input = Value::Object(input);
    let answer = call(&there, "TrentService.ReplicateKey", input).await?;
    Ok(made(&answer["ReplicaKeyMetadata"]))
}

async fn rotate(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<(), Refusal> {
    let on = |properties: &Properties| properties.get("EnableKeyRotation") == Some(&json!(true));
    let target = match (on(old), on(new)) {
        (false, true) => "TrentService.EnableKeyRotation",
        (true, false) => "TrentService.DisableKeyRotation",
        _ => return Ok(()),
    };
    let input = json!({"KeyId": physical});
    call(&desk.services, target, input).await.map(drop)
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let changed = |name: &&str| old.get(*name) != new.get(*name);
    let fixed = ["Description", "KeySpec", "KeyUsage", "MultiRegion"];
    if let Some(name) = fixed.iter().find(|name| changed(name)) {
        return Err(Failure::new(
            "NotUpdatable",
            format!("the sandbox's CloudFormation does not change the {name} of a key"),
        ));
    }
    if let Some(policy) = new.get("KeyPolicy").filter(|_| changed(&"KeyPolicy")) {
        let input = json!({"KeyId": physical, "PolicyName": "default", "Policy": text(policy)});
        call(&desk.services, "TrentService.PutKeyPolicy", input).await?;
    }
    rotate(desk, physical, old, new).await?;
    let input = json!({"KeyId": physical});
    let answer = call(&desk.services, "TrentService.DescribeKey", input).await?;
    Ok(made(&answer["KeyMetadata"]))
}

/// A key is only scheduled for deletion.
pub(super) async fn delete(
    desk: &Desk,
    physical: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    let days = properties.get("PendingWindowInDays").cloned();
    let input = json!({"KeyId": physical, "PendingWindowInDays": days.unwrap_or(json!(30))});
    let deleted = call(&desk.services, "TrentService.ScheduleKeyDeletion", input).await;
    match deleted {
        // It is scheduled already.
        Err(refusal) if refusal.code == "KMSInvalidStateException" => Ok(()),
        other => other.map(drop),
    }
}
