//! `AWS::SQS::Queue`.

use serde_json::{Map, Value, json};

use super::retag::TagCalls;
use super::{Desk, Failure, Made, Properties};
use crate::services::{Refusal, Services};
use crate::tags;
use crate::template::parameters::text;

pub(super) const PROPERTIES: [&str; 12] = [
    "QueueName",
    "FifoQueue",
    "DelaySeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "VisibilityTimeout",
    "ContentBasedDeduplication",
    "KmsMasterKeyId",
    "SqsManagedSseEnabled",
    "RedrivePolicy",
    "Tags",
];

/// The properties that are attributes of a queue which can be set, each with SQS's own default.
const ATTRIBUTES: [(&str, &str); 9] = [
    ("DelaySeconds", "0"),
    ("MaximumMessageSize", "262144"),
    ("MessageRetentionPeriod", "345600"),
    ("ReceiveMessageWaitTimeSeconds", "0"),
    ("VisibilityTimeout", "30"),
    ("ContentBasedDeduplication", "false"),
    ("KmsMasterKeyId", ""),
    ("SqsManagedSseEnabled", "true"),
    ("RedrivePolicy", ""),
];

async fn made(desk: &Desk, url: &str) -> Result<Made, Refusal> {
    let input = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
    let answer = desk
        .services
        .json("sqs", "AmazonSQS.GetQueueAttributes", input)
        .await?;
    let name = url.rsplit('/').next().unwrap_or_default();
    Ok(Made {
        physical: url.to_owned(),
        attributes: Map::from_iter([
            ("Arn".to_owned(), answer["Attributes"]["QueueArn"].clone()),
            ("QueueName".to_owned(), json!(name)),
            ("QueueUrl".to_owned(), json!(url)),
        ]),
    })
}

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let fifo = properties.get("FifoQueue") == Some(&Value::Bool(true));
    let given = properties.get("QueueName").and_then(Value::as_str);
    let end = if fifo { ".fifo" } else { "" };
    let name = given.map_or_else(|| desk.name() + end, str::to_owned);
    // Creating a queue that is there with the same attributes gives the same queue, so the provider looks first.
    let asked = json!({"QueueName": name});
    match desk
        .services
        .json("sqs", "AmazonSQS.GetQueueUrl", asked)
        .await
    {
        Ok(_) => return Err(desk.exists("AWS::SQS::Queue", &name)),
        Err(refusal) if refusal.not_found() => {}
        Err(refusal) => return Err(refusal.into()),
    }
    let mut attributes: Map<String, Value> = ATTRIBUTES
        .iter()
        .filter_map(|(name, _)| {
            Some((
                (*name).to_owned(),
                Value::from(text(properties.get(*name)?)),
            ))
        })
        .collect();
    if fifo {
        attributes.insert("FifoQueue".to_owned(), json!("true"));
    }
    let mut input = json!({"QueueName": name, "Attributes": attributes});
    let tags = tags::mapped(properties.get("Tags"));
    if tags != json!({}) {
        input["tags"] = tags;
    }
    let answer = desk
        .services
        .json("sqs", "AmazonSQS.CreateQueue", input)
        .await?;
    let url = answer["QueueUrl"].as_str().unwrap_or_default();
    Ok(made(desk, url).await?)
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let changed: Map<String, Value> = ATTRIBUTES
        .iter()
        .filter(|(name, _)| old.get(*name) != new.get(*name))
        .map(|(name, default)| {
            let value = new.get(*name).map_or((*default).to_owned(), text);
            ((*name).to_owned(), Value::from(value))
        })
        .collect();
    if !changed.is_empty() {
        let input = json!({"QueueUrl": physical, "Attributes": changed});
        desk.services
            .json("sqs", "AmazonSQS.SetQueueAttributes", input)
            .await?;
    }
    let calls = TagCalls {
        service: "sqs",
        remove: ("AmazonSQS.UntagQueue", "TagKeys"),
        add: ("AmazonSQS.TagQueue", "Tags"),
        resource: json!({"QueueUrl": physical}),
        tags: tags::mapped(new.get("Tags")),
    };
    desk.retag(calls, old, new).await?;
    Ok(made(desk, physical).await?)
}

pub(super) async fn delete(desk: &Desk, physical: &str) -> Result<(), Refusal> {
    let input = json!({"QueueUrl": physical});
    desk.services
        .json("sqs", "AmazonSQS.DeleteQueue", input)
        .await
        .map(drop)
}

/// Returns true if something has the name.
pub(super) async fn exists(services: &Services, name: &str) -> bool {
    let input = json!({"QueueName": name});
    services
        .json("sqs", "AmazonSQS.GetQueueUrl", input)
        .await
        .is_ok()
}

/// The queue's values of the properties that drift detection compares.
pub(super) async fn read(desk: &Desk, physical: &str) -> Result<Properties, Refusal> {
    let input = json!({"QueueUrl": physical, "AttributeNames": ["All"]});
    let answer = desk
        .services
        .json("sqs", "AmazonSQS.GetQueueAttributes", input)
        .await?;
    let attributes = answer["Attributes"].as_object().into_iter().flatten();
    let known = |name: &str| ATTRIBUTES.iter().any(|(known, _)| *known == name);
    let found = attributes.filter(|(name, _)| known(name));
    Ok(found
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect())
}
