//! A stand-in for AWS Lambda and the HTTP APIs of API Gateway: functions of container images with their versions and aliases.
//! An invocation runs the image itself, in a container that asks for its events by Lambda's Runtime API. Written from the
//! vendor's service models and documentation; every request and answer is held against the model, and an answer that does not
//! fit is recorded and sent as an error.

mod api;
mod apis;
mod error;
mod image;
mod invoke;
mod protocol;
mod route;
mod runtime;
mod state;

use std::future::Future;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::Value;
use standin_ecs::{Docker, DockerError, ModelError, Shapes, Upstream};

pub use apis::{Authorize, Denied, Signed, route as api_route};
pub use route::route;

use state::World;

/// The stand-in's settings on this host.
#[derive(Clone)]
pub struct Config {
    /// botocore's `data` folder, with `lambda` and `apigatewayv2` in it.
    pub models_dir: PathBuf,
    /// Docker Engine's Unix socket.
    pub docker_socket: PathBuf,
    /// The address at which the Runtime API of each container is served.
    pub ip: Ipv4Addr,
    /// The end of the `host:port` of every registry that stands in for ECR, such as `:4002`.
    pub registry: String,
    /// Value of the label `slipway.sandbox` on every container.
    pub label: String,
    /// The way to ECR, in the name of the role that pulls.
    pub upstream: Upstream,
    /// The role of each account that stands for Lambda itself where it pulls an image.
    pub puller: &'static str,
    /// The credentials of a function's role.
    pub credentials: Credentials,
    /// The endpoint of AWS, as functions see it.
    pub endpoint: String,
    /// Checks requests to routes that authorize with IAM.
    pub authorize: Authorize,
    /// Durations that AWS fixes.
    pub timings: Timings,
}

type Opened = Pin<Box<dyn Future<Output = Result<Vec<(String, String)>, String>> + Send>>;

/// The variables of a session of a role, which its ARN names.
pub type Credentials = Arc<dyn Fn(String) -> Opened + Send + Sync>;

/// Durations of AWS that would only make a sandbox slow.
#[derive(Debug, Clone)]
pub struct Timings {
    /// How long an update of the code or the configuration is in progress, and a new version pending.
    pub update: Duration,
    /// How long provisioned concurrency takes to be allocated.
    pub provision: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            update: Duration::from_millis(700),
            provision: Duration::from_millis(1500),
        }
    }
}

/// Why the stand-in could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The service model is missing or broken.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The client of Docker Engine could not be built.
    #[error(transparent)]
    Docker(#[from] DockerError),
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) shapes: Shapes,
    pub(crate) api_shapes: Shapes,
    pub(crate) apis: apis::Apis,
    pub(crate) docker: Docker,
    pub(crate) running: runtime::Running,
    world: Mutex<World>,
    violations: Mutex<Vec<String>>,
}

impl Inner {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn violations(&self) -> MutexGuard<'_, Vec<String>> {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller's account and region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The 12-digit account.
    pub account: String,
    /// The region.
    pub region: String,
}

/// The running stand-in. Its containers carry the sandbox's label, by which [`standin_ecs::remove_containers`] finds them.
pub struct Lambda {
    inner: Arc<Inner>,
}

impl Lambda {
    /// Reads the model.
    ///
    /// # Errors
    /// The model cannot be read, or there is no client of Docker Engine.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let inner = Inner {
            shapes: Shapes::load(&config.models_dir, "lambda")?,
            api_shapes: Shapes::load(&config.models_dir, "apigatewayv2")?,
            apis: apis::Apis::default(),
            docker: Docker::new(&config.docker_socket)?,
            config,
            running: runtime::Running::default(),
            world: Mutex::default(),
            violations: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Answers one call, whose operation and input [`route`] read. The gateway has already decided that it is allowed.
    pub async fn handle(&self, scope: &Scope, operation: &str, input: Value) -> Response<Bytes> {
        protocol::handle(&self.inner, scope, operation, input).await
    }

    /// Answers one call of API Gateway's control API, whose operation and input [`api_route`] read.
    pub async fn handle_api(
        &self,
        scope: &Scope,
        operation: &str,
        input: Value,
    ) -> Response<Bytes> {
        apis::handle(&self.inner, scope, operation, input).await
    }

    /// Answers that did not fit the service model. A test that ends with any of them has failed.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.inner.violations().clone()
    }
}
