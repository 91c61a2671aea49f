//! A rule of a listener: which requests it takes, and how it divides them among target groups.

use axum::extract::Request;
use axum::http::header;
use serde_json::{Value, json};

use crate::value::{list, need, number, texts};

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) arn: String,
    /// `None` is the default rule, which takes what no other rule took.
    pub(crate) priority: Option<i64>,
    pub(super) conditions: Vec<Value>,
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

    pub(super) fn describe(&self) -> Value {
        json!({
            "RuleArn": self.arn,
            "Priority": self.priority.map_or_else(|| "default".to_owned(), |number| number.to_string()),
            "Conditions": self.conditions,
            "Actions": self.actions,
            "IsDefault": self.priority.is_none(),
        })
    }
}

pub(super) fn forward_action(groups: &[(String, i64)]) -> Value {
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
