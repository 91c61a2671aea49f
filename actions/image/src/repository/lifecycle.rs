//! A lifecycle policy and what it would do to the images that are there. Pure.
//!
//! Rules are ECR's (Amazon ECR User Guide, "Lifecycle policy properties" and "How lifecycle policies work"): they apply
//! from the lowest `rulePriority` up; an image that a rule's tags select is out of reach of all later rules, which count
//! it all the same; of the selected, the oldest by the time of their push go first. ECR does not refresh that time when
//! an image is tagged anew, so a promoted image ages like any other.

use crate::tag_pattern;
use kit::{Error, Result};
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

/// ECR API Reference, `LifecyclePolicyText`.
const MOST_BYTES: usize = 30_720;

/// An image as the evaluation sees it.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) digest: String,
    pub(crate) tags: Vec<String>,
    /// Unknown counts as long ago.
    pub(crate) pushed: Option<OffsetDateTime>,
    pub(crate) pulled: Option<OffsetDateTime>,
    pub(crate) archived: bool,
}

/// A policy, its rules in the order in which they apply.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// As it was written.
    pub(crate) text: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    priority: i64,
    selection: Selection,
    /// `expire`, or what it is called instead.
    action: String,
}

#[derive(Debug, Clone)]
struct Selection {
    status: Status,
    count: Count,
    archived: bool,
}

#[derive(Debug, Clone)]
enum Status {
    Any,
    Untagged,
    /// All patterns must fit one or another tag of the image.
    Tagged(Vec<String>),
}

#[derive(Debug, Clone, Copy)]
enum Count {
    MoreThan(usize),
    DaysSincePush(i64),
    DaysSincePull(i64),
    /// Concerns only what is in the archive already.
    DaysSinceArchival,
}

/// The effect of a policy on one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// No rule selects it.
    Kept,
    /// The rule of this priority selects it, and takes it when this has come.
    Later { rule: i64, when: String },
    /// The rule of this priority takes it now.
    Taken { rule: i64, action: String },
}

impl Policy {
    /// Reads a policy as ECR takes it.
    ///
    /// # Errors
    /// Text that is not a policy, and a policy that this version cannot evaluate: a rule whose effect is not known could take anything
    /// (exit 2).
    pub(crate) fn parse(text: &str, whose: &str) -> Result<Self> {
        let wrong = |why: String| {
            Error::usage(format!("{whose} is not a lifecycle policy: {why}"))
                .hint("see \"Lifecycle policy properties\" in the Amazon ECR User Guide")
        };
        if text.len() > MOST_BYTES {
            return Err(wrong(format!(
                "it has {} bytes, ECR takes {MOST_BYTES}",
                text.len()
            )));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|error| wrong(format!("not JSON: {error}")))?;
        let list = value
            .get("rules")
            .and_then(Value::as_array)
            .ok_or_else(|| wrong("it has no list `rules`".to_owned()))?;
        let mut rules = Vec::new();
        for (at, rule) in list.iter().enumerate() {
            rules.push(
                Rule::read(rule)
                    .map_err(|why| wrong(format!("rule {} of the list {why}", at + 1)))?,
            );
        }
        rules.sort_by_key(|rule| rule.priority);
        if let Some(pair) = rules
            .windows(2)
            .find(|pair| pair[0].priority == pair[1].priority)
        {
            return Err(wrong(format!(
                "two rules have the rulePriority {}",
                pair[0].priority
            )));
        }
        Ok(Self {
            text: text.to_owned(),
            rules,
        })
    }

    /// The effect on the image `digest` among `images`.
    pub(crate) fn fate(&self, digest: &str, images: &[Image], now: OffsetDateTime) -> Fate {
        let Some(image) = images.iter().find(|image| image.digest == digest) else {
            return Fate::Kept;
        };
        // The first rule whose tags fit is the only one that can take it.
        let Some(rule) = self.rules.iter().find(|rule| rule.selection.selects(image)) else {
            return Fate::Kept;
        };
        let taken = Fate::Taken {
            rule: rule.priority,
            action: rule.action.clone(),
        };
        let aged = |since: Option<OffsetDateTime>, days: i64| {
            let left = since.map(|since| since + Duration::days(days) - now);
            match left {
                Some(left) if left.is_positive() => Fate::Later {
                    rule: rule.priority,
                    when: format!("in {} days", left.whole_days() + 1),
                },
                _ => taken.clone(),
            }
        };
        match rule.selection.count {
            Count::DaysSincePush(days) => aged(image.pushed, days),
            Count::DaysSincePull(days) => aged(image.pulled.or(image.pushed), days),
            Count::DaysSinceArchival => taken,
            Count::MoreThan(number) => {
                // Of two that came in the same second, either may count as the older one.
                let newer = images
                    .iter()
                    .filter(|other| other.digest != digest && rule.selection.selects(other))
                    .filter(|other| other.pushed >= image.pushed)
                    .count();
                if newer >= number {
                    taken
                } else {
                    Fate::Later {
                        rule: rule.priority,
                        when: format!("once {} more are pushed that it selects", number - newer),
                    }
                }
            }
        }
    }

    /// Returns whether ECR's copy of a policy says the same: ECR may order rules and tags its own way.
    pub(crate) fn says_the_same(&self, seen: &str) -> bool {
        let ours = serde_json::from_str(&self.text).ok().map(ordered);
        ours.is_some() && ours == serde_json::from_str(seen).ok().map(ordered)
    }

    /// In a few words.
    pub(crate) fn shown(text: &str) -> String {
        let rules = serde_json::from_str::<Value>(text).ok();
        let rules = rules.as_ref().and_then(|policy| policy["rules"].as_array());
        let Some(rules) = rules else {
            return "something that is not a policy".to_owned();
        };
        let each: Vec<String> = rules
            .iter()
            .map(|rule| {
                let selection = &rule["selection"];
                let word = |value: &Value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let mut tags: Vec<String> = Vec::new();
                for list in ["tagPrefixList", "tagPatternList"] {
                    tags.extend(selection[list].as_array().into_iter().flatten().map(word));
                }
                let tags = if tags.is_empty() {
                    String::new()
                } else {
                    format!(" {}", tags.join("+"))
                };
                format!(
                    "{}: {} {}{tags} {} {}",
                    word(&rule["rulePriority"]),
                    word(&rule["action"]["type"]),
                    word(&selection["tagStatus"]),
                    word(&selection["countType"]),
                    word(&selection["countNumber"]),
                )
            })
            .collect();
        each.join("; ")
    }
}

impl Rule {
    fn read(rule: &Value) -> Result<Self, String> {
        let rule = fields(
            Some(rule),
            &["rulePriority", "description", "selection", "action"],
        )?;
        let selection = fields(
            rule.get("selection"),
            &[
                "tagStatus",
                "tagPrefixList",
                "tagPatternList",
                "storageClass",
                "countType",
                "countUnit",
                "countNumber",
            ],
        )?;
        let action = fields(rule.get("action"), &["type", "targetStorageClass"])?;
        let text = |from: &Map<String, Value>, name: &str| {
            from.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let number = |from: &Map<String, Value>, name: &str| {
            from.get(name)
                .and_then(Value::as_i64)
                .filter(|number| *number > 0)
                .ok_or(format!("has no positive {name}"))
        };
        let action = match text(action, "type").as_str() {
            kind @ ("expire" | "transition") => kind.to_owned(),
            other => return Err(format!("has the action {other:?}, unknown to this version")),
        };
        let count = number(selection, "countNumber")?;
        let count = match text(selection, "countType").as_str() {
            "imageCountMoreThan" => Count::MoreThan(usize::try_from(count).unwrap_or(usize::MAX)),
            "sinceImagePushed" => Count::DaysSincePush(count),
            "sinceImagePulled" => Count::DaysSincePull(count),
            "sinceImageTransitioned" => Count::DaysSinceArchival,
            other => {
                return Err(format!(
                    "has the countType {other:?}, unknown to this version"
                ));
            }
        };
        if !matches!(count, Count::MoreThan(_)) && text(selection, "countUnit") != "days" {
            return Err("counts in another countUnit than days".to_owned());
        }
        Ok(Self {
            priority: number(rule, "rulePriority")?,
            selection: Selection {
                status: status(selection)?,
                count,
                archived: match text(selection, "storageClass").as_str() {
                    "" | "standard" => matches!(count, Count::DaysSinceArchival),
                    "archive" => true,
                    other => return Err(format!("has the unknown storageClass {other:?}")),
                },
            },
            action,
        })
    }
}

fn status(selection: &Map<String, Value>) -> Result<Status, String> {
    let list = |name: &str| -> Result<Vec<String>, String> {
        match selection.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(all)) => all
                .iter()
                .map(|one| one.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or(format!("has a {name} that is not a list of texts")),
            Some(_) => Err(format!("has a {name} that is not a list of texts")),
        }
    };
    let mut patterns = list("tagPatternList")?;
    patterns.extend(
        list("tagPrefixList")?
            .into_iter()
            .map(|prefix| format!("{prefix}*")),
    );
    match selection.get("tagStatus").and_then(Value::as_str) {
        Some("tagged") if patterns.is_empty() => {
            Err("is for tagged images and names no tag".to_owned())
        }
        Some("tagged") => Ok(Status::Tagged(patterns)),
        Some("untagged") if patterns.is_empty() => Ok(Status::Untagged),
        Some("any") if patterns.is_empty() => Ok(Status::Any),
        Some("untagged" | "any") => Err("names tags, and is not for tagged images".to_owned()),
        other => Err(format!("has the unknown tagStatus {other:?}")),
    }
}

impl Selection {
    fn selects(&self, image: &Image) -> bool {
        self.archived == image.archived
            && match &self.status {
                Status::Any => true,
                Status::Untagged => image.tags.is_empty(),
                Status::Tagged(patterns) => patterns
                    .iter()
                    .all(|one| image.tags.iter().any(|tag| tag_pattern::fits(one, tag))),
            }
    }
}

fn fields<'a>(value: Option<&'a Value>, known: &[&str]) -> Result<&'a Map<String, Value>, String> {
    let map = value
        .and_then(Value::as_object)
        .ok_or_else(|| format!("is not made of {}", known.join(", ")))?;
    match map.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("has a {name:?}, unknown to this version")),
        None => Ok(map),
    }
}

/// The policy with everything that has no order in one order.
fn ordered(mut policy: Value) -> Value {
    if let Some(rules) = policy["rules"].as_array_mut() {
        rules.sort_by_key(|rule| rule["rulePriority"].as_i64());
        for rule in rules {
            for list in ["tagPrefixList", "tagPatternList"] {
                if let Some(list) = rule
                    .get_mut("selection")
                    .and_then(|selection| selection.get_mut(list))
                    .and_then(Value::as_array_mut)
                {
                    list.sort_by_key(Value::to_string);
                }
            }
        }
    }
    policy
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
