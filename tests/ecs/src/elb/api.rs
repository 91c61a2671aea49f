//! Elastic Load Balancing v2's operations on the state.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::elb::groups::{
    create_group, delete_group, describe_attributes, describe_groups, describe_health, group,
    modify_attributes, modify_group, move_targets, targets,
};
use crate::elb::scope::{Scope, arn, bind, check_name};
use crate::elb::state::Balancer;
use crate::elb::{listeners, rules};
use crate::error::{Answer, ApiError};
use crate::ids;
use crate::state::Region;
use crate::value::{list, need, text, texts};

/// Carries out one operation, or answers `None` where this stand-in does not have it.
pub(crate) fn dispatch(scope: &Scope<'_>, operation: &str, input: &Value) -> Option<Answer> {
    let mut world = scope.inner.world();
    let region = world.region(scope.account, scope.region);
    Some(match operation {
        "CreateLoadBalancer" => create_balancer(scope, region, input),
        "DescribeLoadBalancers" => describe_balancers(region, input),
        "DeleteLoadBalancer" => Ok(delete_balancer(region, input)),
        "DescribeLoadBalancerAttributes" => attributes(region, input).map(show_attributes),
        "ModifyLoadBalancerAttributes" => modify_attributes_of_balancer(region, input),
        "CreateTargetGroup" => create_group(scope, region, input),
        "DescribeTargetGroups" => describe_groups(region, input),
        "DeleteTargetGroup" => delete_group(region, input),
        "ModifyTargetGroup" => modify_group(region, input),
        "DescribeTargetGroupAttributes" => describe_attributes(region, input),
        "ModifyTargetGroupAttributes" => modify_attributes(region, input),
        "CreateListener" => listeners::create(scope, region, input),
        "DescribeListeners" => listeners::describe(region, input),
        "ModifyListener" => listeners::modify(region, input),
        "DeleteListener" => listeners::delete(region, input),
        "CreateRule" => rules::create(region, input),
        "DescribeRules" => rules::describe(region, input),
        "ModifyRule" => rules::modify(region, input),
        "DeleteRule" => rules::delete(region, input),
        "DescribeTargetHealth" => describe_health(region, input),
        "RegisterTargets" | "DeregisterTargets" => {
            let targets = group(region, need(input, "TargetGroupArn"))
                .and_then(|group| targets(group, input));
            drop(world);
            targets
                .map(|targets| move_targets(scope, operation == "RegisterTargets", input, &targets))
        }
        _ => return None,
    })
}

fn create_balancer(scope: &Scope<'_>, region: &mut Region, input: &Value) -> Answer {
    let name = need(input, "Name");
    check_name(name)?;
    if region.balancers.iter().any(|one| one.name == name) {
        return Err(ApiError::new(
            "DuplicateLoadBalancerName",
            "A load balancer with the same name already exists",
        ));
    }
    let kind = text(input, "Type").unwrap_or("application");
    if kind != "application" {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            "This stand-in has load balancers of type application only",
        ));
    }
    let socket = bind(scope.inner)?;
    let address = socket
        .local_addr()
        .map_err(|error| ApiError::server(error.to_string()))?;
    let arn = arn(region, &format!("loadbalancer/app/{name}/{}", ids::hex16()));
    let zones: Vec<Value> = texts(input, "Subnets")
        .iter()
        .zip(["a", "b", "d"])
        .map(|(subnet, zone)| json!({"ZoneName": format!("{}{zone}", scope.region), "SubnetId": subnet, "LoadBalancerAddresses": []}))
        .collect();
    let body = json!({
        "LoadBalancerArn": arn,
        // Of AWS a name; here the address at which the load balancer really answers.
        "DNSName": address.to_string(),
        "CanonicalHostedZoneId": "ZQSVJUPU6J1EY",
        "CreatedTime": ids::iso(ids::now()),
        "LoadBalancerName": name,
        "Scheme": text(input, "Scheme").unwrap_or("internet-facing"),
        "VpcId": "vpc-sandbox",
        "State": {"Code": "active"},
        "Type": kind,
        "AvailabilityZones": zones,
        "SecurityGroups": texts(input, "SecurityGroups"),
        "IpAddressType": text(input, "IpAddressType").unwrap_or("ipv4"),
    });
    region.balancers.push(Balancer {
        arn,
        name: name.to_owned(),
        body: body.clone(),
        attributes: BTreeMap::new(),
        socket: Some(socket),
    });
    Ok(json!({"LoadBalancers": [body]}))
}

fn describe_balancers(region: &mut Region, input: &Value) -> Answer {
    let (arns, names) = (texts(input, "LoadBalancerArns"), texts(input, "Names"));
    let known = |wanted: &String| {
        region
            .balancers
            .iter()
            .any(|one| one.arn == *wanted || one.name == *wanted)
    };
    if let Some(absent) = arns.iter().chain(&names).find(|wanted| !known(wanted)) {
        return Err(ApiError::new(
            "LoadBalancerNotFound",
            format!("Load balancers '[{absent}]' not found"),
        ));
    }
    let all = arns.is_empty() && names.is_empty();
    let wanted = region
        .balancers
        .iter()
        .filter(|one| all || arns.contains(&one.arn) || names.contains(&one.name));
    Ok(json!({"LoadBalancers": wanted.map(|one| one.body.clone()).collect::<Vec<_>>()}))
}

fn delete_balancer(region: &mut Region, input: &Value) -> Value {
    let arn = need(input, "LoadBalancerArn");
    region.listeners.retain(|one| one.balancer != arn);
    region.balancers.retain(|one| one.arn != arn);
    json!({})
}

fn attributes<'a>(
    region: &'a mut Region,
    input: &Value,
) -> Result<&'a mut BTreeMap<String, String>, ApiError> {
    let wanted = need(input, "LoadBalancerArn");
    let found = region.balancers.iter_mut().find(|one| one.arn == wanted);
    found.map(|one| &mut one.attributes).ok_or_else(|| {
        ApiError::new(
            "LoadBalancerNotFound",
            format!("Load balancers '[{wanted}]' not found"),
        )
    })
}

fn show_attributes(attributes: &mut BTreeMap<String, String>) -> Value {
    let all = attributes.iter();
    let all: Vec<Value> = all
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect();
    json!({"Attributes": all})
}

fn modify_attributes_of_balancer(region: &mut Region, input: &Value) -> Answer {
    let attributes = attributes(region, input)?;
    for attribute in list(input, "Attributes") {
        let (key, value) = (need(attribute, "Key"), need(attribute, "Value"));
        attributes.insert(key.to_owned(), value.to_owned());
    }
    Ok(show_attributes(attributes))
}
