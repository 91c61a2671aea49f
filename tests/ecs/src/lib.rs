//! A stand-in for Amazon ECS, Elastic Load Balancing v2 and the part of CloudWatch Logs that tasks write to. A task is a
//! real container, target health a real check, a load balancer a real forwarder. Written from the vendor's service
//! models and documented sequences; every request and answer is held against the model, and an answer that does not fit
//! is recorded and sent as an error, so that the stand-in cannot drift from what it stands for.

mod alarms;
mod api;
mod check;
mod container;
mod docker;
mod elb;
mod error;
mod ids;
mod logs;
mod model;
mod network;
mod protocol;
mod query;
mod run;
mod schedule;
mod service;
mod shapes;
mod shift;
mod state;
mod task;
mod upstream;
mod value;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::sync::watch;

pub use alarms::{AlarmQuery, Alarms};
pub use check::drop_null_members;
pub use docker::{Docker, DockerError, RegistryLogin};
pub use model::ModelError;
pub use shapes::{RefusedForm, Shapes};
pub use upstream::{Role, Upstream, UpstreamCall, UpstreamError};

use state::World;

/// The header in which the gateway may tell the caller's ARN, for `registeredBy` and `createdBy`.
pub const CALLER_HEADER: &str = "x-sandbox-caller";

/// The stand-in's settings on this host.
#[derive(Clone)]
pub struct Config {
    /// botocore's `data` folder, with `ecs`, `elbv2` and `logs` in it.
    pub models_dir: PathBuf,
    /// Docker Engine's Unix socket.
    pub docker_socket: PathBuf,
    /// Address of the sandbox. Load balancers listen on it; a task gets an address of its own in the same /24, as a task
    /// of an `awsvpc` service has one, with its container ports published there.
    pub ip: Ipv4Addr,
    /// The port of the first load balancer; each further one has the next that is free.
    pub first_lb_port: u16,
    /// The end of the `host:port` of every registry that stands in for ECR, such as `:4002`: each account has a registry of its own. Images
    /// from these registries are pulled with the execution role's ECR token.
    pub registry: String,
    /// Value of the label `slipway.sandbox` on every container; what carries it belongs to this sandbox alone.
    pub label: String,
    /// The way to SSM, Secrets Manager and ECR.
    pub upstream: Upstream,
    /// The way to CloudWatch's alarms.
    pub alarms: Alarms,
    /// Durations that AWS fixes.
    pub timings: Timings,
}

/// Durations that AWS fixes and that would only make a sandbox slow.
#[derive(Debug, Clone)]
pub struct Timings {
    /// Between two looks of the scheduler at its services.
    pub tick: Duration,
    /// Between two looks at a running container.
    pub look: Duration,
    /// How long a task without any health check runs before it counts as healthy (ECS: 40 s).
    pub settle: Duration,
    /// Wait after the first failed task; it doubles with each further one.
    pub backoff: Duration,
    /// The longest such wait (ECS: 15 minutes).
    pub backoff_limit: Duration,
    /// Between SIGTERM and SIGKILL where the container sets no stopTimeout (ECS: 30 s).
    pub stop_grace: Duration,
    /// A new target group's deregistration delay (ELB: 300 s); ModifyTargetGroupAttributes sets another.
    pub deregistration_delay: Duration,
    /// How long a stopped task can be described (ECS: at least 1 h).
    pub stopped_tasks_kept: Duration,
    /// How long a minute of a bake time, of a step or of a lifecycle hook takes here. Times that are answered, such as a
    /// hook's `expiresAt`, are the real ones.
    pub minute: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(250),
            look: Duration::from_millis(250),
            settle: Duration::from_millis(1500),
            backoff: Duration::from_millis(200),
            backoff_limit: Duration::from_secs(2),
            stop_grace: Duration::from_secs(2),
            deregistration_delay: Duration::from_secs(1),
            stopped_tasks_kept: Duration::from_secs(3600),
            minute: Duration::from_secs(2),
        }
    }
}

/// Why the stand-in could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A service model is missing or broken.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Docker Engine does not answer.
    #[error("Docker Engine does not answer at {socket}")]
    Docker {
        /// Its socket.
        socket: PathBuf,
        /// The cause.
        #[source]
        source: DockerError,
    },
    /// The HTTP client could not be built.
    #[error("cannot build the HTTP client of health checks")]
    Http(#[source] reqwest::Error),
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) services: protocol::Services,
    pub(crate) docker: Docker,
    pub(crate) http: reqwest::Client,
    world: Mutex<World>,
    violations: Mutex<Vec<String>>,
    closing: watch::Sender<bool>,
    /// Made for the first HTTPS listener.
    tls: OnceLock<Result<Arc<rustls::ServerConfig>, String>>,
}

impl Inner {
    /// The TLS of all HTTPS listeners, or why there is none.
    pub(crate) fn tls(&self) -> Result<Arc<rustls::ServerConfig>, String> {
        self.tls.get_or_init(elb::tls::configuration).clone()
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn violations(&self) -> MutexGuard<'_, Vec<String>> {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running stand-in. Dropping it without [`Ecs::shutdown`] leaves its containers to [`remove_containers`].
pub struct Ecs {
    inner: Arc<Inner>,
}

impl Ecs {
    /// Reads the models, removes containers that an earlier run with this label left, and starts the scheduler.
    ///
    /// # Errors
    /// When a model cannot be read or Docker Engine does not answer.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let services = protocol::Services::load(&config.models_dir)?;
        let unreachable = |source| StartError::Docker {
            socket: config.docker_socket.clone(),
            source,
        };
        let docker = Docker::new(&config.docker_socket).map_err(unreachable)?;
        docker.ping().await.map_err(unreachable)?;
        remove_containers(&config.docker_socket, &config.label)
            .await
            .map_err(unreachable)?;
        let http = http_client().build().map_err(StartError::Http)?;
        let inner = Arc::new(Inner {
            config,
            services,
            docker,
            http,
            world: Mutex::default(),
            violations: Mutex::default(),
            closing: watch::Sender::new(false),
            tls: OnceLock::new(),
        });
        tokio::spawn(schedule_for_ever(inner.clone()));
        Ok(Self { inner })
    }

    /// Returns true if a call is one that this stand-in answers. `service` is the name in the request's signature.
    #[must_use]
    pub fn serves(service: &str, headers: &HeaderMap) -> bool {
        match service {
            "ecs" | "elasticloadbalancing" => true,
            "logs" => {
                let operation = protocol::target(headers).and_then(|(_, operation)| operation);
                matches!(operation, Some("GetLogEvents" | "DescribeLogStreams"))
            }
            _ => false,
        }
    }

    /// Answers one call. The gateway has already decided whose it is and that it is allowed.
    pub async fn handle(
        &self,
        service: &str,
        account: &str,
        region: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response<Bytes> {
        protocol::handle(&self.inner, service, account, region, headers, body).await
    }

    /// Answers that did not fit the service model, each with its path. A test that ends with any of them has failed.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.inner.violations().clone()
    }

    /// The targets whose last health check got no answer, each with why. For a test that fails; ELB itself tells less.
    #[must_use]
    pub fn unanswered(&self) -> Vec<String> {
        let mut world = self.inner.world();
        let groups = world.regions().flat_map(|region| &region.groups);
        groups
            .flat_map(|group| &group.targets)
            .filter_map(|target| {
                let why = target.unanswered.as_ref()?;
                Some(format!("{}:{}: {why}", target.address, target.port))
            })
            .collect()
    }

    /// Stops the scheduler, the tasks and the load balancers, and removes every container.
    ///
    /// # Errors
    /// When Docker Engine does not answer or does not remove a container.
    pub async fn shutdown(&self) -> Result<(), DockerError> {
        self.inner.closing.send_replace(true);
        for region in self.inner.world().regions() {
            region.services.clear();
            region.listeners.clear();
            region.balancers.clear();
            region.groups.clear();
        }
        let config = &self.inner.config;
        remove_containers(&config.docker_socket, &config.label)
            .await
            .map(|_| ())
    }
}

/// Removes all containers that carry a sandbox's label, and their volumes, and says how many containers there were.
///
/// # Errors
/// When Docker Engine does not answer or does not remove a container.
pub async fn remove_containers(docker_socket: &Path, label: &str) -> Result<usize, DockerError> {
    let docker = Docker::new(docker_socket)?;
    let label = format!("{}={label}", container::LABEL);
    let mut removed = std::collections::BTreeSet::new();
    let (mut rounds, mut empty) = (0, 0);
    // Twice nothing in a row: a container whose creation was under way appears a moment after it was given up.
    while empty < 2 {
        let found = docker.labelled(&label).await?;
        empty = if found.is_empty() { empty + 1 } else { 0 };
        for id in found {
            docker.remove(&id).await?;
            removed.insert(id);
        }
        rounds += 1;
        if rounds > 100 {
            return Err(DockerError::new(format!(
                "containers with the label {label} do not go away"
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    docker.prune_volumes(&label).await?;
    Ok(removed.len())
}

/// A client for this machine: no proxy, no redirect, and TLS set up only because the client asks for it.
pub(crate) fn http_client() -> reqwest::ClientBuilder {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    match rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
    {
        Ok(config) => {
            let config = config
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            builder.tls_backend_preconfigured(config)
        }
        // The client's own build then reports what is missing.
        Err(_) => builder,
    }
}

async fn schedule_for_ever(inner: Arc<Inner>) {
    let mut closing = inner.closing.subscribe();
    loop {
        tokio::select! {
            () = tokio::time::sleep(inner.config.timings.tick) => {}
            _ = closing.wait_for(|closing| *closing) => return,
        }
        alarms::look(&inner).await;
        let mut started = Vec::new();
        {
            let mut world = inner.world();
            for region in world.regions() {
                elb::health::expire(&mut region.groups, ids::now());
                for id in schedule::tick(region, &inner.config.timings) {
                    started.push(run::Key {
                        account: region.account.clone(),
                        region: region.name.clone(),
                        id,
                    });
                }
            }
        }
        for key in started {
            tokio::spawn(run::run(inner.clone(), key));
        }
    }
}
