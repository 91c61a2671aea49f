//! `AWS::SSM::Parameter`.

use serde_json::{Value, json};

use super::retag::TagCalls;
use super::{Desk, Failure, Made, Properties, copied};
use crate::services::{Refusal, Services};
use crate::tags;

pub(super) const PROPERTIES: [&str; 7] = [
    "Name",
    "Type",
    "Value",
    "Description",
    "AllowedPattern",
    "Tier",
    "Tags",
];

fn input(name: &str, properties: &Properties) -> Value {
    let mut input = copied(
        properties,
        &["Type", "Value", "Description", "AllowedPattern", "Tier"],
    );
    input.insert("Name".to_owned(), json!(name));
    Value::Object(input)
}

fn made(name: &str, properties: &Properties) -> Made {
    Made {
        physical: name.to_owned(),
        attributes: copied(properties, &["Type", "Value"]),
    }
}

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let given = properties.get("Name").and_then(Value::as_str);
    let name = given.map_or_else(|| format!("CFN-{}", desk.name()), str::to_owned);
    let mut input = input(&name, properties);
    let tags = listed(properties);
    if tags != json!([]) {
        input["Tags"] = tags;
    }
    let put = desk
        .services
        .json("ssm", "AmazonSSM.PutParameter", input)
        .await;
    match put {
        Err(refusal) if refusal.code == "ParameterAlreadyExists" => {
            Err(desk.exists("AWS::SSM::Parameter", &name))
        }
        Err(refusal) => Err(refusal.into()),
        Ok(_) => Ok(made(&name, properties)),
    }
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let mut input = input(physical, new);
    input["Overwrite"] = json!(true);
    desk.services
        .json("ssm", "AmazonSSM.PutParameter", input)
        .await?;
    let calls = TagCalls {
        service: "ssm",
        remove: ("AmazonSSM.RemoveTagsFromResource", "TagKeys"),
        add: ("AmazonSSM.AddTagsToResource", "Tags"),
        resource: json!({"ResourceType": "Parameter", "ResourceId": physical}),
        tags: listed(new),
    };
    desk.retag(calls, old, new).await?;
    Ok(made(physical, new))
}

pub(super) async fn delete(desk: &Desk, physical: &str) -> Result<(), Refusal> {
    let input = json!({"Name": physical});
    desk.services
        .json("ssm", "AmazonSSM.DeleteParameter", input)
        .await
        .map(drop)
}

fn listed(properties: &Properties) -> Value {
    let pairs = tags::pairs(properties.get("Tags")).into_iter();
    pairs
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

/// Returns true if something has the name.
pub(super) async fn exists(services: &Services, name: &str) -> bool {
    let input = json!({"Name": name});
    services
        .json("ssm", "AmazonSSM.GetParameter", input)
        .await
        .is_ok()
}

/// The parameter's values of the properties that drift detection compares.
pub(super) async fn read(desk: &Desk, physical: &str) -> Result<Properties, Refusal> {
    let input = json!({"Name": physical});
    let answer = desk
        .services
        .json("ssm", "AmazonSSM.GetParameter", input)
        .await?;
    let found = answer["Parameter"].as_object().cloned().unwrap_or_default();
    Ok(copied(&found, &["Type", "Value"]))
}
