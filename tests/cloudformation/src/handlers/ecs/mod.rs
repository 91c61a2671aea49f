//! `AWS::ECS::Cluster`, `AWS::ECS::TaskDefinition` and `AWS::ECS::Service`.

mod service;

use std::time::Duration;

use serde_json::{Value, json};

use super::retag::TagCalls;
use super::{Desk, Failure, Made, Properties, copied, unknown};
use crate::services::Refusal;
use crate::tags;
use crate::template::parameters::text;

const CLUSTER: [&str; 3] = ["ClusterName", "ClusterSettings", "Tags"];
const DEFINITION: [&str; 12] = [
    "ContainerDefinitions",
    "Cpu",
    "EphemeralStorage",
    "ExecutionRoleArn",
    "Family",
    "Memory",
    "NetworkMode",
    "RequiresCompatibilities",
    "RuntimePlatform",
    "Tags",
    "TaskRoleArn",
    "Volumes",
];
/// How often the end of a deployment is looked for, and how long between two looks. CloudFormation waits three hours.
const LOOKS: u32 = 2400;
const BETWEEN: Duration = Duration::from_millis(250);

pub(super) fn properties(kind: &str) -> &'static [&'static str] {
    match kind {
        "AWS::ECS::Cluster" => &CLUSTER,
        "AWS::ECS::TaskDefinition" => &DEFINITION,
        _ => &service::SERVICE,
    }
}

async fn call(desk: &Desk, target: &'static str, input: Value) -> Result<Value, Refusal> {
    desk.services.json("ecs", target, input).await
}

/// Properties as members of ECS's API, which begin with a small letter. Keys of maps are their owner's and stay.
pub(super) fn lowered(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let lower = |(name, member): (&String, &Value)| {
                let member = match name.as_str() {
                    "Options" | "DockerLabels" | "DriverOpts" | "Labels" => member.clone(),
                    _ => lowered(member),
                };
                (small(name), member)
            };
            Value::Object(members.iter().map(lower).collect())
        }
        Value::Array(items) => items.iter().map(lowered).collect(),
        other => other.clone(),
    }
}

fn small(name: &str) -> String {
    let mut name = name.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    name
}

/// These properties as the input of a call.
fn input(properties: &Properties, names: &[&str]) -> Value {
    let mut input = lowered(&Value::Object(copied(properties, names)));
    if let Some(tags) = properties.get("Tags").filter(|_| names.contains(&"Tags")) {
        input["tags"] = lowered(tags);
    }
    input
}

fn made(physical: &str, attributes: &[(&str, &Value)]) -> Made {
    let attributes = attributes.iter();
    Made {
        physical: physical.to_owned(),
        attributes: attributes
            .map(|(name, value)| ((*name).to_owned(), (*value).clone()))
            .collect(),
    }
}

pub(super) async fn create(
    desk: &Desk,
    kind: &str,
    properties: &Properties,
) -> Result<Made, Failure> {
    match kind {
        "AWS::ECS::Cluster" => create_cluster(desk, properties).await,
        "AWS::ECS::TaskDefinition" => register(desk, properties).await,
        "AWS::ECS::Service" => service::create(desk, properties).await,
        _ => Err(unknown(kind)),
    }
}

pub(super) async fn update(
    desk: &Desk,
    kind: &str,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let arn = match kind {
        "AWS::ECS::Cluster" => desk.arn("ecs", &format!("cluster/{physical}")),
        _ => physical.to_owned(),
    };
    retag(desk, &arn, old, new).await?;
    match kind {
        "AWS::ECS::Service" => service::update(desk, physical, old, new).await,
        "AWS::ECS::Cluster" if old.get("ClusterSettings") != new.get("ClusterSettings") => {
            Err(Failure::new(
                "InvalidRequest",
                "the sandbox's CloudFormation does not change the settings of a cluster",
            ))
        }
        "AWS::ECS::Cluster" => Ok(made(physical, &[("Arn", &json!(arn))])),
        _ => Ok(made(physical, &[("TaskDefinitionArn", &json!(arn))])),
    }
}

async fn retag(desk: &Desk, arn: &str, old: &Properties, new: &Properties) -> Result<(), Refusal> {
    let pairs = tags::pairs(new.get("Tags")).into_iter();
    let tags: Vec<Value> = pairs
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    let calls = TagCalls {
        service: "ecs",
        remove: (
            "AmazonEC2ContainerServiceV20141113.UntagResource",
            "tagKeys",
        ),
        add: ("AmazonEC2ContainerServiceV20141113.TagResource", "tags"),
        resource: json!({"resourceArn": arn}),
        tags: json!(tags),
    };
    desk.retag(calls, old, new).await
}

async fn create_cluster(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let name = desk.named(properties, "ClusterName");
    // ECS answers a cluster that is there as if it were new, so the provider looks first.
    let looked = call(
        desk,
        "AmazonEC2ContainerServiceV20141113.DescribeClusters",
        json!({"clusters": [name]}),
    )
    .await?;
    if looked["clusters"][0]["status"] == "ACTIVE" {
        return Err(desk.exists("AWS::ECS::Cluster", &name));
    }
    let mut asked = input(properties, &["Tags"]);
    asked["clusterName"] = json!(name);
    if let Some(settings) = properties.get("ClusterSettings") {
        asked["settings"] = lowered(settings);
    }
    let answer = call(
        desk,
        "AmazonEC2ContainerServiceV20141113.CreateCluster",
        asked,
    )
    .await?;
    Ok(made(&name, &[("Arn", &answer["cluster"]["clusterArn"])]))
}

async fn register(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let mut asked = input(properties, &DEFINITION);
    asked["family"] = json!(desk.named(properties, "Family"));
    let answer = call(
        desk,
        "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition",
        asked,
    )
    .await?;
    let arn = &answer["taskDefinition"]["taskDefinitionArn"];
    Ok(made(&text(arn), &[("TaskDefinitionArn", arn)]))
}

pub(super) async fn delete(
    desk: &Desk,
    kind: &str,
    physical: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    match kind {
        "AWS::ECS::Cluster" => {
            let target = "AmazonEC2ContainerServiceV20141113.DeleteCluster";
            drained(|| call(desk, target, json!({"cluster": physical}))).await
        }
        "AWS::ECS::TaskDefinition" => {
            let target = "AmazonEC2ContainerServiceV20141113.DeregisterTaskDefinition";
            let gone = call(desk, target, json!({"taskDefinition": physical})).await;
            gone.map(drop)
        }
        _ => service::delete(desk, physical, properties).await,
    }
}

/// A cluster stays until the last task in it has ended.
async fn drained<F: Future<Output = Result<Value, Refusal>>>(
    delete: impl Fn() -> F,
) -> Result<(), Refusal> {
    for _ in 0..LOOKS {
        match delete().await {
            Err(refusal) if refusal.code == "ClusterContainsTasksException" => {
                tokio::time::sleep(BETWEEN).await;
            }
            other => return other.map(drop),
        }
    }
    delete().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_begin_small_and_keys_of_maps_stay() {
        let given = json!({"ContainerDefinitions": [{
            "Name": "web", "LogConfiguration": {"LogDriver": "awslogs", "Options": {"Mode": "x"}},
            "DockerLabels": {"Team": "a"}, "Environment": [{"Name": "A", "Value": "B"}],
        }]});
        let wanted = json!({"containerDefinitions": [{
            "name": "web", "logConfiguration": {"logDriver": "awslogs", "options": {"Mode": "x"}},
            "dockerLabels": {"Team": "a"}, "environment": [{"name": "A", "value": "B"}],
        }]});
        assert_eq!(lowered(&given), wanted);
    }
}
