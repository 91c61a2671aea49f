//! The accounts that may pull: one statement of the repository's policy, beside whatever else is there. Pure.

use kit::aws::{AccountId, Arn, Partition};
use kit::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const SID: &str = "SlipwayPull";

/// The actions of a pull (Amazon ECR User Guide, "Repository policy examples"). The registry's
/// token is the puller's own account's to grant.
const ACTIONS: [&str; 3] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
];

/// The policy that lets exactly `accounts` pull under this module's statement, and leaves the
/// other statements as they are; `None` if `seen` does so already, or no account is named.
///
/// # Errors
/// The repository's policy is not a JSON object.
pub(crate) fn policy(
    partition: Partition,
    accounts: &BTreeSet<AccountId>,
    seen: Option<&str>,
) -> Result<Option<String>> {
    if accounts.is_empty() {
        return Ok(None);
    }
    let mut policy: Map<String, Value> = match seen {
        None => Map::from_iter([("Version".to_owned(), json!("2012-10-17"))]),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Error::failed("the repository's policy is not a JSON object").because(error)
        })?,
    };
    let statements = match policy.get("Statement").cloned() {
        None => Vec::new(),
        Some(Value::Array(statements)) => statements,
        Some(statement) => vec![statement],
    };
    let principals: BTreeSet<String> = accounts
        .iter()
        .map(|account| root_of(partition, account))
        .collect();
    let is_ours = |statement: &Value| statement.get("Sid").and_then(Value::as_str) == Some(SID);
    let mut ours = statements.iter().filter(|statement| is_ours(statement));
    if let (Some(statement), None) = (ours.next(), ours.next())
        && says(statement, partition, &principals)
    {
        return Ok(None);
    }
    let mut statements: Vec<Value> = statements
        .into_iter()
        .filter(|statement| !is_ours(statement))
        .collect();
    statements.push(json!({
        "Sid": SID,
        "Effect": "Allow",
        "Principal": {"AWS": principals},
        "Action": ACTIONS,
    }));
    policy.insert("Statement".to_owned(), Value::Array(statements));
    Ok(Some(Value::Object(policy).to_string()))
}

/// Whom this module's statement of the policy names, in a sentence; empty where there is none.
pub(crate) fn allowed(policy: &str) -> String {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        one => std::slice::from_ref(one),
    };
    let names: BTreeSet<String> = statements
        .iter()
        .filter(|statement| statement["Sid"] == SID)
        .filter_map(|statement| list(&statement["Principal"]["AWS"]))
        .flatten()
        .map(|name| {
            let arn: Option<Arn> = name.parse().ok().filter(|arn: &Arn| arn.resource == "root");
            let account = arn.and_then(|arn| arn.account);
            account.map_or_else(|| name.to_owned(), |account| account.to_string())
        })
        .collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Returns whether the statement lets exactly `principals` pull, however its lists are written.
fn says(statement: &Value, partition: Partition, principals: &BTreeSet<String>) -> bool {
    let Some(fields) = statement.as_object() else {
        return false;
    };
    let principal = fields.get("Principal").and_then(Value::as_object);
    let named: Option<BTreeSet<String>> = principal
        .filter(|principal| principal.len() == 1)
        .and_then(|principal| list(principal.get("AWS")?))
        .map(|named| named.iter().map(|one| root(partition, one)).collect());
    // A condition, for example, would be a fifth field.
    fields.len() == 4
        && fields.get("Effect").is_some_and(|effect| effect == "Allow")
        && named.as_ref() == Some(principals)
        && fields.get("Action").and_then(list) == Some(BTreeSet::from(ACTIONS))
}

/// A list of texts, which a policy may write as one text.
fn list(value: &Value) -> Option<BTreeSet<&str>> {
    match value {
        Value::Array(all) => all.iter().map(Value::as_str).collect(),
        one => Some(BTreeSet::from([one.as_str()?])),
    }
}

/// An account as a principal. In a policy its ID alone means the same (IAM User Guide, "AWS JSON
/// policy elements: Principal").
fn root(partition: Partition, principal: &str) -> String {
    match principal.parse::<AccountId>() {
        Ok(account) => root_of(partition, &account),
        Err(_) => principal.to_owned(),
    }
}

fn root_of(partition: Partition, account: &AccountId) -> String {
    Arn::new(partition, "iam", None, Some(account), "root").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(name: &str) -> Partition {
        name.parse().unwrap()
    }

    fn decide(accounts: &[&str], seen: Option<Value>) -> Option<Value> {
        let accounts = accounts.iter().map(|one| one.parse().unwrap()).collect();
        let seen = seen.map(|seen| seen.to_string());
        policy(partition("aws"), &accounts, seen.as_deref())
            .unwrap()
            .map(|text| serde_json::from_str(&text).unwrap())
    }

    fn ours(principals: Value) -> Value {
        json!({
            "Sid": "SlipwayPull",
            "Effect": "Allow",
            "Principal": {"AWS": principals},
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
        })
    }

    fn of(statements: Value) -> Value {
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    const A: &str = "arn:aws:iam::111111111111:root";
    const B: &str = "arn:aws:iam::222222222222:root";

    #[test]
    fn a_repository_without_a_policy_gets_one_statement() {
        assert_eq!(
            decide(&["222222222222", "111111111111"], None),
            Some(of(json!([ours(json!([A, B]))])))
        );
        assert_eq!(
            policy(
                partition("aws-cn"),
                &BTreeSet::from(["111111111111".parse().unwrap()]),
                None
            )
            .unwrap()
            .map(|text| text.contains("\"arn:aws-cn:iam::111111111111:root\"")),
            Some(true)
        );
    }

    #[test]
    fn nobody_named_means_nothing_to_do() {
        assert_eq!(decide(&[], None), None);
        assert_eq!(decide(&[], Some(of(json!([ours(json!([A]))])))), None);
    }

    #[test]
    fn an_equivalent_pull_policy_is_not_rewritten() {
        let mut other_order = ours(json!([B, A]));
        other_order["Action"] = json!([
            "ecr:GetDownloadUrlForLayer",
            "ecr:BatchGetImage",
            "ecr:BatchCheckLayerAvailability",
        ]);
        for seen in [
            of(json!([ours(json!([A, B]))])),
            of(json!([other_order])),
            of(json!([ours(json!(["111111111111", B]))])),
            of(ours(json!([A, B]))),
        ] {
            assert_eq!(
                decide(&["111111111111", "222222222222"], Some(seen.clone())),
                None,
                "{seen}"
            );
        }
        let seen = of(json!([ours(json!(A))]));
        assert_eq!(decide(&["111111111111"], Some(seen)), None);
    }

    #[test]
    fn a_different_pull_policy_is_rewritten() {
        let wanted = of(json!([ours(json!([A]))]));
        let with = |name: &str, value: Value| {
            let mut statement = ours(json!([A]));
            statement[name] = value;
            of(json!([statement]))
        };
        for seen in [
            of(json!([])),
            of(json!([ours(json!([A, B]))])),
            of(json!([ours(json!([B]))])),
            of(json!([ours(json!([A])), ours(json!([A]))])),
            with("Effect", json!("Deny")),
            with("Action", json!("ecr:BatchGetImage")),
            with("Action", json!("ecr:*")),
            with("Principal", json!("*")),
            with(
                "Principal",
                json!({"AWS": [A], "Service": ["x.amazonaws.com"]}),
            ),
            with(
                "Condition",
                json!({"Bool": {"aws:SecureTransport": "true"}}),
            ),
        ] {
            assert_eq!(
                decide(&["111111111111"], Some(seen.clone())),
                Some(wanted.clone()),
                "{seen}"
            );
        }
    }

    #[test]
    fn those_who_may_pull_are_named_by_account() {
        for (policy, names) in [
            (
                of(json!([ours(json!([B, "111111111111"]))])),
                "111111111111, 222222222222",
            ),
            (of(ours(json!(A))), "111111111111"),
            (of(json!([{"Sid": "Theirs", "Principal": {"AWS": A}}])), ""),
            (json!({}), ""),
        ] {
            assert_eq!(allowed(&policy.to_string()), names, "{policy}");
        }
    }

    #[test]
    fn statements_of_others_stay_as_they_are() {
        let other = json!({
            "Sid": "Scanner",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::333333333333:role/scan", "Service": "x.amazonaws.com"},
            "Action": "ecr:BatchGetImage",
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
        });
        let unnamed = json!({"Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage"});
        let rest = json!({"Version": "2008-10-17", "Id": "theirs"});
        for statements in [
            json!([other, unnamed]),
            json!([ours(json!([B])), other, unnamed]),
        ] {
            let mut seen = rest.clone();
            seen["Statement"] = statements;
            let mut wanted = rest.clone();
            wanted["Statement"] = json!([other, unnamed, ours(json!([A]))]);
            assert_eq!(decide(&["111111111111"], Some(seen)), Some(wanted));
        }
        let mut seen = rest.clone();
        seen["Statement"] = other.clone();
        let mut wanted = rest;
        wanted["Statement"] = json!([other, ours(json!([A]))]);
        assert_eq!(decide(&["111111111111"], Some(seen)), Some(wanted));
    }

    #[test]
    fn a_malformed_policy_is_not_overwritten() {
        let accounts = BTreeSet::from(["111111111111".parse().unwrap()]);
        for text in ["", "[]", "{"] {
            let error = policy(partition("aws"), &accounts, Some(text)).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Failed, "{text}");
        }
    }
}
