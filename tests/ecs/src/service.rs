//! A service, its deployments and their records: how they begin, and how ECS shows them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::ids;
use crate::shift::{Hook, Shift, Stage, resolved, shifts};
use crate::state::{
    AlarmWatch, Deployment, Event, Region, Revision, Rollout, RolloutState, Service,
};
use crate::task::{Status, Task};
use crate::value::{flag, list, need, number};

/// Events that DescribeServices shows.
const EVENTS_SHOWN: usize = 100;

pub(crate) fn state_name(state: RolloutState) -> &'static str {
    match state {
        RolloutState::InProgress => "IN_PROGRESS",
        RolloutState::Completed => "COMPLETED",
        RolloutState::Failed => "FAILED",
    }
}

/// Returns true if a rollout's status is one that no longer changes.
pub(crate) fn terminal(status: &str) -> bool {
    matches!(
        status,
        "SUCCESSFUL" | "STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED"
    )
}

fn has_test_rule(revision: &Revision) -> bool {
    let settings = Value::Object(revision.settings.clone());
    let entries = list(&settings, "loadBalancers");
    entries.iter().any(|entry| {
        entry["advancedConfiguration"]
            .get("testListenerRule")
            .is_some()
    })
}

/// Running and pending tasks.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) running: u32,
    pub(crate) pending: u32,
}

pub(crate) fn count<'a>(tasks: impl Iterator<Item = &'a Task>) -> Counts {
    let mut counts = Counts::default();
    for task in tasks {
        match task.status {
            Status::Running if !task.ending() => counts.running += 1,
            Status::Provisioning | Status::Pending | Status::Activating if !task.ending() => {
                counts.pending += 1
            }
            _ => {}
        }
    }
    counts
}

impl Service {
    pub(crate) fn event(&mut self, message: String) {
        let at = ids::now();
        let id = uuid::Uuid::new_v4().to_string();
        self.events.push_front(Event {
            id,
            at,
            message: format!("(service {}) {message}", self.name),
        });
        self.events.truncate(1000);
    }

    pub(crate) fn configuration(&self) -> &Value {
        self.settings
            .get("deploymentConfiguration")
            .unwrap_or(&Value::Null)
    }

    pub(crate) fn breaker(&self) -> &Value {
        &self.configuration()["deploymentCircuitBreaker"]
    }

    /// Failed tasks at which the breaker trips: half of the desired count, at least 3 and at most 200, unless the
    /// service configures another threshold (ThresholdConfiguration in the service model).
    pub(crate) fn threshold(&self) -> u32 {
        let configured = &self.breaker()["thresholdConfiguration"];
        let value = u32::try_from(number(configured, "value").unwrap_or(50)).unwrap_or(50);
        let share = (u64::from(self.desired) * u64::from(value)).div_ceil(100);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        match crate::value::text(configured, "type") {
            Some("COUNT") => value.max(1),
            Some("UNBOUNDED_PERCENT") => share.max(1),
            _ => share.clamp(3, 200),
        }
    }

    pub(crate) fn revision(&self, arn: &str) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.arn == arn)
    }

    pub(crate) fn rollout(&mut self, arn: &str) -> Option<&mut Rollout> {
        self.rollouts.iter_mut().find(|rollout| rollout.arn == arn)
    }

    /// Starts a deployment of a new revision. One still in progress is superseded: its record ends as STOPPED.
    pub(crate) fn deploy(&mut self, region_arn: impl Fn(&str) -> String, definition: Arc<Value>) {
        let now = ids::now();
        let path = format!("{}/{}", self.cluster_name, self.name);
        let revision = region_arn(&format!("service-revision/{path}/{}", ids::digits19()));
        let sources: Vec<String> = self
            .deployments
            .iter()
            .map(|d| d.revision.clone())
            .collect();
        for rollout in &mut self.rollouts {
            if !terminal(rollout.status) {
                rollout.status = "STOPPED";
                rollout.reason = Some(
                    "Service deployment stopped because a new service deployment was started."
                        .to_owned(),
                );
                rollout.stopped_at = Some(now);
                rollout.finished_at = Some(now);
                rollout.updated_at = now;
                if rollout.breaker == "MONITORING" {
                    rollout.breaker = "MONITORING_COMPLETE";
                }
                rollout.alarms.end();
            }
        }
        let source = self.last_completed.as_ref().map(|one| one.revision.clone());
        let serving = source.as_deref().and_then(|arn| self.revision(arn));
        let shifting = shifts(self.configuration());
        // The new revision gets the target groups that the serving one does not use; a rolling update shares them.
        let alternate = serving.is_some_and(|serving| serving.alternate != shifting);
        let mut others = self.deployments.iter().map(|d| &d.revision);
        let several = others.any(|revision| Some(revision) != source.as_ref());
        let shift = shifting.then(|| Shift::new(source.clone(), several, now));
        self.revisions.push(Revision {
            alternate,
            arn: revision.clone(),
            definition: definition.clone(),
            settings: self.settings.clone(),
            created_at: now,
            digests: BTreeMap::new(),
        });
        let arn = region_arn(&format!(
            "service-deployment/{path}/{}",
            &ids::hex32()[..21]
        ));
        let breaker = if flag(self.breaker(), "enable") {
            "MONITORING"
        } else {
            "DISABLED"
        };
        self.rollouts.insert(
            0,
            Rollout {
                arn: arn.clone(),
                sources,
                target: revision.clone(),
                status: "PENDING",
                reason: None,
                created_at: now,
                started_at: None,
                stopped_at: None,
                finished_at: None,
                updated_at: now,
                rollback: None,
                breaker,
                failures: 0,
                configuration: self.configuration().clone(),
                alarms: AlarmWatch::new(self.configuration()),
                shift,
            },
        );
        let id = self.push_deployment(definition, revision, arn, false);
        if let Some(deployment) = self.deployments.first_mut() {
            deployment.reason = format!("ECS deployment {id} in progress.");
        }
    }

    /// Puts a new PRIMARY deployment before the others and returns its ID.
    pub(crate) fn push_deployment(
        &mut self,
        definition: Arc<Value>,
        revision: String,
        rollout: String,
        is_rollback: bool,
    ) -> String {
        let now = ids::now();
        let id = format!("ecs-svc/{}", ids::digits19());
        self.steady = false;
        self.streak = 0;
        self.not_before = now;
        self.deployments.insert(
            0,
            Deployment {
                id: id.clone(),
                definition,
                revision,
                rollout,
                created_at: now,
                updated_at: now,
                desired: self.desired,
                failed_tasks: 0,
                state: RolloutState::InProgress,
                reason: String::new(),
                healthy: HashSet::new(),
                is_rollback,
            },
        );
        id
    }

    /// The tasks that a revision is to have in the current deployment.
    pub(crate) fn wanted(&self, revision: &str) -> u32 {
        let Some(rollout) = self.rollouts.first() else {
            return 0;
        };
        let Some(shift) = rollout.shift.as_ref().filter(|_| !terminal(rollout.status)) else {
            let primary = self.deployments.first();
            let current = primary.is_some_and(|d| d.revision == revision);
            return if current { self.desired } else { 0 };
        };
        let is_source = shift.source.as_deref() == Some(revision);
        let is_target = rollout.target == revision;
        let cleaning = shift.stage == Stage::CleanUp;
        let runs = match (is_target, is_source, shift.back) {
            (true, _, false) => shift.stage >= Stage::ScaleUp,
            (true, _, true) => !cleaning,
            (_, true, back) => back || !cleaning,
            _ => false,
        };
        if runs { self.desired } else { 0 }
    }

    /// Makes the deployment of an earlier revision, which still runs, the PRIMARY one again.
    pub(crate) fn restore(&mut self, definition: Arc<Value>, revision: &str, rollout: &str) {
        let found = self.deployments.iter().position(|d| d.revision == revision);
        let Some(index) = found else {
            self.push_deployment(definition, revision.to_owned(), rollout.to_owned(), true);
            return;
        };
        let mut deployment = self.deployments.remove(index);
        deployment.rollout = rollout.to_owned();
        deployment.state = RolloutState::InProgress;
        deployment.failed_tasks = 0;
        deployment.is_rollback = true;
        deployment.updated_at = ids::now();
        self.deployments.insert(0, deployment);
        self.steady = false;
        self.streak = 0;
        self.not_before = ids::now();
    }

    /// One of its deployments, the newest of which is primary.
    fn describe_deployment(&self, index: usize, region: &Region) -> Value {
        const SETTINGS: [&str; 8] = [
            "launchType",
            "platformVersion",
            "platformFamily",
            "networkConfiguration",
            "capacityProviderStrategy",
            "serviceConnectConfiguration",
            "volumeConfigurations",
            "vpcLatticeConfigurations",
        ];
        let d = &self.deployments[index];
        let counts = count(
            self.own(region)
                .filter(|task| task.deployment.as_deref() == Some(d.id.as_str())),
        );
        let mut shown = json!({
            "id": d.id,
            "status": if index == 0 { "PRIMARY" } else { "ACTIVE" },
            "taskDefinition": d.definition["taskDefinitionArn"],
            "desiredCount": d.desired,
            "pendingCount": counts.pending,
            "runningCount": counts.running,
            "failedTasks": d.failed_tasks,
            "createdAt": d.created_at,
            "updatedAt": d.updated_at,
            "rolloutState": state_name(d.state),
            "rolloutStateReason": d.reason,
        });
        let revision = self.revision(&d.revision);
        for name in SETTINGS {
            if let Some(value) = revision.and_then(|revision| revision.settings.get(name)) {
                shown[name] = value.clone();
            }
        }
        shown
    }

    fn own<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = &'a Task> {
        let tasks = region.tasks.values();
        tasks.filter(|task| task.service.as_deref() == Some(self.arn.as_str()))
    }

    pub(crate) fn describe(&self, region: &Region, with_tags: bool) -> Value {
        let total = count(self.own(region));
        let deployments: Vec<Value> = (0..self.deployments.len())
            .map(|index| self.describe_deployment(index, region))
            .collect();
        let mut service = json!({
            "serviceArn": self.arn,
            "serviceName": self.name,
            "clusterArn": self.cluster,
            "status": self.status,
            "desiredCount": self.desired,
            "runningCount": total.running,
            "pendingCount": total.pending,
            "taskDefinition": self.deployments.first().map_or(Value::Null, |d| d.definition["taskDefinitionArn"].clone()),
            "deployments": deployments,
            "events": self.events.iter().take(EVENTS_SHOWN).map(|event| {
                json!({"id": event.id, "createdAt": event.at, "message": event.message})
            }).collect::<Vec<_>>(),
            "createdAt": self.created_at,
            "createdBy": self.created_by,
        });
        for (name, value) in &self.settings {
            if !matches!(
                name.as_str(),
                "serviceConnectConfiguration" | "volumeConfigurations" | "vpcLatticeConfigurations"
            ) {
                service[name] = value.clone();
            }
        }
        if with_tags {
            service["tags"] = json!(self.tags);
        }
        if let Some(rollout) = self.rollouts.first() {
            if terminal(rollout.status) {
                let revision = self
                    .deployments
                    .first()
                    .map(|d| d.revision.clone())
                    .unwrap_or_default();
                service["currentServiceRevisions"] = json!([{
                    "arn": revision, "requestedTaskCount": self.desired,
                    "runningTaskCount": total.running, "pendingTaskCount": total.pending,
                }]);
            } else {
                service["currentServiceDeployment"] = json!(rollout.arn);
            }
        }
        crate::check::drop_null_members(&mut service);
        service
    }

    fn summary(&self, region: &Region, rollout: &Rollout, revision: &str) -> Value {
        let tasks = region.tasks.values().filter(|task| {
            task.service.as_deref() == Some(self.arn.as_str())
                && task.revision.as_deref() == Some(revision)
        });
        let counts = count(tasks);
        let mut shown = json!({
            "arn": revision,
            "requestedTaskCount": self.wanted(revision),
            "runningTaskCount": counts.running,
            "pendingTaskCount": counts.pending,
        });
        let Some(shift) = &rollout.shift else {
            return shown;
        };
        let share = |percent: f64| match () {
            () if rollout.target == revision => percent,
            () if shift.source.as_deref() == Some(revision) => 100.0 - percent,
            () => 0.0,
        };
        shown["requestedProductionTrafficWeight"] = json!(share(shift.production));
        let target = self.revision(&rollout.target);
        if target.is_some_and(has_test_rule) {
            shown["requestedTestTrafficWeight"] = json!(share(shift.test));
        }
        shown
    }

    pub(crate) fn describe_rollout(&self, region: &Region, rollout: &Rollout) -> Value {
        let mut shown = json!({
            "serviceDeploymentArn": rollout.arn,
            "serviceArn": self.arn,
            "clusterArn": self.cluster,
            "createdAt": rollout.created_at,
            "updatedAt": rollout.updated_at,
            "sourceServiceRevisions": rollout.sources.iter().map(|arn| self.summary(region, rollout, arn)).collect::<Vec<_>>(),
            "targetServiceRevision": self.summary(region, rollout, &rollout.target),
            "status": rollout.status,
            "deploymentConfiguration": rollout.configuration,
            "alarms": rollout.alarms.describe(),
            "deploymentCircuitBreaker": {
                "status": rollout.breaker,
                "failureCount": rollout.failures,
                "threshold": self.threshold(),
            },
        });
        let times = [
            ("startedAt", rollout.started_at),
            ("stoppedAt", rollout.stopped_at),
            ("finishedAt", rollout.finished_at),
        ];
        for (name, time) in times {
            if let Some(time) = time {
                shown[name] = json!(time);
            }
        }
        if let Some(reason) = &rollout.reason {
            shown["statusReason"] = json!(reason);
        }
        if let Some(rollback) = &rollout.rollback {
            shown["rollback"] = json!({
                "reason": rollback.reason, "startedAt": rollback.at, "serviceRevisionArn": rollback.revision,
            });
        }
        let stage = rollout
            .shift
            .as_ref()
            .map_or("SCALE_UP", |shift| shift.stage.name());
        if !terminal(rollout.status) {
            shown["lifecycleStage"] = json!(stage);
        }
        if let Some(shift) = &rollout.shift {
            let hooks: Vec<Value> = shift.hooks.iter().map(Hook::describe).collect();
            shown["lifecycleHookDetails"] = json!(hooks);
        }
        shown
    }

    pub(crate) fn describe_rollout_briefly(&self, rollout: &Rollout) -> Value {
        let mut shown = json!({
            "serviceDeploymentArn": rollout.arn,
            "serviceArn": self.arn,
            "clusterArn": self.cluster,
            "createdAt": rollout.created_at,
            "startedAt": rollout.started_at,
            "finishedAt": rollout.finished_at,
            "targetServiceRevisionArn": rollout.target,
            "status": rollout.status,
            "statusReason": rollout.reason,
        });
        crate::check::drop_null_members(&mut shown);
        shown
    }

    pub(crate) fn describe_revision(&self, revision: &Revision) -> Value {
        let images: Vec<Value> = list(&revision.definition, "containerDefinitions")
            .iter()
            .map(|container| {
                let name = need(container, "name");
                let mut image = json!({"containerName": name, "image": container["image"]});
                if let Some(digest) = revision.digests.get(name) {
                    image["imageDigest"] = json!(digest);
                }
                image
            })
            .collect();
        let mut shown = Map::new();
        crate::value::copy(
            &Value::Object(revision.settings.clone()),
            &[
                "launchType",
                "platformVersion",
                "platformFamily",
                "loadBalancers",
                "serviceRegistries",
                "networkConfiguration",
                "capacityProviderStrategy",
                "serviceConnectConfiguration",
                "volumeConfigurations",
                "vpcLatticeConfigurations",
            ],
            &mut shown,
        );
        let settings = Value::Object(revision.settings.clone());
        let resolved = resolved(&settings, revision.alternate);
        if !resolved.is_empty() {
            shown.insert(
                "resolvedConfiguration".to_owned(),
                json!({"loadBalancers": resolved}),
            );
        }
        shown.insert("serviceRevisionArn".to_owned(), json!(revision.arn));
        shown.insert("serviceArn".to_owned(), json!(self.arn));
        shown.insert("clusterArn".to_owned(), json!(self.cluster));
        shown.insert(
            "taskDefinition".to_owned(),
            revision.definition["taskDefinitionArn"].clone(),
        );
        shown.insert("containerImages".to_owned(), json!(images));
        shown.insert("guardDutyEnabled".to_owned(), json!(false));
        shown.insert("createdAt".to_owned(), json!(revision.created_at));
        Value::Object(shown)
    }
}
