//! What a reviewer must not overlook in a change: permissions, and what anybody can reach. Pure.

use crate::seen::Change;
use serde_json::Value;

/// Something to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// It changes who may do what.
    Permissions,
    /// After it, everybody on the network, or everybody with an account of AWS, can reach the resource.
    Public,
}

impl Mark {
    /// Its words in lists.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Permissions => "PERMISSIONS",
            Self::Public => "PUBLIC",
        }
    }
}

/// Names of properties that hold statements of who may do what.
const POLICIES: &[&str] = &[
    "AssumeRolePolicyDocument",
    "KeyPolicy",
    "ManagedPolicyArns",
    "PermissionsBoundary",
    "Policies",
    "PolicyDocument",
    "PolicyText",
    "RepositoryPolicyText",
    "ResourcePolicy",
];

/// The marks of a change.
pub(crate) fn marks(change: &Change) -> Vec<Mark> {
    let after = change
        .after
        .as_deref()
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    let before = change
        .before
        .as_deref()
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut marks = Vec::new();
    let named = |name: &str| POLICIES.contains(&name);
    let in_details = change.details.iter().any(|detail| {
        let path = detail.path.as_deref().unwrap_or_default();
        detail.name.as_deref().is_some_and(named) || path.split('/').any(named)
    });
    let added =
        change.action == "Add" && after.as_ref().is_some_and(|value| has_key(value, &named));
    let is_policy = |kind: &str| {
        kind.starts_with("AWS::IAM::")
            || kind == "AWS::Lambda::Permission"
            || kind.ends_with("Policy")
    };
    if is_policy(&change.kind) || in_details || added {
        marks.push(Mark::Permissions);
    }
    let exposed = |value: &Option<Value>| {
        let value = value.as_ref();
        value.is_some_and(|value| exposed(&change.kind, "", value))
    };
    // What everybody could reach before is said again only if the change itself is about that.
    if is_about_exposure(change) || (exposed(&after) && !exposed(&before)) {
        marks.push(Mark::Public);
    }
    marks
}

/// Whether a detail of the change lets everybody in.
fn is_about_exposure(change: &Change) -> bool {
    change.details.iter().any(|detail| {
        let path = detail.path.as_deref().or(detail.name.as_deref());
        let name = path
            .unwrap_or_default()
            .rsplit('/')
            .next()
            .unwrap_or_default();
        let text = detail.after.as_deref().unwrap_or_default();
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        exposed(&change.kind, name, &value)
    })
}

/// Whether the value at `name` lets everybody in.
fn exposed(kind: &str, name: &str, value: &Value) -> bool {
    match value {
        Value::Object(all) => {
            let anybody = |principal: &Value| match principal {
                Value::String(text) => text == "*",
                Value::Object(all) => all.values().any(is_star),
                _ => false,
            };
            let allowed = all.get("Effect").and_then(Value::as_str) == Some("Allow")
                && all.get("Principal").is_some_and(anybody);
            allowed || all.iter().any(|(name, value)| exposed(kind, name, value))
        }
        Value::Array(all) => all.iter().any(|value| exposed(kind, name, value)),
        Value::Bool(on) => is_open(kind, name, if *on { "true" } else { "false" }),
        Value::String(text) => is_open(kind, name, text),
        Value::Number(_) | Value::Null => false,
    }
}

fn is_star(value: &Value) -> bool {
    match value {
        Value::String(text) => text == "*",
        Value::Array(all) => all.iter().any(is_star),
        _ => false,
    }
}

fn is_open(kind: &str, name: &str, text: &str) -> bool {
    let yes = text.eq_ignore_ascii_case("true");
    match name {
        "PubliclyAccessible" | "MapPublicIpOnLaunch" | "AssociatePublicIpAddress" => yes,
        "BlockPublicAcls" | "BlockPublicPolicy" | "IgnorePublicAcls" | "RestrictPublicBuckets" => {
            text.eq_ignore_ascii_case("false")
        }
        "AssignPublicIp" => text == "ENABLED",
        "AccessControl" => text.starts_with("Public") || text == "AuthenticatedRead",
        "Scheme" => text == "internet-facing",
        // Whoever may call a function URL or an API without credentials.
        "AuthType" => kind == "AWS::Lambda::Url" && text == "NONE",
        "Principal" => kind == "AWS::Lambda::Permission" && text == "*",
        "CidrIp" | "CidrIpv6" => text == "0.0.0.0/0" || text == "::/0",
        _ => false,
    }
}

/// Whether a name of an object in the value fits.
fn has_key(value: &Value, fits: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::Object(all) => all
            .iter()
            .any(|(name, value)| fits(name) || has_key(value, fits)),
        Value::Array(all) => all.iter().any(|value| has_key(value, fits)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Detail;

    fn added(kind: &str, after: &str) -> Change {
        Change {
            kind: kind.to_owned(),
            action: "Add".to_owned(),
            after: Some(after.to_owned()),
            ..Change::default()
        }
    }

    #[test]
    fn permissions_and_exposure_are_marked() {
        use Mark::{Permissions, Public};
        for (kind, after, wanted) in [
            (
                "AWS::SNS::Topic",
                r#"{"Properties":{"TopicName":"t"}}"#,
                vec![],
            ),
            ("AWS::IAM::Role", r#"{"Properties":{}}"#, vec![Permissions]),
            (
                "AWS::Lambda::Permission",
                r#"{"Properties":{"Principal":"*"}}"#,
                vec![Permissions, Public],
            ),
            (
                "AWS::S3::BucketPolicy",
                r#"{"Properties":{"PolicyDocument":{"Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]}}]}}}"#,
                vec![Permissions, Public],
            ),
            (
                "AWS::S3::BucketPolicy",
                r#"{"Properties":{"PolicyDocument":{"Statement":[{"Effect":"Deny","Principal":"*"}]}}}"#,
                vec![Permissions],
            ),
            (
                "AWS::KMS::Key",
                r#"{"Properties":{"KeyPolicy":{"Statement":[]}}}"#,
                vec![Permissions],
            ),
            (
                "AWS::EC2::SecurityGroup",
                r#"{"Properties":{"SecurityGroupIngress":[{"CidrIp":"0.0.0.0/0"}]}}"#,
                vec![Public],
            ),
            (
                "AWS::EC2::SecurityGroup",
                r#"{"Properties":{"SecurityGroupIngress":[{"CidrIp":"10.0.0.0/8"}]}}"#,
                vec![],
            ),
            (
                "AWS::ElasticLoadBalancingV2::LoadBalancer",
                r#"{"Properties":{"Scheme":"internet-facing"}}"#,
                vec![Public],
            ),
            (
                "AWS::RDS::DBInstance",
                r#"{"Properties":{"PubliclyAccessible":"true"}}"#,
                vec![Public],
            ),
            (
                "AWS::S3::Bucket",
                r#"{"Properties":{"PublicAccessBlockConfiguration":{"BlockPublicAcls":false}}}"#,
                vec![Public],
            ),
            (
                "AWS::S3::Bucket",
                r#"{"Properties":{"PublicAccessBlockConfiguration":{"BlockPublicAcls":true}}}"#,
                vec![],
            ),
        ] {
            assert_eq!(marks(&added(kind, after)), wanted, "{kind} {after}");
        }
    }

    #[test]
    fn a_modified_resource_is_marked_for_what_changes_in_it() {
        let detail = |path: &str, after: &str| Detail {
            attribute: "Properties".to_owned(),
            path: Some(path.to_owned()),
            after: Some(after.to_owned()),
            ..Detail::default()
        };
        let open = r#"{"Properties":{"Scheme":"internet-facing"}}"#;
        let mut change = Change {
            kind: "AWS::ElasticLoadBalancingV2::LoadBalancer".to_owned(),
            action: "Modify".to_owned(),
            before: Some(open.to_owned()),
            after: Some(open.to_owned()),
            details: vec![detail("/Properties/Name", "n")],
            ..Change::default()
        };
        assert_eq!(marks(&change), []);
        change
            .details
            .push(detail("/Properties/Scheme", "internet-facing"));
        assert_eq!(marks(&change), [Mark::Public]);
        change.details = vec![detail("/Properties/KeyPolicy/Statement/0/Effect", "Allow")];
        assert_eq!(marks(&change), [Mark::Permissions]);
    }
}
