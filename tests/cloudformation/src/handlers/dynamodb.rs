//! `AWS::DynamoDB::Table`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Desk, Failure, Made, Properties, copied};
use crate::services::{Refusal, Services};

pub(super) const PROPERTIES: [&str; 10] = [
    "TableName",
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "ProvisionedThroughput",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "StreamSpecification",
    "TimeToLiveSpecification",
    "PointInTimeRecoverySpecification",
];

async fn call(services: &Services, target: &'static str, input: Value) -> Result<Value, Refusal> {
    services.json("dynamodb", target, input).await
}

async fn described(services: &Services, table: &str) -> Result<Value, Refusal> {
    let input = json!({"TableName": table});
    call(services, "DynamoDB_20120810.DescribeTable", input).await
}

/// Returns true if a table has the name.
pub(super) async fn exists(services: &Services, table: &str) -> bool {
    described(services, table).await.is_ok()
}

/// The table once it can be used.
async fn made(desk: &Desk, table: &str) -> Result<Made, Failure> {
    for _ in 0..600 {
        let answer = described(&desk.services, table).await?;
        let found = &answer["Table"];
        if found["TableStatus"] == "ACTIVE" {
            let mut attributes = Map::from_iter([("Arn".to_owned(), found["TableArn"].clone())]);
            if let Some(stream) = found.get("LatestStreamArn") {
                attributes.insert("StreamArn".to_owned(), stream.clone());
            }
            return Ok(Made {
                physical: table.to_owned(),
                attributes,
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::new(
        "NotStabilized",
        format!("{table} did not become ACTIVE"),
    ))
}

fn stream(properties: &Properties) -> Option<Value> {
    let mut stream = properties.get("StreamSpecification")?.clone();
    stream["StreamEnabled"] = json!(true);
    Some(stream)
}

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let table = desk.named(properties, "TableName");
    let mut input = copied(
        properties,
        &[
            "AttributeDefinitions",
            "KeySchema",
            "BillingMode",
            "ProvisionedThroughput",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
        ],
    );
    input.insert("TableName".to_owned(), json!(table));
    if let Some(stream) = stream(properties) {
        input.insert("StreamSpecification".to_owned(), stream);
    }
    let input = Value::Object(input);
    match call(&desk.services, "DynamoDB_20120810.CreateTable", input).await {
        Err(refusal) if refusal.code == "ResourceInUseException" => {
            return Err(desk.exists("AWS::DynamoDB::Table", &table));
        }
        other => other?,
    };
    let made = made(desk, &table).await?;
    settle(desk, &table, &Map::new(), properties).await?;
    Ok(made)
}

/// Sets what has calls of its own.
async fn settle(
    desk: &Desk,
    table: &str,
    old: &Properties,
    new: &Properties,
) -> Result<(), Refusal> {
    let changed = |name: &str| old.get(name) != new.get(name);
    if changed("TimeToLiveSpecification") {
        let asked = new.get("TimeToLiveSpecification");
        let off = old.get("TimeToLiveSpecification").cloned().map(|mut off| {
            off["Enabled"] = json!(false);
            off
        });
        let specification = asked.cloned().or(off).unwrap_or_default();
        let input = json!({"TableName": table, "TimeToLiveSpecification": specification});
        call(&desk.services, "DynamoDB_20120810.UpdateTimeToLive", input).await?;
    }
    if changed("PointInTimeRecoverySpecification") {
        let off = json!({"PointInTimeRecoveryEnabled": false});
        let asked = new
            .get("PointInTimeRecoverySpecification")
            .cloned()
            .unwrap_or(off);
        let input = json!({"TableName": table, "PointInTimeRecoverySpecification": asked});
        backups(&desk.services, input).await?;
    }
    Ok(())
}

/// A new table's backups are being enabled for a while, in which they cannot be changed.
pub(super) async fn backups(services: &Services, input: Value) -> Result<(), Refusal> {
    for _ in 0..100 {
        let set = call(
            services,
            "DynamoDB_20120810.UpdateContinuousBackups",
            input.clone(),
        )
        .await;
        match set {
            Err(refusal) if refusal.code == "ContinuousBackupsUnavailableException" => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return other.map(drop),
        }
    }
    call(services, "DynamoDB_20120810.UpdateContinuousBackups", input)
        .await
        .map(drop)
}

/// The table's values of the properties that drift detection compares.
pub(super) async fn read(desk: &Desk, physical: &str) -> Result<Properties, Refusal> {
    let answer = described(&desk.services, physical).await?;
    let table = &answer["Table"];
    let mode = &table["BillingModeSummary"]["BillingMode"];
    let mode = mode.as_str().unwrap_or("PROVISIONED");
    let mut found = Map::from_iter([("BillingMode".to_owned(), json!(mode))]);
    if mode == "PROVISIONED" {
        let throughput = &table["ProvisionedThroughput"];
        let units = json!({
            "ReadCapacityUnits": throughput["ReadCapacityUnits"],
            "WriteCapacityUnits": throughput["WriteCapacityUnits"],
        });
        found.insert("ProvisionedThroughput".to_owned(), units);
    }
    Ok(found)
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let changed = |name: &&str| old.get(*name) != new.get(*name);
    let fixed = [
        "GlobalSecondaryIndexes",
        "LocalSecondaryIndexes",
        "AttributeDefinitions",
    ];
    if let Some(name) = fixed.iter().find(|name| changed(name)) {
        return Err(Failure::new(
            "InvalidRequest",
            format!("the sandbox's CloudFormation does not change the {name} of a table"),
        ));
    }
    let plain = ["BillingMode", "ProvisionedThroughput"];
    let mut input = Map::new();
    if plain.iter().any(changed) {
        input = copied(new, &plain);
    }
    if changed(&"StreamSpecification") {
        let asked = stream(new).unwrap_or_else(|| json!({"StreamEnabled": false}));
        input.insert("StreamSpecification".to_owned(), asked);
    }
    if !input.is_empty() {
        input.insert("TableName".to_owned(), json!(physical));
        let input = Value::Object(input);
        call(&desk.services, "DynamoDB_20120810.UpdateTable", input).await?;
    }
    let made = made(desk, physical).await?;
    settle(desk, physical, old, new).await?;
    Ok(made)
}

pub(super) async fn delete(desk: &Desk, physical: &str) -> Result<(), Refusal> {
    let input = json!({"TableName": physical});
    call(&desk.services, "DynamoDB_20120810.DeleteTable", input).await?;
    for _ in 0..600 {
        if described(&desk.services, physical).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
