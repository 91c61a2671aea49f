//! The changes that a stack policy allows. Pure.
//!
//! A policy protects all resources of the stack from updates, except for what it allows; a denial wins. It says nothing about
//! resources that are added (AWS CloudFormation User Guide, "Prevent updates to stack resources").

use crate::changes::{Effect, Planned};
use serde_json::Value;

/// Why a text is not a stack policy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAPolicy {
    #[error("it is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it has no `Statement`")]
    NoStatement,
    #[error("a statement's `Effect` is neither Allow nor Deny")]
    Effect,
    #[error("a statement has no `Action`")]
    NoAction,
    #[error("a statement has no `Resource`")]
    NoResource,
}

/// A stack policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    statements: Vec<Value>,
}

impl Policy {
    /// Reads a policy from its JSON text.
    ///
    /// # Errors
    /// It is not a stack policy.
    pub(crate) fn parse(text: &str) -> Result<Self, NotAPolicy> {
        let policy: Value = serde_json::from_str(text)?;
        let statements = match policy.get("Statement") {
            Some(Value::Array(all)) => all.clone(),
            Some(one @ Value::Object(_)) => vec![one.clone()],
            _ => return Err(NotAPolicy::NoStatement),
        };
        for statement in &statements {
            let effect = statement.get("Effect").and_then(Value::as_str);
            if !matches!(effect, Some("Allow" | "Deny")) {
                return Err(NotAPolicy::Effect);
            }
            if statement
                .get("Action")
                .or_else(|| statement.get("NotAction"))
                .is_none()
            {
                return Err(NotAPolicy::NoAction);
            }
            if statement
                .get("Resource")
                .or_else(|| statement.get("NotResource"))
                .is_none()
            {
                return Err(NotAPolicy::NoResource);
            }
        }
        Ok(Self { statements })
    }

    /// The changes that it forbids, each as a line that names what it does not allow.
    pub(crate) fn forbidden(&self, changes: &[Planned<'_>]) -> Vec<String> {
        let mut lines = Vec::new();
        for planned in changes {
            // The policy of a stack knows the nested stack, not the resources in it.
            if planned.path.contains('/') {
                continue;
            }
            let actions: &[&str] = match planned.effect {
                Effect::Add | Effect::Import => &[],
                Effect::Modify => &["Update:Modify"],
                Effect::Replace => &["Update:Replace"],
                Effect::Remove => &["Update:Delete"],
                Effect::MayReplace | Effect::Unknown => &["Update:Modify", "Update:Replace"],
            };
            for action in actions {
                if !self.allows(action, &planned.path, &planned.change.kind) {
                    lines.push(format!(
                        "{action} of {} ({}) is not allowed",
                        planned.path, planned.change.kind
                    ));
                }
            }
        }
        lines
    }

    fn allows(&self, action: &str, logical_id: &str, kind: &str) -> bool {
        let resource = format!("LogicalResourceId/{logical_id}");
        let fits = |statement: &&Value| {
            let named = |name: &str, not: &str, text: &str, fold: bool| match statement.get(name) {
                Some(patterns) => any_matches(patterns, text, fold),
                None => statement
                    .get(not)
                    .is_some_and(|it| !any_matches(it, text, fold)),
            };
            named("Action", "NotAction", action, true)
                && named("Resource", "NotResource", &resource, false)
        };
        let (mut allowed, mut denied) = (false, false);
        for statement in self.statements.iter().filter(fits) {
            let denies = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
            match holds(statement.get("Condition"), kind) {
                Some(false) => {}
                // A condition that cannot be judged allows nothing and may deny.
                None if denies => denied = true,
                None => {}
                Some(true) if denies => denied = true,
                Some(true) => allowed = true,
            }
        }
        allowed && !denied
    }
}

/// Returns true if a condition holds for a resource of this type; `None` if that cannot be told.
fn holds(condition: Option<&Value>, kind: &str) -> Option<bool> {
    let Some(condition) = condition else {
        return Some(true);
    };
    for (operator, keys) in condition.as_object()? {
        for (key, patterns) in keys.as_object()? {
            if key != "ResourceType" {
                return None;
            }
            let matched = match operator.as_str() {
                "StringEquals" => texts(patterns).any(|text| text == kind),
                "StringLike" => any_matches(patterns, kind, false),
                "StringNotEquals" => texts(patterns).all(|text| text != kind),
                "StringNotLike" => !any_matches(patterns, kind, false),
                _ => return None,
            };
            if !matched {
                return Some(false);
            }
        }
    }
    Some(true)
}

fn texts(patterns: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match patterns {
        Value::Array(all) => (None, all.as_slice()),
        one => (Some(one), [].as_slice()),
    };
    one.into_iter().chain(many).filter_map(Value::as_str)
}

fn any_matches(patterns: &Value, text: &str, fold: bool) -> bool {
    texts(patterns).any(|pattern| match fold {
        true => matches(&pattern.to_lowercase(), &text.to_lowercase()),
        false => matches(pattern, text),
    })
}

/// Returns true if a text fits a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = rest.split('*').collect();
    let (last, middle) = match parts.split_last() {
        Some(split) => split,
        None => return true,
    };
    for part in middle {
        let Some(at) = left.find(part) else {
            return false;
        };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::ordered;
    use crate::seen::{Change, ChangeSet};

    fn forbidden(policy: &str, action: &str, replacement: Option<&str>, id: &str) -> usize {
        let set = ChangeSet {
            changes: vec![Change {
                logical_id: id.to_owned(),
                kind: "AWS::DynamoDB::Table".to_owned(),
                action: action.to_owned(),
                replacement: replacement.map(str::to_owned),
                ..Change::default()
            }],
            ..ChangeSet::default()
        };
        Policy::parse(policy)
            .unwrap()
            .forbidden(&ordered(&set))
            .len()
    }

    const ALL: &str = r#"{"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*"}"#;

    #[test]
    fn a_policy_forbids_what_it_denies_and_what_it_does_not_allow() {
        let with = |statement: &str| format!(r#"{{"Statement":[{ALL},{statement}]}}"#);
        let table = r#"{"Effect":"Deny","Action":["Update:Replace","Update:Delete"],"Principal":"*","Resource":"LogicalResourceId/Tab*"}"#;
        let kind = r#"{"Effect":"Deny","Action":"update:*","Principal":"*","Resource":"*","Condition":{"StringEquals":{"ResourceType":["AWS::DynamoDB::Table"]}}}"#;
        let other = r#"{"Effect":"Deny","Action":"Update:*","Principal":"*","Resource":"*","Condition":{"StringLike":{"ResourceType":"AWS::RDS::*"}}}"#;
        let odd = r#"{"Effect":"Deny","Action":"Update:*","Principal":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"x"}}}"#;
        let condition = |effect: &str, operator: &str, kind: &str| {
            format!(
                r#"{{"Effect":"{effect}","Action":"Update:*","Principal":"*","Resource":"*","Condition":{{"{operator}":{{"ResourceType":"{kind}"}}}}}}"#
            )
        };
        let denied = |operator: &str, kind: &str| with(&condition("Deny", operator, kind));
        let (table_kind, queue) = ("AWS::DynamoDB::Table", "AWS::SQS::Queue");
        let except = r#"{"Effect":"Deny","NotAction":"Update:Modify","Principal":"*","NotResource":"LogicalResourceId/Other"}"#;
        for (policy, action, replacement, id, lines) in [
            (with(table), "Modify", Some("True"), "Table", 1),
            (with(table), "Modify", Some("Conditional"), "Table", 1),
            (with(table), "Modify", Some("False"), "Table", 0),
            (with(table), "Remove", None, "Table", 1),
            (with(table), "Remove", None, "Other", 0),
            (with(table), "Add", None, "Table", 0),
            (with(kind), "Modify", Some("False"), "A", 1),
            (with(other), "Modify", Some("False"), "A", 0),
            (with(odd), "Modify", Some("False"), "A", 1),
            (denied("StringEquals", queue), "Remove", None, "A", 0),
            (denied("StringNotEquals", queue), "Remove", None, "A", 1),
            (
                denied("StringNotEquals", table_kind),
                "Remove",
                None,
                "A",
                0,
            ),
            (
                denied("StringNotLike", "AWS::SQS::*"),
                "Remove",
                None,
                "A",
                1,
            ),
            (denied("StringNotLike", "AWS::D*"), "Remove", None, "A", 0),
            // One that cannot be judged neither allows nor takes an allowance away.
            (
                with(&condition("Allow", "Null", "x")),
                "Remove",
                None,
                "A",
                0,
            ),
            (
                format!(r#"{{"Statement":{}}}"#, condition("Allow", "Null", "x")),
                "Remove",
                None,
                "A",
                1,
            ),
            (format!(r#"{{"Statement":{ALL}}}"#), "Remove", None, "A", 0),
            (with(except), "Remove", None, "A", 1),
            (with(except), "Remove", None, "Other", 0),
            (with(except), "Modify", Some("False"), "A", 0),
            (
                r#"{"Statement":[]}"#.to_owned(),
                "Modify",
                Some("False"),
                "A",
                1,
            ),
            (r#"{"Statement":[]}"#.to_owned(), "Dynamic", None, "A", 2),
        ] {
            assert_eq!(
                forbidden(&policy, action, replacement, id),
                lines,
                "{policy} {action} {id}"
            );
        }
    }

    #[test]
    fn a_text_that_is_not_a_policy_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"Statement":[{"Effect":"Maybe"}]}"#,
            r#"{"Statement":[{"Effect":"Deny","Action":"Update:*"}]}"#,
            r#"{"Statement":[{"Effect":"Deny","Resource":"*"}]}"#,
            r#"{"Statement":"Deny"}"#,
        ] {
            assert!(Policy::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*", "ab", true),
            ("a*c", "abc", true),
            ("a*c", "abd", false),
            ("*b*", "abc", true),
            ("*b*b", "ab", false),
            ("*bc*c", "abc", false),
            ("a", "ab", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
