//! The stand-in's state, per account and region. Everything is in memory; containers carry labels so that they can be found and removed
//! without it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::elb::rule::Rule;
use crate::elb::state::{Balancer, Listener, TargetGroup};
use crate::shift::Shift;
use crate::task::Task;

#[derive(Debug, Default)]
pub(crate) struct World {
    regions: HashMap<(String, String), Region>,
    /// Last byte of the addresses that running tasks hold.
    addresses: HashSet<u8>,
    last_address: u8,
}

impl World {
    pub(crate) fn region(&mut self, account: &str, region: &str) -> &mut Region {
        let key = (account.to_owned(), region.to_owned());
        self.regions.entry(key).or_insert_with(|| Region {
            account: account.to_owned(),
            name: region.to_owned(),
            ..Region::default()
        })
    }

    pub(crate) fn regions(&mut self) -> impl Iterator<Item = &mut Region> {
        self.regions.values_mut()
    }

    /// Gives a task an address of its own, as a task of an `awsvpc` service has: 2 to 254 in the network of `base`.
    pub(crate) fn take_address(&mut self, base: Ipv4Addr) -> Option<Ipv4Addr> {
        let [a, b, c, own] = base.octets();
        for step in 1..=253u16 {
            let byte = 2 + u8::try_from((u16::from(self.last_address) + step) % 253).unwrap_or(0);
            if byte != own && self.addresses.insert(byte) {
                self.last_address = byte - 2;
                return Some(Ipv4Addr::new(a, b, c, byte));
            }
        }
        None
    }

    pub(crate) fn free_address(&mut self, address: Ipv4Addr) {
        self.addresses.remove(&address.octets()[3]);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Region {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// Revisions of each family; revision 1 is at index 0.
    pub(crate) families: BTreeMap<String, Vec<TaskDefinition>>,
    pub(crate) services: Vec<Service>,
    /// By task ID.
    pub(crate) tasks: BTreeMap<String, Task>,
    pub(crate) balancers: Vec<Balancer>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) groups: Vec<TargetGroup>,
}

impl Region {
    pub(crate) fn arn(&self, rest: &str) -> String {
        format!("arn:aws:ecs:{}:{}:{rest}", self.name, self.account)
    }

    pub(crate) fn rule(&mut self, arn: &str) -> Option<&mut Rule> {
        let mut rules = self.listeners.iter_mut().flat_map(|one| &mut one.rules);
        rules.find(|rule| rule.arn == arn)
    }
}

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) arn: String,
    /// Members of the request that are answered as they came.
    pub(crate) settings: Map<String, Value>,
    pub(crate) tags: Vec<Value>,
    pub(crate) active: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct TaskDefinition {
    pub(crate) arn: String,
    /// As DescribeTaskDefinition answers it.
    pub(crate) body: Arc<Value>,
    pub(crate) tags: Vec<Value>,
}

impl TaskDefinition {
    pub(crate) fn active(&self) -> bool {
        self.body["status"] == "ACTIVE"
    }
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) cluster_name: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub(crate) status: &'static str,
    pub(crate) desired: u32,
    /// Members of the latest request that are answered as they came.
    pub(crate) settings: Map<String, Value>,
    pub(crate) tags: Vec<Value>,
    pub(crate) created_at: f64,
    pub(crate) created_by: String,
    /// Newest first; the first is PRIMARY.
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) revisions: Vec<Revision>,
    /// ECS's "service deployments": the record of each rollout. Newest first.
    pub(crate) rollouts: Vec<Rollout>,
    pub(crate) last_completed: Option<Completed>,
    /// Newest first.
    pub(crate) events: VecDeque<Event>,
    /// True if the last event reported was a steady state.
    pub(crate) steady: bool,
    /// Task starts that failed in a row, which slows further ones.
    pub(crate) streak: u32,
    pub(crate) not_before: f64,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) at: f64,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RolloutState {
    InProgress,
    Completed,
    Failed,
}

#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) definition: Arc<Value>,
    pub(crate) revision: String,
    /// The rollout it belongs to: its own, or for a rollback the one it undoes.
    pub(crate) rollout: String,
    pub(crate) created_at: f64,
    pub(crate) updated_at: f64,
    pub(crate) desired: u32,
    /// The `failedTasks` that DescribeServices shows.
    pub(crate) failed_tasks: u32,
    pub(crate) state: RolloutState,
    pub(crate) reason: String,
    /// Tasks already counted as healthy, so that each resets the breaker once.
    pub(crate) healthy: HashSet<String>,
    pub(crate) is_rollback: bool,
}

#[derive(Debug)]
pub(crate) struct Revision {
    pub(crate) arn: String,
    pub(crate) definition: Arc<Value>,
    pub(crate) settings: Map<String, Value>,
    pub(crate) created_at: f64,
    /// Digest each container's image was found to have, by container name.
    pub(crate) digests: BTreeMap<String, String>,
    /// True if its tasks are in the alternate target groups of `advancedConfiguration`.
    pub(crate) alternate: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Completed {
    pub(crate) deployment: String,
    pub(crate) revision: String,
}

#[derive(Debug)]
pub(crate) struct Rollout {
    pub(crate) arn: String,
    pub(crate) sources: Vec<String>,
    pub(crate) target: String,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) created_at: f64,
    pub(crate) started_at: Option<f64>,
    pub(crate) stopped_at: Option<f64>,
    pub(crate) finished_at: Option<f64>,
    pub(crate) updated_at: f64,
    pub(crate) rollback: Option<Rollback>,
    pub(crate) breaker: &'static str,
    pub(crate) failures: u32,
    /// How the service deployed when this began.
    pub(crate) configuration: Value,
    pub(crate) alarms: AlarmWatch,
    /// Where it stands, if the strategy is one that shifts traffic.
    pub(crate) shift: Option<Shift>,
}

/// CloudWatch alarms that a rollout watches.
#[derive(Debug)]
pub(crate) struct AlarmWatch {
    pub(crate) status: &'static str,
    pub(crate) names: Vec<String>,
    pub(crate) triggered: Vec<String>,
    /// True if they have been looked at yet.
    pub(crate) seen: bool,
}

#[derive(Debug)]
pub(crate) struct Rollback {
    pub(crate) reason: String,
    pub(crate) at: f64,
    pub(crate) revision: String,
}
