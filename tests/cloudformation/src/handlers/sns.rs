//! `AWS::SNS::Topic`.

use serde_json::{Map, Value};

use super::{Desk, Failure, Made, Properties};
use crate::services::{Refusal, Services, xml_all, xml_one};
use crate::tags;
use crate::template::parameters::text;

pub(super) const PROPERTIES: [&str; 6] = [
    "TopicName",
    "DisplayName",
    "KmsMasterKeyId",
    "FifoTopic",
    "ContentBasedDeduplication",
    "Tags",
];

/// The properties that are attributes of a topic which can be set.
const ATTRIBUTES: [&str; 3] = ["DisplayName", "KmsMasterKeyId", "ContentBasedDeduplication"];

const VERSION: &str = "2010-03-31";

async fn call(desk: &Desk, action: &str, given: &[(String, String)]) -> Result<String, Refusal> {
    desk.services.query("sns", VERSION, action, given).await
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn made(arn: &str) -> Made {
    let name = arn.rsplit(':').next().unwrap_or_default();
    Made {
        physical: arn.to_owned(),
        attributes: Map::from_iter([
            ("TopicArn".to_owned(), Value::from(arn)),
            ("TopicName".to_owned(), Value::from(name)),
        ]),
    }
}

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let fifo = properties.get("FifoTopic") == Some(&Value::Bool(true));
    let given = properties.get("TopicName").and_then(Value::as_str);
    let end = if fifo { ".fifo" } else { "" };
    let name = given.map_or_else(|| desk.name() + end, str::to_owned);
    let arn = desk.arn("sns", &name);
    // Creating a topic that is there gives the same topic, so the provider looks first.
    let there = call(desk, "GetTopicAttributes", &[pair("TopicArn", &arn)]).await;
    match there {
        Ok(_) => return Err(desk.exists("AWS::SNS::Topic", &arn)),
        Err(refusal) if refusal.not_found() => {}
        Err(refusal) => return Err(refusal.into()),
    }
    let mut input = vec![pair("Name", &name)];
    let mut attributes: Vec<(&str, String)> = ATTRIBUTES
        .iter()
        .filter_map(|name| Some((*name, text(properties.get(*name)?))))
        .collect();
    if fifo {
        attributes.push(("FifoTopic", "true".to_owned()));
    }
    for (index, (name, value)) in attributes.iter().enumerate() {
        let at = format!("Attributes.entry.{}", index + 1);
        input.push(pair(&format!("{at}.key"), name));
        input.push(pair(&format!("{at}.value"), value));
    }
    input.extend(tagged(&tags::pairs(properties.get("Tags"))));
    let answer = call(desk, "CreateTopic", &input).await?;
    Ok(made(&xml_one(&answer, "TopicArn").unwrap_or(arn)))
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    for name in ATTRIBUTES {
        if old.get(name) != new.get(name) {
            let value = new.get(name).map(text).unwrap_or_default();
            let input = [
                pair("TopicArn", physical),
                pair("AttributeName", name),
                pair("AttributeValue", &value),
            ];
            call(desk, "SetTopicAttributes", &input).await?;
        }
    }
    let gone = tags::gone(old.get("Tags"), new.get("Tags"));
    if !gone.is_empty() {
        let mut input = vec![pair("ResourceArn", physical)];
        for (index, key) in gone.iter().enumerate() {
            input.push(pair(&format!("TagKeys.member.{}", index + 1), key));
        }
        call(desk, "UntagResource", &input).await?;
    }
    let pairs = tags::pairs(new.get("Tags"));
    if old.get("Tags") != new.get("Tags") && !pairs.is_empty() {
        let mut input = vec![pair("ResourceArn", physical)];
        input.extend(tagged(&pairs));
        call(desk, "TagResource", &input).await?;
    }
    Ok(made(physical))
}

pub(super) async fn delete(desk: &Desk, physical: &str) -> Result<(), Refusal> {
    let input = [pair("TopicArn", physical)];
    call(desk, "DeleteTopic", &input).await.map(drop)
}

fn tagged(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let mut input = Vec::new();
    for (index, (key, value)) in pairs.iter().enumerate() {
        let at = format!("Tags.member.{}", index + 1);
        input.push(pair(&format!("{at}.Key"), key));
        input.push(pair(&format!("{at}.Value"), value));
    }
    input
}

/// Returns true if something has the name.
pub(super) async fn exists(services: &Services, arn: &str) -> bool {
    let input = [pair("TopicArn", arn)];
    let answer = services
        .query("sns", VERSION, "GetTopicAttributes", &input)
        .await;
    answer.is_ok()
}

/// The topic's values of the properties that drift detection compares.
pub(super) async fn read(desk: &Desk, physical: &str) -> Result<Properties, Refusal> {
    let answer = call(desk, "GetTopicAttributes", &[pair("TopicArn", physical)]).await?;
    let entries = xml_all(&answer, "entry");
    let found = entries.iter().filter_map(|entry| {
        let name = xml_one(entry, "key")?;
        let value = xml_one(entry, "value").filter(|value| !value.is_empty())?;
        ATTRIBUTES
            .contains(&name.as_str())
            .then(|| (name, Value::from(value)))
    });
    Ok(found.collect())
}
