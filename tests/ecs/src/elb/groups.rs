//! Target groups and their targets.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::health;
use super::scope::{Scope, arn, check_name};
use super::state::{Health, Target, TargetGroup};
use crate::error::{Answer, ApiError};
use crate::ids;
use crate::state::Region;
use crate::value::{copy, list, need, number, text, texts};

/// The settings that a call can give.
const SETTINGS: [&str; 14] = [
    "Port",
    "VpcId",
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "HealthCheckPath",
    "Matcher",
    "TargetType",
    "ProtocolVersion",
    "IpAddressType",
];

pub(super) fn create_group(scope: &Scope<'_>, region: &mut Region, input: &Value) -> Answer {
    let name = need(input, "Name");
    check_name(name)?;
    if region.groups.iter().any(|one| one.name == name) {
        return Err(ApiError::new(
            "DuplicateTargetGroupName",
            "A target group with the same name exists, but with different settings",
        ));
    }
    let protocol = text(input, "Protocol").unwrap_or("HTTP");
    if protocol != "HTTP" {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            "This stand-in has target groups of protocol HTTP only",
        ));
    }
    let arn = arn(region, &format!("targetgroup/{name}/{}", ids::hex16()));
    let mut settings = json!({
        "TargetGroupArn": arn,
        "TargetGroupName": name,
        "Protocol": protocol,
        "Port": 80,
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckEnabled": true,
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
        "HealthCheckPath": "/",
        "Matcher": {"HttpCode": "200"},
        "TargetType": "instance",
        "ProtocolVersion": "HTTP1",
        "IpAddressType": "ipv4",
    });
    let mut given = Map::new();
    copy(input, &SETTINGS, &mut given);
    for (name, value) in given {
        settings[name] = value;
    }
    if number(&settings, "HealthCheckTimeoutSeconds")
        > number(&settings, "HealthCheckIntervalSeconds")
    {
        return Err(ApiError::new(
            "ValidationError",
            "Health check timeout must be smaller than or equal to the interval",
        ));
    }
    let delay = scope.inner.config.timings.deregistration_delay;
    let attributes = [
        (
            "deregistration_delay.timeout_seconds",
            delay.as_secs().to_string(),
        ),
        ("stickiness.enabled", "false".to_owned()),
        ("load_balancing.algorithm.type", "round_robin".to_owned()),
    ];
    region.groups.push(TargetGroup {
        arn,
        name: name.to_owned(),
        settings,
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        targets: Vec::new(),
    });
    let shown = region.groups.last().map(|group| show_group(region, group));
    Ok(json!({"TargetGroups": [shown]}))
}

fn show_group(region: &Region, group: &TargetGroup) -> Value {
    let mut shown = group.settings.clone();
    let using = region
        .listeners
        .iter()
        .filter(|one| one.forwards_to(&group.arn));
    let mut balancers: Vec<&str> = using.map(|listener| listener.balancer.as_str()).collect();
    balancers.dedup();
    shown["LoadBalancerArns"] = json!(balancers);
    shown
}

fn group_not_found(wanted: &str) -> ApiError {
    ApiError::new(
        "TargetGroupNotFound",
        format!("One or more target groups not found: {wanted}"),
    )
}

pub(super) fn group<'a>(region: &'a Region, arn: &str) -> Result<&'a TargetGroup, ApiError> {
    region
        .groups
        .iter()
        .find(|one| one.arn == arn)
        .ok_or_else(|| group_not_found(arn))
}

pub(super) fn describe_groups(region: &mut Region, input: &Value) -> Answer {
    let (arns, names) = (texts(input, "TargetGroupArns"), texts(input, "Names"));
    let known = |wanted: &String| {
        region
            .groups
            .iter()
            .any(|one| one.arn == *wanted || one.name == *wanted)
    };
    if let Some(absent) = arns.iter().chain(&names).find(|wanted| !known(wanted)) {
        return Err(group_not_found(absent));
    }
    let balancer = text(input, "LoadBalancerArn");
    let shown: Vec<Value> = region
        .groups
        .iter()
        .filter(|group| {
            (arns.is_empty() && names.is_empty())
                || arns.contains(&group.arn)
                || names.contains(&group.name)
        })
        .map(|group| show_group(region, group))
        .filter(|shown| {
            balancer.is_none_or(|arn| list(shown, "LoadBalancerArns").iter().any(|one| one == arn))
        })
        .collect();
    Ok(json!({"TargetGroups": shown}))
}

pub(super) fn delete_group(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "TargetGroupArn");
    if region.listeners.iter().any(|one| one.forwards_to(arn)) {
        return Err(ApiError::new(
            "ResourceInUse",
            format!("Target group '{arn}' is currently in use by a listener or a rule"),
        ));
    }
    region.groups.retain(|one| one.arn != arn);
    Ok(json!({}))
}

/// Changes how targets are checked.
pub(super) fn modify_group(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "TargetGroupArn");
    let group = region.groups.iter_mut().find(|one| one.arn == arn);
    let group = group.ok_or_else(|| group_not_found(arn))?;
    let mut given = Map::new();
    copy(input, &SETTINGS, &mut given);
    for (name, value) in given {
        group.settings[name] = value;
    }
    let group = self::group(region, arn)?;
    Ok(json!({"TargetGroups": [show_group(region, group)]}))
}

fn show_attributes(group: &TargetGroup) -> Value {
    let all = group
        .attributes
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}));
    json!({"Attributes": all.collect::<Vec<_>>()})
}

pub(super) fn describe_attributes(region: &mut Region, input: &Value) -> Answer {
    group(region, need(input, "TargetGroupArn")).map(show_attributes)
}

pub(super) fn modify_attributes(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "TargetGroupArn");
    let group = region
        .groups
        .iter_mut()
        .find(|one| one.arn == arn)
        .ok_or_else(|| group_not_found(arn))?;
    for attribute in list(input, "Attributes") {
        let (key, value) = (need(attribute, "Key"), need(attribute, "Value"));
        let seconds = value.parse::<u32>().is_ok_and(|seconds| seconds <= 3600);
        if key == "deregistration_delay.timeout_seconds" && !seconds {
            return Err(ApiError::new(
                "ValidationError",
                format!("The value of '{key}' must be between 0 and 3600"),
            ));
        }
        group.attributes.insert(key.to_owned(), value.to_owned());
    }
    Ok(show_attributes(group))
}

/// The targets that a request names, with the group's port where it names none.
pub(super) fn targets(
    group: &TargetGroup,
    input: &Value,
) -> Result<Vec<(Ipv4Addr, u16)>, ApiError> {
    list(input, "Targets")
        .iter()
        .map(|target| {
            let id = need(target, "Id");
            let address = id.parse().map_err(|_| {
                ApiError::new(
                    "ValidationError",
                    format!("The IP address '{id}' is not a valid IPv4 address"),
                )
            })?;
            let port = number(target, "Port")
                .or(number(&group.settings, "Port"))
                .unwrap_or(80);
            Ok((address, u16::try_from(port).unwrap_or(80)))
        })
        .collect()
}

pub(super) fn move_targets(
    scope: &Scope<'_>,
    add: bool,
    input: &Value,
    targets: &[(Ipv4Addr, u16)],
) -> Value {
    let group = need(input, "TargetGroupArn");
    for (address, port) in targets {
        if add {
            health::register(
                scope.inner,
                scope.account,
                scope.region,
                group,
                *address,
                *port,
            );
        } else {
            health::deregister(
                scope.inner,
                scope.account,
                scope.region,
                group,
                *address,
                *port,
            );
        }
    }
    json!({})
}

pub(super) fn describe_health(region: &mut Region, input: &Value) -> Answer {
    let group = group(region, need(input, "TargetGroupArn"))?;
    let used = region
        .listeners
        .iter()
        .any(|one| one.forwards_to(&group.arn));
    let mut shown = Vec::new();
    if list(input, "Targets").is_empty() {
        shown.extend(
            group
                .targets
                .iter()
                .map(|target| show_target(group, target, used)),
        );
    }
    for (address, port) in targets(group, input)? {
        let found = group
            .targets
            .iter()
            .find(|target| target.address == address && target.port == port);
        shown.push(found.map_or_else(
            || json!({
                "Target": {"Id": address.to_string(), "Port": port},
                "TargetHealth": {"State": "unused", "Reason": "Target.NotRegistered", "Description": "Target is not registered to the target group"},
            }),
            |target| show_target(group, target, used),
        ));
    }
    Ok(json!({"TargetHealthDescriptions": shown}))
}

fn show_target(group: &TargetGroup, target: &Target, used: bool) -> Value {
    let health = match target.health {
        _ if !used => json!({
            "State": "unused", "Reason": "Target.NotInUse",
            "Description": "Target group is not configured to receive traffic from the load balancer",
        }),
        Health::Healthy => json!({"State": "healthy"}),
        other => {
            let state = match other {
                Health::Initial => "initial",
                Health::Unhealthy => "unhealthy",
                _ => "draining",
            };
            json!({"State": state, "Reason": target.reason, "Description": target.description})
        }
    };
    let port = match text(&group.settings, "HealthCheckPort") {
        Some("traffic-port") | None => target.port.to_string(),
        Some(port) => port.to_owned(),
    };
    json!({
        "Target": {"Id": target.address.to_string(), "Port": target.port, "AvailabilityZone": "all"},
        "HealthCheckPort": port,
        "TargetHealth": health,
    })
}
