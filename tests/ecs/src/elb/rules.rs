//! Operations on the rules of listeners.

use serde_json::{Value, json};

use super::groups::group;
use super::rule::{Rule, forward_action};
use crate::error::{Answer, ApiError};
use crate::ids;
use crate::state::Region;
use crate::value::{list, need, number, text, texts};

/// Conditions that this stand-in can judge.
const FIELDS: [&str; 3] = ["host-header", "http-header", "path-pattern"];

/// The actions of a request in the form in which they are answered.
pub(super) fn actions(
    region: &Region,
    input: &Value,
    member: &str,
) -> Result<Vec<Value>, ApiError> {
    let mut actions = list(input, member).to_vec();
    for (index, action) in actions.iter_mut().enumerate() {
        action["Order"] = json!(index + 1);
        let direct = text(action, "TargetGroupArn").map(|arn| vec![(arn.to_owned(), 1)]);
        let config = list(&action["ForwardConfig"], "TargetGroups");
        let several = || {
            let tuple = |one: &Value| {
                let arn = need(one, "TargetGroupArn").to_owned();
                (arn, number(one, "Weight").unwrap_or(1))
            };
            config.iter().map(tuple).collect::<Vec<_>>()
        };
        if action["Type"] != "forward" {
            continue;
        }
        let groups = direct.unwrap_or_else(several);
        for (arn, weight) in &groups {
            group(region, arn)?;
            if !(0..=999).contains(weight) {
                return Err(ApiError::new(
                    "ValidationError",
                    format!("Weight '{weight}' must be between 0 and 999"),
                ));
            }
        }
        *action = forward_action(&groups);
    }
    actions.iter_mut().for_each(crate::check::drop_null_members);
    Ok(actions)
}

fn not_found(arn: &str) -> ApiError {
    ApiError::new(
        "RuleNotFound",
        format!("One or more rules not found: {arn}"),
    )
}

pub(super) fn create(region: &mut Region, input: &Value) -> Answer {
    let wanted = need(input, "ListenerArn");
    let priority = number(input, "Priority").unwrap_or(1);
    let conditions = conditions(input)?;
    let actions = actions(region, input, "Actions")?;
    let listener = region.listeners.iter_mut().find(|one| one.arn == wanted);
    let listener = listener.ok_or_else(|| {
        ApiError::new(
            "ListenerNotFound",
            format!("One or more listeners not found: {wanted}"),
        )
    })?;
    if listener
        .rules
        .iter()
        .any(|rule| rule.priority == Some(priority))
    {
        return Err(ApiError::new(
            "PriorityInUse",
            format!("Priority '{priority}' is currently in use"),
        ));
    }
    let arn = rule_arn(wanted);
    let mut rule = Rule::new(arn, Some(priority), conditions);
    rule.actions = actions;
    let shown = rule.describe();
    listener.rules.push(rule);
    // The default rule comes last.
    listener
        .rules
        .sort_by_key(|rule| rule.priority.unwrap_or(i64::MAX));
    Ok(json!({"Rules": [shown]}))
}

/// A new ARN for a rule of this listener.
pub(super) fn rule_arn(listener: &str) -> String {
    let listener = listener.replacen(":listener/", ":listener-rule/", 1);
    format!("{listener}/{}", ids::hex16())
}

fn conditions(input: &Value) -> Result<Vec<Value>, ApiError> {
    let conditions = list(input, "Conditions");
    let strange = conditions
        .iter()
        .map(|one| need(one, "Field"))
        .find(|field| !FIELDS.contains(field));
    match strange {
        None => Ok(conditions.to_vec()),
        Some(field) => Err(ApiError::new(
            "InvalidConfigurationRequest",
            format!("This stand-in has no conditions of the field '{field}'"),
        )),
    }
}

pub(super) fn describe(region: &mut Region, input: &Value) -> Answer {
    let (listener, arns) = (text(input, "ListenerArn"), texts(input, "RuleArns"));
    if listener.is_some_and(|arn| !region.listeners.iter().any(|one| one.arn == arn)) {
        return Err(ApiError::new(
            "ListenerNotFound",
            "One or more listeners not found",
        ));
    }
    if listener.is_none() && arns.is_empty() {
        return Err(ApiError::new(
            "ValidationError",
            "You must specify either listener ARN or rule ARNs",
        ));
    }
    let rules = |region: &Region| {
        let of = region
            .listeners
            .iter()
            .filter(|one| listener.is_none_or(|arn| one.arn == arn));
        let rules = of.flat_map(|one| &one.rules);
        rules
            .filter(|rule| arns.is_empty() || arns.contains(&rule.arn))
            .map(Rule::describe)
            .collect::<Vec<Value>>()
    };
    let shown = rules(region);
    let known = |arn: &&String| shown.iter().any(|rule| rule["RuleArn"] == arn.as_str());
    match arns.iter().find(|arn| !known(arn)) {
        Some(absent) => Err(not_found(absent)),
        None => Ok(json!({"Rules": shown})),
    }
}

pub(super) fn modify(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "RuleArn");
    let actions = actions(region, input, "Actions")?;
    let conditions = conditions(input)?;
    let rule = region.rule(arn).ok_or_else(|| not_found(arn))?;
    if rule.priority.is_none() {
        return Err(ApiError::new(
            "OperationNotPermitted",
            "Default rule cannot be modified",
        ));
    }
    if !actions.is_empty() {
        rule.actions = actions;
    }
    if !conditions.is_empty() {
        rule.conditions = conditions;
    }
    Ok(json!({"Rules": [rule.describe()]}))
}

pub(super) fn delete(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "RuleArn");
    let rule = region.rule(arn).ok_or_else(|| not_found(arn))?;
    if rule.priority.is_none() {
        return Err(ApiError::new(
            "OperationNotPermitted",
            "Default rule cannot be deleted",
        ));
    }
    for listener in &mut region.listeners {
        listener.rules.retain(|rule| rule.arn != arn);
    }
    Ok(json!({}))
}
