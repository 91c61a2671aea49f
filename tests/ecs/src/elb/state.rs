//! Load balancers, listeners, target groups and targets.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::Value;

use super::rule::Rule;

#[derive(Debug)]
pub(crate) struct Balancer {
    pub(crate) arn: String,
    pub(crate) name: String,
    /// As DescribeLoadBalancers answers it.
    pub(crate) body: Value,
    /// Those that ModifyLoadBalancerAttributes set.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Bound when the load balancer is created, so that its address is known; its first listener serves on it.
    pub(crate) socket: Option<std::net::TcpListener>,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) arn: String,
    pub(crate) balancer: String,
    /// As DescribeListeners answers it, but for DefaultActions.
    pub(crate) body: Value,
    /// The port at which it really answers.
    pub(crate) at: u16,
    /// By priority; the last is the default rule.
    pub(crate) rules: Vec<Rule>,
    /// Counts requests, for round robin.
    pub(crate) turn: usize,
    /// Dropping it ends the server.
    pub(crate) _server: tokio::sync::oneshot::Sender<()>,
}

impl Listener {
    /// As DescribeListeners answers it: the default actions are those of the default rule.
    pub(crate) fn describe(&self) -> Value {
        let mut shown = self.body.clone();
        let default = self.rules.iter().find(|rule| rule.priority.is_none());
        shown["DefaultActions"] = default
            .map_or_else(Vec::new, |rule| rule.actions.clone())
            .into();
        shown
    }

    /// Returns true if one of its rules forwards to the target group.
    pub(crate) fn forwards_to(&self, group: &str) -> bool {
        self.rules.iter().any(|rule| rule.forwards_to(group))
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
