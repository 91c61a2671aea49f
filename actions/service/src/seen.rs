//! What was seen of a service, in the words of the ECS and ELB APIs, without their types.

use std::collections::BTreeSet;

/// One look at a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) service: Service,
    /// The service's tasks that have not stopped.
    pub(crate) tasks: Vec<Task>,
    pub(crate) groups: Vec<TargetGroup>,
    /// ECS's own record of our deployment, where its API is there and may be read.
    pub(crate) record: Option<Record>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) cluster_arn: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub(crate) status: String,
    /// Who runs deployments: `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    pub(crate) controller: String,
    pub(crate) task_definition: String,
    pub(crate) desired: i32,
    pub(crate) running: i32,
    /// Whether ECS itself goes back when a deployment fails (circuit breaker or alarms).
    pub(crate) rolls_back: bool,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) attachments: Vec<Attachment>,
    /// A load balancer of the first generation, whose targets have no health API here.
    pub(crate) classic: Option<String>,
    /// Newest first, as ECS gives them.
    pub(crate) events: Vec<Event>,
}

impl Service {
    pub(crate) fn primary(&self) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|deployment| deployment.primary)
    }

    pub(crate) fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|deployment| deployment.id == id)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Rollout {
    InProgress,
    Completed,
    Failed,
    /// ECS did not say.
    #[default]
    Unknown,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) primary: bool,
    pub(crate) task_definition: String,
    pub(crate) desired: i32,
    pub(crate) running: i32,
    pub(crate) pending: i32,
    pub(crate) failed: i32,
    pub(crate) rollout: Rollout,
    pub(crate) reason: String,
}

/// One load balancer entry of a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attachment {
    /// The target group, and its alternate where deployments shift traffic between two.
    pub(crate) groups: Vec<String>,
    pub(crate) container: String,
    pub(crate) port: i32,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Task {
    /// The last part of the task's ARN.
    pub(crate) id: String,
    /// The deployment that started it.
    pub(crate) started_by: String,
    pub(crate) task_definition: String,
    /// `PROVISIONING` … `RUNNING` … `STOPPED`.
    pub(crate) status: String,
    /// Addresses of its network interface, where it has one of its own.
    pub(crate) addresses: BTreeSet<String>,
    /// The EC2 instance it runs on, where that was asked for.
    pub(crate) instance: Option<String>,
    pub(crate) instance_arn: Option<String>,
    pub(crate) containers: Vec<Container>,
    pub(crate) stop_code: String,
    pub(crate) stopped_reason: String,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) digest: Option<String>,
    /// `HEALTHY`, `UNHEALTHY` or `UNKNOWN`.
    pub(crate) health: String,
    pub(crate) exit_code: Option<i32>,
    pub(crate) reason: Option<String>,
    /// Container port and the instance's port it is bound to.
    pub(crate) bindings: Vec<(i32, i32)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct TargetGroup {
    pub(crate) arn: String,
    pub(crate) targets: Vec<Target>,
}

impl TargetGroup {
    /// The group's name, from `…:targetgroup/NAME/ID`.
    pub(crate) fn name(&self) -> &str {
        name_of_group(&self.arn)
    }
}

pub(crate) fn name_of_group(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    /// An IP address or an EC2 instance ID.
    pub(crate) id: String,
    pub(crate) port: i32,
    /// `initial`, `healthy`, `unhealthy`, `unused`, `draining`, `unavailable`.
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) description: String,
}

/// ECS's record of a deployment (a "service deployment").
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// `IN_PROGRESS`, `SUCCESSFUL`, `ROLLBACK_SUCCESSFUL`, …
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) breaker: Option<Breaker>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    /// `MONITORING`, `TRIGGERED`, `MONITORING_COMPLETE` or `DISABLED`.
    pub(crate) status: String,
    pub(crate) failures: i32,
    pub(crate) threshold: i32,
}

/// `family:revision` of a task definition ARN.
pub(crate) fn revision(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
