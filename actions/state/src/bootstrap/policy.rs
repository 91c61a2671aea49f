//! The bucket policy: one statement more in what is there. Pure.

use kit::aws::{Arn, Partition};
use serde_json::{Value, json};

/// The name of our statement.
const SID: &str = "SlipwayTlsOnly";

/// Returns true if `policy` denies every request to the bucket without TLS.
pub(super) fn is_tls_only(
    policy: &str,
    bucket: &str,
    partition: Partition,
) -> Result<bool, serde_json::Error> {
    let policy = parsed(policy)?;
    let [bucket_arn, objects_arn] = resources(bucket, partition);
    let statements = listed(&policy["Statement"]);
    let covers = |resource: &str| {
        statements.iter().any(|statement| {
            denies(statement)
                && listed(&statement["Resource"])
                    .iter()
                    .any(|found| *found == resource || *found == "*")
        })
    };
    Ok(covers(&bucket_arn) && covers(&objects_arn))
}

/// The policy with our statement in it, everything else as it was.
pub(super) fn with_tls_only(
    policy: Option<&str>,
    bucket: &str,
    partition: Partition,
) -> Result<String, serde_json::Error> {
    let mut policy = match policy {
        Some(text) => parsed(text)?,
        None => json!({ "Version": "2012-10-17" }),
    };
    // One statement may stand without a list around it (IAM User Guide, "Grammar of the IAM JSON
    // policy language").
    let mut statements: Vec<Value> = listed(&policy["Statement"])
        .into_iter()
        .filter(|statement| statement["Sid"] != SID)
        .cloned()
        .collect();
    statements.push(json!({
        "Sid": SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": resources(bucket, partition),
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    }));
    policy["Statement"] = Value::Array(statements);
    Ok(policy.to_string())
}

/// The policy as an object, which every policy is.
fn parsed(policy: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(policy).map(Value::Object)
}

fn resources(bucket: &str, partition: Partition) -> [String; 2] {
    let arn = |resource: &str| String::from(Arn::new(partition, "s3", None, None, resource));
    [arn(bucket), arn(&format!("{bucket}/*"))]
}

fn listed(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    }
}

fn denies(statement: &Value) -> bool {
    let everybody = statement["Principal"] == "*"
        || listed(&statement["Principal"]["AWS"])
            .iter()
            .any(|principal| *principal == "*");
    let everything = listed(&statement["Action"])
        .iter()
        .any(|action| *action == "s3:*" || *action == "*");
    let condition = statement["Condition"].as_object();
    let tls = condition.is_some_and(|condition| {
        // A second condition would let some requests through.
        condition.len() == 1
            && condition["Bool"].as_object().is_some_and(|bool| {
                bool.len() == 1
                    && bool.iter().all(|(key, value)| {
                        key.eq_ignore_ascii_case("aws:SecureTransport")
                            && listed(value)
                                .iter()
                                .all(|it| **it == "false" || **it == false)
                    })
            })
    });
    statement["Effect"] == "Deny" && everybody && everything && tls
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls_only(policy: &str, bucket: &str, partition: Partition) -> Option<bool> {
        is_tls_only(policy, bucket, partition).ok()
    }

    fn partition(name: &str) -> Partition {
        name.parse().unwrap()
    }

    #[test]
    fn existing_statements_stay_and_our_statement_is_added_once() {
        let theirs = r#"{"Version":"2012-10-17","Id":"x","Statement":{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}"#;
        assert_eq!(tls_only(theirs, "b", partition("aws")), Some(false));
        let ours = with_tls_only(Some(theirs), "b", partition("aws")).unwrap();
        assert!(
            ours.contains(r#""Id":"x""#) && ours.contains("Theirs"),
            "{ours}"
        );
        assert_eq!(tls_only(&ours, "b", partition("aws")), Some(true));
        assert_eq!(
            with_tls_only(Some(&ours), "b", partition("aws")).unwrap(),
            ours
        );
        let alone = with_tls_only(None, "b", partition("aws-cn")).unwrap();
        assert_eq!(tls_only(&alone, "b", partition("aws-cn")), Some(true));
        assert_eq!(tls_only(&alone, "b", partition("aws")), Some(false));
        assert_eq!(tls_only(&alone, "c", partition("aws-cn")), Some(false));
    }

    #[test]
    fn a_statement_that_lets_some_through_does_not_count() {
        let ours = with_tls_only(None, "b", partition("aws")).unwrap();
        for (from, to) in [
            ("\"Deny\"", "\"Allow\""),
            (
                "\"Principal\":\"*\"",
                "\"Principal\":{\"AWS\":\"arn:aws:iam::1:root\"}",
            ),
            ("\"s3:*\"", "\"s3:GetObject\""),
            ("\"false\"", "\"true\""),
            (
                "{\"Bool\"",
                "{\"StringEquals\":{\"aws:PrincipalAccount\":\"1\"},\"Bool\"",
            ),
            (",\"arn:aws:s3:::b/*\"", ""),
        ] {
            let other = ours.replace(from, to);
            assert_ne!(other, ours, "{from}");
            assert_eq!(
                tls_only(&other, "b", partition("aws")),
                Some(false),
                "{other}"
            );
        }
        // Another spelling of the same.
        let theirs = ours
            .replace("SlipwayTlsOnly", "Tls")
            .replace("\"Principal\":\"*\"", "\"Principal\":{\"AWS\":[\"*\"]}")
            .replace("\"s3:*\"", "[\"s3:*\"]")
            .replace("\"false\"", "[false]");
        assert_eq!(tls_only(&theirs, "b", partition("aws")), Some(true));
        assert!(tls_only("[]", "b", partition("aws")).is_none());
    }
}
