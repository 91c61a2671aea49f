//! Carrying out a deployment that shifts traffic: tasks of both revisions, and the weights of the listeners' rules.

use super::Look;
use crate::service::terminal;
use crate::shift::{Next, Seen};
use crate::state::RolloutState;
use crate::task::Status;
use crate::value::text;

impl Look<'_> {
    /// The current deployment's next stage, and the tasks to start; `None` where no such deployment is in progress.
    pub(super) fn shift(&mut self) -> Option<Vec<(String, u32)>> {
        let minute = self.timings.minute.as_secs_f64();
        let rollout = self.service.rollouts.first()?;
        let shift = rollout.shift.as_ref()?;
        if terminal(rollout.status) {
            return None;
        }
        let (target, source, back) = (rollout.target.clone(), shift.source.clone(), shift.back);
        let kept = if back {
            source.clone()?
        } else {
            target.clone()
        };
        let present = |revision: &str| {
            let mut own = self.own().filter(|task| task.status != Status::Stopped);
            own.any(|task| task.revision.as_deref() == Some(revision))
        };
        let others = |known: &[&str]| {
            let mut own = self.own().filter(|task| task.status != Status::Stopped);
            own.any(|task| {
                !task
                    .revision
                    .as_deref()
                    .is_some_and(|one| known.contains(&one))
            })
        };
        let seen = Seen {
            now: self.now,
            minute,
            ready: self.all_healthy(&kept),
            alone: present(&kept) == (self.service.desired > 0) && !others(&[&kept]),
            strays: others(&[&target, source.as_deref().unwrap_or_default()]),
        };
        let arn = rollout.arn.clone();
        let configuration = rollout.configuration.clone();
        let rollout = self.service.rollout(&arn)?;
        let shift = rollout.shift.as_mut()?;
        let next = shift.advance(&configuration, seen);
        if next != Next::Stay {
            rollout.updated_at = seen.now;
        }
        match next {
            Next::Stay | Next::Moved => {}
            Next::Finished => {
                let primary = self.service.deployments.first()?;
                let (id, revision) = (primary.id.clone(), primary.revision.clone());
                self.weigh();
                self.finish(&id, revision);
                return Some(Vec::new());
            }
            Next::RollBack(reason) => {
                self.fail_primary("ECS deployment failed: a lifecycle hook timed out.");
                self.roll_back(&arn, "ECS deployment rolling back to deploymentId", reason);
            }
        }
        self.weigh();
        Some(self.scale_both())
    }

    /// Returns true if the revision has all its tasks, and each of them is healthy.
    pub(super) fn all_healthy(&self, revision: &str) -> bool {
        let mut tasks = self
            .own()
            .filter(|task| !task.ending() && task.revision.as_deref() == Some(revision));
        let (mut count, mut well) = (0, true);
        for task in &mut tasks {
            count += 1;
            well &= self.healthy(task);
        }
        well && count == self.service.desired
    }

    pub(super) fn fail_primary(&mut self, reason: &str) {
        if let Some(primary) = self.service.deployments.first_mut() {
            primary.state = RolloutState::Failed;
            primary.reason = reason.to_owned();
            primary.updated_at = self.now;
        }
    }

    /// Keeps each revision at the number of tasks that the stage asks for. Both run in full next to each other, whatever
    /// the maximum of a rolling update.
    fn scale_both(&mut self) -> Vec<(String, u32)> {
        let wanted: Vec<(String, u32)> = self
            .service
            .deployments
            .iter()
            .map(|deployment| {
                let count = self.service.wanted(&deployment.revision);
                (deployment.id.clone(), count)
            })
            .collect();
        let mut starts = Vec::new();
        for (id, count) in wanted {
            if let Some(deployment) = self.service.deployments.iter_mut().find(|d| d.id == id) {
                deployment.desired = count;
            }
            let present: Vec<String> = self.of(&id).map(|task| task.id.clone()).collect();
            let have = u32::try_from(present.len()).unwrap_or(u32::MAX);
            if have > count {
                let excess = (have - count) as usize;
                self.stop(present.into_iter().take(excess).collect(), &id);
            } else if have < count && self.now >= self.service.not_before {
                starts.push((id, count - have));
            }
        }
        starts
    }

    /// Sets the weights of the production and test rules to those of the deployment.
    fn weigh(&mut self) {
        let Some(rollout) = self.service.rollouts.first() else {
            return;
        };
        let Some(shift) = &rollout.shift else {
            return;
        };
        let Some(target) = self.service.revision(&rollout.target) else {
            return;
        };
        let mut settings = Vec::new();
        let all = target.settings.get("loadBalancers");
        for entry in all.and_then(|all| all.as_array()).into_iter().flatten() {
            let advanced = &entry["advancedConfiguration"];
            let first = text(entry, "targetGroupArn");
            let Some((first, second)) = first.zip(text(advanced, "alternateTargetGroupArn")) else {
                continue;
            };
            let (own, other) = if target.alternate {
                (second, first)
            } else {
                (first, second)
            };
            for (rule, percent) in [
                (text(advanced, "productionListenerRule"), shift.production),
                (text(advanced, "testListenerRule"), shift.test),
            ] {
                let Some(rule) = rule else { continue };
                let (weight, rest) = weights(percent);
                let groups = vec![(own.to_owned(), weight), (other.to_owned(), rest)];
                settings.push((rule.to_owned(), groups));
            }
        }
        for (arn, groups) in settings {
            let mut rules = self.listeners.iter_mut().flat_map(|one| &mut one.rules);
            if let Some(rule) = rules.find(|rule| rule.arn == arn) {
                rule.forward(&groups);
            }
        }
    }
}

/// A percentage as the weights of a rule, which are whole numbers.
fn weights(percent: f64) -> (i64, i64) {
    let whole = if percent.fract() == 0.0 { 1.0 } else { 10.0 };
    let own = (percent * whole).round();
    (own as i64, (100.0 * whole - own) as i64)
}
