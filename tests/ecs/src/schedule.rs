//! The service scheduler: one look at a service, and what follows from it. It starts and stops tasks within the
//! deployment's minimum and maximum, replaces failed ones ever more slowly, trips the circuit breaker, rolls back, and
//! says in events what it did, in ECS's words.

mod breaker;
mod shift;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::Timings;
use crate::elb::state::{Health, Listener, TargetGroup};
use crate::ids;
use crate::state::{Completed, Deployment, Region, RolloutState, Service};
use crate::task::{Attachment, Status, Stop, Task};
use crate::value::{list, need, number};

/// Looks at every service of a region and returns the IDs of tasks that are to be run now.
pub(crate) fn tick(region: &mut Region, timings: &Timings) -> Vec<String> {
    let now = ids::now();
    let oldest = now - timings.stopped_tasks_kept.as_secs_f64();
    region
        .tasks
        .retain(|_, task| task.stopped_at.is_none_or(|stopped| stopped > oldest));

    let mut services = std::mem::take(&mut region.services);
    let mut started = Vec::new();
    for service in &mut services {
        if service.status == "INACTIVE" {
            continue;
        }
        let wanted = Look {
            service,
            tasks: &mut region.tasks,
            groups: &region.groups,
            listeners: &mut region.listeners,
            timings,
            now,
        }
        .decide();
        for (deployment, count) in wanted {
            let tasks: Vec<Task> = (0..count)
                .filter_map(|_| new_task(region, service, &deployment, now))
                .collect();
            let names: Vec<String> = tasks
                .iter()
                .map(|task| format!("(task {})", task.id))
                .collect();
            if !names.is_empty() {
                service.event(format!(
                    "has started {} tasks: {}.",
                    names.len(),
                    names.join(" ")
                ));
            }
            for task in tasks {
                started.push(task.id.clone());
                region.tasks.insert(task.id.clone(), task);
            }
        }
    }
    region.services = services;
    started
}

fn new_task(region: &Region, service: &Service, deployment: &str, now: f64) -> Option<Task> {
    let cluster = region
        .clusters
        .values()
        .find(|cluster| cluster.arn == service.cluster)?;
    let deployment = service.deployments.iter().find(|d| d.id == deployment)?;
    let revision = service.revision(&deployment.revision)?;
    let mut task = Task::new(&cluster.arn, deployment.definition.clone(), now);
    task.group = format!("service:{}", service.name);
    task.started_by = Some(deployment.id.clone());
    task.service = Some(service.arn.clone());
    task.deployment = Some(deployment.id.clone());
    task.revision = Some(revision.arn.clone());
    let settings = Value::Object(revision.settings.clone());
    crate::value::copy(
        &settings,
        &[
            "launchType",
            "platformVersion",
            "platformFamily",
            "networkConfiguration",
            "enableExecuteCommand",
        ],
        &mut task.settings,
    );
    task.attachments = attachments(&settings, revision.alternate);
    match crate::value::text(&settings, "propagateTags") {
        Some("SERVICE") => task.tags.clone_from(&service.tags),
        Some("TASK_DEFINITION") => task.tags = definition_tags(region, &deployment.definition),
        _ => {}
    }
    Some(task)
}

pub(crate) fn definition_tags(region: &Region, definition: &Arc<Value>) -> Vec<Value> {
    let revisions = region.families.get(need(definition, "family"));
    let found = revisions.and_then(|all| {
        all.iter().find(|revision| {
            Arc::ptr_eq(&revision.body, definition)
                || revision.arn == need(definition, "taskDefinitionArn")
        })
    });
    found
        .map(|revision| revision.tags.clone())
        .unwrap_or_default()
}

fn attachments(settings: &Value, alternate: bool) -> Vec<Attachment> {
    list(settings, "loadBalancers")
        .iter()
        .filter_map(|entry| {
            Some(Attachment {
                group: crate::shift::group(entry, alternate)?.to_owned(),
                port: u16::try_from(number(entry, "containerPort")?).ok()?,
            })
        })
        .collect()
}

enum Condition {
    /// On its way, or running and not yet known to be well.
    Waiting,
    Healthy,
    Unhealthy(String),
}

struct Look<'a> {
    service: &'a mut Service,
    tasks: &'a mut BTreeMap<String, Task>,
    groups: &'a [TargetGroup],
    listeners: &'a mut [Listener],
    timings: &'a Timings,
    now: f64,
}

impl Look<'_> {
    /// Decides how many tasks to start for which deployment, and orders the stops.
    fn decide(mut self) -> Vec<(String, u32)> {
        self.count_ends();
        self.stop_unhealthy();
        let wanted = if self.service.status == "ACTIVE" {
            self.start_rollout();
            self.answer_stop_request();
            self.trip_breaker();
            self.answer_alarms();
            match self.shift() {
                Some(wanted) => wanted,
                None => {
                    let wanted = self.scale();
                    self.complete();
                    wanted
                }
            }
        } else {
            self.drain();
            Vec::new()
        };
        self.forget_replaced();
        wanted
    }

    fn own(&self) -> impl Iterator<Item = &Task> {
        let arn = self.service.arn.as_str();
        self.tasks
            .values()
            .filter(move |task| task.service.as_deref() == Some(arn))
    }

    fn of<'b>(&'b self, deployment: &'b str) -> impl Iterator<Item = &'b Task> {
        self.own()
            .filter(move |task| task.deployment.as_deref() == Some(deployment) && !task.ending())
    }

    fn condition(&self, task: &Task) -> Condition {
        if task.status != Status::Running {
            return Condition::Waiting;
        }
        let running_for = task.started_at.map_or(0.0, |since| self.now - since);
        let checked: Vec<_> = task
            .containers
            .iter()
            .filter(|c| c.essential && c.has_health_check)
            .collect();
        if checked.iter().any(|c| c.health == "UNHEALTHY") {
            return Condition::Unhealthy("Task failed container health checks".to_owned());
        }
        let mut waiting = checked.iter().any(|c| c.health != "HEALTHY");
        let grace = self
            .service
            .settings
            .get("healthCheckGracePeriodSeconds")
            .and_then(Value::as_f64);
        for attachment in &task.attachments {
            let target = self
                .groups
                .iter()
                .find(|group| group.arn == attachment.group)
                .and_then(|group| {
                    group.targets.iter().find(|target| {
                        Some(target.address) == task.address && target.port == attachment.port
                    })
                });
            match target.map(|target| target.health) {
                Some(Health::Healthy) => {}
                Some(Health::Unhealthy) if running_for > grace.unwrap_or(0.0) => {
                    let group = &attachment.group;
                    return Condition::Unhealthy(format!(
                        "Task failed ELB health checks in (target-group {group})"
                    ));
                }
                _ => waiting = true,
            }
        }
        if checked.is_empty() && task.attachments.is_empty() {
            waiting = running_for < self.timings.settle.as_secs_f64();
        }
        if waiting {
            Condition::Waiting
        } else {
            Condition::Healthy
        }
    }

    fn healthy(&self, task: &Task) -> bool {
        matches!(self.condition(task), Condition::Healthy)
    }

    fn stop_unhealthy(&mut self) {
        let sick: Vec<(String, String)> = self
            .own()
            .filter(|task| !task.ending())
            .filter_map(|task| match self.condition(task) {
                Condition::Unhealthy(reason) => Some((task.id.clone(), reason)),
                _ => None,
            })
            .collect();
        for (id, reason) in sick {
            let Some(task) = self.tasks.get_mut(&id) else {
                continue;
            };
            let mut why = reason.clone();
            for attachment in &task.attachments {
                let group = self
                    .groups
                    .iter()
                    .find(|group| group.arn == attachment.group);
                let target =
                    group.and_then(|g| g.targets.iter().find(|t| Some(t.address) == task.address));
                if let Some(target) = target.filter(|target| target.health == Health::Unhealthy) {
                    why = format!(
                        "(port {}) is unhealthy in (target-group {}) due to (reason {})",
                        attachment.port, attachment.group, target.description
                    );
                }
            }
            task.order(Stop::unhealthy(reason));
            self.service.event(format!("(task {id}) {why}."));
        }
    }

    fn start_rollout(&mut self) {
        let now = self.now;
        if let Some(rollout) = self.service.rollouts.first_mut()
            && rollout.status == "PENDING"
        {
            rollout.status = "IN_PROGRESS";
            rollout.started_at = Some(now);
            rollout.updated_at = now;
        }
    }

    /// Starts and stops tasks so that the PRIMARY deployment comes to have all of them, never fewer healthy ones than
    /// the minimum (rounded up) nor more of them than the maximum (rounded down).
    fn scale(&mut self) -> Vec<(String, u32)> {
        let desired = self.service.desired;
        let share = |name: &str, default: i64| {
            number(self.service.configuration(), name).unwrap_or(default)
        };
        let percent = |p: i64| u64::try_from(p).unwrap_or(0) * u64::from(desired);
        let minimum =
            u32::try_from(percent(share("minimumHealthyPercent", 100)).div_ceil(100)).unwrap_or(0);
        let maximum = u32::try_from(percent(share("maximumPercent", 200)) / 100)
            .unwrap_or(0)
            .max(1);
        let Some(primary) = self.service.deployments.first() else {
            return Vec::new();
        };
        let (id, state) = (primary.id.clone(), primary.state);
        let ids = |tasks: Vec<&Task>| {
            tasks
                .into_iter()
                .map(|task| task.id.clone())
                .collect::<Vec<_>>()
        };
        let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);

        let (new_well, new_waiting): (Vec<&Task>, Vec<&Task>) =
            self.of(&id).partition(|task| self.healthy(task));
        let old = self
            .own()
            .filter(|task| !task.ending() && task.deployment.as_ref() != Some(&id));
        let (old_well, old_ill): (Vec<&Task>, Vec<&Task>) =
            old.partition(|task| self.healthy(task));
        // A task that is being drained or stopped still takes its place.
        let occupied = size(
            self.own()
                .filter(|task| task.status != Status::Stopped)
                .count(),
        );
        let primaries = size(new_well.len() + new_waiting.len());

        let mut stops: Vec<String> = Vec::new();
        // A failed deployment without a rollback keeps what runs and starts nothing.
        if state != RolloutState::Failed {
            let spare = (size(new_well.len() + old_well.len())).saturating_sub(minimum);
            let missing = desired.saturating_sub(primaries);
            let room = maximum.saturating_sub(occupied);
            let surplus = size(old_well.len() + new_well.len()).saturating_sub(desired);
            let superfluous = surplus.max(missing.saturating_sub(room));
            let take = spare.min(superfluous) as usize;
            stops = ids(old_ill);
            stops.extend(ids(old_well.into_iter().take(take).collect()));
            let excess = primaries.saturating_sub(desired) as usize;
            let newest_first = new_waiting.into_iter().chain(new_well);
            stops.extend(ids(newest_first.take(excess).collect()));
        }
        self.stop(stops, &id);
        let Some(primary) = self.service.deployments.first_mut() else {
            return Vec::new();
        };
        primary.desired = desired;
        for old in self.service.deployments.iter_mut().skip(1) {
            old.desired = 0;
        }
        let room = maximum.saturating_sub(occupied);
        let start = desired.saturating_sub(primaries).min(room);
        if state == RolloutState::Failed || start == 0 || self.now < self.service.not_before {
            return Vec::new();
        }
        vec![(id, start)]
    }

    fn stop(&mut self, stops: Vec<String>, deployment: &str) {
        if stops.is_empty() {
            return;
        }
        for task in &stops {
            if let Some(task) = self.tasks.get_mut(task) {
                task.order(Stop::scaling(deployment));
            }
        }
        let names: Vec<String> = stops.iter().map(|task| format!("(task {task})")).collect();
        self.service.event(format!(
            "has stopped {} running tasks: {}.",
            names.len(),
            names.join(" ")
        ));
    }

    fn complete(&mut self) {
        let Some(primary) = self.service.deployments.first() else {
            return;
        };
        let (id, state, revision) = (primary.id.clone(), primary.state, primary.revision.clone());
        let well = self.of(&id).filter(|task| self.healthy(task)).count();
        let others_active = self
            .own()
            .any(|task| task.status != Status::Stopped && task.deployment.as_ref() != Some(&id));
        let settled =
            well == self.service.desired as usize && self.of(&id).count() == well && !others_active;
        if !settled {
            self.service.steady = false;
            return;
        }
        if state == RolloutState::InProgress {
            self.finish(&id, revision);
        }
        if !self.service.steady && state != RolloutState::Failed {
            self.service.steady = true;
            self.service.event("has reached a steady state.".to_owned());
        }
    }

    fn finish(&mut self, id: &str, revision: String) {
        let now = self.now;
        let Some(primary) = self.service.deployments.first_mut() else {
            return;
        };
        primary.state = RolloutState::Completed;
        primary.updated_at = now;
        // A rollback keeps saying what it is; other deployments say that they completed.
        if !primary.is_rollback {
            primary.reason = format!("ECS deployment {id} completed.");
        }
        let (rollout_arn, was_rollback) = (primary.rollout.clone(), primary.is_rollback);
        self.service.last_completed = Some(Completed {
            deployment: id.to_owned(),
            revision,
        });
        self.service
            .event(format!("(deployment {id}) deployment completed."));
        if let Some(rollout) = self.service.rollout(&rollout_arn) {
            rollout.status = if was_rollback {
                "ROLLBACK_SUCCESSFUL"
            } else {
                "SUCCESSFUL"
            };
            if rollout.breaker == "MONITORING" {
                rollout.breaker = "MONITORING_COMPLETE";
            }
            rollout.alarms.end();
            rollout.finished_at = Some(now);
            rollout.updated_at = now;
        }
    }

    /// A deleted service stops its tasks, and is INACTIVE when they are gone.
    fn drain(&mut self) {
        let arn = self.service.arn.clone();
        let id = self
            .service
            .deployments
            .first()
            .map(|d| d.id.clone())
            .unwrap_or_default();
        let mut any_running = false;
        for task in self
            .tasks
            .values_mut()
            .filter(|task| task.service.as_ref() == Some(&arn))
        {
            any_running |= task.status != Status::Stopped;
            task.order(Stop::scaling(&id));
        }
        if !any_running {
            self.service.status = "INACTIVE";
            self.service.deployments.clear();
        }
    }

    /// Drops replaced deployments that no longer have a task.
    fn forget_replaced(&mut self) {
        let running: Vec<String> = self
            .own()
            .filter(|task| task.status != Status::Stopped)
            .filter_map(|task| task.deployment.clone())
            .collect();
        let settled = self
            .service
            .deployments
            .first()
            .is_some_and(|d: &Deployment| d.state == RolloutState::Completed);
        let mut index = 0;
        let current = self.service.rollouts.first();
        let current = current.filter(|one| !crate::service::terminal(one.status));
        let source = current.and_then(|one| one.shift.as_ref()?.source.clone());
        self.service.deployments.retain(|deployment| {
            index += 1;
            index == 1
                || source.as_ref() == Some(&deployment.revision)
                || running.contains(&deployment.id)
                || (deployment.state == RolloutState::Failed && !settled)
        });
    }
}
