//! The clients for one service, whose calls are made again for as long as AWS does not take them.

use crate::definition::Definition;
use crate::error::Error;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::types::TaskDefinitionField;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use kit::aws::Arn;
use kit::error::Failure;
use kit::host::Host;
use net::{Account, RetryPolicy};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

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
    pub(crate) cluster_arn: String,
    policy: Cell<RetryPolicy>,
    host: Host,
    /// EC2 instance IDs by container instance ARN; they never change.
    pub(crate) instances: RefCell<BTreeMap<Arn, String>>,
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
        let cluster_arn = match cluster.parse::<Arn>() {
            Ok(arn) => arn,
            Err(_) => {
                let resource = format!("cluster/{cluster}");
                let account = Some(&account.id);
                Arn::new(region.partition(), "ecs", Some(region), account, &resource)
            }
        };
        Self {
            cluster_arn: cluster_arn.into(),
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
        let began = Instant::now();
        let send = || async {
            let answer = send().await;
            answer.map_err(|error| Error::of(permission, doing, error))
        };
        // An ambiguous one as briefly as a call without an answer: it may well be a mistake.
        let failure = |error: &Error| match error.is_ambiguous() {
            true => Some(Failure::NoAnswer),
            false => Some(error.failure),
        };
        let again = |error: &Error| self.host.info(format!("{}; trying again", error.line()));
        let answer = self.policy.get().run(send, failure, again).await;
        answer.map_err(|error| match began.elapsed().as_secs() {
            tried if error.is_passing() && tried > 0 => {
                error.cause(format!("the call was retried for {tried} s"))
            }
            _ => error,
        })
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
