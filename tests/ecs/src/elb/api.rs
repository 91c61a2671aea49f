//! Elastic Load Balancing v2's operations on the state.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::Inner;
use crate::elb::state::{Balancer, Health, Listener, Target, TargetGroup};
use crate::elb::{forward, health};
use crate::error::{Answer, ApiError};
use crate::ids;
use crate::state::Region;
use crate::value::{copy, list, need, number, text, texts};

/// Who asks where.
pub(crate) struct Scope<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
}

/// Carries out one operation, or answers `None` where this stand-in does not have it.
pub(crate) fn dispatch(scope: &Scope<'_>, operation: &str, input: &Value) -> Option<Answer> {
    let mut world = scope.inner.world();
    let region = world.region(scope.account, scope.region);
    Some(match operation {
        "CreateLoadBalancer" => create_balancer(scope, region, input),
        "DescribeLoadBalancers" => describe_balancers(region, input),
        "DeleteLoadBalancer" => Ok(delete_balancer(region, input)),
        "CreateTargetGroup" => create_group(scope, region, input),
        "DescribeTargetGroups" => describe_groups(region, input),
        "DeleteTargetGroup" => delete_group(region, input),
        "DescribeTargetGroupAttributes" => describe_attributes(region, input),
        "ModifyTargetGroupAttributes" => modify_attributes(region, input),
        "CreateListener" => create_listener(scope, region, input),
        "DescribeListeners" => describe_listeners(region, input),
        "DeleteListener" => delete_listener(region, input),
        "DescribeTargetHealth" => describe_health(region, input),
        "RegisterTargets" | "DeregisterTargets" => {
            let targets = group(region, need(input, "TargetGroupArn")).and_then(|group| targets(group, input));
            drop(world);
            targets.map(|targets| move_targets(scope, operation == "RegisterTargets", input, &targets))
        }
        _ => return None,
    })
}

fn arn(region: &Region, rest: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{}:{}:{rest}", region.name, region.account)
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || name.len() > 32 || !name.chars().all(valid) || name.starts_with('-') || name.ends_with('-') {
        return Err(ApiError::new("ValidationError", format!("The name '{name}' can only contain characters that are alphanumeric characters or hyphens(-), and is at most 32 characters long")));
    }
    Ok(())
}

/// The next free port at or after the first of load balancers.
fn bind(inner: &Inner) -> Result<TcpListener, ApiError> {
    let first = inner.config.first_lb_port;
    let taken = (first..first.saturating_add(500)).find_map(|port| TcpListener::bind((inner.config.ip, port)).ok());
    taken.ok_or_else(|| ApiError::new("InternalFailure", format!("no free port from {first} on for a load balancer")))
}

fn create_balancer(scope: &Scope<'_>, region: &mut Region, input: &Value) -> Answer {
    let name = need(input, "Name");
    check_name(name)?;
    if region.balancers.iter().any(|one| one.name == name) {
        return Err(ApiError::new("DuplicateLoadBalancerName", "A load balancer with the same name already exists"));
    }
    let kind = text(input, "Type").unwrap_or("application");
    if kind != "application" {
        return Err(ApiError::new("InvalidConfigurationRequest", "This stand-in has load balancers of type application only"));
    }
    let socket = bind(scope.inner)?;
    let address = socket.local_addr().map_err(|error| ApiError::server(error.to_string()))?;
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
    region.balancers.push(Balancer { arn, name: name.to_owned(), body: body.clone(), socket: Some(socket) });
    Ok(json!({"LoadBalancers": [body]}))
}

fn describe_balancers(region: &mut Region, input: &Value) -> Answer {
    let (arns, names) = (texts(input, "LoadBalancerArns"), texts(input, "Names"));
    let known = |wanted: &String| region.balancers.iter().any(|one| one.arn == *wanted || one.name == *wanted);
    if let Some(absent) = arns.iter().chain(&names).find(|wanted| !known(wanted)) {
        return Err(ApiError::new("LoadBalancerNotFound", format!("Load balancers '[{absent}]' not found")));
    }
    let all = arns.is_empty() && names.is_empty();
    let wanted = region.balancers.iter().filter(|one| all || arns.contains(&one.arn) || names.contains(&one.name));
    Ok(json!({"LoadBalancers": wanted.map(|one| one.body.clone()).collect::<Vec<_>>()}))
}

fn delete_balancer(region: &mut Region, input: &Value) -> Value {
    let arn = need(input, "LoadBalancerArn");
    region.listeners.retain(|one| one.balancer != arn);
    region.balancers.retain(|one| one.arn != arn);
    json!({})
}

fn create_group(scope: &Scope<'_>, region: &mut Region, input: &Value) -> Answer {
    let name = need(input, "Name");
    check_name(name)?;
    if region.groups.iter().any(|one| one.name == name) {
        return Err(ApiError::new("DuplicateTargetGroupName", "A target group with the same name exists, but with different settings"));
    }
    let protocol = text(input, "Protocol").unwrap_or("HTTP");
    if protocol != "HTTP" {
        return Err(ApiError::new("InvalidConfigurationRequest", "This stand-in has target groups of protocol HTTP only"));
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
    let names = ["Port", "VpcId", "HealthCheckProtocol", "HealthCheckPort", "HealthCheckEnabled", "HealthCheckIntervalSeconds",
        "HealthCheckTimeoutSeconds", "HealthyThresholdCount", "UnhealthyThresholdCount", "HealthCheckPath", "Matcher",
        "TargetType", "ProtocolVersion", "IpAddressType"];
    copy(input, &names, &mut given);
    for (name, value) in given {
        settings[name] = value;
    }
    if number(&settings, "HealthCheckTimeoutSeconds") > number(&settings, "HealthCheckIntervalSeconds") {
        return Err(ApiError::new("ValidationError", "Health check timeout must be smaller than or equal to the interval"));
    }
    let delay = scope.inner.config.timings.deregistration_delay.as_secs().to_string();
    let attributes = BTreeMap::from([
        ("deregistration_delay.timeout_seconds".to_owned(), delay),
        ("stickiness.enabled".to_owned(), "false".to_owned()),
        ("load_balancing.algorithm.type".to_owned(), "round_robin".to_owned()),
    ]);
    region.groups.push(TargetGroup { arn, name: name.to_owned(), settings, attributes, targets: Vec::new() });
    let shown = region.groups.last().map(|group| show_group(region, group));
    Ok(json!({"TargetGroups": [shown]}))
}

fn show_group(region: &Region, group: &TargetGroup) -> Value {
    let mut shown = group.settings.clone();
    let using = region.listeners.iter().filter(|one| one.forwards_to() == Some(group.arn.as_str()));
    let mut balancers: Vec<&str> = using.map(|listener| listener.balancer.as_str()).collect();
    balancers.dedup();
    shown["LoadBalancerArns"] = json!(balancers);
    shown
}

fn group_not_found(wanted: &str) -> ApiError {
    ApiError::new("TargetGroupNotFound", format!("One or more target groups not found: {wanted}"))
}

fn group<'a>(region: &'a Region, arn: &str) -> Result<&'a TargetGroup, ApiError> {
    region.groups.iter().find(|one| one.arn == arn).ok_or_else(|| group_not_found(arn))
}

fn describe_groups(region: &mut Region, input: &Value) -> Answer {
    let (arns, names) = (texts(input, "TargetGroupArns"), texts(input, "Names"));
    let known = |wanted: &String| region.groups.iter().any(|one| one.arn == *wanted || one.name == *wanted);
    if let Some(absent) = arns.iter().chain(&names).find(|wanted| !known(wanted)) {
        return Err(group_not_found(absent));
    }
    let balancer = text(input, "LoadBalancerArn");
    let shown: Vec<Value> = region
        .groups
        .iter()
        .filter(|one| (arns.is_empty() && names.is_empty()) || arns.contains(&one.arn) || names.contains(&one.name))
        .map(|one| show_group(region, one))
        .filter(|shown| balancer.is_none_or(|arn| list(shown, "LoadBalancerArns").iter().any(|one| one == arn)))
        .collect();
    Ok(json!({"TargetGroups": shown}))
}

fn delete_group(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "TargetGroupArn");
    if region.listeners.iter().any(|one| one.forwards_to() == Some(arn)) {
        return Err(ApiError::new("ResourceInUse", format!("Target group '{arn}' is currently in use by a listener or a rule")));
    }
    region.groups.retain(|one| one.arn != arn);
    Ok(json!({}))
}

fn show_attributes(group: &TargetGroup) -> Value {
    let all = group.attributes.iter().map(|(key, value)| json!({"Key": key, "Value": value}));
    json!({"Attributes": all.collect::<Vec<_>>()})
}

fn describe_attributes(region: &mut Region, input: &Value) -> Answer {
    group(region, need(input, "TargetGroupArn")).map(show_attributes)
}

fn modify_attributes(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "TargetGroupArn");
    let group = region.groups.iter_mut().find(|one| one.arn == arn).ok_or_else(|| group_not_found(arn))?;
    for attribute in list(input, "Attributes") {
        let (key, value) = (need(attribute, "Key"), need(attribute, "Value"));
        let seconds = value.parse::<u32>().is_ok_and(|seconds| seconds <= 3600);
        if key == "deregistration_delay.timeout_seconds" && !seconds {
            return Err(ApiError::new("ValidationError", format!("The value of '{key}' must be between 0 and 3600")));
        }
        group.attributes.insert(key.to_owned(), value.to_owned());
    }
    Ok(show_attributes(group))
}

fn create_listener(scope: &Scope<'_>, region: &mut Region, input: &Value) -> Answer {
    let wanted = need(input, "LoadBalancerArn");
    if text(input, "Protocol").unwrap_or("HTTP") != "HTTP" {
        return Err(ApiError::new("UnsupportedProtocol", "This stand-in has listeners of protocol HTTP only"));
    }
    let port = number(input, "Port").unwrap_or(80);
    let taken = |one: &Listener| one.balancer == wanted && number(&one.body, "Port") == Some(port);
    if region.listeners.iter().any(taken) {
        return Err(ApiError::new("DuplicateListener", "A listener already exists on this port for this load balancer"));
    }
    let mut actions = list(input, "DefaultActions").to_vec();
    for (index, action) in actions.iter_mut().enumerate() {
        action["Order"] = json!(index + 1);
        if let Some(arn) = action["TargetGroupArn"].as_str().map(str::to_owned) {
            group(region, &arn)?;
            action["ForwardConfig"] = json!({"TargetGroups": [{"TargetGroupArn": arn, "Weight": 1}], "TargetGroupStickinessConfig": {"Enabled": false}});
        }
    }
    let balancer = region.balancers.iter_mut().find(|one| one.arn == wanted);
    let balancer = balancer.ok_or_else(|| ApiError::new("LoadBalancerNotFound", "One or more load balancers not found"))?;
    let path = wanted.split_once(":loadbalancer/").map_or("", |(_, path)| path).to_owned();
    // The first listener serves at the load balancer's address; each further one has the next free port.
    let socket = match balancer.socket.take() {
        Some(socket) => socket,
        None => bind(scope.inner)?,
    };
    let arn = arn(region, &format!("listener/{path}/{}", ids::hex16()));
    let server = forward::serve(scope.inner, scope.account, scope.region, &arn, socket);
    let server = server.map_err(|error| ApiError::new("InternalFailure", format!("cannot serve the listener: {error}")))?;
    for action in &mut actions {
        crate::check::drop_null_members(action);
    }
    let body = json!({
        "ListenerArn": arn, "LoadBalancerArn": wanted, "Port": port, "Protocol": "HTTP", "DefaultActions": actions,
    });
    region.listeners.push(Listener { arn, balancer: wanted.to_owned(), body: body.clone(), turn: 0, _server: server });
    Ok(json!({"Listeners": [body]}))
}

fn describe_listeners(region: &mut Region, input: &Value) -> Answer {
    let arns = texts(input, "ListenerArns");
    if let Some(absent) = arns.iter().find(|arn| !region.listeners.iter().any(|one| one.arn == **arn)) {
        return Err(ApiError::new("ListenerNotFound", format!("One or more listeners not found: {absent}")));
    }
    let balancer = text(input, "LoadBalancerArn");
    if balancer.is_some_and(|arn| !region.balancers.iter().any(|one| one.arn == arn)) {
        return Err(ApiError::new("LoadBalancerNotFound", "One or more load balancers not found"));
    }
    let wanted = |one: &&Listener| (arns.is_empty() || arns.contains(&one.arn)) && balancer.is_none_or(|arn| one.balancer == arn);
    Ok(json!({"Listeners": region.listeners.iter().filter(wanted).map(|one| one.body.clone()).collect::<Vec<_>>()}))
}

fn delete_listener(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "ListenerArn");
    let before = region.listeners.len();
    region.listeners.retain(|one| one.arn != arn);
    if region.listeners.len() == before {
        return Err(ApiError::new("ListenerNotFound", format!("Listener '{arn}' not found")));
    }
    Ok(json!({}))
}

/// The targets that a request names, with the group's port where it names none.
fn targets(group: &TargetGroup, input: &Value) -> Result<Vec<(Ipv4Addr, u16)>, ApiError> {
    list(input, "Targets")
        .iter()
        .map(|target| {
            let id = need(target, "Id");
            let address = id.parse().map_err(|_| ApiError::new("ValidationError", format!("The IP address '{id}' is not a valid IPv4 address")))?;
            let port = number(target, "Port").or(number(&group.settings, "Port")).unwrap_or(80);
            Ok((address, u16::try_from(port).unwrap_or(80)))
        })
        .collect()
}

fn move_targets(scope: &Scope<'_>, add: bool, input: &Value, targets: &[(Ipv4Addr, u16)]) -> Value {
    let group = need(input, "TargetGroupArn");
    for (address, port) in targets {
        if add {
            health::register(scope.inner, scope.account, scope.region, group, *address, *port);
        } else {
            health::deregister(scope.inner, scope.account, scope.region, group, *address, *port);
        }
    }
    json!({})
}

fn describe_health(region: &mut Region, input: &Value) -> Answer {
    let group = group(region, need(input, "TargetGroupArn"))?;
    let used = region.listeners.iter().any(|one| one.forwards_to() == Some(group.arn.as_str()));
    let mut shown = Vec::new();
    if list(input, "Targets").is_empty() {
        shown.extend(group.targets.iter().map(|target| show_target(group, target, used)));
    }
    for (address, port) in targets(group, input)? {
        let found = group.targets.iter().find(|target| target.address == address && target.port == port);
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
