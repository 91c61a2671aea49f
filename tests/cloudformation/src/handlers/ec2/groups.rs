//! Security groups and their rules, in the group itself and as resources of their own.

use serde_json::{Map, Value, json};

use super::{Form, call, put, put_specification, retag};
use crate::handlers::{Desk, Failure, Made, Properties};
use crate::services::{Refusal, xml_one};
use crate::template::parameters::text;

pub(super) const GROUP: [&str; 6] = [
    "GroupDescription",
    "GroupName",
    "SecurityGroupEgress",
    "SecurityGroupIngress",
    "Tags",
    "VpcId",
];
pub(super) const INGRESS: [&str; 8] = [
    "CidrIp",
    "CidrIpv6",
    "Description",
    "FromPort",
    "GroupId",
    "IpProtocol",
    "SourceSecurityGroupId",
    "ToPort",
];
pub(super) const EGRESS: [&str; 9] = [
    "CidrIp",
    "CidrIpv6",
    "Description",
    "DestinationPrefixListId",
    "DestinationSecurityGroupId",
    "FromPort",
    "GroupId",
    "IpProtocol",
    "ToPort",
];

/// The members of a rule that name the other side: property, parameter, and the parameter's member.
const SIDES: [(&str, &str, &str); 5] = [
    ("CidrIp", "IpRanges", "CidrIp"),
    ("CidrIpv6", "Ipv6Ranges", "CidrIpv6"),
    ("SourceSecurityGroupId", "Groups", "GroupId"),
    ("DestinationSecurityGroupId", "Groups", "GroupId"),
    ("DestinationPrefixListId", "PrefixListIds", "PrefixListId"),
];

/// The form of a call about one rule.
fn form(group: &str, rule: &Value) -> Form {
    let mut form = vec![("GroupId".to_owned(), group.to_owned())];
    let at = "IpPermissions.1";
    for name in ["IpProtocol", "FromPort", "ToPort"] {
        if let Some(value) = rule.get(name) {
            put(&mut form, &format!("{at}.{name}"), value);
        }
    }
    for (property, list, member) in SIDES {
        let Some(side) = rule.get(property) else {
            continue;
        };
        put(&mut form, &format!("{at}.{list}.1.{member}"), side);
        if let Some(description) = rule.get("Description") {
            put(
                &mut form,
                &format!("{at}.{list}.1.Description"),
                description,
            );
        }
    }
    form
}

async fn authorize(
    desk: &Desk,
    direction: &str,
    group: &str,
    rule: &Value,
) -> Result<String, Refusal> {
    let action = match direction {
        "egress" => "AuthorizeSecurityGroupEgress",
        _ => "AuthorizeSecurityGroupIngress",
    };
    call(desk, action, &form(group, rule)).await
}

async fn revoke(desk: &Desk, direction: &str, group: &str, rule: &Value) -> Result<(), Refusal> {
    let action = match direction {
        "egress" => "RevokeSecurityGroupEgress",
        _ => "RevokeSecurityGroupIngress",
    };
    match call(desk, action, &form(group, rule)).await {
        Err(refusal) if refusal.not_found() => Ok(()),
        other => other.map(drop),
    }
}

/// A rule of its own.
pub(super) async fn add(
    desk: &Desk,
    direction: &str,
    properties: &Properties,
) -> Result<Made, Failure> {
    let group = properties.get("GroupId").map(text).unwrap_or_default();
    let rule = Value::Object(properties.clone());
    let answer = authorize(desk, direction, &group, &rule).await?;
    let id = xml_one(&answer, "securityGroupRuleId").unwrap_or_else(|| desk.name());
    Ok(Made {
        physical: id.clone(),
        attributes: Map::from_iter([("Id".to_owned(), Value::from(id))]),
    })
}

pub(super) async fn remove(
    desk: &Desk,
    direction: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    let group = properties.get("GroupId").map(text).unwrap_or_default();
    revoke(desk, direction, &group, &Value::Object(properties.clone())).await
}

fn made(id: &str, properties: &Properties) -> Made {
    let mut attributes = Map::from_iter([
        ("GroupId".to_owned(), Value::from(id)),
        ("Id".to_owned(), Value::from(id)),
    ]);
    if let Some(network) = properties.get("VpcId") {
        attributes.insert("VpcId".to_owned(), network.clone());
    }
    Made {
        physical: id.to_owned(),
        attributes,
    }
}

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let mut input = Form::new();
    input.push(("GroupName".to_owned(), desk.named(properties, "GroupName")));
    for name in ["GroupDescription", "VpcId"] {
        if let Some(value) = properties.get(name) {
            put(&mut input, name, value);
        }
    }
    put_specification(&mut input, "security-group", properties.get("Tags"));
    let answer = call(desk, "CreateSecurityGroup", &input).await?;
    let id = xml_one(&answer, "groupId").unwrap_or_default();
    // A new group lets everything out. Rules in the group replace that; rules of their own are added to it.
    // Source: AWS CloudFormation User Guide, `AWS::EC2::SecurityGroup`, "SecurityGroupEgress".
    if !rules(properties, "egress").is_empty() {
        let everything = json!({"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"});
        revoke(desk, "egress", &id, &everything).await?;
    }
    settle(desk, &id, &Map::new(), properties).await?;
    Ok(made(&id, properties))
}

fn rules(properties: &Properties, direction: &str) -> Vec<Value> {
    let member = match direction {
        "egress" => "SecurityGroupEgress",
        _ => "SecurityGroupIngress",
    };
    let listed = properties.get(member).and_then(Value::as_array);
    listed.cloned().unwrap_or_default()
}

/// Brings the group's own rules to the new ones.
async fn settle(desk: &Desk, id: &str, old: &Properties, new: &Properties) -> Result<(), Refusal> {
    for direction in ["ingress", "egress"] {
        let (before, after) = (rules(old, direction), rules(new, direction));
        for rule in before.iter().filter(|rule| !after.contains(rule)) {
            revoke(desk, direction, id, rule).await?;
        }
        for rule in after.iter().filter(|rule| !before.contains(rule)) {
            authorize(desk, direction, id, rule).await?;
        }
    }
    Ok(())
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    settle(desk, physical, old, new).await?;
    retag(desk, physical, old, new).await?;
    Ok(made(physical, new))
}

pub(super) async fn delete(desk: &Desk, physical: &str) -> Result<(), Refusal> {
    let form = vec![("GroupId".to_owned(), physical.to_owned())];
    call(desk, "DeleteSecurityGroup", &form).await.map(drop)
}
