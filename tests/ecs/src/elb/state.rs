//! Load balancers, listeners, target groups and targets.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Balancer {
    pub(crate) arn: String,
    pub(crate) name: String,
    /// As DescribeLoadBalancers answers it.
    pub(crate) body: Value,
    /// Bound when the load balancer is created, so that its address is known; its first listener serves on it.
    pub(crate) socket: Option<std::net::TcpListener>,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) arn: String,
    pub(crate) balancer: String,
    /// As DescribeListeners answers it.
    pub(crate) body: Value,
    /// Counts requests, for round robin.
    pub(crate) turn: usize,
    /// Dropping it ends the server.
    pub(crate) _server: tokio::sync::oneshot::Sender<()>,
}

impl Listener {
    pub(crate) fn action(&self) -> &Value {
        &self.body["DefaultActions"][0]
    }

    /// ARN of the target group of a `forward` action.
    pub(crate) fn forwards_to(&self) -> Option<&str> {
        let action = self.action();
        let direct = action["TargetGroupArn"].as_str();
        direct.or_else(|| action["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"].as_str())
    }
}

#[derive(Debug)]
pub(crate) struct TargetGroup {
    pub(crate) arn: String,
    pub(crate) name: String,
    /// As DescribeTargetGroups answers it, but for LoadBalancerArns.
    pub(crate) settings: Value,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) targets: Vec<Target>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
}

#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) health: Health,
    /// One of TargetHealthReasonEnum; empty for a healthy target.
    pub(crate) reason: &'static str,
    pub(crate) description: String,
    /// Why the last check got no answer, in the words of this machine. ELB does not tell.
    pub(crate) unanswered: Option<String>,
    pub(crate) successes: u32,
    pub(crate) failures: u32,
    /// When draining began, in seconds since 1970.
    pub(crate) draining_since: Option<f64>,
    /// Tells a target from one registered later with the same address.
    pub(crate) serial: u128,
}
