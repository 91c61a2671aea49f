//! Amazon ECS's operations on the state.

pub(crate) mod clusters;
pub(crate) mod deployments;
pub(crate) mod fargate;
pub(crate) mod services;
pub(crate) mod strategies;
pub(crate) mod task_definitions;
pub(crate) mod tasks;

use serde_json::{Value, json};

use crate::error::{Answer, ApiError};
use crate::state::{Cluster, Region, Service};
use crate::value::{need, text};

/// The caller, as far as answers show it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) arn: String,
}

/// Carries out one operation, or answers `None` where this stand-in does not have it.
pub(crate) fn dispatch(
    region: &mut Region,
    caller: &Caller,
    registry: &str,
    operation: &str,
    input: &Value,
) -> Option<Answer> {
    Some(match operation {
        "CreateCluster" => clusters::create(region, input),
        "DescribeClusters" => clusters::describe(region, input),
        "ListClusters" => clusters::list_all(region, input),
        "DeleteCluster" => clusters::delete(region, input),
        "RegisterTaskDefinition" => task_definitions::register(region, caller, registry, input),
        "DescribeTaskDefinition" => task_definitions::describe(region, input),
        "DeregisterTaskDefinition" => task_definitions::deregister(region, input),
        "ListTaskDefinitions" => task_definitions::list_all(region, input),
        "CreateService" => services::create(region, caller, input),
        "UpdateService" => services::update(region, input),
        "DeleteService" => services::delete(region, input),
        "DescribeServices" => services::describe(region, input),
        "ListServices" => services::list_all(region, input),
        "ListServiceDeployments" => deployments::list_all(region, input),
        "DescribeServiceDeployments" => deployments::describe(region, input),
        "DescribeServiceRevisions" => deployments::describe_revisions(region, input),
        "StopServiceDeployment" => deployments::stop(region, input),
        "ContinueServiceDeployment" => deployments::proceed(region, input),
        "RunTask" => tasks::run(region, input),
        "StopTask" => tasks::stop(region, input),
        "ListTasks" => tasks::list_all(region, input),
        "DescribeTasks" => tasks::describe(region, input),
        "TagResource" => tag(region, input, true),
        "UntagResource" => tag(region, input, false),
        "ListTagsForResource" => list_tags(region, input),
        _ => return None,
    })
}

/// The last part of an ARN, or the name itself.
pub(crate) fn short(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}

pub(crate) fn cluster<'a>(region: &'a Region, input: &Value) -> Result<&'a Cluster, ApiError> {
    let name = short(text(input, "cluster").unwrap_or("default"));
    let found = region.clusters.get(name).filter(|cluster| cluster.active);
    found.ok_or_else(|| ApiError::new("ClusterNotFoundException", "Cluster not found."))
}

/// Place of a service in the region's list. The newest of a name counts, since a deleted one may be re-created.
pub(crate) fn service_index(region: &Region, cluster: &str, name_or_arn: &str) -> Option<usize> {
    let name = short(name_or_arn);
    region
        .services
        .iter()
        .rposition(|service| service.cluster == cluster && service.name == name)
}

pub(crate) fn service<'a>(
    region: &'a mut Region,
    input: &Value,
    member: &str,
) -> Result<&'a mut Service, ApiError> {
    let cluster = cluster(region, input)?.arn.clone();
    let found = service_index(region, &cluster, need(input, member));
    found
        .and_then(|index| region.services.get_mut(index))
        .ok_or_else(|| ApiError::new("ServiceNotFoundException", "Service not found."))
}

pub(crate) fn missing(arn: &str) -> Value {
    json!({"arn": arn, "reason": "MISSING"})
}

fn tags_of<'a>(region: &'a mut Region, arn: &str) -> Option<&'a mut Vec<Value>> {
    if let Some(cluster) = region
        .clusters
        .values_mut()
        .find(|cluster| cluster.arn == arn)
    {
        return Some(&mut cluster.tags);
    }
    if let Some(service) = region
        .services
        .iter_mut()
        .rfind(|service| service.arn == arn)
    {
        return Some(&mut service.tags);
    }
    if let Some(task) = region.tasks.values_mut().find(|task| task.arn == arn) {
        return Some(&mut task.tags);
    }
    let mut definitions = region.families.values_mut().flatten();
    definitions
        .find(|definition| definition.arn == arn)
        .map(|definition| &mut definition.tags)
}

fn unknown_resource() -> ApiError {
    ApiError::invalid("The specified resource is not found.")
}

fn tag(region: &mut Region, input: &Value, add: bool) -> Answer {
    let tags = tags_of(region, need(input, "resourceArn")).ok_or_else(unknown_resource)?;
    if add {
        for new in crate::value::list(input, "tags") {
            tags.retain(|tag| tag["key"] != new["key"]);
            tags.push(new.clone());
        }
    } else {
        let gone = crate::value::texts(input, "tagKeys");
        tags.retain(|tag| !gone.iter().any(|key| tag["key"] == key.as_str()));
    }
    Ok(json!({}))
}

fn list_tags(region: &mut Region, input: &Value) -> Answer {
    let tags = tags_of(region, need(input, "resourceArn")).ok_or_else(unknown_resource)?;
    Ok(json!({"tags": tags}))
}
