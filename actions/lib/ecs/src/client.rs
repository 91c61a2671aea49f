//! Looks at a service: its deployments, tasks, targets and ECS's record of them, by API calls that are made again for
//! as long as AWS does not take them.

use crate::convert::{record_of, service_of, target_of, task_of};
use crate::definition::Definition;
use crate::error::Error;
use crate::retry::RetryPolicy;
use crate::seen::{Record, Seen, Service, TargetGroup, Task};
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::types::{DesiredStatus, TaskDefinitionField};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use kit::error::Failure;
use kit::host::Host;
use net::Account;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A page of ListTasks holds 100 tasks, and a service runs 5,000 at most (ECS, "Service quotas").
const LIST_TASKS_PAGES: usize = 50;
/// A call that is made again and again is logged this often.
const REMIND: Duration = Duration::from_secs(30);

/// Which tasks of a service are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tasks {
    /// Those that are to run.
    Current,
    /// Those that stopped within about the last hour.
    Stopped,
}

/// The clients, and where the service is. They do not retry by themselves: [`Client::call`] does.
#[derive(Debug)]
pub struct Client {
    /// ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// Elastic Load Balancing.
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    /// The cluster, by name or ARN.
    pub cluster: String,
    /// The service, by name or ARN.
    pub service: String,
    cluster_arn: String,
    policy: Cell<RetryPolicy>,
    host: Host,
    /// EC2 instance IDs by container instance ARN; they never change.
    instances: RefCell<BTreeMap<String, String>>,
}

impl Client {
    /// Clients for one service of an account.
    pub fn new(
        account: &Account,
        cluster: String,
        service: String,
        policy: RetryPolicy,
        host: &Host,
    ) -> Self {
        let ecs = aws_sdk_ecs::config::Builder::from(&account.config)
            .retry_config(RetryConfig::disabled())
            .build();
        let elb = aws_sdk_elasticloadbalancingv2::config::Builder::from(&account.config)
            .retry_config(RetryConfig::disabled())
            .build();
        let region = &account.region;
        let cluster_arn = match cluster.starts_with("arn:") {
            true => cluster.clone(),
            false => format!(
                "arn:{}:ecs:{region}:{}:cluster/{cluster}",
                region.partition(),
                account.id
            ),
        };
        Self {
            cluster_arn,
            ecs: aws_sdk_ecs::Client::from_conf(ecs),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(elb),
            cluster,
            service,
            policy: Cell::new(policy),
            host: host.clone(),
            instances: RefCell::default(),
        }
    }

    /// Calls from now on are made again by this policy.
    pub fn retry_by(&self, policy: RetryPolicy) {
        self.policy.set(policy);
    }

    /// Makes a call, again and again while AWS throttles it, fails by itself or does not answer.
    ///
    /// # Errors
    /// A refusal, or the last failure when the policy's time is over. `doing` says what could not be done.
    pub async fn call<T, E, F>(
        &self,
        permission: &'static str,
        doing: &str,
        send: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let policy = self.policy.get();
        let began = Instant::now();
        let mut logged: Option<Instant> = None;
        for wait in policy.backoff() {
            let error = match send().await {
                Ok(answer) => return Ok(answer),
                Err(error) => Error::of(permission, doing, error),
            };
            // As briefly as a call without an answer: it may well be a mistake.
            let failure = match error.is_ambiguous() {
                true => Failure::NoAnswer,
                false => error.failure,
            };
            if !policy.retries(failure, began, wait) {
                let tried = began.elapsed().as_secs();
                return Err(if error.is_passing() && tried > 0 {
                    error.cause(format!("the call was made again and again for {tried} s"))
                } else {
                    error
                });
            }
            if logged.is_none_or(|at| at.elapsed() >= REMIND) {
                self.host.info(format!("{}; trying again", error.line()));
                logged = Some(Instant::now());
            }
            sleep(wait).await;
        }
        Err(Error::answered(
            Failure::NoAnswer,
            permission,
            kit::Error::failed(format!("cannot {doing}")),
        ))
    }

    /// The service alone.
    ///
    /// # Errors
    /// No such cluster or service, or ECS does not answer.
    pub async fn service(&self) -> Result<Service, Error> {
        const ACTION: &str = "ecs:DescribeServices";
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
            return Ok(service_of(found));
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
        let service = self.service().await?;
        let mut tasks = self.tasks(Tasks::Current).await?;
        let mut groups = Vec::new();
        let arns: BTreeSet<&String> = service
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

    /// The service's tasks.
    ///
    /// # Errors
    /// ECS does not answer, or lists more tasks than a service can have.
    pub async fn tasks(&self, which: Tasks) -> Result<Vec<Task>, Error> {
        const LIST: &str = "ecs:ListTasks";
        let service = &self.service;
        let mut arns = Vec::new();
        let mut next = None;
        for page in 1..=LIST_TASKS_PAGES {
            let call = self
                .ecs
                .list_tasks()
                .cluster(&self.cluster)
                .service_name(service)
                .desired_status(match which {
                    Tasks::Current => DesiredStatus::Running,
                    Tasks::Stopped => DesiredStatus::Stopped,
                })
                .set_next_token(next);
            let doing = format!("list the tasks of service {service}");
            let answer = self.call(LIST, &doing, || call.clone().send()).await?;
            arns.extend(answer.task_arns.unwrap_or_default());
            next = answer.next_token;
            if next.is_none() {
                break;
            }
            if page == LIST_TASKS_PAGES {
                // A part of the tasks would prove nothing of the others.
                let error = format!(
                    "ECS lists more than {} tasks of service {service}",
                    arns.len()
                );
                return Err(Error::answered(
                    Failure::Rejected,
                    LIST,
                    kit::Error::failed(error),
                ));
            }
        }
        let mut tasks = Vec::new();
        // DescribeTasks takes up to 100 tasks.
        for some in arns.chunks(100) {
            let call = self
                .ecs
                .describe_tasks()
                .cluster(&self.cluster)
                .set_tasks(Some(some.to_vec()));
            let doing = format!("describe the tasks of service {service}");
            let answer = self
                .call("ecs:DescribeTasks", &doing, || call.clone().send())
                .await?;
            tasks.extend(answer.tasks.unwrap_or_default().into_iter().map(task_of));
        }
        Ok(tasks)
    }

    async fn targets(&self, arn: &str) -> Result<TargetGroup, Error> {
        let call = self.elb.describe_target_health().target_group_arn(arn);
        let answer = self
            .call(
                "elasticloadbalancing:DescribeTargetHealth",
                &format!("describe the targets of {arn}"),
                || call.clone().send(),
            )
            .await?;
        let targets = answer.target_health_descriptions.unwrap_or_default();
        Ok(TargetGroup {
            arn: arn.to_owned(),
            targets: targets.into_iter().map(target_of).collect(),
        })
    }

    async fn name_instances(&self, tasks: &mut [Task]) -> Result<(), Error> {
        let unknown: BTreeSet<String> = tasks
            .iter()
            .filter_map(|task| task.instance_arn.clone())
            .filter(|arn| !self.instances.borrow().contains_key(arn))
            .collect();
        let unknown: Vec<String> = unknown.into_iter().collect();
        for some in unknown.chunks(100) {
            let call = self
                .ecs
                .describe_container_instances()
                .cluster(&self.cluster)
                .set_container_instances(Some(some.to_vec()));
            let answer = self
                .call(
                    "ecs:DescribeContainerInstances",
                    "describe the instances the tasks run on",
                    || call.clone().send(),
                )
                .await?;
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

    /// A task definition by ARN, `family:revision` or family (its newest active revision), as ECS sent it.
    ///
    /// # Errors
    /// ECS does not answer with one.
    pub async fn definition(&self, name: &str) -> Result<Definition, Error> {
        const ACTION: &str = "ecs:DescribeTaskDefinition";
        let body = Body::default();
        let call = self
            .ecs
            .describe_task_definition()
            .task_definition(name)
            .include(TaskDefinitionField::Tags);
        self.call(ACTION, &format!("read task definition {name}"), || {
            call.clone().customize().interceptor(body.clone()).send()
        })
        .await?;
        Definition::parse(&body.take())
            .map_err(|error| Error::answered(Failure::NoAnswer, ACTION, error))
    }

    /// ECS's record of the deployment that runs `task_definition`. `known` is its ARN where an earlier look found it.
    ///
    /// # Errors
    /// An account, region or role may lack this API.
    pub async fn record(
        &self,
        task_definition: &str,
        known: &mut Option<String>,
    ) -> Result<Option<Record>, Error> {
        if known.is_none() {
            *known = self.find_record(task_definition).await?;
        }
        match known {
            Some(arn) => self.record_at(arn).await,
            None => Ok(None),
        }
    }

    /// ECS's record of the newest deployment, whatever it runs. A rollback shows nowhere else: the deployment that failed
    /// is gone from the service.
    ///
    /// # Errors
    /// As for [`Client::record`].
    pub async fn last_record(&self) -> Result<Option<Record>, Error> {
        match self.newest().await? {
            Some((arn, _)) => self.record_at(&arn).await,
            None => Ok(None),
        }
    }

    async fn record_at(&self, arn: &str) -> Result<Option<Record>, Error> {
        let call = self
            .ecs
            .describe_service_deployments()
            .service_deployment_arns(arn);
        let answer = self
            .call(
                "ecs:DescribeServiceDeployments",
                &format!("describe service deployment {arn}"),
                || call.clone().send(),
            )
            .await?;
        let found = answer.service_deployments.unwrap_or_default();
        Ok(found.into_iter().next().map(record_of))
    }

    /// ARN and target revision of the newest deployment ECS has a record of.
    async fn newest(&self) -> Result<Option<(String, String)>, Error> {
        let call = self
            .ecs
            .list_service_deployments()
            .cluster(&self.cluster)
            .service(&self.service);
        let answer = self
            .call(
                "ecs:ListServiceDeployments",
                &format!("list the deployments of service {}", self.service),
                || call.clone().send(),
            )
            .await?;
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

    async fn find_record(&self, task_definition: &str) -> Result<Option<String>, Error> {
        let Some((arn, revision)) = self.newest().await? else {
            return Ok(None);
        };
        let call = self
            .ecs
            .describe_service_revisions()
            .service_revision_arns(revision);
        let answer = self
            .call(
                "ecs:DescribeServiceRevisions",
                &format!("describe the revisions of service {}", self.service),
                || call.clone().send(),
            )
            .await?;
        let revisions = answer.service_revisions.unwrap_or_default();
        let ours = revisions
            .iter()
            .any(|revision| revision.task_definition() == Some(task_definition));
        Ok(ours.then_some(arn))
    }
}

/// Keeps the body of the last answer.
#[derive(Debug, Clone, Default)]
struct Body(Arc<Mutex<Vec<u8>>>);

impl Body {
    fn take(&self) -> Vec<u8> {
        self.0
            .lock()
            .map(|mut body| std::mem::take(&mut *body))
            .unwrap_or_default()
    }
}

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    // The body is in memory only once the SDK has read it to parse it.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(bytes), Ok(mut body)) = (context.response().body().bytes(), self.0.lock()) {
            *body = bytes.to_vec();
        }
        Ok(())
    }
}
