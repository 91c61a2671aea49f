//! Tasks: started alone, stopped, listed and described.

use serde_json::{Map, Value, json};

use crate::api::{missing, short, task_definitions};
use crate::error::{Answer, ApiError};
use crate::state::Region;
use crate::task::{Stop, Task};
use crate::value::{asks, copy, list, need, number, page, text, texts};

/// Creates the tasks; the caller looks for those that are still to be driven.
pub(crate) fn run(region: &mut Region, input: &Value) -> Answer {
    let cluster = super::cluster(region, input)?.arn.clone();
    let definition = task_definitions::usable(region, need(input, "taskDefinition"))?;
    let body = &definition.body;
    let awsvpc = text(body, "networkMode") == Some("awsvpc");
    if awsvpc
        && input["networkConfiguration"]
            .get("awsvpcConfiguration")
            .is_none()
    {
        return Err(ApiError::invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ));
    }
    if text(input, "launchType") == Some("FARGATE")
        && !list(body, "compatibilities")
            .iter()
            .any(|one| one == "FARGATE")
    {
        return Err(ApiError::invalid(
            "Task definition does not support launch_type FARGATE.",
        ));
    }
    let overrides = &input["overrides"];
    for container in list(overrides, "containerOverrides") {
        let name = need(container, "name");
        if !list(body, "containerDefinitions")
            .iter()
            .any(|one| need(one, "name") == name)
        {
            return Err(ApiError::invalid(format!(
                "Override for container named {name} is not a container in the TaskDefinition."
            )));
        }
    }
    let count = number(input, "count").unwrap_or(1);
    if !(1..=10).contains(&count) {
        return Err(ApiError::invalid("Count must be between 1 and 10."));
    }
    let mut settings = Map::new();
    copy(
        input,
        &[
            "launchType",
            "platformVersion",
            "networkConfiguration",
            "enableExecuteCommand",
            "overrides",
        ],
        &mut settings,
    );
    if !input
        .as_object()
        .is_some_and(|input| input.contains_key("capacityProviderStrategy"))
    {
        settings.entry("launchType").or_insert_with(|| json!("EC2"));
    }
    let mut tags = list(input, "tags").to_vec();
    if text(input, "propagateTags") == Some("TASK_DEFINITION") {
        tags.extend(definition.tags.iter().cloned());
    }
    let mut shown = Vec::new();
    for _ in 0..count {
        let Some(cluster) = region.clusters.values().find(|one| one.arn == cluster) else {
            break;
        };
        let mut task = Task::new(&cluster.arn, definition.body.clone(), crate::ids::now());
        task.settings = settings.clone();
        task.tags.clone_from(&tags);
        task.started_by = text(input, "startedBy").map(str::to_owned);
        if let Some(group) = text(input, "group") {
            task.group = group.to_owned();
        }
        shown.push(task.describe(true));
        region.tasks.insert(task.id.clone(), task);
    }
    Ok(json!({"tasks": shown, "failures": []}))
}

pub(crate) fn stop(region: &mut Region, input: &Value) -> Answer {
    let cluster = super::cluster(region, input)?.arn.clone();
    let id = short(need(input, "task"));
    let task = region
        .tasks
        .get_mut(id)
        .filter(|task| task.cluster == cluster);
    let task = task.ok_or_else(|| ApiError::invalid("The referenced task was not found."))?;
    task.order(Stop {
        code: "UserInitiated",
        reason: text(input, "reason")
            .unwrap_or("Task stopped by user")
            .to_owned(),
        failure: false,
        drain: true,
    });
    Ok(json!({"task": task.describe(true)}))
}

pub(crate) fn list_all(region: &mut Region, input: &Value) -> Answer {
    let cluster = super::cluster(region, input)?.arn.clone();
    let service = match text(input, "serviceName") {
        Some(name) => {
            let index = super::service_index(region, &cluster, name);
            let index = index
                .ok_or_else(|| ApiError::new("ServiceNotFoundException", "Service not found."))?;
            Some(region.services[index].arn.clone())
        }
        None => None,
    };
    let stopped = text(input, "desiredStatus") == Some("STOPPED");
    let mut tasks: Vec<&Task> = region
        .tasks
        .values()
        .filter(|task| task.cluster == cluster && task.ending() == stopped)
        .filter(|task| service.is_none() || task.service == service)
        .filter(|task| {
            text(input, "family").is_none_or(|family| need(&task.definition, "family") == family)
        })
        .filter(|task| {
            text(input, "startedBy").is_none_or(|by| task.started_by.as_deref() == Some(by))
        })
        .filter(|task| {
            text(input, "launchType").is_none_or(|kind| {
                task.settings
                    .get("launchType")
                    .is_some_and(|one| one == kind)
            })
        })
        .collect();
    tasks.sort_by(|a, b| b.created_at.total_cmp(&a.created_at));
    let (arns, next) = page(
        tasks.into_iter().map(|task| task.arn.clone()).collect(),
        input,
        100,
    )?;
    let mut answer = json!({"taskArns": arns, "nextToken": next});
    crate::check::drop_null_members(&mut answer);
    Ok(answer)
}

pub(crate) fn describe(region: &mut Region, input: &Value) -> Answer {
    let cluster = super::cluster(region, input)?;
    let (cluster, cluster_name) = (cluster.arn.clone(), cluster.name.clone());
    let wanted = texts(input, "tasks");
    if wanted.is_empty() || wanted.len() > 100 {
        return Err(ApiError::invalid(
            "Tasks must have between 1 and 100 entries.",
        ));
    }
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for name in wanted {
        let id = short(&name);
        match region.tasks.get(id).filter(|task| task.cluster == cluster) {
            Some(task) => tasks.push(task.describe(asks(input, "include", "TAGS"))),
            None => failures.push(missing(&region.arn(&format!("task/{cluster_name}/{id}")))),
        }
    }
    Ok(json!({"tasks": tasks, "failures": failures}))
}
