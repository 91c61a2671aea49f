//! `AWS::DynamoDB::GlobalTable`: a table in the stack's region and its replicas in others, each with settings of its own.
//! Source: AWS CloudFormation User Guide, "AWS::DynamoDB::GlobalTable".

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Desk, Failure, Made, Properties, copied};
use crate::services::{Refusal, Services};
use crate::template::parameters::text;

pub(super) const PROPERTIES: [&str; 7] = [
    "TableName",
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "Replicas",
    "SSESpecification",
    "StreamSpecification",
];
/// The properties of a replica that are acted on.
const REPLICA: [&str; 3] = [
    "Region",
    "DeletionProtectionEnabled",
    "PointInTimeRecoverySpecification",
];
/// How often the end of something is looked for, and how long between two looks.
const LOOKS: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(50);

async fn call(services: &Services, target: &'static str, input: Value) -> Result<Value, Refusal> {
    services.json("dynamodb", target, input).await
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new("InvalidRequest", message)
}

/// The replicas of a template, by region. The stack's own region is one of them.
fn replicas(desk: &Desk, properties: &Properties) -> Result<Vec<(String, Properties)>, Failure> {
    let listed = properties.get("Replicas").and_then(Value::as_array);
    let mut found = Vec::new();
    for replica in listed.into_iter().flatten().filter_map(Value::as_object) {
        if let Some(name) = replica
            .keys()
            .find(|name| !REPLICA.contains(&name.as_str()))
        {
            return Err(invalid(format!(
                "the sandbox's CloudFormation does not act on {name} of a replica"
            )));
        }
        let region = replica.get("Region").map(text).unwrap_or_default();
        found.push((region, replica.clone()));
    }
    match found
        .iter()
        .any(|(region, _)| *region == desk.services.region)
    {
        true => Ok(found),
        false => Err(invalid(
            "Replicas must contain the region in which the stack is deployed",
        )),
    }
}

/// The table once it can be used.
async fn made(desk: &Desk, table: &str) -> Result<Made, Failure> {
    let found = active(&desk.services, table).await?;
    let mut attributes = Map::from_iter([("Arn".to_owned(), found["TableArn"].clone())]);
    for (attribute, member) in [("StreamArn", "LatestStreamArn"), ("TableId", "TableId")] {
        if let Some(value) = found.get(member) {
            attributes.insert(attribute.to_owned(), value.clone());
        }
    }
    Ok(Made {
        physical: table.to_owned(),
        attributes,
    })
}

async fn active(services: &Services, table: &str) -> Result<Value, Failure> {
    for _ in 0..LOOKS {
        let input = json!({"TableName": table});
        let answer = call(services, "DynamoDB_20120810.DescribeTable", input).await?;
        if answer["Table"]["TableStatus"] == "ACTIVE" {
            return Ok(answer["Table"].clone());
        }
        tokio::time::sleep(BETWEEN).await;
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

fn encryption(properties: &Properties) -> Option<Value> {
    let asked = properties.get("SSESpecification")?;
    let mut specification = json!({"Enabled": asked["SSEEnabled"]});
    if let Some(kind) = asked.get("SSEType") {
        specification["SSEType"] = kind.clone();
    }
    Some(specification)
}

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let wanted = replicas(desk, properties)?;
    let table = desk.named(properties, "TableName");
    let plain = ["AttributeDefinitions", "KeySchema", "BillingMode"];
    let mut input = copied(properties, &plain);
    input.insert("TableName".to_owned(), json!(table));
    let stream = stream(properties);
    // Replicas follow each other by the stream.
    if wanted.len() > 1 && stream.is_none() {
        return Err(invalid(
            "StreamSpecification is required for a table with more than one replica",
        ));
    }
    for (name, value) in [
        ("StreamSpecification", stream),
        ("SSESpecification", encryption(properties)),
    ] {
        input.extend(value.map(|value| (name.to_owned(), value)));
    }
    let input = Value::Object(input);
    match call(&desk.services, "DynamoDB_20120810.CreateTable", input).await {
        Err(refusal) if refusal.code == "ResourceInUseException" => {
            return Err(desk.exists("AWS::DynamoDB::GlobalTable", &table));
        }
        other => other?,
    };
    let made = made(desk, &table).await?;
    settle(desk, &table, &[], &wanted).await?;
    Ok(made)
}

/// Makes the replicas what they should be, one after the other. The last is the one that goes.
async fn settle(
    desk: &Desk,
    table: &str,
    old: &[(String, Properties)],
    new: &[(String, Properties)],
) -> Result<(), Failure> {
    let none = Map::new();
    for (region, replica) in new {
        let before = old.iter().find(|(one, _)| one == region);
        if before.is_none() && *region != desk.services.region {
            change(desk, table, "Create", region).await?;
        }
        let there = desk.services.in_region(region);
        active(&there, table).await?;
        let before = before.map_or(&none, |(_, replica)| replica);
        set(&there, table, before, replica).await?;
    }
    for (region, _) in old {
        if !new.iter().any(|(one, _)| one == region) {
            change(desk, table, "Delete", region).await?;
        }
    }
    Ok(())
}

async fn change(desk: &Desk, table: &str, kind: &str, region: &str) -> Result<(), Refusal> {
    let updates = json!([{kind: {"RegionName": region}}]);
    let input = json!({"TableName": table, "ReplicaUpdates": updates});
    call(&desk.services, "DynamoDB_20120810.UpdateTable", input)
        .await
        .map(drop)
}

/// Sets what each replica has for itself.
async fn set(
    there: &Services,
    table: &str,
    old: &Properties,
    new: &Properties,
) -> Result<(), Refusal> {
    let changed = |name: &str| old.get(name) != new.get(name);
    if changed("DeletionProtectionEnabled") {
        let on = new.get("DeletionProtectionEnabled") == Some(&json!(true));
        let input = json!({"TableName": table, "DeletionProtectionEnabled": on});
        call(there, "DynamoDB_20120810.UpdateTable", input).await?;
    }
    if changed("PointInTimeRecoverySpecification") {
        let off = json!({"PointInTimeRecoveryEnabled": false});
        let asked = new.get("PointInTimeRecoverySpecification").cloned();
        let input = json!({
            "TableName": table, "PointInTimeRecoverySpecification": asked.unwrap_or(off),
        });
        super::dynamodb::backups(there, input).await?;
    }
    Ok(())
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let changed = |name: &&str| old.get(*name) != new.get(*name);
    let fixed = ["AttributeDefinitions", "KeySchema", "SSESpecification"];
    if let Some(name) = fixed.iter().find(|name| changed(name)) {
        return Err(invalid(format!(
            "the sandbox's CloudFormation does not change the {name} of a global table"
        )));
    }
    let mut input = Map::new();
    if changed(&"BillingMode") {
        input = copied(new, &["BillingMode"]);
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
    let (before, wanted) = (replicas(desk, old)?, replicas(desk, new)?);
    settle(desk, physical, &before, &wanted).await?;
    made(desk, physical).await
}

/// The replicas go first.
pub(super) async fn delete(
    desk: &Desk,
    physical: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    let all = replicas(desk, properties).unwrap_or_default();
    for (region, _) in all.iter().filter(|(it, _)| *it != desk.services.region) {
        change(desk, physical, "Delete", region).await?;
    }
    super::dynamodb::delete(desk, physical).await
}
