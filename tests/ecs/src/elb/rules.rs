//! Rules of a listener: which requests they take, and how they divide them among target groups.

use axum::extract::Request;
use axum::http::header;
use serde_json::{Value, json};

use super::groups::group;
use crate::error::{Answer, ApiError};
use crate::ids;
use crate::state::Region;
use crate::value::{list, need, number, text, texts};

/// Conditions that this stand-in can judge.
const FIELDS: [&str; 3] = ["host-header", "http-header", "path-pattern"];

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) arn: String,
    /// `None` is the default rule, which takes what no other rule took.
    pub(crate) priority: Option<i64>,
    conditions: Vec<Value>,
    pub(super) actions: Vec<Value>,
    /// Counts requests, to divide them by the weights.
    turn: u64,
}

impl Rule {
    pub(super) fn new(arn: String, priority: Option<i64>, conditions: Vec<Value>) -> Self {
        Self {
            arn,
            priority,
            conditions,
            actions: Vec::new(),
            turn: 0,
        }
    }

    pub(super) fn action(&self) -> &Value {
        self.actions.first().unwrap_or(&Value::Null)
    }

    /// Target groups and weights of its `forward` action.
    pub(crate) fn groups(&self) -> Vec<(String, i64)> {
        list(&self.action()["ForwardConfig"], "TargetGroups")
            .iter()
            .map(|one| {
                let arn = need(one, "TargetGroupArn").to_owned();
                (arn, number(one, "Weight").unwrap_or(1))
            })
            .collect()
    }

    /// Returns true if the target group is in use by the rule, which it is with a weight of 0 too.
    pub(crate) fn forwards_to(&self, group: &str) -> bool {
        self.groups().iter().any(|(arn, _)| arn == group)
    }

    /// Replaces the target groups of its `forward` action, as ModifyRule does.
    pub(crate) fn forward(&mut self, groups: &[(String, i64)]) {
        self.actions = vec![forward_action(groups)];
    }

    /// The target group of the next request. The golden ratio spreads the turns evenly over the weights, so that every
    /// few dozen requests already have the shares that the weights name.
    pub(super) fn next_group(&mut self) -> Option<String> {
        let groups = self.groups();
        let total: i64 = groups.iter().map(|(_, weight)| weight).sum();
        if total == 0 {
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        let mut point = (self.turn as f64 * 0.618_033_988_749_895).fract() * total as f64;
        for (arn, weight) in &groups {
            if point < *weight as f64 {
                return Some(arn.clone());
            }
            point -= *weight as f64;
        }
        None
    }

    pub(super) fn takes(&self, request: &Request) -> bool {
        self.conditions.iter().all(|one| holds(one, request))
    }

    fn describe(&self) -> Value {
        json!({
            "RuleArn": self.arn,
            "Priority": self.priority.map_or_else(|| "default".to_owned(), |number| number.to_string()),
            "Conditions": self.conditions,
            "Actions": self.actions,
            "IsDefault": self.priority.is_none(),
        })
    }
}

fn forward_action(groups: &[(String, i64)]) -> Value {
    let tuples: Vec<Value> = groups
        .iter()
        .map(|(arn, weight)| json!({"TargetGroupArn": arn, "Weight": weight}))
        .collect();
    let mut action = json!({
        "Type": "forward",
        "Order": 1,
        "ForwardConfig": {"TargetGroups": tuples, "TargetGroupStickinessConfig": {"Enabled": false}},
    });
    // With a single target group, the answer names it in the older form too.
    if let [(arn, _)] = groups {
        action["TargetGroupArn"] = json!(arn);
    }
    action
}

fn holds(condition: &Value, request: &Request) -> bool {
    let values = |config: &str| {
        let inner = texts(&condition[config], "Values");
        if inner.is_empty() {
            texts(condition, "Values")
        } else {
            inner
        }
    };
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    };
    let any = |patterns: &[String], value: &str| patterns.iter().any(|one| matches(one, value));
    match need(condition, "Field") {
        "path-pattern" => any(&values("PathPatternConfig"), request.uri().path()),
        "host-header" => {
            let host = header(header::HOST.as_str());
            let host = host.split(':').next().unwrap_or_default();
            any(&values("HostHeaderConfig"), host)
        }
        _ => {
            let name = need(&condition["HttpHeaderConfig"], "HttpHeaderName");
            any(&values("HttpHeaderConfig"), header(name))
        }
    }
}

/// A pattern with `*` for any characters and `?` for one.
fn matches(pattern: &str, value: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => value.is_empty(),
        Some('*') => {
            let rest = rest.as_str();
            (0..=value.len())
                .filter(|at| value.is_char_boundary(*at))
                .any(|at| matches(rest, &value[at..]))
        }
        Some(wanted) => {
            let mut given = value.chars();
            given
                .next()
                .is_some_and(|one| wanted == '?' || wanted == one)
                && matches(rest.as_str(), given.as_str())
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_divided_by_the_weights() {
        for (blue, green) in [(95, 5), (50, 50), (0, 100), (90, 10), (100, 0)] {
            let mut rule = Rule::new(String::new(), None, Vec::new());
            rule.forward(&[("blue".to_owned(), blue), ("green".to_owned(), green)]);
            let hits = (0..1000)
                .filter(|_| rule.next_group().as_deref() == Some("green"))
                .count();
            let wanted = usize::try_from(green * 10).unwrap();
            assert!(hits.abs_diff(wanted) <= 3, "{blue}/{green}: {hits}");
        }
        let mut rule = Rule::new(String::new(), None, Vec::new());
        rule.forward(&[("blue".to_owned(), 0)]);
        assert_eq!(rule.next_group(), None);
    }

    #[test]
    fn patterns_have_wildcards() {
        for (pattern, value, wanted) in [
            ("/test/*", "/test/x", true),
            ("/test/*", "/other", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("green", "green", true),
        ] {
            assert_eq!(matches(pattern, value), wanted, "{pattern} {value}");
        }
    }
}
