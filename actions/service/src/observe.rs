//! Looks at a service: its deployments, tasks, targets and ECS's record, by API calls.

use crate::convert::{service_of, task_of};
use crate::seen::{Breaker, Record, Seen, Service, Target, TargetGroup, Task};
use aws_sdk_ecs::types as ecs;
use kit::error::{Error, Result};
use net::{Account, AwsContext};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// A page of ListTasks holds 100 tasks, and a service runs 5,000 at most (ECS, "Service quotas").
const LIST_TASKS_PAGES: usize = 50;

/// The clients, and where the service is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) cluster: String,
    pub(crate) service: String,
    /// EC2 instance IDs by container instance ARN; they never change.
    instances: RefCell<BTreeMap<String, String>>,
}

impl World {
    pub(crate) fn new(account: &Account, cluster: String, service: String) -> Self {
        Self {
            ecs: aws_sdk_ecs::Client::new(&account.config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&account.config),
            cluster,
            service,
            instances: RefCell::default(),
        }
    }

    /// The service alone.
    ///
    /// # Errors
    /// No such cluster or service, or ECS does not answer.
    pub(crate) async fn service(&self) -> Result<Service> {
        let answer = self
            .ecs
            .describe_services()
            .cluster(&self.cluster)
            .services(&self.service)
            .send()
            .await
            .cannot(format!(
                "describe service {} in cluster {}",
                self.service, self.cluster
            ))?;
        match answer.services.unwrap_or_default().into_iter().next() {
            Some(service) => Ok(service_of(service)),
            None => {
                let reason = answer
                    .failures
                    .unwrap_or_default()
                    .into_iter()
                    .find_map(|failure| failure.reason)
                    .unwrap_or_else(|| "ECS names no reason".to_owned());
                Err(Error::failed(format!(
                    "there is no service {} in cluster {} ({reason})",
                    self.service, self.cluster
                ))
                .hint(format!(
                    "see which there are: aws ecs list-services --cluster {}",
                    self.cluster
                )))
            }
        }
    }

    /// The service with its tasks that have not stopped, and their targets.
    ///
    /// # Errors
    /// An API that does not answer.
    pub(crate) async fn look(&self) -> Result<Seen> {
        let service = self.service().await?;
        let mut tasks = self.tasks(ecs::DesiredStatus::Running).await?;
        let mut groups = Vec::new();
        let arns: BTreeSet<&String> = service
            .attachments
            .iter()
            .flat_map(|attachment| &attachment.groups)
            .collect();
        for arn in arns {
            groups.push(self.targets(arn).await?);
        }
        if groups
            .iter()
            .flat_map(|group| &group.targets)
            .any(|target| target.id.starts_with("i-"))
        {
            self.name_instances(&mut tasks).await?;
        }
        Ok(Seen {
            service,
            tasks,
            groups,
            record: None,
        })
    }

    /// The service's tasks that are to run, or that have stopped within about the last hour.
    ///
    /// # Errors
    /// ECS does not answer.
    pub(crate) async fn tasks(&self, status: ecs::DesiredStatus) -> Result<Vec<Task>> {
        let mut arns = Vec::new();
        let mut next = None;
        for page in 1..=LIST_TASKS_PAGES {
            let answer = self
                .ecs
                .list_tasks()
                .cluster(&self.cluster)
                .service_name(&self.service)
                .desired_status(status.clone())
                .set_next_token(next)
                .send()
                .await
                .cannot(format!("list the tasks of service {}", self.service))?;
            arns.extend(answer.task_arns.unwrap_or_default());
            next = answer.next_token;
            if next.is_none() {
                break;
            }
            if page == LIST_TASKS_PAGES {
                // A part of the tasks would prove nothing of the others.
                return Err(Error::failed(format!(
                    "ECS lists more than {} tasks of service {}",
                    arns.len(),
                    self.service
                )));
            }
        }
        let mut tasks = Vec::new();
        // DescribeTasks takes up to 100 tasks.
        for some in arns.chunks(100) {
            let answer = self
                .ecs
                .describe_tasks()
                .cluster(&self.cluster)
                .set_tasks(Some(some.to_vec()))
                .send()
                .await
                .cannot(format!("describe the tasks of service {}", self.service))?;
            tasks.extend(answer.tasks.unwrap_or_default().into_iter().map(task_of));
        }
        Ok(tasks)
    }

    async fn targets(&self, arn: &str) -> Result<TargetGroup> {
        let answer = self
            .elb
            .describe_target_health()
            .target_group_arn(arn)
            .send()
            .await
            .cannot(format!("describe the targets of {arn}"))?;
        let targets = answer.target_health_descriptions.unwrap_or_default();
        Ok(TargetGroup {
            arn: arn.to_owned(),
            targets: targets
                .into_iter()
                .map(|found| {
                    let health = found.target_health;
                    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                    Target {
                        id: text(found.target.as_ref().and_then(|target| target.id())),
                        port: found
                            .target
                            .and_then(|target| target.port)
                            .unwrap_or_default(),
                        state: text(
                            health
                                .as_ref()
                                .and_then(|health| Some(health.state()?.as_str())),
                        ),
                        reason: text(
                            health
                                .as_ref()
                                .and_then(|health| Some(health.reason()?.as_str())),
                        ),
                        description: text(health.as_ref().and_then(|health| health.description())),
                    }
                })
                .collect(),
        })
    }

    async fn name_instances(&self, tasks: &mut [Task]) -> Result<()> {
        let unknown: BTreeSet<String> = tasks
            .iter()
            .filter_map(|task| task.instance_arn.clone())
            .filter(|arn| !self.instances.borrow().contains_key(arn))
            .collect();
        let unknown: Vec<String> = unknown.into_iter().collect();
        for some in unknown.chunks(100) {
            let answer = self
                .ecs
                .describe_container_instances()
                .cluster(&self.cluster)
                .set_container_instances(Some(some.to_vec()))
                .send()
                .await
                .cannot("describe the instances the tasks run on")?;
            for instance in answer.container_instances.unwrap_or_default() {
                if let (Some(arn), Some(id)) =
                    (instance.container_instance_arn, instance.ec2_instance_id)
                {
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

    /// The address people reach the service at: the first load balancer's listener, HTTPS before
    /// HTTP, as a URL. `None` without a load balancer.
    ///
    /// # Errors
    /// An API that does not answer.
    pub(crate) async fn address(&self, service: &Service) -> Result<Option<String>> {
        let groups: Vec<String> = service
            .attachments
            .iter()
            .filter_map(|attachment| attachment.groups.first().cloned())
            .collect();
        if groups.is_empty() {
            return Ok(None);
        }
        let answer = self
            .elb
            .describe_target_groups()
            .set_target_group_arns(Some(groups))
            .send()
            .await
            .cannot("describe the service's target groups")?;
        let Some(arn) = answer
            .target_groups
            .unwrap_or_default()
            .into_iter()
            .flat_map(|group| group.load_balancer_arns.unwrap_or_default())
            .next()
        else {
            return Ok(None);
        };
        let answer = self
            .elb
            .describe_load_balancers()
            .load_balancer_arns(&arn)
            .send()
            .await
            .cannot(format!("describe load balancer {arn}"))?;
        let name = answer
            .load_balancers
            .unwrap_or_default()
            .into_iter()
            .find_map(|found| found.dns_name);
        let Some(name) = name else {
            return Ok(None);
        };
        let answer = self
            .elb
            .describe_listeners()
            .load_balancer_arn(&arn)
            .send()
            .await
            .cannot(format!("describe the listeners of {arn}"))?;
        let mut listeners: Vec<(String, i32)> = answer
            .listeners
            .unwrap_or_default()
            .into_iter()
            .filter_map(|listener| {
                Some((listener.protocol?.as_str().to_lowercase(), listener.port?))
            })
            .collect();
        listeners.sort_by_key(|(protocol, port)| (protocol != "https", protocol != "http", *port));
        Ok(Some(match listeners.first() {
            Some((protocol, port)) => match (protocol.as_str(), port) {
                ("https", 443) | ("http", 80) => format!("{protocol}://{name}"),
                ("https" | "http", port) => format!("{protocol}://{name}:{port}"),
                (_, port) => format!("{name}:{port}"),
            },
            None => name,
        }))
    }

    /// ECS's record of the deployment that runs `task_definition`, newest first. `known` is its
    /// ARN where an earlier look found it.
    ///
    /// # Errors
    /// The SDK's error code, or a word for it: an account, region or role may lack this API.
    pub(crate) async fn record(
        &self,
        task_definition: &str,
        known: &mut Option<String>,
    ) -> Result<Option<Record>, String> {
        if known.is_none() {
            *known = self.find_record(task_definition).await?;
        }
        match known {
            Some(arn) => self.record_at(arn).await,
            None => Ok(None),
        }
    }

    /// ECS's record of the newest deployment, whatever it runs. A rollback is told nowhere else: the
    /// deployment that failed is gone from the service.
    ///
    /// # Errors
    /// As for [`World::record`].
    pub(crate) async fn last_record(&self) -> Result<Option<Record>, String> {
        match self.newest().await? {
            Some((arn, _)) => self.record_at(&arn).await,
            None => Ok(None),
        }
    }

    async fn record_at(&self, arn: &str) -> Result<Option<Record>, String> {
        let answer = self
            .ecs
            .describe_service_deployments()
            .service_deployment_arns(arn)
            .send()
            .await
            .map_err(|error| name(&error))?;
        Ok(answer
            .service_deployments
            .unwrap_or_default()
            .into_iter()
            .next()
            .map(|found| Record {
                status: found
                    .status
                    .map(|status| status.as_str().to_owned())
                    .unwrap_or_default(),
                reason: found
                    .rollback
                    .and_then(|rollback| rollback.reason)
                    .or(found.status_reason)
                    .unwrap_or_default(),
                breaker: found.deployment_circuit_breaker.map(|breaker| Breaker {
                    status: breaker
                        .status
                        .map(|status| status.as_str().to_owned())
                        .unwrap_or_default(),
                    failures: breaker.failure_count,
                    threshold: breaker.threshold,
                }),
            }))
    }

    /// ARN and target revision of the newest deployment ECS has a record of.
    async fn newest(&self) -> Result<Option<(String, String)>, String> {
        let answer = self
            .ecs
            .list_service_deployments()
            .cluster(&self.cluster)
            .service(&self.service)
            .send()
            .await
            .map_err(|error| name(&error))?;
        let mut found: Vec<_> = answer
            .service_deployments
            .unwrap_or_default()
            .into_iter()
            .filter_map(|brief| {
                Some((
                    brief.created_at.map_or(0, |at| at.secs()),
                    brief.service_deployment_arn?,
                    brief.target_service_revision_arn?,
                ))
            })
            .collect();
        found.sort();
        Ok(found.pop().map(|(_, arn, revision)| (arn, revision)))
    }

    async fn find_record(&self, task_definition: &str) -> Result<Option<String>, String> {
        let Some((arn, revision)) = self.newest().await? else {
            return Ok(None);
        };
        let answer = self
            .ecs
            .describe_service_revisions()
            .service_revision_arns(revision)
            .send()
            .await
            .map_err(|error| name(&error))?;
        let ours = answer
            .service_revisions
            .unwrap_or_default()
            .iter()
            .any(|revision| revision.task_definition() == Some(task_definition));
        Ok(ours.then_some(arn))
    }
}

/// What went wrong, in one word where the service gave one.
fn name<E, R>(error: &aws_smithy_runtime_api::client::result::SdkError<E, R>) -> String
where
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata,
{
    net::code(error).unwrap_or("no answer").to_owned()
}
