//! Looks at a service: its deployments, its tasks and their targets.

use crate::client::Client;
use crate::convert::{arn, service_of, target_of, task_of};
use crate::error::Error;
use crate::record::{NewestRecord, is_over};
use crate::seen::{Rollout, Seen, Service, TargetGroup, Task};
use aws_sdk_ecs::operation::list_tasks::builders::ListTasksFluentBuilder;
use aws_sdk_ecs::types::DesiredStatus;
use kit::aws::{Arn, TaskDefinitionArn};
use kit::error::Failure;
use std::collections::BTreeSet;

/// A page of ListTasks holds 100 tasks, and a service runs 5,000 at most (ECS, "Service quotas"). Tasks that are started alone are
/// fewer.
const LIST_TASKS_PAGES: usize = 50;

const SERVICES: &str = "ecs:DescribeServices";
pub(crate) const DESCRIBE_TASKS: &str = "ecs:DescribeTasks";

/// The tasks of a service that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tasks {
    /// Those that are to run.
    Current,
    /// Those that stopped within about the last hour.
    Stopped,
}

impl Client {
    /// The service alone.
    ///
    /// # Errors
    /// No such cluster or service, or ECS does not answer.
    pub async fn service(&self) -> Result<Service, Error> {
        service_of(self.described().await?).map_err(|error| Error::unreadable(SERVICES, error))
    }

    /// The same as ECS answers it.
    pub(crate) async fn described(&self) -> Result<aws_sdk_ecs::types::Service, Error> {
        const ACTION: &str = SERVICES;
        let (cluster, service) = (&self.cluster, &self.service);
        let call = self
            .ecs
            .describe_services()
            .cluster(cluster)
            .services(service);
        let doing = format!("describe service {service} in cluster {cluster}");
        let answer = self.call(ACTION, &doing, || call.clone().send()).await;
        let missing = |message: String, list: String| {
            let error =
                kit::Error::failed(message).hint(format!("see which there are: aws ecs {list}"));
            Error::answered(Failure::Missing, ACTION, error)
                .hint("check the account and the region: they are the environment's, or the credentials' and AWS_REGION's")
        };
        let cluster = &self.cluster_arn;
        let answer = answer.map_err(|error| match error.code() {
            Some("ClusterNotFoundException") => missing(
                format!("there is no cluster {cluster}"),
                "list-clusters".to_owned(),
            ),
            _ => error,
        })?;
        if let Some(found) = answer.services.unwrap_or_default().into_iter().next() {
            return Ok(found);
        }
        let reason = answer
            .failures
            .unwrap_or_default()
            .into_iter()
            .find_map(|failure| failure.reason)
            .unwrap_or_else(|| "ECS names no reason".to_owned());
        Err(missing(
            format!("there is no service {service} in cluster {cluster} ({reason})"),
            format!("list-services --cluster {cluster}"),
        ))
    }

    /// The service with its tasks that have not stopped, and their targets.
    ///
    /// # Errors
    /// An API that does not answer.
    pub async fn look(&self) -> Result<Seen, Error> {
        let mut service = self.service().await?;
        self.name_rollout(&mut service).await;
        let mut tasks = self.tasks(Tasks::Current).await?;
        let mut groups = Vec::new();
        let arns: BTreeSet<&Arn> = service
            .attachments
            .iter()
            .flat_map(|attachment| &attachment.groups)
            .collect();
        for arn in arns {
            groups.push(self.targets(arn).await?);
        }
        let mut targets = groups.iter().flat_map(|group| &group.targets);
        if targets.any(|target| target.id.starts_with("i-")) {
            self.name_instances(&mut tasks).await?;
        }
        Ok(Seen {
            service,
            tasks,
            groups,
            record: None,
        })
    }

    /// Takes how far the primary deployment has come from ECS's record of it, where the service does not say: `rolloutState` is
    /// documented for rolling updates alone (Amazon ECS API Reference, `Deployment`). It stays unknown where the record cannot
    /// be read.
    async fn name_rollout(&self, service: &mut Service) {
        let Some(primary) = service.deployments.iter_mut().find(|it| it.primary) else {
            return;
        };
        if primary.rollout != Rollout::Unknown {
            return;
        }
        if let Ok(Some(found)) = self.newest_record().await {
            primary.rollout = rollout_by(&found, &primary.task_definition);
        }
    }

    /// The service's tasks.
    ///
    /// # Errors
    /// ECS does not answer, or lists more tasks than a service can have.
    pub async fn tasks(&self, which: Tasks) -> Result<Vec<Task>, Error> {
        let call = self
            .ecs
            .list_tasks()
            .cluster(&self.cluster)
            .service_name(&self.service)
            .desired_status(match which {
                Tasks::Current => DesiredStatus::Running,
                Tasks::Stopped => DesiredStatus::Stopped,
            });
        let of = format!("the tasks of service {}", self.service);
        let arns = self.list_tasks(call, &of).await?;
        let tasks = self.describe_tasks(&arns, &of).await?.into_iter();
        tasks
            .map(|task| task_of(task).map_err(|error| Error::unreadable(DESCRIBE_TASKS, error)))
            .collect()
    }

    /// The ARNs on all pages of a list of tasks; `which` names them in an error.
    pub(crate) async fn list_tasks(
        &self,
        call: ListTasksFluentBuilder,
        which: &str,
    ) -> Result<Vec<String>, Error> {
        const ACTION: &str = "ecs:ListTasks";
        let doing = format!("list {which}");
        let mut arns = Vec::new();
        let mut next = None;
        for _ in 0..LIST_TASKS_PAGES {
            let call = call.clone().set_next_token(next);
            let answer = self.call(ACTION, &doing, || call.clone().send()).await?;
            arns.extend(answer.task_arns.unwrap_or_default());
            next = answer.next_token;
            if next.is_none() {
                return Ok(arns);
            }
        }
        // A part of the tasks would prove nothing of the others.
        let error = kit::Error::failed(format!("ECS lists more than {} of {which}", arns.len()));
        Err(Error::answered(Failure::Rejected, ACTION, error))
    }

    /// Tasks as ECS describes them; those that it no longer shows are left out. `which` names them in an error.
    pub(crate) async fn describe_tasks(
        &self,
        arns: &[String],
        which: &str,
    ) -> Result<Vec<aws_sdk_ecs::types::Task>, Error> {
        let doing = format!("describe {which}");
        let mut tasks = Vec::new();
        // DescribeTasks takes up to 100 tasks.
        for some in arns.chunks(100) {
            let call = self
                .ecs
                .describe_tasks()
                .cluster(&self.cluster)
                .set_tasks(Some(some.to_vec()));
            let answer = self.call(DESCRIBE_TASKS, &doing, || call.clone().send());
            tasks.extend(answer.await?.tasks.unwrap_or_default());
        }
        Ok(tasks)
    }

    async fn targets(&self, arn: &Arn) -> Result<TargetGroup, Error> {
        let call = self
            .elb
            .describe_target_health()
            .target_group_arn(arn.as_str());
        let answer = self
            .call(
                "elasticloadbalancing:DescribeTargetHealth",
                &format!("describe the targets of {arn}"),
                || call.clone().send(),
            )
            .await?;
        let targets = answer.target_health_descriptions.unwrap_or_default();
        Ok(TargetGroup {
            arn: arn.clone(),
            targets: targets.into_iter().map(target_of).collect(),
        })
    }

    async fn name_instances(&self, tasks: &mut [Task]) -> Result<(), Error> {
        const ACTION: &str = "ecs:DescribeContainerInstances";
        let unknown: BTreeSet<Arn> = tasks
            .iter()
            .filter_map(|task| task.instance_arn.clone())
            .filter(|arn| !self.instances.borrow().contains_key(arn))
            .collect();
        let unknown: Vec<String> = unknown.into_iter().map(String::from).collect();
        for some in unknown.chunks(100) {
            let call = self
                .ecs
                .describe_container_instances()
                .cluster(&self.cluster)
                .set_container_instances(Some(some.to_vec()));
            let answer = self
                .call(ACTION, "describe the instances the tasks run on", || {
                    call.clone().send()
                })
                .await?;
            for instance in answer.container_instances.unwrap_or_default() {
                if let Some(id) = instance.ec2_instance_id {
                    let arn = arn(instance.container_instance_arn, "a container instance")
                        .map_err(|error| Error::unreadable(ACTION, error))?;
                    self.instances.borrow_mut().insert(arn, id);
                }
            }
        }
        for task in tasks {
            task.instance = task
                .instance_arn
                .as_ref()
                .and_then(|arn| self.instances.borrow().get(arn).cloned());
        }
        Ok(())
    }
}

/// How far the deployment of a task definition has come by ECS's newest record.
fn rollout_by(newest: &NewestRecord, task_definition: &TaskDefinitionArn) -> Rollout {
    let deploys = newest.deploys.as_ref() == Some(task_definition);
    let goes_back = newest.goes_back_to.as_ref() == Some(task_definition);
    match newest.status.as_str() {
        "SUCCESSFUL" if deploys => Rollout::Completed,
        "ROLLBACK_SUCCESSFUL" if goes_back => Rollout::Completed,
        "STOPPED" if deploys => Rollout::Failed,
        "ROLLBACK_FAILED" if deploys || goes_back => Rollout::Failed,
        status if (deploys || goes_back) && !is_over(status) => Rollout::InProgress,
        _ => Rollout::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_that_the_service_does_not_name_is_that_of_the_record() {
        let revision = |number: u64| -> TaskDefinitionArn {
            let arn = format!("arn:aws:ecs:eu-west-1:111111111111:task-definition/web:{number}");
            arn.parse().unwrap()
        };
        for (status, deploys, goes_back_to, wanted) in [
            ("IN_PROGRESS", 8, None, Rollout::InProgress),
            ("SUCCESSFUL", 8, None, Rollout::Completed),
            ("STOPPED", 8, None, Rollout::Failed),
            ("ROLLBACK_IN_PROGRESS", 9, Some(8), Rollout::InProgress),
            ("ROLLBACK_SUCCESSFUL", 9, Some(8), Rollout::Completed),
            ("ROLLBACK_FAILED", 9, Some(8), Rollout::Failed),
            // The record is of another deployment.
            ("SUCCESSFUL", 9, None, Rollout::Unknown),
            ("ROLLBACK_SUCCESSFUL", 8, Some(7), Rollout::Unknown),
        ] {
            let newest = NewestRecord {
                status: status.to_owned(),
                deploys: Some(revision(deploys)),
                goes_back_to: goes_back_to.map(revision),
            };
            let found = rollout_by(&newest, &revision(8));
            assert_eq!(found, wanted, "{status} {deploys} {goes_back_to:?}");
        }
    }
}
