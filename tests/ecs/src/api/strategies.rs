//! The rules for how a service deploys: strategies, steps, lifecycle hooks, and the load balancer's part in them.
//! Sources: the service model's descriptions, and the developer guide's pages on blue/green, linear and canary deployments.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::shift::shifts;
use crate::state::Region;
use crate::value::{list, need, number, text, texts};

/// Refuses a configuration that ECS refuses, and what this stand-in does not do.
pub(crate) fn check(region: &Region, settings: &Map<String, Value>) -> Result<(), ApiError> {
    let settings = Value::Object(settings.clone());
    let configuration = &settings["deploymentConfiguration"];
    let strategy = text(configuration, "strategy").unwrap_or("ROLLING");
    for (member, belongs) in [
        ("linearConfiguration", "LINEAR"),
        ("canaryConfiguration", "CANARY"),
    ] {
        if configuration.get(member).is_some() && strategy != belongs {
            return Err(ApiError::invalid(format!(
                "{member} is only valid with the deployment strategy {belongs}."
            )));
        }
    }
    let hooks = list(configuration, "lifecycleHooks");
    if !shifts(configuration) {
        return if hooks.is_empty() {
            Ok(())
        } else {
            Err(ApiError::new(
                "UnsupportedFeatureException",
                "This stand-in has no lifecycle hooks in rolling updates.",
            ))
        };
    }
    check_steps(configuration)?;
    hooks.iter().try_for_each(check_hook)?;
    let balancers = list(&settings, "loadBalancers");
    if balancers.is_empty() && strategy != "BLUE_GREEN" {
        return Err(ApiError::invalid(format!(
            "The deployment strategy {strategy} needs a load balancer or Service Connect."
        )));
    }
    balancers
        .iter()
        .try_for_each(|entry| check_balancer(region, strategy, entry))
}

fn check_steps(configuration: &Value) -> Result<(), ApiError> {
    let percents = [
        ("linearConfiguration", "stepPercent", 3.0),
        ("canaryConfiguration", "canaryPercent", 0.1),
    ];
    for (member, name, least) in percents {
        let percent = configuration[member][name].as_f64();
        let fits = |percent: f64| {
            let tenths = percent * 10.0;
            (least..=100.0).contains(&percent) && (tenths - tenths.round()).abs() < 1e-6
        };
        if percent.is_some_and(|percent| !fits(percent)) {
            return Err(ApiError::invalid(format!(
                "{name} must be a multiple of 0.1 from {least:.1} to 100.0."
            )));
        }
    }
    let minutes = [
        &configuration["bakeTimeInMinutes"],
        &configuration["linearConfiguration"]["stepBakeTimeInMinutes"],
        &configuration["canaryConfiguration"]["canaryBakeTimeInMinutes"],
    ];
    let out_of_range = |one: &&Value| one.as_i64().is_some_and(|n| !(0..=1440).contains(&n));
    if minutes.iter().any(out_of_range) {
        return Err(ApiError::invalid(
            "A bake time must be between 0 and 1440 minutes.",
        ));
    }
    Ok(())
}

fn check_hook(hook: &Value) -> Result<(), ApiError> {
    let stages = texts(hook, "lifecycleStages");
    if stages.is_empty() {
        return Err(ApiError::invalid(
            "A lifecycle hook must name its lifecycleStages.",
        ));
    }
    if text(hook, "targetType") != Some("PAUSE") {
        return match text(hook, "hookTargetArn").zip(text(hook, "roleArn")) {
            Some(_) => Ok(()),
            None => Err(ApiError::invalid(
                "A lifecycle hook of the type AWS_LAMBDA must have a hookTargetArn and a roleArn.",
            )),
        };
    }
    let not_for_pauses = ["TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"];
    match stages
        .iter()
        .find(|one| not_for_pauses.contains(&one.as_str()))
    {
        Some(stage) => Err(ApiError::invalid(format!(
            "PAUSE hooks cannot be configured at the stage {stage}."
        ))),
        None => Ok(()),
    }
}

fn check_balancer(region: &Region, strategy: &str, entry: &Value) -> Result<(), ApiError> {
    let advanced = &entry["advancedConfiguration"];
    for member in [
        "alternateTargetGroupArn",
        "productionListenerRule",
        "roleArn",
    ] {
        if text(advanced, member).is_none() {
            return Err(ApiError::invalid(format!(
                "advancedConfiguration must have {member} with the deployment strategy {strategy}."
            )));
        }
    }
    let alternate = need(advanced, "alternateTargetGroupArn");
    if text(entry, "targetGroupArn") == Some(alternate)
        || !region.groups.iter().any(|group| group.arn == alternate)
    {
        return Err(ApiError::invalid(format!(
            "The alternateTargetGroupArn {alternate} is not valid."
        )));
    }
    let production = need(advanced, "productionListenerRule");
    let mut wanted = vec![production];
    wanted.extend(text(advanced, "testListenerRule"));
    for arn in wanted {
        let mut rules = region.listeners.iter().flat_map(|one| &one.rules);
        let Some(rule) = rules.find(|rule| rule.arn == arn) else {
            return Err(ApiError::invalid(format!(
                "The listener rule {arn} was not found."
            )));
        };
        let groups = [text(entry, "targetGroupArn").unwrap_or_default(), alternate];
        if !groups.iter().any(|group| rule.forwards_to(group)) {
            return Err(ApiError::invalid(format!(
                "The listener rule {arn} does not forward to the service's target groups."
            )));
        }
    }
    Ok(())
}

/// BLUE_GREEN must come with a bake time, which the model says of `bakeTimeInMinutes`.
pub(crate) fn check_given(input: &Value) -> Result<(), ApiError> {
    let given = &input["deploymentConfiguration"];
    if text(given, "strategy") == Some("BLUE_GREEN") && number(given, "bakeTimeInMinutes").is_none()
    {
        return Err(ApiError::invalid(
            "bakeTimeInMinutes must be provided with the deployment strategy BLUE_GREEN.",
        ));
    }
    Ok(())
}
