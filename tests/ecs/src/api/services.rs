//! Services.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::api::{Caller, missing, service_index, short, strategies, task_definitions};
use crate::error::{Answer, ApiError};
use crate::state::{Region, Service};
use crate::value::{asks, copy, flag, list, need, number, page, text, texts};

/// Members that a service keeps and answers as they came.
const KEPT: [&str; 21] = [
    "loadBalancers",
    "serviceRegistries",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "deploymentConfiguration",
    "placementConstraints",
    "placementStrategy",
    "networkConfiguration",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "deploymentController",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
    "availabilityZoneRebalancing",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
    "role",
    "platformFamily",
];

/// Members of UpdateService that need new tasks, and so begin a deployment when they change.
const DEPLOYING: [&str; 9] = [
    "networkConfiguration",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "capacityProviderStrategy",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
    "enableExecuteCommand",
];

pub(crate) fn create(region: &mut Region, caller: &Caller, input: &Value) -> Answer {
    let cluster = super::cluster(region, input)?;
    let (cluster, cluster_name) = (cluster.arn.clone(), cluster.name.clone());
    let name = need(input, "serviceName").to_owned();
    let exists =
        service_index(region, &cluster, &name).and_then(|index| region.services.get(index));
    match exists.map(|service| service.status) {
        Some("ACTIVE") => return Err(ApiError::invalid("Creation of service was not idempotent.")),
        Some("DRAINING") => {
            return Err(ApiError::invalid(
                "Unable to Start a service that is still Draining.",
            ));
        }
        _ => {}
    }
    refuse_what_is_not_here(input)?;
    strategies::check_given(input)?;
    let wanted = text(input, "taskDefinition")
        .ok_or_else(|| ApiError::invalid("TaskDefinition can not be blank."))?;
    let definition = task_definitions::usable(region, wanted)?;
    let mut settings = Map::new();
    copy(input, &KEPT, &mut settings);
    let daemon = text(input, "schedulingStrategy") == Some("DAEMON");
    let usual = if daemon { INSTANCES } else { 1 };
    let desired = number(input, "desiredCount").unwrap_or(i64::from(usual));
    complete(&mut settings, daemon);
    refuse_of_a_daemon(&settings, input)?;
    check(region, &settings, &definition.body, desired)?;
    let mut service = Service {
        arn: region.arn(&format!("service/{cluster_name}/{name}")),
        name,
        cluster,
        cluster_name,
        status: "ACTIVE",
        desired: u32::try_from(desired).unwrap_or(0),
        settings,
        tags: list(input, "tags").to_vec(),
        created_at: crate::ids::now(),
        created_by: caller.arn.clone(),
        deployments: Vec::new(),
        revisions: Vec::new(),
        rollouts: Vec::new(),
        last_completed: None,
        events: VecDeque::new(),
        steady: false,
        streak: 0,
        not_before: 0.0,
    };
    service.deploy(|rest| region.arn(rest), definition.body);
    let shown = service.describe(region, true);
    region.services.push(service);
    Ok(json!({"service": shown}))
}

/// Features of ECS that a client could ask for and would not get; better refused than taken silently.
fn refuse_what_is_not_here(input: &Value) -> Result<(), ApiError> {
    if text(&input["deploymentController"], "type").is_some_and(|kind| kind != "ECS") {
        return Err(ApiError::new(
            "UnsupportedFeatureException",
            "This stand-in has the deployment controller ECS only.",
        ));
    }
    Ok(())
}

/// The container instances of every cluster, of which the stand-in has no other sign: a daemon runs one task on each.
const INSTANCES: u32 = 2;

/// Refuses what a daemon does not have. Source: Amazon ECS Developer Guide, "Daemon" (service scheduler), and API Reference,
/// `CreateService`: no desired count, no Fargate, no placement strategy, no automatic scaling, and a maximum of 100 percent.
fn refuse_of_a_daemon(settings: &Map<String, Value>, input: &Value) -> Result<(), ApiError> {
    let settings = Value::Object(settings.clone());
    if text(&settings, "schedulingStrategy") != Some("DAEMON") {
        return Ok(());
    }
    if input.get("desiredCount").is_some_and(|it| !it.is_null()) {
        return Err(ApiError::invalid(
            "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and try again.",
        ));
    }
    if text(&settings, "launchType") == Some("FARGATE") {
        return Err(ApiError::invalid(
            "The daemon scheduling strategy is not supported for Fargate tasks.",
        ));
    }
    if !list(&settings, "placementStrategy").is_empty() {
        return Err(ApiError::invalid(
            "The daemon scheduling strategy does not support placement strategies.",
        ));
    }
    if number(&settings["deploymentConfiguration"], "maximumPercent") != Some(100) {
        return Err(ApiError::invalid(
            "The daemon scheduling strategy does not support values above 100 for maximumPercent.",
        ));
    }
    Ok(())
}

fn complete(settings: &mut Map<String, Value>, daemon: bool) {
    let mut configuration = json!({
        "deploymentCircuitBreaker": {"enable": false, "rollback": false},
        "maximumPercent": if daemon { 100 } else { 200 },
        "minimumHealthyPercent": if daemon { 0 } else { 100 },
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    });
    merge(&mut configuration, settings.get("deploymentConfiguration"));
    settings.insert("deploymentConfiguration".to_owned(), configuration);
    if !settings.contains_key("capacityProviderStrategy") {
        settings.entry("launchType").or_insert_with(|| json!("EC2"));
    }
    if settings
        .get("launchType")
        .is_some_and(|kind| kind == "FARGATE")
    {
        settings
            .entry("platformVersion")
            .or_insert_with(|| json!("LATEST"));
        settings
            .entry("platformFamily")
            .or_insert_with(|| json!("Linux"));
    }
    for name in [
        "loadBalancers",
        "serviceRegistries",
        "placementConstraints",
        "placementStrategy",
    ] {
        settings.entry(name).or_insert_with(|| json!([]));
    }
    settings
        .entry("schedulingStrategy")
        .or_insert_with(|| json!("REPLICA"));
    settings
        .entry("deploymentController")
        .or_insert_with(|| json!({"type": "ECS"}));
    settings
        .entry("enableECSManagedTags")
        .or_insert_with(|| json!(false));
    settings
        .entry("enableExecuteCommand")
        .or_insert_with(|| json!(false));
    settings
        .entry("propagateTags")
        .or_insert_with(|| json!("NONE"));
    settings
        .entry("availabilityZoneRebalancing")
        .or_insert_with(|| json!("DISABLED"));
    if list(&Value::Object(settings.clone()), "loadBalancers").is_empty() {
        return;
    }
    settings
        .entry("healthCheckGracePeriodSeconds")
        .or_insert_with(|| json!(0));
}

/// A change of the strategy takes the steps of the earlier one away.
fn drop_other_steps(configuration: &mut Value) {
    let strategy = text(configuration, "strategy")
        .unwrap_or_default()
        .to_owned();
    if let Some(members) = configuration.as_object_mut() {
        for (member, belongs) in [
            ("linearConfiguration", "LINEAR"),
            ("canaryConfiguration", "CANARY"),
        ] {
            if strategy != belongs {
                members.remove(member);
            }
        }
    }
}

/// Members of `from` replace those of `into`, one level deep.
fn merge(into: &mut Value, from: Option<&Value>) {
    for (name, value) in from.and_then(Value::as_object).into_iter().flatten() {
        into[name] = value.clone();
    }
}

fn check(
    region: &Region,
    settings: &Map<String, Value>,
    definition: &Arc<Value>,
    desired: i64,
) -> Result<(), ApiError> {
    if desired < 0 {
        return Err(ApiError::invalid(
            "Desired count must be greater than or equal to 0.",
        ));
    }
    strategies::check(region, settings)?;
    let settings = Value::Object(settings.clone());
    let configuration = &settings["deploymentConfiguration"];
    let (minimum, maximum) = (
        number(configuration, "minimumHealthyPercent"),
        number(configuration, "maximumPercent"),
    );
    if minimum == Some(100) && maximum == Some(100) {
        return Err(ApiError::invalid(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
        ));
    }
    if minimum
        .zip(maximum)
        .is_some_and(|(minimum, maximum)| minimum > maximum)
    {
        return Err(ApiError::invalid(
            "maximumPercent must be greater than or equal to minimumHealthyPercent.",
        ));
    }
    if text(&settings, "launchType") == Some("FARGATE")
        && !list(definition, "compatibilities")
            .iter()
            .any(|one| one == "FARGATE")
    {
        return Err(ApiError::invalid(
            "Task definition does not support launch_type FARGATE.",
        ));
    }
    if text(definition, "networkMode") == Some("awsvpc")
        && settings["networkConfiguration"]
            .get("awsvpcConfiguration")
            .is_none()
    {
        return Err(ApiError::invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ));
    }
    for entry in list(&settings, "loadBalancers") {
        check_load_balancer(region, entry, definition)?;
    }
    Ok(())
}

fn check_load_balancer(region: &Region, entry: &Value, definition: &Value) -> Result<(), ApiError> {
    let container_name = need(entry, "containerName");
    let containers = list(definition, "containerDefinitions");
    let container = containers
        .iter()
        .find(|container| need(container, "name") == container_name);
    let Some(container) = container else {
        return Err(ApiError::invalid(format!(
            "The container {container_name} does not exist in the task definition."
        )));
    };
    let port = number(entry, "containerPort").unwrap_or(0);
    if !list(container, "portMappings")
        .iter()
        .any(|mapping| number(mapping, "containerPort") == Some(port))
    {
        return Err(ApiError::invalid(format!(
            "The container {container_name} did not have a container port {port} defined."
        )));
    }
    let Some(arn) = text(entry, "targetGroupArn") else {
        return Err(ApiError::new(
            "UnsupportedFeatureException",
            "This stand-in has no Classic Load Balancers; name a targetGroupArn.",
        ));
    };
    let Some(group) = region.groups.iter().find(|group| group.arn == arn) else {
        return Err(ApiError::invalid(format!(
            "Unable to assume role and validate the specified targetGroupArn: {arn} was not found."
        )));
    };
    if text(definition, "networkMode") == Some("awsvpc") && group.settings["TargetType"] != "ip" {
        return Err(ApiError::invalid(format!(
            "The provided target group {arn} has target type {}, which is incompatible with the awsvpc network mode specified in the task definition.",
            need(&group.settings, "TargetType")
        )));
    }
    if region
        .listeners
        .iter()
        .all(|listener| !listener.forwards_to(arn))
    {
        return Err(ApiError::invalid(format!(
            "The target group with targetGroupArn {arn} does not have an associated load balancer."
        )));
    }
    Ok(())
}

pub(crate) fn update(region: &mut Region, input: &Value) -> Answer {
    let cluster = super::cluster(region, input)?.arn.clone();
    let index = service_index(region, &cluster, need(input, "service"))
        .ok_or_else(|| ApiError::new("ServiceNotFoundException", "Service not found."))?;
    if region.services[index].status != "ACTIVE" {
        return Err(ApiError::new(
            "ServiceNotActiveException",
            "Service was not ACTIVE.",
        ));
    }
    refuse_what_is_not_here(input)?;
    strategies::check_given(input)?;
    let service = &region.services[index];
    let current = service
        .deployments
        .first()
        .map(|d| d.definition.clone())
        .unwrap_or_default();
    let definition = match text(input, "taskDefinition") {
        Some(name) => task_definitions::usable(region, name)?.body,
        None => current.clone(),
    };
    let mut settings = service.settings.clone();
    for name in KEPT {
        match (name, input.get(name)) {
            (_, None) => {}
            ("deploymentConfiguration", new) => {
                let mut merged = settings.get(name).cloned().unwrap_or_else(|| json!({}));
                merge(&mut merged, new);
                drop_other_steps(&mut merged);
                settings.insert(name.to_owned(), merged);
            }
            (_, Some(new)) => {
                settings.insert(name.to_owned(), new.clone());
            }
        }
    }
    refuse_of_a_daemon(&settings, input)?;
    let desired = number(input, "desiredCount").unwrap_or(i64::from(service.desired));
    check(region, &settings, &definition, desired)?;
    let changed = DEPLOYING
        .iter()
        .any(|name| service.settings.get(*name) != settings.get(*name));
    let other_definition = definition["taskDefinitionArn"] != current["taskDefinitionArn"];
    let deploys = other_definition || changed || flag(input, "forceNewDeployment");
    let (account, name) = (region.account.clone(), region.name.clone());
    let service = &mut region.services[index];
    service.settings = settings;
    service.desired = u32::try_from(desired).unwrap_or(0);
    if deploys {
        service.deploy(
            |rest| format!("arn:aws:ecs:{name}:{account}:{rest}"),
            definition,
        );
    } else if let Some(primary) = service.deployments.first_mut()
        && primary.desired != service.desired
    {
        primary.desired = service.desired;
        primary.updated_at = crate::ids::now();
    }
    let shown = region.services[index].describe(region, true);
    Ok(json!({"service": shown}))
}

pub(crate) fn delete(region: &mut Region, input: &Value) -> Answer {
    let service = super::service(region, input, "service")?;
    if service.status == "ACTIVE" && service.desired > 0 && !flag(input, "force") {
        return Err(ApiError::invalid(
            "The service cannot be stopped while it is scaled above 0.",
        ));
    }
    if service.status == "ACTIVE" {
        service.status = "DRAINING";
        service.desired = 0;
    }
    let arn = service.arn.clone();
    let shown = region
        .services
        .iter()
        .rfind(|service| service.arn == arn)
        .map(|service| service.describe(region, true));
    Ok(json!({"service": shown}))
}

pub(crate) fn describe(region: &mut Region, input: &Value) -> Answer {
    let cluster = super::cluster(region, input)?;
    let (cluster, cluster_name) = (cluster.arn.clone(), cluster.name.clone());
    let names = texts(input, "services");
    if names.is_empty() {
        return Err(ApiError::invalid("Services cannot be empty."));
    }
    if names.len() > 10 {
        return Err(ApiError::invalid("Services cannot be longer than 10."));
    }
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match service_index(region, &cluster, &name) {
            Some(index) => services
                .push(region.services[index].describe(region, asks(input, "include", "TAGS"))),
            None => failures.push(missing(
                &region.arn(&format!("service/{cluster_name}/{}", short(&name))),
            )),
        }
    }
    Ok(json!({"services": services, "failures": failures}))
}

pub(crate) fn list_all(region: &mut Region, input: &Value) -> Answer {
    let cluster = super::cluster(region, input)?.arn.clone();
    let wanted = |service: &&Service| {
        let kind = text(input, "launchType");
        service.cluster == cluster
            && service.status != "INACTIVE"
            && kind.is_none_or(|kind| {
                service
                    .settings
                    .get("launchType")
                    .is_some_and(|one| one == kind)
            })
    };
    let arns = region
        .services
        .iter()
        .filter(wanted)
        .map(|service| service.arn.clone())
        .collect();
    let (arns, next) = page(arns, input, 10)?;
    let mut answer = json!({"serviceArns": arns, "nextToken": next});
    crate::check::drop_null_members(&mut answer);
    Ok(answer)
}
