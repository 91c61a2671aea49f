//! IAM policy documents: identity policies, and those that name principals: trust, key, repository and bucket policies.
//! A document that cannot be read decides nothing, so it never allows; a denial with an unreadable part applies.
//! Source: IAM User Guide, "IAM JSON policy element reference".

use serde_json::Value;

use crate::condition::{self, Context, Reading};
use crate::text::strings;
use crate::text::wildcard;

/// The caller, in every form a policy may name them by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requester {
    /// The account, for AWS principals.
    pub(crate) account: Option<String>,
    /// ARNs of an AWS principal: the session's or user's own, and the role's behind a session.
    pub(crate) arns: Vec<String>,
    /// The identity provider's ARN of a web identity.
    pub(crate) federated: Option<String>,
    /// A service such as `codebuild.amazonaws.com`.
    pub(crate) service: Option<String>,
}

/// One question to a document.
pub(crate) struct Question<'a> {
    pub(crate) action: &'a str,
    /// Policies of resources may name resources; trust policies have none.
    pub(crate) resource: Option<&'a str>,
    pub(crate) requester: &'a Requester,
    pub(crate) context: &'a Context,
}

/// Whom an allowing statement of a resource's policy names; the later ones say more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grant {
    /// An account, which then decides by its identity policies.
    Account,
    /// A role, a user, everybody, a provider or a service.
    Principal,
    /// One session of a role.
    Session,
}

/// The decision of a document about a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow(Grant),
    /// An explicit denial, which nothing else can outweigh.
    Deny,
    /// No statement speaks of it.
    Silent,
}

impl Decision {
    pub(crate) fn allows(self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

/// The kind of document that is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of a user or role; it names resources and no principal.
    Identity,
    /// Of a resource; it names principals, and a resource only where it likes.
    Resource,
}

/// The decision of a resource's policy.
pub(crate) fn decide(document: &str, question: &Question<'_>) -> Decision {
    read(document, question, Kind::Resource)
}

/// The decision of a policy of a user, role or session.
pub(crate) fn decide_identity(document: &str, question: &Question<'_>) -> Decision {
    read(document, question, Kind::Identity)
}

fn read(document: &str, question: &Question<'_>, kind: Kind) -> Decision {
    let Ok(document) = serde_json::from_str::<Value>(document) else {
        return Decision::Silent;
    };
    let statements = match &document["Statement"] {
        Value::Array(list) => list.as_slice(),
        single @ Value::Object(_) => std::slice::from_ref(single),
        _ => return Decision::Silent,
    };
    let variables = document["Version"] == "2012-10-17";
    let mut granted = None;
    for statement in statements {
        let unknown = match statement["Effect"].as_str() {
            Some("Deny") => true,
            Some("Allow") => false,
            _ => continue,
        };
        let reading = Reading {
            context: question.context,
            variables,
            unknown,
        };
        match applies(statement, question, kind, reading) {
            Some(_) if unknown => return Decision::Deny,
            grant => granted = granted.max(grant),
        }
    }
    granted.map_or(Decision::Silent, Decision::Allow)
}

/// Decides whether a statement is about the question, and whom it names.
fn applies(
    statement: &Value,
    question: &Question<'_>,
    kind: Kind,
    reading: Reading<'_>,
) -> Option<Grant> {
    let grant = match kind {
        Kind::Identity => Grant::Principal,
        Kind::Resource => named(statement, question.requester, reading.unknown)?,
    };
    let holds = actions(statement, question.action)
        && resources(statement, question.resource, kind, reading)
        && statement
            .get("Condition")
            .is_none_or(|conditions| condition::hold(conditions, reading));
    holds.then_some(grant)
}

fn actions(statement: &Value, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let means = |pattern: &String| wildcard(&pattern.to_ascii_lowercase(), &action);
    match (statement.get("Action"), statement.get("NotAction")) {
        (Some(list), None) => strings(list).iter().any(means),
        (None, Some(list)) => !strings(list).iter().any(means),
        _ => false,
    }
}

fn resources(statement: &Value, resource: Option<&str>, kind: Kind, reading: Reading<'_>) -> bool {
    let means = |resource: &str, listed: &Value, unknown: bool| {
        strings(listed).iter().any(|text| {
            text == "*"
                || reading
                    .pattern(text)
                    .map_or(unknown, |pattern| pattern.matches_arn(resource))
        })
    };
    match (
        resource,
        statement.get("Resource"),
        statement.get("NotResource"),
    ) {
        (Some(resource), Some(listed), None) => means(resource, listed, reading.unknown),
        (Some(resource), None, Some(listed)) => !means(resource, listed, !reading.unknown),
        (_, Some(_), Some(_)) => false,
        // ECR's repository policies have no Resource: the repository is meant.
        _ => kind == Kind::Resource,
    }
}

/// Whom of the asker's names a statement has; `None` where it means somebody else.
fn named(statement: &Value, requester: &Requester, denies: bool) -> Option<Grant> {
    match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(principal), None) => names(principal, requester),
        // AWS takes it beside a denial only.
        (None, Some(excluded)) if denies => match names(excluded, requester) {
            Some(_) => None,
            None => Some(Grant::Principal),
        },
        _ => None,
    }
}

fn names(principal: &Value, requester: &Requester) -> Option<Grant> {
    if principal == "*" {
        return Some(Grant::Principal);
    }
    let listed = |kind: &str| principal.get(kind).map(strings).unwrap_or_default();
    let aws = listed("AWS")
        .iter()
        .filter_map(|named| aws(named, requester))
        .max();
    let federated = requester
        .federated
        .as_ref()
        .is_some_and(|provider| listed("Federated").contains(provider));
    let service = requester
        .service
        .as_ref()
        .is_some_and(|service| listed("Service").contains(service));
    aws.or((federated || service).then_some(Grant::Principal))
}

fn aws(named: &str, requester: &Requester) -> Option<Grant> {
    let account = requester.account.as_ref()?;
    let root = format!("arn:aws:iam::{account}:root");
    if requester.arns.iter().any(|arn| arn == named) {
        let session = named.contains(":assumed-role/");
        return Some(if session {
            Grant::Session
        } else {
            Grant::Principal
        });
    }
    if named == "*" {
        return Some(Grant::Principal);
    }
    (named == account || *named == root).then_some(Grant::Account)
}

#[cfg(test)]
mod tests;
