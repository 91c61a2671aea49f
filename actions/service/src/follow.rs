//! Derives one verdict on our deployment from the observations of a service. Pure: the time since following began is
//! passed in.

use ecs::{Deployment, Expected, Rollout, Seen, missing, prose};
use kit::aws::TaskDefinitionArn;
use std::time::Duration;

/// How long ECS may take from failing a deployment to starting the rollback it is set up for. It
/// cannot roll back when nothing completed before (ECS, "Deployment circuit breaker").
const ROLLBACK_GRACE: Duration = Duration::from_secs(60);

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Our digest runs everywhere and is healthy.
    Succeeded,
    /// ECS went back; `to` is the task definition that runs and is complete again.
    RolledBack {
        to: TaskDefinitionArn,
        reason: String,
    },
    /// Another deployment took the service over.
    Superseded {
        by: String,
        task_definition: TaskDefinitionArn,
    },
    /// It ended without success, and what ran before did not come back by itself.
    Failed { reason: String },
    /// It neither succeeded nor failed in time.
    TimedOut { waited_for: Vec<String> },
}

impl Verdict {
    /// The verdict in one word, as JSON names it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Verdict::Succeeded => "succeeded",
            Verdict::RolledBack { .. } => "rolled_back",
            Verdict::Superseded { .. } => "superseded",
            Verdict::Failed { .. } => "failed",
            Verdict::TimedOut { .. } => "timed_out",
        }
    }

    /// The verdict as `slipway-promote record --verdict` takes it. Where our digest does not run for certain and what ran
    /// before is not certainly back, the deployment failed.
    pub(crate) fn recorded(&self) -> &'static str {
        match self {
            Verdict::Succeeded => "healthy",
            Verdict::RolledBack { .. } => "rolled-back",
            Verdict::Superseded { .. } | Verdict::Failed { .. } | Verdict::TimedOut { .. } => {
                "failed"
            }
        }
    }
}

/// The decision after one look at the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look again; this is what is missing.
    Wait(Vec<String>),
    /// Stop.
    Done(Verdict),
}

/// Follows one deployment.
#[derive(Debug)]
pub(crate) struct Follow {
    expected: Expected,
    /// The task definition before ours.
    before: TaskDefinitionArn,
    timeout: Duration,
    /// When ECS was first seen to have failed our deployment.
    failed_at: Option<Duration>,
    reason: String,
    /// The deployment ECS named as its rollback; it stops saying so when that completes.
    rollback: Option<String>,
}

impl Follow {
    pub(crate) fn new(expected: Expected, before: TaskDefinitionArn, timeout: Duration) -> Self {
        Self {
            expected,
            before,
            timeout,
            failed_at: None,
            reason: String::new(),
            rollback: None,
        }
    }

    /// Judges one look.
    pub(crate) fn next(&mut self, now: Duration, seen: &Seen) -> Next {
        match self.judge(now, seen) {
            Next::Wait(waited_for) if now >= self.timeout => {
                Next::Done(Verdict::TimedOut { waited_for })
            }
            next => next,
        }
    }

    fn judge(&mut self, now: Duration, seen: &Seen) -> Next {
        let service = &seen.service;
        if service.status != "ACTIVE" {
            return failed(format!(
                "service {} became {}",
                service.name, service.status
            ));
        }
        self.notice_failure(now, seen);
        let record = seen
            .record
            .as_ref()
            .map_or("", |record| record.status.as_str());
        let Some(primary) = service.primary() else {
            return Next::Wait(vec!["the service to have a primary deployment".to_owned()]);
        };
        if primary.id != self.expected.deployment {
            return self.replaced(primary, record, seen);
        }
        match (self.failed_at, record) {
            (_, "ROLLBACK_FAILED") => {
                return failed(format!("ECS could not roll back: {}", self.reason));
            }
            (_, "ROLLBACK_SUCCESSFUL")
                if primary.task_definition != self.expected.task_definition =>
            {
                return Next::Done(Verdict::RolledBack {
                    to: primary.task_definition.clone(),
                    reason: self.reason.clone(),
                });
            }
            (Some(_), record) if record.starts_with("ROLLBACK") => {
                return Next::Wait(vec!["ECS to begin the rollback".to_owned()]);
            }
            (Some(at), _) if !service.rolls_back || now.saturating_sub(at) >= ROLLBACK_GRACE => {
                let reason = self.reason.clone();
                return failed(if service.rolls_back {
                    format!("{reason} (and ECS began no rollback)")
                } else {
                    reason
                });
            }
            (Some(_), _) => return Next::Wait(vec!["ECS to begin the rollback".to_owned()]),
            (_, "STOPPED") => {
                return failed(format!("the deployment was stopped: {}", self.reason));
            }
            (None, _) => {}
        }
        if service.desired == 0 && !self.expected.allow_zero_tasks {
            return failed(
                "the service was scaled to zero: nothing runs that could be healthy".to_owned(),
            );
        }
        let missing = missing(&self.expected, seen);
        if missing.is_empty() {
            Next::Done(Verdict::Succeeded)
        } else {
            Next::Wait(missing)
        }
    }

    /// Records that ECS failed our deployment, and why: ECS removes the entry with the reason when the deployment's last task has
    /// stopped.
    fn notice_failure(&mut self, now: Duration, seen: &Seen) {
        let ours = seen.service.deployment(&self.expected.deployment);
        let event = seen
            .service
            .events
            .iter()
            .find(|event| prose::fails_deployment(&event.message, &self.expected.deployment));
        let record = seen
            .record
            .as_ref()
            .filter(|record| record.status.starts_with("ROLLBACK") || record.status == "STOPPED");
        let reason = match (ours, record, event) {
            (Some(ours), _, _) if ours.rollout == Rollout::Failed => &ours.reason,
            (_, Some(record), _) => &record.reason,
            (_, _, Some(event)) => &event.message,
            _ => return,
        };
        // The first reason is the nearest to the cause; later ones speak of the rollback.
        if self.reason.is_empty() {
            self.reason.clone_from(reason);
        }
        if record.is_none_or(|record| record.status != "STOPPED") {
            self.failed_at.get_or_insert(now);
        }
    }

    /// Another deployment is primary: ECS's rollback of ours, or somebody else's.
    fn replaced(&mut self, primary: &Deployment, record: &str, seen: &Seen) -> Next {
        if prose::rolls_back(&primary.reason) {
            self.rollback = Some(primary.id.clone());
        }
        let back = self.failed_at.is_some() && primary.task_definition == self.before;
        if !(self.rollback.as_ref() == Some(&primary.id) || back || record.starts_with("ROLLBACK"))
        {
            return Next::Done(Verdict::Superseded {
                by: primary.id.clone(),
                task_definition: primary.task_definition.clone(),
            });
        }
        let reason = match self.reason.as_str() {
            "" => primary.reason.clone(),
            reason => reason.to_owned(),
        };
        let to = primary.task_definition.name();
        match primary.rollout {
            _ if record == "ROLLBACK_FAILED" => {
                failed(format!("{reason}; the rollback to {to} failed too"))
            }
            Rollout::Failed => failed(format!(
                "{reason}; the rollback to {to} failed too: {}",
                primary.reason
            )),
            Rollout::Completed if primary.running >= seen.service.desired => {
                Next::Done(Verdict::RolledBack {
                    to: primary.task_definition.clone(),
                    reason,
                })
            }
            _ => Next::Wait(vec![format!("the rollback to {to} to complete")]),
        }
    }
}

fn failed(reason: String) -> Next {
    Next::Done(Verdict::Failed { reason })
}

#[cfg(test)]
#[path = "follow_tests/mod.rs"]
mod tests;
