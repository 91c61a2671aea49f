//! `AWS::ElasticLoadBalancingV2::…`: load balancers, their listeners and rules, and target groups. The properties have the
//! names that the API's parameters have.

use serde_json::{Map, Value};

use super::{Desk, Failure, Made, Properties, unknown};
use crate::services::{Refusal, xml_one};
use crate::template::parameters::text;

const BALANCER: [&str; 7] = [
    "IpAddressType",
    "LoadBalancerAttributes",
    "Name",
    "Scheme",
    "SecurityGroups",
    "Subnets",
    "Type",
];
const GROUP: [&str; 16] = [
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckPath",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "IpAddressType",
    "Matcher",
    "Name",
    "Port",
    "Protocol",
    "TargetGroupAttributes",
    "TargetType",
    "UnhealthyThresholdCount",
    "VpcId",
];
const LISTENER: [&str; 6] = [
    "Certificates",
    "DefaultActions",
    "LoadBalancerArn",
    "Port",
    "Protocol",
    "SslPolicy",
];
const RULE: [&str; 4] = ["Actions", "Conditions", "ListenerArn", "Priority"];

/// The longest name of a load balancer or a target group.
const LONGEST: usize = 32;

/// How one type is made and deleted.
struct Thing {
    properties: &'static [&'static str],
    create: &'static str,
    delete: &'static str,
    /// The element of the answer with its ARN, which also is the parameter of the calls about it.
    arn: &'static str,
    /// The property that has calls of its own: its name, and the call that sets it.
    attributes: Option<(&'static str, &'static str)>,
}

fn thing(kind: &str) -> Option<Thing> {
    let (properties, noun, arn, attributes): (&'static [&'static str], _, _, _) = match kind {
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => (
            &BALANCER,
            ("CreateLoadBalancer", "DeleteLoadBalancer"),
            "LoadBalancerArn",
            Some(("LoadBalancerAttributes", "ModifyLoadBalancerAttributes")),
        ),
        "AWS::ElasticLoadBalancingV2::TargetGroup" => (
            &GROUP,
            ("CreateTargetGroup", "DeleteTargetGroup"),
            "TargetGroupArn",
            Some(("TargetGroupAttributes", "ModifyTargetGroupAttributes")),
        ),
        "AWS::ElasticLoadBalancingV2::Listener" => (
            &LISTENER,
            ("CreateListener", "DeleteListener"),
            "ListenerArn",
            None,
        ),
        "AWS::ElasticLoadBalancingV2::ListenerRule" => {
            (&RULE, ("CreateRule", "DeleteRule"), "RuleArn", None)
        }
        _ => return None,
    };
    Some(Thing {
        properties,
        create: noun.0,
        delete: noun.1,
        arn,
        attributes,
    })
}

pub(super) fn properties(kind: &str) -> &'static [&'static str] {
    thing(kind).map_or(&[], |thing| thing.properties)
}

type Form = Vec<(String, String)>;

/// Adds a value under a name: members under `NAME.Member`, items of a list under `NAME.member.1` and so on.
fn put(form: &mut Form, name: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                put(form, &format!("{name}.{member}"), value);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                put(form, &format!("{name}.member.{}", index + 1), item);
            }
        }
        other => form.push((name.to_owned(), text(other))),
    }
}

async fn call(desk: &Desk, action: &str, form: &Form) -> Result<String, Refusal> {
    desk.services
        .query("elasticloadbalancing", "2015-12-01", action, form)
        .await
}

fn made(thing: &Thing, arn: &str, answer: &str) -> Made {
    let mut attributes = Map::from_iter([(thing.arn.to_owned(), Value::from(arn))]);
    let elements = [
        ("DNSName", "DNSName"),
        ("CanonicalHostedZoneID", "CanonicalHostedZoneId"),
        ("LoadBalancerName", "LoadBalancerName"),
        ("TargetGroupName", "TargetGroupName"),
    ];
    for (name, element) in elements {
        if let Some(value) = xml_one(answer, element) {
            attributes.insert(name.to_owned(), Value::from(value));
        }
    }
    let (_, path) = arn.rsplit_once(':').unwrap_or_default();
    let name = match path.split('/').next().unwrap_or_default() {
        "loadbalancer" => Some((
            "LoadBalancerFullName",
            path.replacen("loadbalancer/", "", 1),
        )),
        "targetgroup" => Some(("TargetGroupFullName", path.to_owned())),
        _ => None,
    };
    if let Some((name, value)) = name {
        attributes.insert(name.to_owned(), Value::from(value));
    }
    Made {
        physical: arn.to_owned(),
        attributes,
    }
}

pub(super) async fn create(
    desk: &Desk,
    kind: &str,
    properties: &Properties,
) -> Result<Made, Failure> {
    let thing = thing(kind).ok_or_else(|| unknown(kind))?;
    let attributes = thing.attributes.map(|(name, _)| name);
    let mut form = Form::new();
    for (name, value) in properties {
        if Some(name.as_str()) != attributes {
            put(&mut form, name, value);
        }
    }
    if thing.properties.contains(&"Name") && !properties.contains_key("Name") {
        let name = desk.name();
        let name = name.get(name.len().saturating_sub(LONGEST)..);
        let name = name.unwrap_or_default().trim_start_matches('-');
        form.push(("Name".to_owned(), name.to_owned()));
    }
    let answer = match call(desk, thing.create, &form).await {
        Err(refusal) if refusal.code.starts_with("Duplicate") => {
            return Err(desk.exists(kind, &desk.named(properties, "Name")));
        }
        other => other?,
    };
    let arn = xml_one(&answer, thing.arn).unwrap_or_default();
    settle(desk, &thing, &arn, &Map::new(), properties).await?;
    Ok(made(&thing, &arn, &answer))
}

/// Sets the attributes, which have a call of their own.
async fn settle(
    desk: &Desk,
    thing: &Thing,
    arn: &str,
    old: &Properties,
    new: &Properties,
) -> Result<(), Refusal> {
    let Some((name, action)) = thing.attributes else {
        return Ok(());
    };
    let Some(value) = new.get(name).filter(|value| old.get(name) != Some(value)) else {
        return Ok(());
    };
    let mut form = vec![(thing.arn.to_owned(), arn.to_owned())];
    put(&mut form, "Attributes", value);
    call(desk, action, &form).await.map(drop)
}

pub(super) async fn update(
    desk: &Desk,
    kind: &str,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let thing = thing(kind).ok_or_else(|| unknown(kind))?;
    let changes: Vec<&str> = thing
        .properties
        .iter()
        .copied()
        .filter(|name| old.get(*name) != new.get(*name))
        .collect();
    let (modify, may): (_, &[&str]) = match kind {
        "AWS::ElasticLoadBalancingV2::Listener" => ("ModifyListener", &LISTENER),
        "AWS::ElasticLoadBalancingV2::ListenerRule" => ("ModifyRule", &["Actions", "Conditions"]),
        "AWS::ElasticLoadBalancingV2::TargetGroup" => ("ModifyTargetGroup", &GROUP),
        _ => ("", &[]),
    };
    let attributes = thing.attributes.map(|(name, _)| name);
    let mut modified = changes.iter().filter(|name| Some(**name) != attributes);
    if let Some(name) = modified.clone().find(|name| !may.contains(name)) {
        return Err(Failure::new(
            "InvalidRequest",
            format!("the sandbox's CloudFormation does not change the {name} of {kind}"),
        ));
    }
    let mut answer = String::new();
    if modified.next().is_some() {
        // What is sent replaces what was there, so all of it is sent.
        let mut form = vec![(thing.arn.to_owned(), physical.to_owned())];
        let kept = [
            "LoadBalancerArn",
            "ListenerArn",
            "Name",
            "Priority",
            "VpcId",
        ];
        let fixed = ["IpAddressType", "Port", "Protocol", "TargetType"];
        let group = modify == "ModifyTargetGroup";
        for (name, value) in new {
            let skip = kept.contains(&name.as_str())
                || Some(name.as_str()) == attributes
                || (group && fixed.contains(&name.as_str()));
            if !skip {
                put(&mut form, name, value);
            }
        }
        answer = call(desk, modify, &form).await?;
    }
    settle(desk, &thing, physical, old, new).await?;
    if answer.is_empty() && kind == "AWS::ElasticLoadBalancingV2::LoadBalancer" {
        let form = vec![("LoadBalancerArns.member.1".to_owned(), physical.to_owned())];
        answer = call(desk, "DescribeLoadBalancers", &form).await?;
    }
    Ok(made(&thing, physical, &answer))
}

pub(super) async fn delete(desk: &Desk, kind: &str, physical: &str) -> Result<(), Refusal> {
    let Some(thing) = thing(kind) else {
        return Ok(());
    };
    let form = vec![(thing.arn.to_owned(), physical.to_owned())];
    call(desk, thing.delete, &form).await.map(drop)
}
