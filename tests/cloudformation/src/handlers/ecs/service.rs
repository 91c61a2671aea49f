//! `AWS::ECS::Service`.

use serde_json::{Value, json};

use super::{BETWEEN, LOOKS, call, input, made};
use crate::handlers::{Desk, Failure, Made, Properties};
use crate::services::Refusal;
use crate::template::parameters::text;

/// What an update of a service sends too, beside its name, its cluster and its tags.
const UPDATED: [&str; 11] = [
    "AvailabilityZoneRebalancing",
    "DeploymentConfiguration",
    "DesiredCount",
    "EnableECSManagedTags",
    "EnableExecuteCommand",
    "HealthCheckGracePeriodSeconds",
    "LoadBalancers",
    "NetworkConfiguration",
    "PlatformVersion",
    "PropagateTags",
    "TaskDefinition",
];
pub(super) const SERVICE: [&str; 15] = [
    "AvailabilityZoneRebalancing",
    "Cluster",
    "DeploymentConfiguration",
    "DesiredCount",
    "EnableECSManagedTags",
    "EnableExecuteCommand",
    "HealthCheckGracePeriodSeconds",
    "LaunchType",
    "LoadBalancers",
    "NetworkConfiguration",
    "PlatformVersion",
    "PropagateTags",
    "ServiceName",
    "Tags",
    "TaskDefinition",
];

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let name = desk.named(properties, "ServiceName");
    let mut asked = input(properties, &SERVICE);
    asked["serviceName"] = json!(name);
    let answer = call(
        desk,
        "AmazonEC2ContainerServiceV20141113.CreateService",
        asked,
    )
    .await;
    let answer = match answer {
        Err(refusal) if refusal.message.contains("not idempotent") => {
            return Err(desk.exists("AWS::ECS::Service", &name));
        }
        other => other?,
    };
    let created = settled(desk, properties, &answer["service"]).await;
    if created.is_err() {
        // The stack does not know the service yet, and its rollback deletes the cluster.
        let arn = text(&answer["service"]["serviceArn"]);
        delete(desk, &arn, properties).await?;
    }
    created
}

/// CloudFormation sends all settings of a service, also those that did not change: the revision that the template names is
/// what the service runs afterwards, whatever it ran before.
/// Source: the report aws/aws-cdk#26983, after which the CDK got `TaskDefinitionRevision.LATEST`.
pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let same = |name: &&str| old.get(*name) == new.get(*name);
    if UPDATED.iter().all(same) {
        return Ok(made_service(physical));
    }
    let mut asked = input(new, &UPDATED);
    asked["service"] = json!(physical);
    if let Some(cluster) = new.get("Cluster") {
        asked["cluster"] = cluster.clone();
    }
    let answer = call(
        desk,
        "AmazonEC2ContainerServiceV20141113.UpdateService",
        asked,
    )
    .await?;
    settled(desk, new, &answer["service"]).await
}

fn made_service(arn: &str) -> Made {
    let name = arn.rsplit('/').next().unwrap_or_default();
    made(arn, &[("Name", &json!(name)), ("ServiceArn", &json!(arn))])
}

async fn described(desk: &Desk, properties: &Properties, arn: &Value) -> Result<Value, Refusal> {
    let mut asked = json!({"services": [arn]});
    if let Some(cluster) = properties.get("Cluster") {
        asked["cluster"] = cluster.clone();
    }
    let target = "AmazonEC2ContainerServiceV20141113.DescribeServices";
    Ok(call(desk, target, asked).await?["services"][0].clone())
}

/// Waits until the service runs what it was given, or ECS gives that up.
async fn settled(desk: &Desk, properties: &Properties, begun: &Value) -> Result<Made, Failure> {
    let ours = &begun["deployments"][0]["id"];
    for _ in 0..LOOKS {
        let now = described(desk, properties, &begun["serviceArn"]).await?;
        let deployments = now["deployments"].as_array();
        let deployments = deployments.map(Vec::as_slice).unwrap_or_default();
        let own = deployments.iter().find(|one| one["id"] == *ours);
        let newest = deployments.first().is_some_and(|one| one["id"] == *ours);
        if !newest || own.is_some_and(|own| own["rolloutState"] == "FAILED") {
            return Err(Failure::new(
                "GeneralServiceException",
                "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.",
            ));
        }
        let completed = own.is_some_and(|own| own["rolloutState"] == "COMPLETED");
        if completed && deployments.len() == 1 && now["runningCount"] == now["desiredCount"] {
            return Ok(made_service(&text(&begun["serviceArn"])));
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Err(Failure::new(
        "NotStabilized",
        "Exceeded attempts to wait for the service to become stable",
    ))
}

/// A service that is deleted drains, and keeps its target group and its name until then.
pub(super) async fn delete(
    desk: &Desk,
    physical: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    let mut asked = json!({"service": physical, "force": true});
    if let Some(cluster) = properties.get("Cluster") {
        asked["cluster"] = cluster.clone();
    }
    let target = "AmazonEC2ContainerServiceV20141113.DeleteService";
    call(desk, target, asked).await?;
    for _ in 0..LOOKS {
        let now = described(desk, properties, &json!(physical)).await?;
        if now["status"] != "DRAINING" {
            break;
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}
