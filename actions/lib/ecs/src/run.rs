//! Tasks that are started alone: with the network and the capacity of a service, and one command of their own.

use crate::client::Client;
use crate::convert::task_of;
use crate::error::Error;
use crate::look::DESCRIBE_TASKS;
use crate::seen::Task;
use aws_sdk_ecs::types::{ContainerOverride, TaskOverride};
use kit::aws::TaskDefinitionArn;
use kit::error::Failure;

/// The work of a task that is started alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOff {
    /// The revision that it is made from.
    pub task_definition: TaskDefinitionArn,
    /// The container that runs the command.
    pub container: String,
    /// The command, word by word, in place of the image's own.
    pub command: Vec<String>,
}

/// The name by which ECS lists the tasks that are started here (`startedBy`).
const STARTED_BY: &str = "slipway-run-task";

impl Client {
    /// Starts a task; returns its ARN. `token` is the same for every repetition of the request, so that ECS starts one task
    /// (Amazon ECS API Reference, `RunTask`, `clientToken`).
    ///
    /// # Errors
    /// ECS refuses it, or has no capacity.
    pub async fn run_task(&self, work: &OneOff, token: &str) -> Result<String, Error> {
        const ACTION: &str = "ecs:RunTask";
        let service = self.described().await?;
        let command = ContainerOverride::builder()
            .name(&work.container)
            .set_command(Some(work.command.clone()))
            .build();
        let mut call = self
            .ecs
            .run_task()
            .cluster(&self.cluster)
            .task_definition(work.task_definition.as_str())
            .count(1)
            .started_by(STARTED_BY)
            .client_token(token)
            .overrides(TaskOverride::builder().container_overrides(command).build())
            .set_network_configuration(service.network_configuration)
            .set_platform_version(service.platform_version)
            .set_placement_constraints(service.placement_constraints)
            .set_placement_strategy(service.placement_strategy);
        // A request has one of the two.
        call = match service.capacity_provider_strategy {
            Some(strategy) if !strategy.is_empty() => {
                call.set_capacity_provider_strategy(Some(strategy))
            }
            _ => call.set_launch_type(service.launch_type),
        };
        let doing = format!("run a task of {}", work.task_definition.name());
        let answer = self.call(ACTION, &doing, || call.clone().send()).await?;
        let started = answer.tasks.unwrap_or_default().into_iter().next();
        if let Some(arn) = started.and_then(|task| task.task_arn) {
            return Ok(arn);
        }
        let failure = answer.failures.unwrap_or_default().into_iter().next();
        let reason = failure.and_then(|failure| failure.reason);
        let error = kit::Error::failed(format!("cannot {doing}"))
            .cause(reason.unwrap_or_else(|| "ECS names no reason".to_owned()));
        Err(Error::answered(Failure::Rejected, ACTION, error))
    }

    /// A task that does this work and has not stopped, if an earlier run started one.
    ///
    /// # Errors
    /// ECS does not answer.
    pub async fn find_task(&self, work: &OneOff) -> Result<Option<String>, Error> {
        // A request with this filter has no other (Amazon ECS API Reference, `ListTasks`).
        let call = self
            .ecs
            .list_tasks()
            .cluster(&self.cluster)
            .started_by(STARTED_BY);
        let of = format!("the tasks that {STARTED_BY} started");
        let arns = self.list_tasks(call, &of).await?;
        let tasks = self.describe_tasks(&arns, &of).await?;
        let same = tasks.into_iter().find(|task| {
            let overrides = task.overrides().map(TaskOverride::container_overrides);
            task.task_definition_arn() == Some(work.task_definition.as_str())
                && task.last_status() != Some("STOPPED")
                && task.desired_status() != Some("STOPPED")
                && overrides.is_some_and(|all| {
                    all.iter().any(|one| {
                        one.name() == Some(&work.container) && one.command() == work.command
                    })
                })
        });
        Ok(same.and_then(|task| task.task_arn))
    }

    /// A task; `None` where ECS does not show it yet, or any more.
    ///
    /// # Errors
    /// ECS does not answer.
    pub async fn task(&self, arn: &str) -> Result<Option<Task>, Error> {
        let arns = [arn.to_owned()];
        let found = self.describe_tasks(&arns, &format!("task {arn}")).await?;
        let found = found.into_iter().next().map(task_of).transpose();
        found.map_err(|error| Error::unreadable(DESCRIBE_TASKS, error))
    }

    /// Asks ECS to stop a task. People see `reason` in its description.
    ///
    /// # Errors
    /// ECS refuses.
    pub async fn stop_task(&self, arn: &str, reason: &str) -> Result<(), Error> {
        let call = self
            .ecs
            .stop_task()
            .cluster(&self.cluster)
            .task(arn)
            .reason(reason);
        let doing = format!("stop task {arn}");
        self.call("ecs:StopTask", &doing, || call.clone().send())
            .await?;
        Ok(())
    }
}
