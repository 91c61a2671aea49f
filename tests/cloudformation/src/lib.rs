//! A stand-in for AWS CloudFormation. Stacks are made of the sandbox's own resources: each is created, changed and
//! deleted by calls to its service, with the permissions of the caller or of the role that the caller passes. Written
//! from AWS's service model, the registry's resource schemas and the documented sequences; every request and answer is
//! held against the model, and an answer that does not fit is recorded and sent as an error.

mod api;
mod change;
mod diff;
mod drift;
mod dynamic;
mod error;
mod faults;
mod handlers;
mod ids;
mod inputs;
mod protocol;
mod run;
mod schema;
mod services;
mod stack_policy;
mod state;
mod tags;
mod template;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;

pub use faults::{Fault, FaultError};
pub use schema::SchemaError;
pub use services::{Pending, ServiceAnswer, ServiceCall, Session};
pub use standin_ecs::ModelError;

use state::World;

/// Where the descriptions are, and the durations.
#[derive(Debug, Clone)]
pub struct Config {
    /// botocore's `data` folder, with `cloudformation` in it.
    pub models: PathBuf,
    /// cfn-lint's folder `data/schemas`.
    pub schemas: PathBuf,
    /// Durations that AWS fixes, and sizes of pages.
    pub timings: Timings,
}

/// Durations that would only make a sandbox slow, and sizes of pages.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// How long a change set is being made.
    pub change_set: Duration,
    /// How long a resource takes, beside the calls to its service.
    pub resource: Duration,
    /// Entries in a page of events, changes or resources (CloudFormation: 100).
    pub page: usize,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            change_set: Duration::from_millis(100),
            resource: Duration::from_millis(50),
            page: 100,
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
    /// A resource schema is missing or broken.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

pub(crate) struct Inner {
    pub(crate) shapes: standin_ecs::Shapes,
    pub(crate) schemas: schema::Schemas,
    pub(crate) timings: Timings,
    pub(crate) faults: faults::Faults,
    world: Mutex<World>,
    violations: Mutex<Vec<String>>,
}

impl Inner {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

/// A lock whose holder never leaves data half changed, so a panic elsewhere does not poison it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call that the gateway has authenticated and permitted.
pub struct Call<'a> {
    /// The caller's account.
    pub account: &'a str,
    /// The region of the credential scope.
    pub region: &'a str,
    /// The form of the query protocol.
    pub body: &'a str,
    /// The caller's way to other services.
    pub session: Arc<dyn Session>,
}

/// The running stand-in. Operations on stacks go on in tasks of the runtime.
pub struct CloudFormation {
    inner: Arc<Inner>,
}

impl CloudFormation {
    /// Reads the service model and the schemas.
    ///
    /// # Errors
    /// When one of them is not there or has another form.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let inner = Inner {
            shapes: standin_ecs::Shapes::load(&config.models, "cloudformation")?,
            schemas: schema::Schemas::load(&config.schemas, &handlers::KINDS)?,
            timings: config.timings,
            faults: faults::Faults::default(),
            world: Mutex::default(),
            violations: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Answers one call.
    pub async fn handle(&self, call: Call<'_>) -> Response<Bytes> {
        protocol::handle(&self.inner, call).await
    }

    /// The ARN of the stack that a call names by name, by ID or by the ID of a change set. A name that no stack has gives
    /// the ARN that policies see then: `stack/NAME/*`.
    #[must_use]
    pub fn stack_arn(&self, account: &str, region: &str, named: &str) -> String {
        let mut world = self.inner.world();
        let found = world.region(account, region);
        let of_set =
            |stack: &&state::Stack| stack.change_set(named).is_some_and(|it| it.id == named);
        if named.contains(":changeSet/") {
            let stack = found.stacks.iter().find(of_set);
            return stack.map_or_else(|| named.to_owned(), |stack| stack.id.clone());
        }
        match found.find(named) {
            Some(stack) => stack.id.clone(),
            None if named.starts_with("arn:") => named.to_owned(),
            None => format!("arn:aws:cloudformation:{region}:{account}:stack/{named}/*"),
        }
    }

    /// Injects a failure or a delay into an operation on a resource.
    ///
    /// # Errors
    /// When it names an operation that resources do not have.
    pub fn inject(&self, fault: Fault) -> Result<(), FaultError> {
        self.inner.faults.add(fault)
    }

    /// Answers that did not fit the service model. A test that ends with any of them has failed.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        lock(&self.inner.violations).clone()
    }
}
