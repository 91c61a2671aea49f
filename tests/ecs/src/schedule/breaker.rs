//! The deployment circuit breaker: counting failed tasks, giving up, and going back to the last completed deployment.

use serde_json::Value;

use super::Look;
use crate::ids;
use crate::state::{Completed, Rollback, RolloutState};
use crate::task::Status;
use crate::value::flag;

impl Look<'_> {
    /// Counts tasks that ended by themselves, or were ended for their health, against their deployment.
    pub(super) fn count_ends(&mut self) {
        let arn = self.service.arn.clone();
        for task in self.tasks.values_mut() {
            if task.service.as_ref() != Some(&arn) || task.accounted {
                continue;
            }
            let Some(stop) = task.stop.borrow().clone() else {
                continue;
            };
            if !stop.failure {
                task.accounted = true;
                continue;
            }
            // A task that could not start is known to have failed only once it has stopped.
            if stop.code != "ServiceSchedulerInitiated" && task.status != Status::Stopped {
                continue;
            }
            task.accounted = true;
            self.service.streak += 1;
            let slower = 2f64.powi(i32::try_from(self.service.streak.min(10)).unwrap_or(0) - 1);
            let wait = (self.timings.backoff.as_secs_f64() * slower)
                .min(self.timings.backoff_limit.as_secs_f64());
            self.service.not_before = self.now + wait;
            if self.service.streak == 4 {
                self.service.event("is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.".to_owned());
            }
            let rollout = self
                .service
                .deployments
                .iter_mut()
                .find(|d| task.deployment.as_ref() == Some(&d.id))
                .map(|deployment| {
                    deployment.updated_at = self.now;
                    if deployment.state == RolloutState::InProgress {
                        deployment.failed_tasks += 1;
                    }
                    (deployment.rollout.clone(), deployment.failed_tasks)
                });
            if let Some((arn, failures)) = rollout
                && let Some(rollout) = self.service.rollout(&arn)
                && rollout.breaker == "MONITORING"
            {
                rollout.failures = failures;
                rollout.updated_at = ids::now();
            }
        }
        self.reset_on_health();
    }

    /// A task that has become healthy sets the count of failures back to zero, unless the service says otherwise.
    fn reset_on_health(&mut self) {
        let reset = self
            .service
            .breaker()
            .get("resetOnHealthyTask")
            .and_then(Value::as_bool)
            .unwrap_or(true);
        let Some(primary) = self.service.deployments.first() else {
            return;
        };
        let (id, rollout) = (primary.id.clone(), primary.rollout.clone());
        let fresh: Vec<String> = self
            .of(&id)
            .filter(|task| !primary.healthy.contains(&task.id) && self.healthy(task))
            .map(|task| task.id.clone())
            .collect();
        if fresh.is_empty() {
            return;
        }
        if let Some(primary) = self.service.deployments.first_mut() {
            primary.healthy.extend(fresh);
            if reset {
                primary.failed_tasks = 0;
            }
        }
        self.service.streak = 0;
        if let Some(rollout) = self.service.rollout(&rollout)
            && reset
            && rollout.breaker == "MONITORING"
        {
            rollout.failures = 0;
        }
    }

    pub(super) fn trip_breaker(&mut self) {
        let enabled = flag(self.service.breaker(), "enable");
        let (threshold, roll_back) = (
            self.service.threshold(),
            flag(self.service.breaker(), "rollback"),
        );
        let Some(primary) = self.service.deployments.first_mut() else {
            return;
        };
        if !enabled || primary.state != RolloutState::InProgress || primary.failed_tasks < threshold
        {
            return;
        }
        primary.state = RolloutState::Failed;
        primary.reason = "ECS deployment circuit breaker: tasks failed to start.".to_owned();
        primary.updated_at = self.now;
        let (id, rollout_arn, was_rollback) = (
            primary.id.clone(),
            primary.rollout.clone(),
            primary.is_rollback,
        );
        self.service.event(format!(
            "(deployment {id}) deployment failed: tasks failed to start."
        ));
        let now = self.now;
        if let Some(rollout) = self.service.rollout(&rollout_arn) {
            rollout.breaker = "TRIGGERED";
            rollout.reason = Some("Service deployment rolled back because the circuit breaker threshold was exceeded.".to_owned());
            if was_rollback || !roll_back {
                rollout.status = if was_rollback {
                    "ROLLBACK_FAILED"
                } else {
                    "STOPPED"
                };
                rollout.finished_at = Some(now);
                rollout.stopped_at = Some(now);
                if !was_rollback {
                    rollout.reason = Some("Service deployment stopped because the circuit breaker threshold was exceeded.".to_owned());
                }
            }
            rollout.updated_at = now;
        }
        if roll_back && !was_rollback {
            let reason = "Service deployment rolled back because the circuit breaker threshold was exceeded.";
            self.roll_back(
                &rollout_arn,
                "ECS deployment circuit breaker: rolling back to deploymentId",
                reason,
            );
        }
    }

    /// StopServiceDeployment with ROLLBACK marks the rollout; the scheduler then does what the breaker would do.
    pub(super) fn answer_stop_request(&mut self) {
        let requested = self
            .service
            .rollouts
            .first()
            .filter(|rollout| rollout.status == "ROLLBACK_REQUESTED");
        let Some(arn) = requested.map(|rollout| rollout.arn.clone()) else {
            return;
        };
        self.fail_primary("ECS deployment stopped by a user.");
        let reason =
            "Service deployment rolled back because of a request to stop the service deployment.";
        if let Some(rollout) = self.service.rollout(&arn) {
            rollout.reason = Some(reason.to_owned());
            rollout.stopped_at = Some(self.now);
        }
        self.roll_back(&arn, "ECS deployment rolling back to deploymentId", reason);
    }

    /// An alarm that goes off fails the deployment, and rolls it back where the service asks for it.
    pub(super) fn answer_alarms(&mut self) {
        let now = self.now;
        let Some(rollout) = self.service.rollouts.first_mut() else {
            return;
        };
        let watched = rollout.status == "IN_PROGRESS" && rollout.alarms.status == "MONITORING";
        if !watched || rollout.alarms.triggered.is_empty() {
            return;
        }
        let reason = format!(
            "Service deployment rolled back because the alarm(s) {} went off.",
            rollout.alarms.triggered.join(", ")
        );
        let roll_back = flag(&rollout.configuration["alarms"], "rollback");
        rollout.alarms.status = "TRIGGERED";
        rollout.reason = Some(reason.clone());
        if !roll_back {
            rollout.status = "STOPPED";
            rollout.reason = Some(reason.replace("rolled back", "stopped"));
            rollout.finished_at = Some(now);
            rollout.stopped_at = Some(now);
        }
        rollout.updated_at = now;
        let arn = rollout.arn.clone();
        self.fail_primary("ECS deployment alarms: alarm detected.");
        let id = self.service.deployments.first().map(|d| d.id.clone());
        let id = id.unwrap_or_default();
        self.service.event(format!(
            "(deployment {id}) deployment failed: alarm detected."
        ));
        if roll_back {
            let words = "ECS deployment alarms: rolling back to deploymentId";
            self.roll_back(&arn, words, &reason);
        }
    }

    pub(super) fn roll_back(&mut self, rollout_arn: &str, words: &str, reason: &str) {
        let now = self.now;
        let candidate = self.service.last_completed.clone().and_then(|completed| {
            let definition = self
                .service
                .revision(&completed.revision)?
                .definition
                .clone();
            let settings = self.service.revision(&completed.revision)?.settings.clone();
            Some((completed, definition, settings))
        });
        let Some((completed, definition, mut settings)) = candidate else {
            if let Some(rollout) = self.service.rollout(rollout_arn) {
                rollout.status = "ROLLBACK_FAILED";
                rollout.reason =
                    Some("No rollback candidate was found to run the rollback.".to_owned());
                rollout.finished_at = Some(now);
                rollout.updated_at = now;
            }
            return;
        };
        // How a service deploys is not part of a revision and stays as it was last set.
        if let Some(configuration) = self.service.settings.get("deploymentConfiguration") {
            settings.insert("deploymentConfiguration".to_owned(), configuration.clone());
        }
        self.service.settings = settings;
        let Completed {
            deployment,
            revision,
        } = completed;
        let source_ready = self.all_healthy(&revision);
        let shift = self.service.rollout(rollout_arn);
        match shift.and_then(|rollout| rollout.shift.as_mut()) {
            // The earlier revision still runs, so that its deployment becomes the primary one again.
            Some(shift) => {
                shift.turn_back(source_ready, now);
                self.service.restore(definition, &revision, rollout_arn);
            }
            None => {
                let rollout = rollout_arn.to_owned();
                self.service
                    .push_deployment(definition, revision.clone(), rollout, true);
            }
        }
        if let Some(primary) = self.service.deployments.first_mut() {
            primary.reason = format!("{words} {deployment}.");
        }
        self.service
            .event(format!("rolling back to deployment {deployment}."));
        if let Some(rollout) = self.service.rollout(rollout_arn) {
            rollout.alarms.end();
            rollout.status = "ROLLBACK_IN_PROGRESS";
            rollout.rollback = Some(Rollback {
                reason: reason.to_owned(),
                at: now,
                revision,
            });
            rollout.updated_at = now;
        }
    }
}
