//! A stand-in for AWS Lambda: functions of container images with their versions and aliases. An invocation runs the image
//! itself, in a container that asks for its events by Lambda's Runtime API. Written from the vendor's service model and
//! documentation; every request and answer is held against the model, and an answer that does not fit is recorded and sent
//! as an error.

mod api;
mod error;
mod image;
mod invoke;
mod protocol;
mod route;
mod runtime;
mod state;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::Value;
use standin_ecs::{Docker, DockerError, ModelError, Shapes, Upstream};

pub use route::route;

use state::World;

/// The stand-in's settings on this host.
#[derive(Clone)]
pub struct Config {
    /// botocore's `data` folder, with `lambda` in it.
    pub models_dir: PathBuf,
    /// Docker Engine's Unix socket.
    pub docker_socket: PathBuf,
    /// The address at which the Runtime API of each container is served.
    pub ip: Ipv4Addr,
    /// The end of the `host:port` of every registry that stands in for ECR, such as `:4002`.
    pub registry: String,
    /// Value of the label `slipway.sandbox` on every container.
    pub label: String,
    /// The way to ECR, in the name of the function's role.
    pub upstream: Upstream,
    /// Durations that AWS fixes.
    pub timings: Timings,
}

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

    /// Answers that did not fit the service model. A test that ends with any of them has failed.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.inner.violations().clone()
    }
}
