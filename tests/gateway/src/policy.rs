//! IAM policy documents that name principals: trust policies, repository and bucket policies.
//! What cannot be read decides nothing, so it never allows.

use serde_json::Value;

use crate::condition::{self, Context};
use crate::text::wildcard;

/// Who asks, in every form a policy may name them by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asker {
    /// The account, for AWS principals.
    pub(crate) account: Option<String>,
    /// ARNs of an AWS principal: the session's, and the role's behind it.
    pub(crate) arns: Vec<String>,
    /// The identity provider's ARN of a web identity.
    pub(crate) federated: Option<String>,
    /// A service such as `codebuild.amazonaws.com`.
    pub(crate) service: Option<String>,
}

/// One question to a document.
pub(crate) struct Question<'a> {
    pub(crate) action: &'a str,
    /// Resource policies may name resources; trust policies have none.
    pub(crate) resource: Option<&'a str>,
    pub(crate) asker: &'a Asker,
    pub(crate) context: &'a Context,
}

/// What a document says about a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    /// An explicit denial, which nothing else can outweigh.
    Deny,
    /// No statement speaks of it.
    Silent,
}

/// Reads a document and decides.
pub(crate) fn decide(document: &str, question: &Question<'_>) -> Decision {
    let Ok(document) = serde_json::from_str::<Value>(document) else {
        return Decision::Silent;
    };
    let statements = match &document["Statement"] {
        Value::Array(list) => list.as_slice(),
        single @ Value::Object(_) => std::slice::from_ref(single),
        _ => return Decision::Silent,
    };
    let mut decision = Decision::Silent;
    for statement in statements
        .iter()
        .filter(|statement| applies(statement, question))
    {
        match statement["Effect"].as_str() {
            Some("Deny") => return Decision::Deny,
            Some("Allow") => decision = Decision::Allow,
            _ => {}
        }
    }
    decision
}

fn applies(statement: &Value, question: &Question<'_>) -> bool {
    let action = |pattern: &String| {
        wildcard(
            &pattern.to_ascii_lowercase(),
            &question.action.to_ascii_lowercase(),
        )
    };
    let actions = match (statement.get("Action"), statement.get("NotAction")) {
        (Some(list), None) => strings(list).iter().any(action),
        (None, Some(list)) => !strings(list).iter().any(action),
        _ => false,
    };
    let resources = match (question.resource, statement.get("Resource")) {
        (Some(resource), Some(list)) => strings(list)
            .iter()
            .any(|pattern| wildcard(pattern, resource)),
        // ECR's repository policies have no Resource: the repository is meant.
        _ => true,
    };
    actions
        && resources
        && statement
            .get("Principal")
            .is_some_and(|principal| names(principal, question.asker))
        && statement
            .get("Condition")
            .is_none_or(|conditions| condition::hold(conditions, question.context))
}

fn names(principal: &Value, asker: &Asker) -> bool {
    if principal == "*" {
        return true;
    }
    let listed = |kind: &str| principal.get(kind).map(strings).unwrap_or_default();
    let aws = listed("AWS").iter().any(|named| {
        let Some(account) = &asker.account else {
            return false;
        };
        named == "*"
            || named == account
            || *named == format!("arn:aws:iam::{account}:root")
            || asker.arns.iter().any(|arn| arn == named)
    });
    let federated = asker
        .federated
        .as_ref()
        .is_some_and(|provider| listed("Federated").contains(provider));
    let service = asker
        .service
        .as_ref()
        .is_some_and(|service| listed("Service").contains(service));
    aws || federated || service
}

/// A string or a list of strings, the two spellings of every list in a policy.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(scalar).collect(),
        other => scalar(other).into_iter().collect(),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(document: &str, action: &str, asker: &Asker) -> Decision {
        decide(
            document,
            &Question {
                action,
                resource: None,
                asker,
                context: &Context::default(),
            },
        )
    }

    fn role(account: &str) -> Asker {
        Asker {
            account: Some(account.to_owned()),
            arns: vec![
                format!("arn:aws:sts::{account}:assumed-role/ci/run-1"),
                format!("arn:aws:iam::{account}:role/ci"),
            ],
            ..Asker::default()
        }
    }

    fn trust(principal: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}}}"#
        )
    }

    #[test]
    fn a_principal_is_named_by_account_root_role_or_session() {
        for named in [
            "111111111111",
            "arn:aws:iam::111111111111:root",
            "arn:aws:iam::111111111111:role/ci",
            "arn:aws:sts::111111111111:assumed-role/ci/run-1",
            "*",
        ] {
            let document = trust(&format!(r#"{{"AWS":["{named}"]}}"#));
            assert_eq!(
                ask(&document, "sts:AssumeRole", &role("111111111111")),
                Decision::Allow,
                "{named}"
            );
        }
        for named in [
            "222222222222",
            "arn:aws:iam::222222222222:root",
            "arn:aws:iam::111111111111:role/other",
            "arn:aws:iam::111111111111:role/*",
        ] {
            let document = trust(&format!(r#"{{"AWS":"{named}"}}"#));
            assert_eq!(
                ask(&document, "sts:AssumeRole", &role("111111111111")),
                Decision::Silent,
                "{named}"
            );
        }
    }

    #[test]
    fn an_explicit_deny_outweighs_an_allow() {
        let document = r#"{"Statement":[
            {"Effect":"Allow","Principal":"*","Action":"sts:*"},
            {"Effect":"Deny","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}]}"#;
        assert_eq!(
            ask(document, "sts:AssumeRole", &role("111111111111")),
            Decision::Deny
        );
        assert_eq!(
            ask(document, "sts:AssumeRole", &role("222222222222")),
            Decision::Allow
        );
    }

    #[test]
    fn another_action_or_kind_of_principal_is_silent() {
        assert_eq!(
            ask(
                &trust(r#"{"AWS":"*"}"#),
                "sts:AssumeRoleWithWebIdentity",
                &role("111111111111")
            ),
            Decision::Silent
        );
        let service = Asker {
            service: Some("codebuild.amazonaws.com".to_owned()),
            ..Asker::default()
        };
        assert_eq!(
            ask(
                &trust(r#"{"Service":"codebuild.amazonaws.com"}"#),
                "sts:AssumeRole",
                &service
            ),
            Decision::Allow
        );
        assert_eq!(
            ask(
                &trust(r#"{"Service":"ecs.amazonaws.com"}"#),
                "sts:AssumeRole",
                &service
            ),
            Decision::Silent
        );
        assert_eq!(
            ask(&trust(r#"{"AWS":"*"}"#), "sts:AssumeRole", &service),
            Decision::Silent
        );
    }

    #[test]
    fn what_cannot_be_read_never_allows() {
        for document in [
            "",
            "[]",
            "{}",
            r#"{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#,
        ] {
            assert_eq!(
                ask(document, "sts:AssumeRole", &role("111111111111")),
                Decision::Silent,
                "{document}"
            );
        }
    }

    #[test]
    fn a_resource_must_match_where_one_is_named() {
        let document = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::state/dev/*"}]}"#;
        let asker = role("111111111111");
        let decided = |resource| {
            decide(
                document,
                &Question {
                    action: "s3:GetObject",
                    resource: Some(resource),
                    asker: &asker,
                    context: &Context::default(),
                },
            )
        };
        assert_eq!(decided("arn:aws:s3:::state/dev/a"), Decision::Allow);
        assert_eq!(decided("arn:aws:s3:::state/prod/a"), Decision::Silent);
    }
}
