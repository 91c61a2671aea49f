//! `AWS::KMS::Key`.

use serde_json::{Map, Value, json};

use super::{Desk, Failure, Made, Properties, copied};
use crate::services::{Refusal, Services};
use crate::template::parameters::text;

pub(super) const KEY: [&str; 5] = [
    "Description",
    "KeyPolicy",
    "KeySpec",
    "KeyUsage",
    "PendingWindowInDays",
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
    let mut input = copied(properties, &["Description", "KeySpec", "KeyUsage"]);
    if let Some(policy) = properties.get("KeyPolicy") {
        input.insert("Policy".to_owned(), json!(text(policy)));
    }
    let answer = call(
        &desk.services,
        "TrentService.CreateKey",
        Value::Object(input),
    )
    .await?;
    Ok(made(&answer["KeyMetadata"]))
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let changed = |name: &&str| old.get(*name) != new.get(*name);
    let fixed = ["Description", "KeySpec", "KeyUsage"];
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
