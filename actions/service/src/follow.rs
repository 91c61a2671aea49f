//! Derives one verdict on our deployment from the observations of a service. Pure: the time since following began is
//! passed in.

use crate::verdict::{Pause, Rollback, Verdict, Why};
use ecs::{Deployment, Expected, Record, Rollout, Seen, missing, prose};
use kit::aws::TaskDefinitionArn;
use std::time::Duration;

/// How long ECS may take from failing a deployment to starting the rollback it is set up for. It
/// cannot roll back when nothing completed before (ECS, "Deployment circuit breaker").
const ROLLBACK_GRACE: Duration = Duration::from_secs(60);

/// How long a rollback is waited for: tasks have to start, and a target takes five minutes to be deregistered by default.
pub(crate) const ROLLBACK_TIME: Duration = Duration::from_secs(600);

/// How long the end of a deployment is looked for that ECS says has ended.
const END_GRACE: Duration = Duration::from_secs(30);

/// The decision after one look at the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look again; this is what is missing.
    Wait(Vec<String>),
    /// The time is over, and this is missing: the deployment is to be given up.
    TimeOver(Vec<String>),
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
    /// True if an earlier look saw that ECS has stopped our deployment.
    stopped: bool,
    /// The hook that this run answered. ECS may still show it as waiting for a moment.
    answered: Option<String>,
    given_up: Option<GivenUp>,
}

/// A deployment that this run gave up and whose end it waits for.
#[derive(Debug)]
struct GivenUp {
    why: Why,
    /// True if ECS accepted the request to roll it back. Otherwise it has ended or is being rolled back already.
    asked: bool,
    until: Duration,
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
            stopped: false,
            answered: None,
            given_up: None,
        }
    }

    /// From now on takes this hook for answered.
    pub(crate) fn answered(&mut self, hook: String) {
        self.answered = Some(hook);
    }

    /// Returns true if ECS rolls it back, or is about to, by itself.
    pub(crate) fn goes_back(&self) -> bool {
        self.failed_at.is_some() || self.rollback.is_some()
    }

    /// From now on waits for the rollback that ECS was asked for.
    pub(crate) fn rolling_back(&mut self, now: Duration, why: Why) {
        self.give_up(why, true, now + ROLLBACK_TIME);
    }

    /// From now on waits for an end that does not follow from a request of ours: ECS goes back by itself, or says that
    /// the deployment has ended.
    pub(crate) fn ending(&mut self, now: Duration, why: Why) {
        let time = match self.goes_back() {
            true => ROLLBACK_TIME,
            false => END_GRACE,
        };
        self.give_up(why, false, now + time);
    }

    fn give_up(&mut self, why: Why, asked: bool, until: Duration) {
        self.given_up = Some(GivenUp { why, asked, until });
    }

    /// Judges one look.
    pub(crate) fn next(&mut self, now: Duration, seen: &Seen) -> Next {
        let next = self.judge(now, seen);
        let Some(GivenUp { why, asked, until }) = &self.given_up else {
            return match next {
                Next::Wait(waited_for) if now >= self.timeout => Next::TimeOver(waited_for),
                next => next,
            };
        };
        let rollback = match (next, asked) {
            (Next::Wait(waited_for), _) if now < *until => return Next::Wait(waited_for),
            (Next::Wait(waited_for), _) => self.unseen_rollback(waited_for),
            (Next::Done(Verdict::RolledBack { to, .. }), true) => Rollback::Completed { to },
            (Next::Done(Verdict::Failed { reason }), true) => Rollback::Failed { reason },
            (next, _) => return next,
        };
        let why = why.clone();
        Next::Done(Verdict::GivenUp { why, rollback })
    }

    /// The verdict on a deployment that was given up and of which nothing more can be seen.
    pub(crate) fn unseen(&self, waited_for: Vec<String>) -> Option<Verdict> {
        let why = self.given_up.as_ref()?.why.clone();
        let rollback = self.unseen_rollback(waited_for);
        Some(Verdict::GivenUp { why, rollback })
    }

    fn unseen_rollback(&self, waited_for: Vec<String>) -> Rollback {
        match self.asked() || self.goes_back() {
            true => Rollback::Unfinished { waited_for },
            false => Rollback::TooLate { waited_for },
        }
    }

    /// Returns true if this run gave the deployment up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.is_some()
    }

    fn asked(&self) -> bool {
        self.given_up.as_ref().is_some_and(|it| it.asked)
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
            return self.replaced(primary, seen);
        }
        match (self.failed_at, record) {
            (_, "ROLLBACK_FAILED") => return failed(self.rollback_failed(seen)),
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
            (Some(at), _)
                if !(service.rolls_back || self.asked())
                    || now.saturating_sub(at) >= ROLLBACK_GRACE =>
            {
                let reason = self.reason.clone();
                return failed(if service.rolls_back || self.asked() {
                    format!("{reason} (and ECS began no rollback)")
                } else {
                    reason
                });
            }
            (Some(_), _) => return Next::Wait(vec!["ECS to begin the rollback".to_owned()]),
            // The record is read after the service, and another deployment may have begun in between: the next look shows it.
            (_, "STOPPED") if !self.stopped => {
                self.stopped = true;
                return Next::Wait(vec!["ECS to show why it stopped the deployment".to_owned()]);
            }
            (_, "STOPPED") => {
                return failed(format!("the deployment was stopped: {}", self.reason));
            }
            (None, _) => {}
        }
        if self.asked() {
            return Next::Wait(vec!["ECS to begin the rollback".to_owned()]);
        }
        let paused = seen.record.as_ref().and_then(paused);
        if let Some(paused) = paused.filter(|it| self.answered.as_ref() != Some(&it.hook)) {
            return Next::Done(Verdict::Paused(Box::new(paused)));
        }
        if service.desired == 0 && !self.expected.allow_zero_tasks {
            return failed(
                "the service was scaled to zero: nothing runs that could be healthy".to_owned(),
            );
        }
        let mut missing = missing(&self.expected, seen);
        // The two are read one after the other, and a deployment that shifts traffic is over only by its own record.
        if missing.is_empty() && service.strategy.shifts() && !matches!(record, "" | "SUCCESSFUL") {
            missing.push(format!("ECS's record of the deployment is {record}"));
        }
        if missing.is_empty() {
            Next::Done(Verdict::Succeeded)
        } else {
            Next::Wait(missing)
        }
    }

    /// Why ECS failed our deployment, and why it could not go back.
    fn rollback_failed(&self, seen: &Seen) -> String {
        let why = seen.record.as_ref().map_or("", |record| &record.reason);
        match self.reason.as_str() {
            reason if reason == why || why.is_empty() => {
                format!("ECS could not roll back: {reason}")
            }
            reason => format!("{reason}; ECS could not roll back: {why}"),
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
    fn replaced(&mut self, primary: &Deployment, seen: &Seen) -> Next {
        let record = seen.record.as_ref();
        let back_to = record.and_then(|record| record.rollback.as_ref());
        if prose::rolls_back(&primary.reason) || back_to == Some(&primary.task_definition) {
            self.rollback = Some(primary.id.clone());
        }
        let back =
            (self.failed_at.is_some() || self.asked()) && primary.task_definition == self.before;
        if !(self.rollback.as_ref() == Some(&primary.id) || back) {
            return self.not_the_rollback(primary, seen);
        }
        let record = record.map_or("", |record| record.status.as_str());
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
            Rollout::Completed if primary.running >= self.least(seen.service.desired) => {
                Next::Done(Verdict::RolledBack {
                    to: primary.task_definition.clone(),
                    reason,
                })
            }
            _ => Next::Wait(vec![format!("the rollback to {to} to complete")]),
        }
    }

    /// How many tasks have to run: an automatic scaling may want more since the deployment began.
    fn least(&self, desired: i32) -> i32 {
        let before = self.expected.wanted.filter(|before| *before > 0);
        before.map_or(desired, |before| before.min(desired))
    }

    /// Another deployment is primary that is not known as the rollback: it is somebody else's, unless it may be the rollback that
    /// this run asked for, which only ECS's record tells.
    fn not_the_rollback(&self, primary: &Deployment, seen: &Seen) -> Next {
        let (by, task_definition) = (primary.id.clone(), primary.task_definition.clone());
        let unknown = seen
            .record
            .as_ref()
            .is_none_or(|record| record.rollback.is_none());
        match &self.given_up {
            Some(GivenUp {
                why, asked: true, ..
            }) if unknown => match primary.rollout {
                Rollout::InProgress => Next::Wait(vec![format!(
                    "ECS to show whether deployment {by} of {} is the rollback",
                    task_definition.name()
                )]),
                _ => Next::Done(Verdict::GivenUp {
                    why: why.clone(),
                    rollback: Rollback::Unknown {
                        by,
                        task_definition,
                    },
                }),
            },
            _ => Next::Done(Verdict::Superseded {
                by,
                task_definition,
            }),
        }
    }
}

/// The pause at which a deployment waits, if it does.
pub(crate) fn paused(record: &Record) -> Option<Pause> {
    let hook = record.pause()?;
    Some(Pause {
        hook: hook.id.clone(),
        stage: record.stage.clone(),
        record: record.arn.clone(),
        until: hook.expires_at.clone(),
        then: hook.timeout_action.clone(),
    })
}

fn failed(reason: String) -> Next {
    Next::Done(Verdict::Failed { reason })
}

#[cfg(test)]
#[path = "follow_tests/mod.rs"]
mod tests;
