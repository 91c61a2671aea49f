//! The observed state of a service, in the terms of the ECS and ELB APIs but without their types.

use crate::strategy::Strategy;
use kit::aws::{Arn, TaskDefinitionArn};
use std::collections::BTreeSet;

/// One look at a service.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The service.
    pub service: Service,
    /// The service's tasks that have not stopped.
    pub tasks: Vec<Task>,
    /// The target groups of the service, with their targets.
    pub groups: Vec<TargetGroup>,
    /// ECS's own record of our deployment, where its API is there and may be read.
    pub record: Option<Record>,
}

/// A service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its ARN.
    pub arn: Arn,
    /// Its name.
    pub name: String,
    /// ARN of the cluster.
    pub cluster_arn: Arn,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: String,
    /// The controller of deployments: `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    pub controller: String,
    /// Its task definition.
    pub task_definition: TaskDefinitionArn,
    /// True if one task runs on each container instance (`DAEMON`), whose number ECS wants.
    pub daemon: bool,
    /// How many tasks are wanted.
    pub desired: i32,
    /// How many tasks run.
    pub running: i32,
    /// How many tasks are on their way.
    pub pending: i32,
    /// `minimumHealthyPercent` and `maximumPercent`, where deployments are rolling updates.
    pub percent: Option<(i32, i32)>,
    /// How it deploys.
    pub strategy: Strategy,
    /// True if ECS itself rolls back a deployment that fails (circuit breaker or alarms).
    pub rolls_back: bool,
    /// The deployments that have tasks, the primary one among them.
    pub deployments: Vec<Deployment>,
    /// ECS's record of the deployment that is in progress (`currentServiceDeployment`), of the same moment as `deployments`.
    pub current: Option<Arn>,
    /// Its load balancer entries.
    pub attachments: Vec<Attachment>,
    /// A load balancer of the first generation, whose targets have no health API here.
    pub classic: Option<String>,
    /// Newest first, as ECS gives them.
    pub events: Vec<Event>,
}

impl Service {
    /// The deployment that ECS works towards.
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|deployment| deployment.primary)
    }

    /// The deployment with this ID.
    pub fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|deployment| deployment.id == id)
    }
}

/// How far a deployment has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rollout {
    /// ECS replaces tasks.
    InProgress,
    /// ECS calls it complete.
    Completed,
    /// ECS gave it up.
    Failed,
    /// ECS did not say.
    #[default]
    Unknown,
}

/// One deployment of a service.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Its ID.
    pub id: String,
    /// True if ECS works towards it.
    pub primary: bool,
    /// Its task definition.
    pub task_definition: TaskDefinitionArn,
    /// How many tasks are wanted.
    pub desired: i32,
    /// How many tasks run.
    pub running: i32,
    /// How many tasks are on their way.
    pub pending: i32,
    /// How many tasks of it failed to start or to become healthy.
    pub failed: i32,
    /// How far it has come.
    pub rollout: Rollout,
    /// When ECS began it, in seconds since 1970 by its own clock.
    pub created_at: Option<i64>,
    /// The reason that AWS gives.
    pub reason: String,
}

/// One load balancer entry of a service.
#[derive(Debug, Clone, Default)]
pub struct Attachment {
    /// The target group, and its alternate where deployments shift traffic between two.
    pub groups: Vec<Arn>,
    /// The container that is reached.
    pub container: String,
    /// The port.
    pub port: i32,
}

/// One line of a service's log.
#[derive(Debug, Clone, Default)]
pub struct Event {
    /// Its ID.
    pub id: String,
    /// The description of the event, as prose.
    pub message: String,
}

/// One task.
#[derive(Debug, Clone)]
pub struct Task {
    /// The last part of the task's ARN.
    pub id: String,
    /// The deployment that started it.
    pub started_by: String,
    /// Its task definition.
    pub task_definition: TaskDefinitionArn,
    /// `PROVISIONING` … `RUNNING` … `STOPPED`.
    pub status: String,
    /// The status that ECS works towards: `RUNNING` or `STOPPED`.
    pub desired: String,
    /// Addresses of its network interface, where it has one of its own.
    pub addresses: BTreeSet<String>,
    /// The EC2 instance it runs on, where that was asked for.
    pub instance: Option<String>,
    /// The ARN of the container instance, on EC2 capacity.
    pub instance_arn: Option<Arn>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Why it stopped, as a code.
    pub stop_code: String,
    /// Why it stopped, as prose.
    pub stopped_reason: String,
}

impl Task {
    /// The digest that ECS reports for a container.
    pub fn digest(&self, container: &str) -> Option<&str> {
        let mut containers = self.containers.iter();
        let found = containers.find(|found| found.name == container)?;
        found.digest.as_deref()
    }
}

/// One container of a task.
#[derive(Debug, Clone, Default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// `PENDING`, `RUNNING` or `STOPPED`.
    pub status: String,
    /// The digest of the image it runs, once ECS names it.
    pub digest: Option<String>,
    /// `HEALTHY`, `UNHEALTHY` or `UNKNOWN`.
    pub health: String,
    /// How its process ended.
    pub exit_code: Option<i32>,
    /// Why it did not start or run, as prose.
    pub reason: Option<String>,
    /// Container port and the instance's port it is bound to.
    pub bindings: Vec<(i32, i32)>,
}

/// A target group.
#[derive(Debug, Clone)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: Arn,
    /// Its targets.
    pub targets: Vec<Target>,
}

impl TargetGroup {
    /// The group's name, from `…:targetgroup/NAME/ID`.
    pub fn name(&self) -> &str {
        name_of_group(&self.arn)
    }
}

/// The name of a target group, from `…:targetgroup/NAME/ID`.
pub fn name_of_group(arn: &Arn) -> &str {
    arn.resource.split('/').nth(1).unwrap_or(&arn.resource)
}

/// A target of a group.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// An IP address or an EC2 instance ID.
    pub id: String,
    /// The port.
    pub port: i32,
    /// `initial`, `healthy`, `unhealthy`, `unused`, `draining`, `unavailable`.
    pub state: String,
    /// The reason that AWS gives.
    pub reason: String,
    /// The reason, as prose.
    pub description: String,
}

/// ECS's record of a deployment (a "service deployment").
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// `IN_PROGRESS`, `SUCCESSFUL`, `ROLLBACK_SUCCESSFUL`, …
    pub status: String,
    /// The reason that AWS gives.
    pub reason: String,
    /// Its ARN.
    pub arn: Option<Arn>,
    /// `SCALE_UP`, `PRODUCTION_TRAFFIC_SHIFT`, `BAKE_TIME`, …; empty where ECS names none.
    pub stage: String,
    /// The traffic that the new version is to get, where the deployment shifts it.
    pub weights: Option<Weights>,
    /// How many revisions were in service before it.
    pub sources: usize,
    /// The lifecycle hooks that began, oldest first.
    pub hooks: Vec<Hook>,
    /// The alarms that it watches, where it watches any.
    pub alarms: Option<Alarms>,
    /// The circuit breaker, where there is one.
    pub breaker: Option<Breaker>,
    /// The task definition that ECS goes back to, where it does (`rollback.serviceRevisionArn`).
    pub rollback: Option<TaskDefinitionArn>,
}

impl Record {
    /// The hook at which the deployment is paused, if it is.
    pub fn pause(&self) -> Option<&Hook> {
        let waits = self.status == "IN_PROGRESS" || self.status == "PENDING";
        let mut hooks = self.hooks.iter();
        hooks.find(|hook| waits && hook.is_pause && hook.status == "AWAITING_ACTION")
    }
}

/// The percentages of traffic that the new version is to get.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Of the production traffic.
    pub production: f64,
    /// Of the test traffic, where there is a rule for it.
    pub test: Option<f64>,
}

/// A lifecycle hook of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hook {
    /// Its ID, by which it is answered.
    pub id: String,
    /// True if it pauses the deployment until it is answered, rather than to call a function.
    pub is_pause: bool,
    /// `AWAITING_ACTION`, `IN_PROGRESS`, `SUCCEEDED`, `FAILED` or `TIMED_OUT`.
    pub status: String,
    /// When ECS acts by itself.
    pub expires_at: Option<String>,
    /// What it does then: `CONTINUE` or `ROLLBACK`.
    pub timeout_action: String,
}

/// The CloudWatch alarms of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarms {
    /// `MONITORING`, `TRIGGERED`, `MONITORING_COMPLETE` or `DISABLED`.
    pub status: String,
    /// Their names.
    pub names: Vec<String>,
    /// Those that went off.
    pub triggered: Vec<String>,
    /// True if the service asks ECS to watch them.
    pub wanted: bool,
}

impl Alarms {
    /// Returns true if ECS watches none of them although the service asks for it: one of them was in `ALARM` already when the
    /// deployment began (Amazon ECS Developer Guide, "How CloudWatch alarms detect Amazon ECS deployment failures").
    pub fn are_ignored(&self) -> bool {
        self.wanted && self.status == "DISABLED"
    }
}

/// The deployment circuit breaker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    /// `MONITORING`, `TRIGGERED`, `MONITORING_COMPLETE` or `DISABLED`.
    pub status: String,
    /// How many tasks failed.
    pub failures: i32,
    /// After how many the deployment is given up.
    pub threshold: i32,
}
