//! The services of which few calls are known: parameters, secrets, logs, load balancers, builds, IAM.
//! Source: Service Authorization Reference, under the name of each.

use super::{Need, Scene};
use crate::text::value;

pub(super) fn needs(scene: &Scene<'_>) -> Option<Vec<Need>> {
    match scene.call.service.as_str() {
        "ssm" => ssm(scene),
        "secretsmanager" => secrets(scene),
        "logs" => logs(scene),
        "codebuild" => codebuild(scene),
        "sns" => topics(scene),
        "sqs" => queues(scene),
        "elasticloadbalancing" => balancing(scene),
        "monitoring" => alarms(scene),
        "iam" => iam(scene),
        _ => None,
    }
}

fn ssm(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let parameter = |name: &str| {
        // A version or label is not part of the name.
        let name = name.split(':').next().unwrap_or(name);
        let between = if name.starts_with('/') { "" } else { "/" };
        scene.same(scene.arn(&format!("parameter{between}{name}")))
    };
    let resource = |name: &str| match name.starts_with("arn:") {
        true => scene.same(name),
        false => parameter(name),
    };
    Some(match scene.operation() {
        "DescribeParameters" => vec![scene.same("*")],
        "GetParameters" | "DeleteParameters" => scene
            .texts("Names")
            .iter()
            .map(|name| resource(name))
            .collect(),
        "GetCalendarState" => {
            let named = scene.texts("CalendarNames").into_iter();
            named
                .map(|name| match name.starts_with("arn:") {
                    true => scene.same(name),
                    false => scene.same(scene.arn(&format!("document/{name}"))),
                })
                .collect()
        }
        "GetParametersByPath" => vec![resource(scene.text("Path")?)],
        "GetParameter" | "GetParameterHistory" | "PutParameter" | "DeleteParameter" => {
            vec![resource(scene.text("Name")?)]
        }
        "AddTagsToResource" | "RemoveTagsFromResource" | "ListTagsForResource"
            if scene.text("ResourceType") == Some("Parameter") =>
        {
            vec![resource(scene.text("ResourceId")?)]
        }
        _ => return None,
    })
}

/// Secrets by the ARN that they are known under; a name that none has is tried as it is.
fn secrets(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let secret = |action: &str, named: &str| {
        let arn = match named.starts_with("arn:") {
            true => named.to_owned(),
            false => scene.arn(&format!("secret:{named}")),
        };
        let mut need = scene.need(action, &arn);
        need.owner = super::account_of(&arn).unwrap_or_default();
        need
    };
    let operation = scene.operation();
    Some(match operation {
        "ListSecrets" => vec![scene.same("*")],
        "BatchGetSecretValue" => {
            let mut needs = vec![scene.same("*")];
            for named in scene.texts("SecretIdList") {
                needs.push(secret("GetSecretValue", &named));
            }
            needs
        }
        "CreateSecret" => vec![secret(operation, scene.text("Name")?)],
        "GetSecretValue" | "DescribeSecret" | "PutSecretValue" | "UpdateSecret"
        | "DeleteSecret" => vec![secret(operation, scene.text("SecretId")?)],
        _ => return None,
    })
}

/// A topic by its ARN; only the topics' names are the caller's to choose.
fn topics(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let form = scene.call.form();
    Some(match scene.operation() {
        "CreateTopic" => vec![scene.same(scene.arn(value(&form, "Name")?))],
        "Publish" | "Subscribe" | "DeleteTopic" | "GetTopicAttributes" | "SetTopicAttributes" => {
            let topic = value(&form, "TopicArn")?;
            let mut need = scene.same(topic);
            need.owner = super::account_of(topic)?;
            vec![need]
        }
        "TagResource" | "UntagResource" | "ListTagsForResource" => {
            let topic = value(&form, "ResourceArn")?;
            let mut need = scene.same(topic);
            need.owner = super::account_of(topic)?;
            vec![need]
        }
        _ => return None,
    })
}

/// A queue by its name, which ends its address.
fn queues(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let named = match scene.operation() {
        "CreateQueue" | "GetQueueUrl" => scene.text("QueueName")?,
        "ReceiveMessage" | "DeleteMessage" | "GetQueueAttributes" | "SetQueueAttributes"
        | "DeleteQueue" | "TagQueue" | "UntagQueue" | "ListQueueTags" => {
            scene.text("QueueUrl")?.rsplit('/').next()?
        }
        _ => return None,
    };
    Some(vec![scene.same(scene.arn(named))])
}

/// A group's own calls are about `log-group:NAME:log-stream:`, as AWS's refusals have it.
fn logs(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let stream = scene.text("logStreamName").unwrap_or_default();
    let group = scene.text("logGroupName").unwrap_or("*");
    Some(match scene.operation() {
        "TagResource" | "UntagResource" | "ListTagsForResource" => {
            vec![scene.same(scene.text("resourceArn")?)]
        }
        "CreateLogGroup"
        | "DeleteLogGroup"
        | "DescribeLogGroups"
        | "PutRetentionPolicy"
        | "DeleteRetentionPolicy"
        | "CreateLogStream"
        | "DescribeLogStreams"
        | "FilterLogEvents" => {
            vec![scene.same(scene.arn(&format!("log-group:{group}:log-stream:")))]
        }
        "PutLogEvents" | "GetLogEvents" => {
            vec![scene.same(scene.arn(&format!("log-group:{group}:log-stream:{stream}")))]
        }
        _ => return None,
    })
}

/// A build belongs to its project, which its ID begins with.
fn codebuild(scene: &Scene<'_>) -> Option<Vec<Need>> {
    if scene.operation() != "BatchGetBuilds" {
        return None;
    }
    let projects = scene.texts("ids").into_iter().map(|id| {
        let id = id.rsplit_once("build/").map_or(&*id, |(_, id)| id);
        let project = id.split(':').next().unwrap_or(id);
        scene.same(scene.arn(&format!("project/{project}")))
    });
    let mut needs: Vec<Need> = projects.collect();
    needs.dedup();
    // An empty list is a mistake that the service itself names.
    if needs.is_empty() {
        needs.push(scene.same("*"));
    }
    Some(needs)
}

fn balancing(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let form = scene.call.form();
    let named = |parameter: &str| value(&form, parameter).unwrap_or("*");
    Some(match scene.operation() {
        operation if operation.starts_with("Describe") => vec![scene.same("*")],
        "CreateLoadBalancer" | "CreateTargetGroup" => vec![scene.same("*")],
        "CreateListener" | "DeleteLoadBalancer" | "ModifyLoadBalancerAttributes" => {
            vec![scene.same(named("LoadBalancerArn"))]
        }
        "CreateRule" | "DeleteListener" | "ModifyListener" => {
            vec![scene.same(named("ListenerArn"))]
        }
        "DeleteRule" | "ModifyRule" => vec![scene.same(named("RuleArn"))],
        "DeleteTargetGroup"
        | "ModifyTargetGroup"
        | "ModifyTargetGroupAttributes"
        | "RegisterTargets"
        | "DeregisterTargets" => vec![scene.same(named("TargetGroupArn"))],
        _ => return None,
    })
}

/// CloudWatch's alarms, which are signed for `monitoring` and permitted as `cloudwatch`. Composite ones are described only with a
/// permission for every resource (Amazon CloudWatch API Reference, "DescribeAlarms").
fn alarms(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let form = scene.call.form();
    let composite = |(name, value): &(String, String)| {
        name.starts_with("AlarmTypes.member.") && value == "CompositeAlarm"
    };
    let everything = scene.operation() == "DescribeAlarms" && form.iter().any(composite);
    let alarm = match scene.operation() {
        "DescribeAlarms" => "*",
        "PutMetricAlarm" | "SetAlarmState" => value(&form, "AlarmName")?,
        "DeleteAlarms" => value(&form, "AlarmNames.member.1")?,
        _ => return None,
    };
    let (region, account) = (&scene.call.region, scene.account);
    let mut need = match everything {
        true => scene.same("*"),
        false => scene.same(format!(
            "arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}"
        )),
    };
    need.action = format!("cloudwatch:{}", scene.operation());
    Some(vec![need])
}

fn iam(scene: &Scene<'_>) -> Option<Vec<Need>> {
    const KNOWN: [&str; 32] = [
        "AttachRolePolicy",
        "AttachUserPolicy",
        "CreateAccessKey",
        "CreateOpenIDConnectProvider",
        "CreatePolicy",
        "CreatePolicyVersion",
        "CreateRole",
        "CreateUser",
        "DeleteAccessKey",
        "DeletePolicy",
        "DeletePolicyVersion",
        "DeleteRole",
        "DeleteRolePolicy",
        "DeleteUser",
        "DetachRolePolicy",
        "GetOpenIDConnectProvider",
        "GetPolicy",
        "GetPolicyVersion",
        "GetRole",
        "GetRolePolicy",
        "GetUser",
        "ListAttachedRolePolicies",
        "ListOpenIDConnectProviders",
        "ListPolicyVersions",
        "ListRolePolicies",
        "ListRoles",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "PutUserPolicy",
        "TagRole",
        "UntagRole",
        "UpdateAssumeRolePolicy",
    ];
    if !KNOWN.contains(&scene.operation()) {
        return None;
    }
    let form = scene.call.form();
    let arn = |kind: &str, name: &str| format!("arn:aws:iam::{}:{kind}/{name}", scene.account);
    let named = [
        ("RoleName", "role"),
        ("UserName", "user"),
        ("PolicyArn", ""),
        ("OpenIDConnectProviderArn", ""),
        ("PolicyName", "policy"),
    ];
    let resource = named.iter().find_map(|(parameter, kind)| {
        let name = value(&form, parameter)?;
        Some(match kind.is_empty() {
            true => name.to_owned(),
            false => arn(kind, name),
        })
    });
    Some(vec![scene.same(resource.unwrap_or_else(|| "*".to_owned()))])
}
