//! Listeners.

use serde_json::{Value, json};

use super::rule::Rule;
use super::scope::{Scope, arn, bind};
use super::state::Listener;
use super::{forward, rules};
use crate::error::{Answer, ApiError};
use crate::ids;
use crate::state::Region;
use crate::value::{list, need, number, text, texts};

/// The policy of an HTTPS listener that names none.
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-2016-08";

fn not_found(arn: &str) -> ApiError {
    ApiError::new(
        "ListenerNotFound",
        format!("One or more listeners not found: {arn}"),
    )
}

/// The protocol's members of a listener: certificates and policy belong to HTTPS, and to nothing else.
fn protocol(input: &Value, protocol: &str) -> Result<Value, ApiError> {
    let certificates = list(input, "Certificates");
    match protocol {
        "HTTP" if certificates.is_empty() && text(input, "SslPolicy").is_none() => {
            Ok(json!({"Protocol": protocol}))
        }
        "HTTP" => Err(ApiError::new(
            "InvalidConfigurationRequest",
            "A listener of the protocol HTTP has neither certificates nor a security policy",
        )),
        "HTTPS" => match certificates {
            [one] if text(one, "CertificateArn").is_some() => Ok(json!({
                "Protocol": protocol,
                "Certificates": [{"CertificateArn": need(one, "CertificateArn")}],
                "SslPolicy": text(input, "SslPolicy").unwrap_or(DEFAULT_POLICY),
            })),
            _ => Err(ApiError::new(
                "ValidationError",
                "A certificate must be specified for HTTPS listeners",
            )),
        },
        _ => Err(ApiError::new(
            "UnsupportedProtocol",
            "This stand-in has listeners of the protocols HTTP and HTTPS only",
        )),
    }
}

pub(super) fn create(scope: &Scope<'_>, region: &mut Region, input: &Value) -> Answer {
    let wanted = need(input, "LoadBalancerArn");
    let given = text(input, "Protocol").unwrap_or("HTTP");
    let mut body = protocol(input, given)?;
    let secure = given == "HTTPS";
    let port = number(input, "Port").unwrap_or(80);
    let taken = |one: &Listener| one.balancer == wanted && number(&one.body, "Port") == Some(port);
    if region.listeners.iter().any(taken) {
        return Err(ApiError::new(
            "DuplicateListener",
            "A listener already exists on this port for this load balancer",
        ));
    }
    let actions = rules::actions(region, input, "DefaultActions")?;
    let balancer = region.balancers.iter_mut().find(|one| one.arn == wanted);
    let balancer = balancer.ok_or_else(|| {
        ApiError::new(
            "LoadBalancerNotFound",
            "One or more load balancers not found",
        )
    })?;
    let path = wanted
        .split_once(":loadbalancer/")
        .map_or("", |(_, path)| path)
        .to_owned();
    // The first listener of HTTP serves at the load balancer's address; each further one, and one of HTTPS, has the next
    // free port, to which redirects lead.
    let socket = match balancer.socket.take_if(|_| !secure) {
        Some(socket) => socket,
        None => bind(scope.inner)?,
    };
    let failed = |error: String| {
        ApiError::new(
            "InternalFailure",
            format!("cannot serve the listener: {error}"),
        )
    };
    let tls = match secure {
        true => Some(scope.inner.tls().map_err(failed)?),
        false => None,
    };
    let at = socket.local_addr().map_err(|it| failed(it.to_string()))?;
    let arn = arn(region, &format!("listener/{path}/{}", ids::hex16()));
    let server = forward::serve(scope, &arn, socket, tls);
    let server = server.map_err(|it| failed(it.to_string()))?;
    body["ListenerArn"] = json!(arn);
    body["LoadBalancerArn"] = json!(wanted);
    body["Port"] = json!(port);
    let mut default = Rule::new(rules::rule_arn(&arn), None, Vec::new());
    default.actions = actions;
    let listener = Listener {
        arn,
        balancer: wanted.to_owned(),
        body,
        at: at.port(),
        rules: vec![default],
        turn: 0,
        _server: server,
    };
    let shown = listener.describe();
    region.listeners.push(listener);
    Ok(json!({"Listeners": [shown]}))
}

/// Changes policy, certificate and default actions. A listener's port and protocol cannot change here, as they can in AWS.
pub(super) fn modify(region: &mut Region, input: &Value) -> Answer {
    let wanted = need(input, "ListenerArn");
    let actions = rules::actions(region, input, "DefaultActions")?;
    let listener = region.listeners.iter_mut().find(|one| one.arn == wanted);
    let listener = listener.ok_or_else(|| not_found(wanted))?;
    let is = |name: &str| listener.body[name] == input[name] || input[name].is_null();
    if !is("Port") || !is("Protocol") {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            "This stand-in does not change the port or the protocol of a listener",
        ));
    }
    let mut whole = listener.body.clone();
    for name in ["Certificates", "SslPolicy"] {
        if !input[name].is_null() {
            whole[name] = input[name].clone();
        }
    }
    let settings = protocol(&whole, need(&listener.body, "Protocol"))?;
    for (name, value) in settings.as_object().into_iter().flatten() {
        listener.body[name] = value.clone();
    }
    let default = listener
        .rules
        .iter_mut()
        .find(|rule| rule.priority.is_none());
    if let Some(default) = default.filter(|_| !actions.is_empty()) {
        default.actions = actions;
    }
    Ok(json!({"Listeners": [listener.describe()]}))
}

pub(super) fn describe(region: &mut Region, input: &Value) -> Answer {
    let arns = texts(input, "ListenerArns");
    if let Some(absent) = arns
        .iter()
        .find(|arn| !region.listeners.iter().any(|one| one.arn == **arn))
    {
        return Err(not_found(absent));
    }
    let balancer = text(input, "LoadBalancerArn");
    if balancer.is_some_and(|arn| !region.balancers.iter().any(|one| one.arn == arn)) {
        return Err(ApiError::new(
            "LoadBalancerNotFound",
            "One or more load balancers not found",
        ));
    }
    let wanted = |listener: &&Listener| {
        (arns.is_empty() || arns.contains(&listener.arn))
            && balancer.is_none_or(|arn| listener.balancer == arn)
    };
    Ok(
        json!({"Listeners": region.listeners.iter().filter(wanted).map(Listener::describe).collect::<Vec<_>>()}),
    )
}

pub(super) fn delete(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "ListenerArn");
    let before = region.listeners.len();
    region.listeners.retain(|one| one.arn != arn);
    if region.listeners.len() == before {
        return Err(ApiError::new(
            "ListenerNotFound",
            format!("Listener '{arn}' not found"),
        ));
    }
    Ok(json!({}))
}
