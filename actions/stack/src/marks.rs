//! The parts of a change that a reviewer must not overlook: permissions, and resources that anybody can reach. Pure.

use crate::seen::{Change, Detail};
use serde_json::Value;

/// Something to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// It changes who may do what.
    Permissions,
    /// After it, everybody on the network, or everybody with an account of AWS, can reach the resource.
    Public,
    /// It changes what happens to the resource and its data when it is removed or replaced.
    Retention,
    /// CloudFormation does not show it whole, so the other marks may be missing.
    Unjudged,
}

impl Mark {
    /// Its words in lists.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Permissions => "PERMISSIONS",
            Self::Public => "PUBLIC",
            Self::Retention => "RETENTION",
            Self::Unjudged => "NOT JUDGED",
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
    let read = |text: &Option<String>| {
        let text = text.as_deref()?;
        serde_json::from_str::<Value>(text).ok()
    };
    let (before, after) = (read(&change.before), read(&change.after));
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
        value.is_some_and(|value| {
            exposed(&change.kind, "", value) || is_open_by_default(&change.kind, value)
        })
    };
    // Exposure that was there before is named again only if the change itself is about it.
    if is_about_exposure(change) || (exposed(&after) && !exposed(&before)) {
        marks.push(Mark::Public);
    }
    let retention = |detail: &Detail| {
        ["DeletionPolicy", "UpdateReplacePolicy"].contains(&detail.attribute.as_str())
    };
    if change.details.iter().any(retention) {
        marks.push(Mark::Retention);
    }
    // CloudFormation cuts large values (API Reference, ResourceChange), and what is left is not JSON.
    let cut = |text: &Option<String>, value: &Option<Value>| text.is_some() && value.is_none();
    if cut(&change.before, &before) || cut(&change.after, &after) {
        marks.push(Mark::Unjudged);
    }
    marks
}

/// Returns true if a detail of the change opens the resource to everybody.
fn is_about_exposure(change: &Change) -> bool {
    change.details.iter().any(|detail| {
        let path = detail.path.as_deref().or(detail.name.as_deref());
        let name = path
            .unwrap_or_default()
            .rsplit('/')
            .next()
            .unwrap_or_default();
        // Without the block, a bucket is as public as its policy and its lists say.
        let block = path
            .unwrap_or_default()
            .split('/')
            .any(|name| name == "PublicAccessBlockConfiguration");
        if block && detail.change.as_deref() == Some("Remove") {
            return true;
        }
        let text = detail.after.as_deref().unwrap_or_default();
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        exposed(&change.kind, name, &value)
    })
}

/// Returns true if the value at `name` opens the resource to everybody.
fn exposed(kind: &str, name: &str, value: &Value) -> bool {
    match value {
        Value::Object(all) => {
            let anybody = |principal: &Value| match principal {
                Value::String(text) => text == "*",
                Value::Object(all) => all.values().any(is_star),
                _ => false,
            };
            // Allowing everybody but some allows everybody else.
            let allowed = all.get("Effect").and_then(Value::as_str) == Some("Allow")
                && (all.contains_key("NotPrincipal") || all.get("Principal").is_some_and(anybody));
            allowed || all.iter().any(|(name, value)| exposed(kind, name, value))
        }
        Value::Array(all) => all.iter().any(|value| exposed(kind, name, value)),
        Value::Bool(on) => is_open(kind, name, if *on { "true" } else { "false" }),
        // Some types take a policy as JSON text.
        Value::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).is_ok_and(|inner| exposed(kind, name, &inner))
        }
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
        // Anybody may call a function URL or an API without credentials.
        "AuthType" => kind == "AWS::Lambda::Url" && text == "NONE",
        "AuthorizationType" => kind.starts_with("AWS::ApiGateway") && text == "NONE",
        "Principal" => kind == "AWS::Lambda::Permission" && text == "*",
        "CidrIp" | "CidrIpv6" => is_wide(text),
        _ => false,
    }
}

/// Returns true if a range of addresses is a large part of all of them: two halves let everybody in as well.
fn is_wide(range: &str) -> bool {
    let Some((address, length)) = range.split_once('/') else {
        return false;
    };
    let widest = if address.contains(':') { 16 } else { 8 };
    length.parse::<u8>().is_ok_and(|length| length < widest)
}

/// Returns true if a resource faces the internet because its template does not say otherwise.
fn is_open_by_default(kind: &str, value: &Value) -> bool {
    let balancer = [
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::ElasticLoadBalancing::LoadBalancer",
    ];
    let properties = &value["Properties"];
    balancer.contains(&kind) && properties["Scheme"].is_null() && properties["Type"] != "gateway"
}

/// Returns true if a name of an object in the value fits.
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
                "AWS::EC2::SecurityGroup",
                r#"{"Properties":{"SecurityGroupIngress":[{"CidrIp":"0.0.0.0/1"},{"CidrIp":"128.0.0.0/1"}]}}"#,
                vec![Public],
            ),
            (
                "AWS::EC2::SecurityGroup",
                r#"{"Properties":{"SecurityGroupIngress":[{"CidrIpv6":"::/0"}]}}"#,
                vec![Public],
            ),
            (
                "AWS::ElasticLoadBalancingV2::LoadBalancer",
                r#"{"Properties":{"Scheme":"internet-facing"}}"#,
                vec![Public],
            ),
        ] {
            assert_eq!(marks(&added(kind, after)), wanted, "{kind} {after}");
        }
    }

    #[test]
    fn what_is_open_without_saying_so_is_marked() {
        use Mark::{Permissions, Public, Unjudged};
        for (kind, after, wanted) in [
            (
                "AWS::ElasticLoadBalancingV2::LoadBalancer",
                r#"{"Properties":{"Name":"n"}}"#,
                vec![Public],
            ),
            (
                "AWS::ElasticLoadBalancingV2::LoadBalancer",
                r#"{"Properties":{"Scheme":"internal"}}"#,
                vec![],
            ),
            (
                "AWS::Logs::ResourcePolicy",
                r#"{"Properties":{"PolicyDocument":"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\"}]}"}}"#,
                vec![Permissions, Public],
            ),
            (
                "AWS::SQS::QueuePolicy",
                r#"{"Properties":{"PolicyDocument":{"Statement":{"Effect":"Allow","NotPrincipal":{"AWS":"1"}}}}}"#,
                vec![Permissions, Public],
            ),
            (
                "AWS::ApiGateway::Method",
                r#"{"Properties":{"AuthorizationType":"NONE"}}"#,
                vec![Public],
            ),
            ("AWS::SNS::Topic", r#"{"Properties":{"To"#, vec![Unjudged]),
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
        change.details = vec![Detail {
            attribute: "DeletionPolicy".to_owned(),
            before: Some("Retain".to_owned()),
            ..Detail::default()
        }];
        assert_eq!(marks(&change), [Mark::Retention]);
        change.details = vec![Detail {
            attribute: "Properties".to_owned(),
            path: Some("/Properties/PublicAccessBlockConfiguration/BlockPublicAcls".to_owned()),
            before: Some("true".to_owned()),
            change: Some("Remove".to_owned()),
            ..Detail::default()
        }];
        assert_eq!(marks(&change), [Mark::Public]);
        // A load balancer whose scheme is taken away faces the internet.
        change.details.clear();
        change.before = Some(open.replace("internet-facing", "internal"));
        change.after = Some(r#"{"Properties":{}}"#.to_owned());
        assert_eq!(marks(&change), [Mark::Public]);
    }
}
