//! The one place that reads AWS's sentences. Each is read only where no code says the same: a service's events and the
//! reasons of rollouts and stopped tasks are text alone, and the API that has codes for a rollback, service
//! deployments, may be withheld from a role. Where that API answers, its status decides.

use crate::seen::Task;

/// Returns true if an event of the service says that ECS failed this deployment.
pub fn fails_deployment(event: &str, deployment: &str) -> bool {
    event.contains(deployment) && event.contains("deployment failed")
}

/// Returns true if the reason of a deployment's rollout says that it is ECS's rollback of another.
pub fn rolls_back(reason: &str) -> bool {
    reason.contains("rolling back")
}

/// Returns true if a task stopped because something was wrong with it. ECS gives one stop code, `ServiceSchedulerInitiated`,
/// to a task that failed its health checks and to one that was scaled away.
pub fn stopped_by_failure(task: &Task) -> bool {
    task.stop_code != "ServiceSchedulerInitiated" || task.stopped_reason.contains("failed")
}
