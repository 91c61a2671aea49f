//! `AWS::Logs::LogGroup`.

use serde_json::{Map, Value, json};

use super::retag::TagCalls;
use super::{Desk, Failure, Made, Properties};
use crate::services::{Refusal, Services};
use crate::tags;

pub(super) const PROPERTIES: [&str; 4] = ["LogGroupName", "RetentionInDays", "KmsKeyId", "Tags"];

fn made(desk: &Desk, name: &str) -> Made {
    let arn = desk.arn("logs", &format!("log-group:{name}:*"));
    Made {
        physical: name.to_owned(),
        attributes: Map::from_iter([("Arn".to_owned(), Value::from(arn))]),
    }
}

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let name = desk.named(properties, "LogGroupName");
    let mut input = json!({"logGroupName": name});
    let tags = tags::mapped(properties.get("Tags"));
    if tags != json!({}) {
        input["tags"] = tags;
    }
    if let Some(key) = properties.get("KmsKeyId") {
        input["kmsKeyId"] = key.clone();
    }
    let created = desk
        .services
        .json("logs", "Logs_20140328.CreateLogGroup", input)
        .await;
    match created {
        Err(refusal) if refusal.code == "ResourceAlreadyExistsException" => {
            return Err(desk.exists("AWS::Logs::LogGroup", &name));
        }
        other => other?,
    };
    retain(desk, &name, properties).await?;
    Ok(made(desk, &name))
}

async fn retain(desk: &Desk, name: &str, properties: &Properties) -> Result<(), Refusal> {
    if let Some(days) = properties.get("RetentionInDays") {
        let input = json!({"logGroupName": name, "retentionInDays": days});
        desk.services
            .json("logs", "Logs_20140328.PutRetentionPolicy", input)
            .await?;
    }
    Ok(())
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    if old.get("KmsKeyId") != new.get("KmsKeyId") {
        return Err(Failure::new(
            "InvalidRequest",
            "the sandbox's CloudFormation does not change the key of a log group",
        ));
    }
    let group = json!({"logGroupName": physical});
    if old.contains_key("RetentionInDays") && !new.contains_key("RetentionInDays") {
        desk.services
            .json("logs", "Logs_20140328.DeleteRetentionPolicy", group)
            .await?;
    } else if old.get("RetentionInDays") != new.get("RetentionInDays") {
        retain(desk, physical, new).await?;
    }
    let arn = desk.arn("logs", &format!("log-group:{physical}"));
    let calls = TagCalls {
        service: "logs",
        remove: ("Logs_20140328.UntagResource", "tagKeys"),
        add: ("Logs_20140328.TagResource", "tags"),
        resource: json!({"resourceArn": arn}),
        tags: tags::mapped(new.get("Tags")),
    };
    desk.retag(calls, old, new).await?;
    Ok(made(desk, physical))
}

pub(super) async fn delete(desk: &Desk, physical: &str) -> Result<(), Refusal> {
    let input = json!({"logGroupName": physical});
    desk.services
        .json("logs", "Logs_20140328.DeleteLogGroup", input)
        .await
        .map(drop)
}

/// Returns true if something has the name.
pub(super) async fn exists(services: &Services, name: &str) -> bool {
    let input = json!({"logGroupNamePrefix": name});
    let answer = services
        .json("logs", "Logs_20140328.DescribeLogGroups", input)
        .await;
    let answer = answer.unwrap_or_default();
    let groups = answer["logGroups"].as_array().into_iter().flatten();
    groups
        .into_iter()
        .any(|group| group["logGroupName"] == name)
}

/// The group's values of the properties that drift detection compares. A group that is gone answers nothing.
pub(super) async fn read(desk: &Desk, physical: &str) -> Result<Option<Properties>, Refusal> {
    let input = json!({"logGroupNamePrefix": physical});
    let answer = desk
        .services
        .json("logs", "Logs_20140328.DescribeLogGroups", input)
        .await?;
    let mut groups = answer["logGroups"].as_array().into_iter().flatten();
    let group = groups.find(|group| group["logGroupName"] == physical);
    Ok(group.map(|group| {
        let days = group.get("retentionInDays").cloned();
        days.map(|days| ("RetentionInDays".to_owned(), days))
            .into_iter()
            .collect()
    }))
}
