//! The answers of rules, and the decision they make together.

use super::fact::Unknown;
use serde::{Deserialize, Serialize};

/// A rule's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The rule does not apply here.
    #[serde(rename = "not asked")]
    NotAsked,
    #[serde(rename = "pass")]
    Pass,
    /// The rule refuses, and a person who may overrode it.
    #[serde(rename = "break-glass")]
    Broken,
    /// The fact could not be determined. Refuses.
    #[serde(rename = "unknown")]
    Unknown,
    #[serde(rename = "fail")]
    Fail,
}

impl Answer {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Answer::NotAsked => "not asked",
            Answer::Pass => "pass",
            Answer::Broken => "BREAK-GLASS",
            Answer::Unknown => "unknown",
            Answer::Fail => "fail",
        }
    }
}

/// A rule with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rule {
    pub(crate) rule: &'static str,
    pub(crate) answer: Answer,
    /// The fact behind the answer.
    pub(crate) fact: String,
    /// The next step towards a pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// The permission the token lacks, if that is why the answer is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permission: Option<String>,
}

/// The answers of all rules.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) rules: Vec<Rule>,
}

impl Decision {
    /// Returns true if every rule that refuses was overridden.
    pub(crate) fn allowed(&self) -> bool {
        self.rules
            .iter()
            .all(|rule| !matches!(rule.answer, Answer::Fail | Answer::Unknown))
    }

    /// The rule to resolve first: the first that fails, else the first unknown.
    pub(crate) fn obstacle(&self) -> Option<&Rule> {
        let first = |answer| self.rules.iter().find(move |rule| rule.answer == answer);
        first(Answer::Fail).or_else(|| first(Answer::Unknown))
    }

    /// The next step towards an allowed promotion; it names all missing permissions at once.
    pub(crate) fn next(&self) -> Option<String> {
        let obstacle = self.obstacle()?;
        let mut permissions: Vec<&str> = Vec::new();
        for rule in &self.rules {
            if let Some(permission) = &rule.permission
                && !permissions.contains(&permission.as_str())
            {
                permissions.push(permission);
            }
        }
        if obstacle.permission.is_some() {
            return Some(format!(
                "give the job `permissions: {{{}}}`",
                permissions.join(", ")
            ));
        }
        obstacle.next.clone()
    }
}

/// A rule's answer, before it has the rule's name.
pub(super) struct Finding {
    pub(super) answer: Answer,
    pub(super) fact: String,
    pub(super) next: Option<String>,
    pub(super) permission: Option<String>,
}

impl Finding {
    /// The answer of the rule of this name.
    pub(super) fn named(self, rule: &'static str) -> Rule {
        Rule {
            rule,
            answer: self.answer,
            fact: self.fact,
            next: self.next,
            permission: self.permission,
        }
    }
}

pub(super) fn finding(answer: Answer, fact: impl Into<String>) -> Finding {
    Finding {
        answer,
        fact: fact.into(),
        next: None,
        permission: None,
    }
}

pub(super) fn not_asked(fact: impl Into<String>) -> Finding {
    finding(Answer::NotAsked, fact)
}

pub(super) fn pass(fact: impl Into<String>) -> Finding {
    finding(Answer::Pass, fact)
}

pub(super) fn fail(fact: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding {
        next: Some(next.into()),
        ..finding(Answer::Fail, fact)
    }
}

pub(super) fn unknown(unknown: &Unknown) -> Finding {
    Finding {
        next: Some(unknown.next.clone()),
        permission: unknown.permission.clone(),
        ..finding(Answer::Unknown, unknown.why.clone())
    }
}

/// The answer of a rule whose facts are missing because another rule already refuses.
pub(super) fn not_examined(fact: &str) -> Finding {
    finding(Answer::Unknown, fact)
}
