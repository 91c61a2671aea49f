//! Drives one task from PROVISIONING to STOPPED: resolves what it needs, pulls, starts, watches, drains, stops.
//! Whatever goes wrong becomes the stop code and the reason that ECS shows.

mod start;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use crate::Inner;
use crate::container;
use crate::docker::DockerError;
use crate::ids;
use crate::network::Published;
use crate::task::{Status, Stop, Task};
use crate::value::{list, text};

/// Where a task is found in the state.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) id: String,
}

/// The data that driving the task needs, taken from the state once.
struct Plan {
    arn: String,
    cluster: String,
    definition: Arc<Value>,
    containers: Vec<Value>,
    overrides: Value,
    address: Ipv4Addr,
}

struct Runner {
    inner: Arc<Inner>,
    key: Key,
    plan: Plan,
    stop: watch::Receiver<Option<Stop>>,
    /// The engine's ID of each container that was created, by its place in the definition.
    created: BTreeMap<usize, String>,
    published: Published,
}

/// Runs the task to its end.
pub(crate) async fn run(inner: Arc<Inner>, key: Key) {
    let Some((plan, stop)) = prepare(&inner, &key) else {
        return;
    };
    let mut runner = Runner {
        inner,
        key,
        plan,
        stop,
        created: BTreeMap::new(),
        published: Published::default(),
    };
    let mut closing = runner.inner.closing.subscribe();
    // Closing the stand-in removes the containers.
    tokio::select! {
        () = async { let end = runner.live().await; runner.end(end).await } => {}
        _ = closing.wait_for(|closing| *closing) => {}
    }
}

fn prepare(inner: &Inner, key: &Key) -> Option<(Plan, watch::Receiver<Option<Stop>>)> {
    let mut world = inner.world();
    let address = world.take_address(inner.config.ip);
    let task = world
        .region(&key.account, &key.region)
        .tasks
        .get_mut(&key.id)?;
    let Some(address) = address else {
        task.order(Stop::failed_to_start(
            "ResourceInitializationError: no address is left in the sandbox's network".to_owned(),
        ));
        task.set_status(Status::Stopped);
        task.stopped_at = Some(ids::now());
        return None;
    };
    task.address = Some(address);
    let overrides = task
        .settings
        .get("overrides")
        .cloned()
        .unwrap_or(Value::Null);
    let definitions = list(&task.definition, "containerDefinitions");
    let plan = Plan {
        arn: task.arn.clone(),
        cluster: task.cluster.clone(),
        definition: task.definition.clone(),
        containers: definitions
            .iter()
            .map(|one| container::overridden(one, &overrides))
            .collect(),
        overrides,
        address,
    };
    Some((plan, task.stop.subscribe()))
}

impl Runner {
    fn with<T>(&self, change: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let mut world = self.inner.world();
        let task = world
            .region(&self.key.account, &self.key.region)
            .tasks
            .get_mut(&self.key.id)?;
        Some(change(task))
    }

    fn status(&self, status: Status) {
        self.with(|task| task.set_status(status));
    }

    fn event(&self, message: String) {
        let mut world = self.inner.world();
        let region = world.region(&self.key.account, &self.key.region);
        let service = region
            .tasks
            .get(&self.key.id)
            .and_then(|task| task.service.clone());
        if let Some(service) = region
            .services
            .iter_mut()
            .find(|one| Some(&one.arn) == service.as_ref())
        {
            service.event(message);
        }
    }

    /// Everything up to the moment the task is to stop, and why.
    async fn live(&mut self) -> Stop {
        let mut stop = self.stop.clone();
        let ordered = async move {
            match stop.wait_for(Option::is_some).await {
                Ok(order) => order.clone(),
                Err(_) => None,
            }
        };
        tokio::select! {
            order = ordered => order.unwrap_or_else(|| Stop::failed_to_start("the sandbox was shut down".to_owned())),
            end = self.start_and_watch() => end,
        }
    }

    async fn start_and_watch(&mut self) -> Stop {
        self.status(Status::Pending);
        if let Err(stop) = self.start().await {
            return stop;
        }
        self.status(Status::Activating);
        self.register_targets();
        self.with(|task| {
            task.set_status(Status::Running);
            task.started_at = Some(ids::now());
        });
        loop {
            match self.look().await {
                Err(error) => {
                    return Stop::failed_to_start(format!(
                        "Docker Engine does not answer: {error}"
                    ));
                }
                Ok(Some(stop)) => return stop,
                Ok(None) => tokio::time::sleep(self.inner.config.timings.look).await,
            }
        }
    }

    /// Takes over what the engine says of each container; `Some` when an essential one has ended.
    async fn look(&self) -> Result<Option<Stop>, DockerError> {
        let mut stop = None;
        for (index, id) in &self.created {
            let seen = match self.inner.docker.inspect(id).await {
                Ok(seen) => seen,
                // Somebody removed the container: it ended, and how is unknown.
                Err(DockerError {
                    status: Some(404), ..
                }) => {
                    self.with(|task| task.containers[*index].status = "STOPPED");
                    stop = Some(exited());
                    continue;
                }
                Err(error) => return Err(error),
            };
            let ended = self.with(|task| take_over(&mut task.containers[*index], &seen["State"]));
            if ended == Some(true) {
                stop = Some(exited());
            }
        }
        Ok(stop)
    }

    fn register_targets(&self) {
        let attachments = self
            .with(|task| task.attachments.clone())
            .unwrap_or_default();
        for attachment in attachments {
            crate::elb::health::register(
                &self.inner,
                &self.key.account,
                &self.key.region,
                &attachment.group,
                self.plan.address,
                attachment.port,
            );
            self.event(format!(
                "registered 1 targets in (target-group {})",
                attachment.group
            ));
        }
    }

    async fn end(&mut self, stop: Stop) {
        let drain = stop.drain;
        self.with(|task| {
            task.order(stop);
            task.set_status(Status::Deactivating);
        });
        let attachments = self
            .with(|task| task.attachments.clone())
            .unwrap_or_default();
        let registered = self.with(|task| task.started_at.is_some()).unwrap_or(false);
        if registered && !attachments.is_empty() {
            self.leave_targets(&attachments, drain).await;
        }
        self.status(Status::Stopping);
        for (index, id) in self.created.iter().rev() {
            let grace = container::stop_grace(
                &self.plan.containers[*index],
                self.inner.config.timings.stop_grace.as_secs(),
            );
            // A container that does not stop is removed by force below.
            let _ = self.inner.docker.stop(id, grace).await;
        }
        let _ = self.look().await;
        self.status(Status::Deprovisioning);
        for (index, id) in &self.created {
            let logs = self.inner.docker.logs(id).await.unwrap_or_default();
            self.with(|task| task.containers[*index].logs = Some(logs));
            let _ = self.inner.docker.remove(id).await;
        }
        // An order that came while a container was being created leaves one that is not in the list above.
        let label = format!("{}={}", container::TASK_LABEL, self.plan.arn);
        for id in self.inner.docker.labelled(&label).await.unwrap_or_default() {
            let _ = self.inner.docker.remove(&id).await;
        }
        let _ = self.inner.docker.prune_volumes(&label).await;
        self.with(|task| {
            for container in &mut task.containers {
                container.status = "STOPPED";
            }
            task.set_status(Status::Stopped);
            task.stopped_at = Some(ids::now());
        });
        self.published.close().await;
        self.inner.world().free_address(self.plan.address);
    }

    async fn leave_targets(&self, attachments: &[crate::task::Attachment], drain: bool) {
        for attachment in attachments {
            let (account, region) = (&self.key.account, &self.key.region);
            crate::elb::health::deregister(
                &self.inner,
                account,
                region,
                &attachment.group,
                self.plan.address,
                attachment.port,
            );
            self.event(format!(
                "deregistered 1 targets in (target-group {})",
                attachment.group
            ));
        }
        if !drain {
            return;
        }
        self.event("has begun draining connections on 1 tasks.".to_owned());
        for attachment in attachments {
            let (account, region) = (&self.key.account, &self.key.region);
            crate::elb::health::drained(
                &self.inner,
                account,
                region,
                &attachment.group,
                self.plan.address,
                attachment.port,
            )
            .await;
        }
    }
}

fn exited() -> Stop {
    Stop {
        code: "EssentialContainerExited",
        reason: "Essential container in task exited".to_owned(),
        failure: true,
        drain: false,
    }
}

/// Takes the state of the container over. Returns true if an essential container has ended.
fn take_over(container: &mut crate::task::Container, state: &Value) -> bool {
    container.health = match text(&state["Health"], "Status") {
        Some("healthy") => "HEALTHY",
        Some("unhealthy") => "UNHEALTHY",
        _ => "UNKNOWN",
    };
    let ended = matches!(text(state, "Status"), Some("exited" | "dead"));
    if ended {
        container.status = "STOPPED";
        container.exit_code = state["ExitCode"].as_i64();
        if state["OOMKilled"] == true {
            container.reason =
                Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
        }
    }
    ended && container.essential
}
