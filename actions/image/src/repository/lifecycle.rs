//! A lifecycle policy, and what it will do later to an image that is there. Pure.
//!
//! ECR's own preview says what a policy does now (`preview.rs`). No call says what it does once images are older or more of them are
//! there, so this works it out, for a warning alone. Rules are ECR's (Amazon ECR User Guide, "Lifecycle policy properties" and "How
//! lifecycle policies work"): an image that a rule's tags select is out of reach of all later rules, and of the selected the
//! oldest by the time of their push go first. ECR does not refresh that time when an image is tagged anew, so a promoted image ages
//! like any other.

use crate::tag_pattern;
use kit::id::Digest;
use kit::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use time::{Duration, OffsetDateTime};

/// An image as the evaluation sees it.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) digest: Digest,
    pub(crate) tags: Vec<String>,
    pub(crate) pushed: Option<OffsetDateTime>,
    pub(crate) pulled: Option<OffsetDateTime>,
    pub(crate) archived: bool,
}

/// A policy. ECR judges it, but only for a repository that is there. So the mistakes that no newer ECR will take are found here, before
/// a repository is created.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// As it was written.
    pub(crate) text: String,
    /// In the order in which they apply.
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Declared {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    rule_priority: u32,
    selection: Selection,
    action: Action,
}

#[derive(Debug, Clone, Deserialize)]
struct Action {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selection {
    tag_status: String,
    #[serde(default)]
    tag_prefix_list: Vec<String>,
    #[serde(default)]
    tag_pattern_list: Vec<String>,
    #[serde(default)]
    storage_class: String,
    count_type: String,
    count_unit: Option<String>,
    count_number: u32,
}

/// The kinds of count that are known to be of time.
const SINCE: [&str; 3] = [
    "sinceImagePushed",
    "sinceImagePulled",
    "sinceImageTransitioned",
];

impl Policy {
    /// Reads a policy as ECR takes it.
    ///
    /// # Errors
    /// The text does not have the form of a policy, or has a mistake that ECR always refuses (exit 2).
    pub(crate) fn parse(text: &str, whose: &str) -> Result<Self> {
        let wrong = || Error::usage(format!("{whose} is not a lifecycle policy")).hint(PROPERTIES);
        let rules = rules(text).map_err(|error| wrong().because(error))?;
        let mistakes = mistakes(&rules);
        if !mistakes.is_empty() {
            return Err(mistakes.into_iter().fold(wrong(), Error::cause));
        }
        Ok(Self {
            text: text.to_owned(),
            rules,
        })
    }

    /// The rule that will take the image `digest`, which none takes now, and when.
    pub(crate) fn later(
        &self,
        digest: &Digest,
        images: &[Image],
        now: OffsetDateTime,
    ) -> Option<(u32, String)> {
        let image = images.iter().find(|image| image.digest == *digest)?;
        // The first rule whose tags fit is the only one that can take it.
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.selection.selects(image))?;
        let number = rule.selection.count_number;
        let since = match rule.selection.count_type.as_str() {
            "imageCountMoreThan" => {
                let newer = images
                    .iter()
                    .filter(|other| other.digest != *digest && rule.selection.selects(other))
                    .filter(|other| other.pushed >= image.pushed)
                    .count();
                let left = (number as usize).saturating_sub(newer).max(1);
                let when = format!("once {left} more are pushed that it selects");
                return Some((rule.rule_priority, when));
            }
            "sinceImagePushed" => image.pushed,
            "sinceImagePulled" => image.pulled.or(image.pushed),
            _ => None,
        };
        let days = since.map(|since| since + Duration::days(number.into()) - now);
        let when = days.map_or("at a time that is not known here".to_owned(), |left| {
            format!("in {} days", left.whole_days().max(0) + 1)
        });
        Some((rule.rule_priority, when))
    }

    /// Returns whether ECR's copy of a policy says the same: ECR may order rules and tags its own way, and leave out empty lists.
    pub(crate) fn says_the_same(&self, seen: &str) -> bool {
        let ours = serde_json::from_str(&self.text).ok().map(ordered);
        ours.is_some() && ours == serde_json::from_str(seen).ok().map(ordered)
    }

    /// In a few words.
    pub(crate) fn shown(text: &str) -> String {
        let Ok(rules) = rules(text) else {
            return "something that is not a policy".to_owned();
        };
        let rules: Vec<String> = rules.iter().map(Rule::to_string).collect();
        rules.join("; ")
    }
}

/// The rules of a policy, in the order in which they apply.
fn rules(text: &str) -> serde_json::Result<Vec<Rule>> {
    let Declared { mut rules } = serde_json::from_str(text)?;
    rules.sort_by_key(|rule| rule.rule_priority);
    Ok(rules)
}

/// The mistakes in these rules that ECR refuses, whatever it learns to accept later.
fn mistakes(rules: &[Rule]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for pair in rules.windows(2) {
        if pair[0].rule_priority == pair[1].rule_priority {
            let priority = pair[0].rule_priority;
            mistakes.push(format!("two rules have the rulePriority {priority}"));
        }
    }
    for rule in rules {
        let selection = &rule.selection;
        let mut add = |what: String| mistakes.push(format!("rule {}: {what}", rule.rule_priority));
        if selection.count_number == 0 {
            add("countNumber is 0".to_owned());
        }
        let kind = selection.count_type.as_str();
        if SINCE.contains(&kind) && selection.count_unit.is_none() {
            add(format!("countType `{kind}` needs a countUnit"));
        }
        let no_tags = selection.tag_prefix_list.is_empty() && selection.tag_pattern_list.is_empty();
        if selection.tag_status == "tagged" && no_tags {
            add("tagStatus `tagged` needs a tagPatternList or a tagPrefixList".to_owned());
        }
    }
    mistakes
}

/// Where ECR says what a policy is made of.
const PROPERTIES: &str = "see \"Lifecycle policy properties\" in the Amazon ECR User Guide";

/// A policy that ECR rejected has to be mended by whoever wrote it (exit 2), whichever call found it.
pub(super) fn rejected(error: Error) -> Error {
    let mut error = error.under("ECR does not take the lifecycle policy");
    error.kind = ErrorKind::Usage;
    error.hint(PROPERTIES)
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Selection {
            tag_status,
            count_type,
            count_number,
            ..
        } = &self.selection;
        write!(
            f,
            "{}: {} {tag_status}",
            self.rule_priority, self.action.kind
        )?;
        let tags = [
            self.selection.tag_prefix_list.as_slice(),
            &self.selection.tag_pattern_list,
        ]
        .concat()
        .join("+");
        if !tags.is_empty() {
            write!(f, " {tags}")?;
        }
        write!(f, " {count_type} {count_number}")
    }
}

impl Selection {
    fn selects(&self, image: &Image) -> bool {
        let archive =
            self.storage_class == "archive" || self.count_type == "sinceImageTransitioned";
        let has = |fits: &dyn Fn(&String) -> bool| image.tags.iter().any(fits);
        archive == image.archived
            && (self.tag_status != "untagged" || image.tags.is_empty())
            && self
                .tag_prefix_list
                .iter()
                .all(|prefix| has(&|tag| tag.starts_with(prefix)))
            && self
                .tag_pattern_list
                .iter()
                .all(|pattern| has(&|tag| tag_pattern::fits(pattern, tag)))
    }
}

/// The policy with everything that has no order in one order, and without empty lists of tags.
fn ordered(mut policy: Value) -> Value {
    if let Some(rules) = policy["rules"].as_array_mut() {
        rules.sort_by_key(|rule| rule["rulePriority"].as_i64());
        for rule in rules {
            let Some(selection) = rule.get_mut("selection").and_then(Value::as_object_mut) else {
                continue;
            };
            for name in ["tagPrefixList", "tagPatternList"] {
                match selection.get_mut(name).and_then(Value::as_array_mut) {
                    Some(list) if list.is_empty() => drop(selection.remove(name)),
                    Some(list) => list.sort_by_key(Value::to_string),
                    None => {}
                }
            }
        }
    }
    policy
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
