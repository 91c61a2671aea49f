//! Task definitions: kept and answered as they were sent, plus what ECS itself adds.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::api::{Caller, fargate, short};
use crate::error::{Answer, ApiError};
use crate::state::{Region, TaskDefinition};
use crate::value::{asks, list, need, page, text};

pub(crate) fn register(
    region: &mut Region,
    caller: &Caller,
    registry: &str,
    input: &Value,
) -> Answer {
    fargate::check(input, registry)?;
    let family = need(input, "family").to_owned();
    let revision = region.families.get(&family).map_or(0, Vec::len) + 1;
    let arn = region.arn(&format!("task-definition/{family}:{revision}"));
    let body = complete(input, &arn, revision, caller);
    let tags = list(input, "tags").to_vec();
    let definition = TaskDefinition {
        arn,
        body: Arc::new(body),
        tags: tags.clone(),
    };
    let answer = json!({"taskDefinition": *definition.body, "tags": tags});
    region.families.entry(family).or_default().push(definition);
    Ok(answer)
}

/// The definition as ECS answers it: what was sent, with ECS's defaults where nothing was, and its own members.
fn complete(input: &Value, arn: &str, revision: usize, caller: &Caller) -> Value {
    let awsvpc = text(input, "networkMode") == Some("awsvpc");
    let mut body = Map::new();
    body.insert("taskDefinitionArn".to_owned(), json!(arn));
    for (name, value) in input.as_object().into_iter().flatten() {
        if name != "tags" {
            body.insert(name.clone(), value.clone());
        }
    }
    if let Some(containers) = body
        .get_mut("containerDefinitions")
        .and_then(Value::as_array_mut)
    {
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            complete_container(container, awsvpc);
        }
    }
    for name in ["volumes", "placementConstraints"] {
        body.entry(name).or_insert_with(|| json!([]));
    }
    let mut compatibilities = vec!["EC2"];
    if fargate::suits_fargate(input) {
        compatibilities.push("FARGATE");
    }
    body.insert("revision".to_owned(), json!(revision));
    body.insert("status".to_owned(), json!("ACTIVE"));
    body.insert("requiresAttributes".to_owned(), attributes(input));
    body.insert("compatibilities".to_owned(), json!(compatibilities));
    body.insert("registeredAt".to_owned(), json!(crate::ids::now()));
    body.insert("registeredBy".to_owned(), json!(caller.arn));
    Value::Object(body)
}

fn complete_container(container: &mut Map<String, Value>, awsvpc: bool) {
    container.entry("cpu").or_insert_with(|| json!(0));
    container.entry("essential").or_insert_with(|| json!(true));
    for name in [
        "portMappings",
        "environment",
        "mountPoints",
        "volumesFrom",
        "systemControls",
    ] {
        container.entry(name).or_insert_with(|| json!([]));
    }
    // ECS keeps these by name and answers them in an order of its own.
    for name in ["environment", "secrets", "ulimits"] {
        let list = container.get_mut(name).and_then(Value::as_array_mut);
        if let Some(list) = list {
            list.sort_by(|one, other| need(one, "name").cmp(need(other, "name")));
        }
    }
    let mappings = container
        .get_mut("portMappings")
        .and_then(Value::as_array_mut);
    for mapping in mappings
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        if awsvpc && let Some(port) = mapping.get("containerPort").cloned() {
            mapping.entry("hostPort").or_insert(port);
        }
        mapping.entry("protocol").or_insert_with(|| json!("tcp"));
    }
}

/// The capabilities that ECS derives from a definition; the part of them that these definitions use.
fn attributes(input: &Value) -> Value {
    let mut names = vec!["com.amazonaws.ecs.capability.docker-remote-api.1.18"];
    let containers = list(input, "containerDefinitions");
    if text(input, "networkMode") == Some("awsvpc") {
        names.push("ecs.capability.task-eni");
    }
    if text(input, "taskRoleArn").is_some() {
        names.push("com.amazonaws.ecs.capability.task-iam-role");
    }
    if containers
        .iter()
        .any(|c| c["logConfiguration"]["logDriver"] == "awslogs")
    {
        names.push("com.amazonaws.ecs.capability.logging-driver.awslogs");
        names.push("ecs.capability.execution-role-awslogs");
    }
    if containers.iter().any(|c| c.get("healthCheck").is_some()) {
        names.push("ecs.capability.container-health-check");
    }
    let secrets = || containers.iter().flat_map(|c| list(c, "secrets"));
    if secrets().any(|secret| need(secret, "valueFrom").contains(":secretsmanager:")) {
        names.push("ecs.capability.secrets.asm.environment-variables");
    }
    if secrets().any(|secret| !need(secret, "valueFrom").contains(":secretsmanager:")) {
        names.push("ecs.capability.secrets.ssm.environment-variables");
    }
    names
        .into_iter()
        .map(|name| json!({"name": name}))
        .collect()
}

/// Finds a definition by ARN, `family:revision`, or `family` for its latest active revision.
pub(crate) fn find<'a>(region: &'a Region, name: &str) -> Option<&'a TaskDefinition> {
    let name = short(name);
    match name.rsplit_once(':') {
        Some((family, revision)) => {
            let index = revision.parse::<usize>().ok()?.checked_sub(1)?;
            region.families.get(family)?.get(index)
        }
        None => region
            .families
            .get(name)?
            .iter()
            .rev()
            .find(|definition| definition.active()),
    }
}

/// A definition that a service or a task may be started from.
pub(crate) fn usable(region: &Region, name: &str) -> Result<TaskDefinition, ApiError> {
    let found = find(region, name).ok_or_else(|| ApiError::client("TaskDefinition not found."))?;
    if !found.active() {
        return Err(ApiError::client("TaskDefinition is inactive"));
    }
    Ok(found.clone())
}

pub(crate) fn describe(region: &mut Region, input: &Value) -> Answer {
    let found = find(region, need(input, "taskDefinition"));
    let found = found.ok_or_else(|| ApiError::client("Unable to describe task definition."))?;
    let mut answer = json!({"taskDefinition": *found.body});
    if asks(input, "include", "TAGS") {
        answer["tags"] = json!(found.tags);
    }
    Ok(answer)
}

pub(crate) fn deregister(region: &mut Region, input: &Value) -> Answer {
    let name = need(input, "taskDefinition");
    if !short(name).contains(':') {
        return Err(ApiError::client(
            "An Amazon ECS task definition revision must be specified.",
        ));
    }
    let arn = find(region, name).map(|found| found.arn.clone());
    let mut all = region.families.values_mut().flatten();
    let found = all.find(|one| Some(&one.arn) == arn.as_ref());
    let found =
        found.ok_or_else(|| ApiError::client("The specified task definition does not exist."))?;
    let mut body = (*found.body).clone();
    body["status"] = json!("INACTIVE");
    body["deregisteredAt"] = json!(crate::ids::now());
    found.body = Arc::new(body);
    Ok(json!({"taskDefinition": *found.body}))
}

pub(crate) fn list_all(region: &mut Region, input: &Value) -> Answer {
    let status = text(input, "status").unwrap_or("ACTIVE");
    let family = text(input, "familyPrefix");
    let families = region
        .families
        .iter()
        .filter(|(name, _)| family.is_none_or(|family| *name == family));
    let matching = families
        .flat_map(|(_, revisions)| revisions)
        .filter(|one| one.body["status"] == status);
    let mut arns: Vec<String> = matching.map(|definition| definition.arn.clone()).collect();
    if text(input, "sort") == Some("DESC") {
        arns.reverse();
    }
    let (arns, next) = page(arns, input, 100)?;
    let mut answer = json!({"taskDefinitionArns": arns, "nextToken": next});
    crate::check::drop_null_members(&mut answer);
    Ok(answer)
}
