//! Drives one task from PROVISIONING to STOPPED: resolves what it needs, pulls, starts, watches, drains, stops.
//! Whatever goes wrong becomes the stop code and the reason that ECS shows.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use crate::Inner;
use crate::container::{self, Identity, Network};
use crate::docker::{DockerError, RegistryLogin};
use crate::ids;
use crate::task::{Status, Stop, Task};
use crate::upstream::Role;
use crate::value::{list, need, text};

/// Where a task is found in the state.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) id: String,
}

/// What driving the task needs, taken from the state once.
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
}

/// Runs the task to its end.
pub(crate) async fn run(inner: Arc<Inner>, key: Key) {
    let Some((plan, stop)) = prepare(&inner, &key) else { return };
    let mut runner = Runner { inner, key, plan, stop, created: BTreeMap::new() };
    let end = runner.live().await;
    runner.end(end).await;
}

fn prepare(inner: &Inner, key: &Key) -> Option<(Plan, watch::Receiver<Option<Stop>>)> {
    let mut world = inner.world();
    let address = world.take_address(inner.config.ip);
    let task = world.region(&key.account, &key.region).tasks.get_mut(&key.id)?;
    let Some(address) = address else {
        task.order(Stop::failed_to_start("ResourceInitializationError: no address is left in the sandbox's network".to_owned()));
        task.set_status(Status::Stopped);
        task.stopped_at = Some(ids::now());
        return None;
    };
    task.address = Some(address);
    let overrides = task.settings.get("overrides").cloned().unwrap_or(Value::Null);
    let definitions = list(&task.definition, "containerDefinitions");
    let plan = Plan {
        arn: task.arn.clone(),
        cluster: task.cluster.clone(),
        definition: task.definition.clone(),
        containers: definitions.iter().map(|one| container::overridden(one, &overrides)).collect(),
        overrides,
        address,
    };
    Some((plan, task.stop.subscribe()))
}

impl Runner {
    fn with<T>(&self, change: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let mut world = self.inner.world();
        let task = world.region(&self.key.account, &self.key.region).tasks.get_mut(&self.key.id)?;
        Some(change(task))
    }

    fn status(&self, status: Status) {
        self.with(|task| task.set_status(status));
    }

    fn event(&self, message: String) {
        let mut world = self.inner.world();
        let region = world.region(&self.key.account, &self.key.region);
        let service = region.tasks.get(&self.key.id).and_then(|task| task.service.clone());
        if let Some(service) = region.services.iter_mut().find(|one| Some(&one.arn) == service.as_ref()) {
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
                Err(error) => return Stop::failed_to_start(format!("Docker Engine does not answer: {error}")),
                Ok(Some(stop)) => return stop,
                Ok(None) => tokio::time::sleep(self.inner.config.timings.look).await,
            }
        }
    }

    async fn start(&mut self) -> Result<(), Stop> {
        let failed = |reason: String| Stop::failed_to_start(reason);
        let role = text(&self.plan.overrides, "executionRoleArn").or(text(&self.plan.definition, "executionRoleArn"));
        let role = role.map(str::to_owned);
        let secrets = self.secrets(role.as_deref()).await.map_err(failed)?;
        let registry = self.inner.config.registry.clone();
        let ours = |image: &str| image.starts_with(&format!("{registry}/"));
        let needs_login = self.plan.containers.iter().any(|one| ours(need(one, "image")));
        let login = match &role {
            Some(role) if needs_login => Some(self.role(role).registry_login(&registry).await.map_err(failed)?),
            _ => None,
        };
        self.with(|task| task.pull_started_at = Some(ids::now()));
        for index in 0..self.plan.containers.len() {
            let image = need(&self.plan.containers[index], "image").to_owned();
            let login = login.as_ref().filter(|_| ours(&image));
            self.pull(index, &image, login).await?;
        }
        self.with(|task| task.pull_stopped_at = Some(ids::now()));
        self.remember_digests();
        self.start_containers(&secrets).await
    }

    fn role<'a>(&'a self, role: &'a str) -> Role<'a> {
        Role { upstream: &self.inner.config.upstream, account: &self.key.account, region: &self.key.region, role }
    }

    /// Values of each container's secrets, by name.
    async fn secrets(&self, role: Option<&str>) -> Result<Vec<BTreeMap<String, String>>, String> {
        let mut all = Vec::new();
        for container in &self.plan.containers {
            if !list(container, "environmentFiles").is_empty() {
                return Err("ResourceInitializationError: failed to download env files: this stand-in has no environmentFiles".to_owned());
            }
            let mut values = BTreeMap::new();
            for secret in list(container, "secrets") {
                let role = role.ok_or("ResourceInitializationError: unable to pull secrets or registry auth: the task has no execution role")?;
                let value = self.role(role).secret(need(secret, "valueFrom")).await?;
                values.insert(need(secret, "name").to_owned(), value);
            }
            all.push(values);
        }
        Ok(all)
    }

    async fn pull(&self, index: usize, image: &str, login: Option<&RegistryLogin>) -> Result<(), Stop> {
        let outcome = match self.inner.docker.pull(image, login).await {
            Ok(()) => self.inner.docker.image(image).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(found) => {
                let digest = digest_of(image, &found);
                self.with(|task| task.containers[index].digest = digest);
                Ok(())
            }
            Err(error) => {
                let reason = pull_failure(image, &error);
                self.with(|task| task.containers[index].reason = Some(reason.clone()));
                Err(Stop::failed_to_start(reason))
            }
        }
    }

    /// A service revision shows the digests that its first task found.
    fn remember_digests(&self) {
        let mut world = self.inner.world();
        let region = world.region(&self.key.account, &self.key.region);
        let Some(task) = region.tasks.get(&self.key.id) else { return };
        let revisions = region.services.iter_mut().flat_map(|service| &mut service.revisions);
        for revision in revisions.filter(|revision| Some(&revision.arn) == task.revision.as_ref()) {
            for container in &task.containers {
                if let Some(digest) = &container.digest {
                    revision.digests.entry(container.name.clone()).or_insert_with(|| digest.clone());
                }
            }
        }
    }

    async fn start_containers(&mut self, secrets: &[BTreeMap<String, String>]) -> Result<(), Stop> {
        let order = container::start_order(&self.plan.containers).map_err(|name| {
            Stop::failed_to_start(format!("InvalidParameterException: container {name} depends on itself or on nothing that exists"))
        })?;
        let ports = container::ports(&self.plan.containers);
        let memory = text(&self.plan.definition, "memory").and_then(|mib| mib.parse().ok());
        // All containers of a task share a network; the first essential one holds it, and those before it (which have
        // to end before it starts) do without.
        let essential = |index: &usize| self.plan.containers[*index].get("essential").and_then(Value::as_bool).unwrap_or(true);
        let holder = order.iter().position(essential).unwrap_or(0);
        for (place, index) in order.iter().copied().enumerate() {
            let definition = self.plan.containers[index].clone();
            self.wait_for_dependencies(&definition).await?;
            let network = match self.created.get(&order[holder]) {
                Some(other) if place > holder => Network::Joined(other),
                _ if place == holder => Network::Own { address: self.plan.address, ports: &ports },
                _ => Network::Private,
            };
            let identity = Identity {
                label: &self.inner.config.label,
                task_id: &self.key.id,
                task_arn: &self.plan.arn,
                cluster: &self.plan.cluster,
                family: need(&self.plan.definition, "family"),
                revision: self.plan.definition["revision"].to_string(),
            };
            let body = container::body(&definition, &identity, &network, &secrets[index], memory);
            let name = format!("{}-{}-{}-{}", identity.label, identity.family, need(&definition, "name"), &self.key.id[..12]);
            let failed = |kind: &str, error: &DockerError| {
                let reason = format!("{kind}: Error response from daemon: {}", error.message);
                self.with(|task| task.containers[index].reason = Some(reason.clone()));
                Stop::failed_to_start(reason)
            };
            let id = match self.inner.docker.create(&name, &body).await {
                Ok(id) => id,
                Err(error) => return Err(failed("CannotCreateContainerError", &error)),
            };
            let started = self.inner.docker.start(&id).await;
            let started = started.map_err(|error| failed("CannotStartContainerError", &error));
            self.with(|task| {
                task.containers[index].runtime = Some(format!("{}-{}", self.key.id, &id[..id.len().min(10)]));
                task.containers[index].engine_id = Some(id.clone());
            });
            self.created.insert(index, id);
            started?;
            self.with(|task| task.containers[index].status = "RUNNING");
        }
        Ok(())
    }

    /// Waits for what `dependsOn` asks: START, HEALTHY, COMPLETE or SUCCESS of another container.
    async fn wait_for_dependencies(&self, definition: &Value) -> Result<(), Stop> {
        for dependency in list(definition, "dependsOn") {
            let (name, condition) = (need(dependency, "containerName"), need(dependency, "condition"));
            let index = self.plan.containers.iter().position(|one| need(one, "name") == name).unwrap_or(0);
            let mut met = condition == "START";
            while !met {
                self.look().await.map_err(|error| Stop::failed_to_start(error.to_string()))?;
                let seen = self.with(|task| {
                    let container = &task.containers[index];
                    (container.status, container.exit_code, container.health)
                });
                let Some((status, exit, health)) = seen else { return Ok(()) };
                met = match condition {
                    "HEALTHY" => health == "HEALTHY",
                    "SUCCESS" => exit == Some(0),
                    _ => status == "STOPPED",
                };
                let lost = status == "STOPPED" && !met;
                if lost || health == "UNHEALTHY" {
                    return Err(Stop::failed_to_start(format!(
                        "Container {name} did not reach the condition {condition} that container {} depends on",
                        need(definition, "name")
                    )));
                }
                if !met {
                    tokio::time::sleep(self.inner.config.timings.look).await;
                }
            }
        }
        Ok(())
    }

    /// Takes over what the engine says of each container; `Some` when an essential one has ended.
    async fn look(&self) -> Result<Option<Stop>, DockerError> {
        let mut stop = None;
        for (index, id) in &self.created {
            let seen = match self.inner.docker.inspect(id).await {
                Ok(seen) => seen,
                // Somebody removed the container: it ended, and nobody can say how.
                Err(DockerError { status: Some(404), .. }) => {
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
        let attachments = self.with(|task| task.attachments.clone()).unwrap_or_default();
        for attachment in attachments {
            crate::elb::health::register(&self.inner, &self.key.account, &self.key.region, &attachment.group, self.plan.address, attachment.port);
            self.event(format!("registered 1 targets in (target-group {})", attachment.group));
        }
    }

    async fn end(&mut self, stop: Stop) {
        let drain = stop.drain;
        self.with(|task| {
            task.order(stop);
            task.set_status(Status::Deactivating);
        });
        let attachments = self.with(|task| task.attachments.clone()).unwrap_or_default();
        let registered = self.with(|task| task.started_at.is_some()).unwrap_or(false);
        if registered && !attachments.is_empty() {
            self.leave_targets(&attachments, drain).await;
        }
        self.status(Status::Stopping);
        for (index, id) in self.created.iter().rev() {
            let grace = container::stop_grace(&self.plan.containers[*index], self.inner.config.timings.stop_grace.as_secs());
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
        self.with(|task| {
            for container in &mut task.containers {
                container.status = "STOPPED";
            }
            task.set_status(Status::Stopped);
            task.stopped_at = Some(ids::now());
        });
        self.inner.world().free_address(self.plan.address);
    }

    async fn leave_targets(&self, attachments: &[crate::task::Attachment], drain: bool) {
        for one in attachments {
            let (account, region) = (&self.key.account, &self.key.region);
            crate::elb::health::deregister(&self.inner, account, region, &one.group, self.plan.address, one.port);
            self.event(format!("deregistered 1 targets in (target-group {})", one.group));
        }
        if !drain {
            return;
        }
        self.event("has begun draining connections on 1 tasks.".to_owned());
        for one in attachments {
            let (account, region) = (&self.key.account, &self.key.region);
            crate::elb::health::drained(&self.inner, account, region, &one.group, self.plan.address, one.port).await;
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

/// Whether an essential container has ended.
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
            container.reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
        }
    }
    ended && container.essential
}

/// The digest that the engine recorded for this reference.
fn digest_of(image: &str, found: &Value) -> Option<String> {
    if let Some((_, digest)) = image.split_once('@') {
        return Some(digest.to_owned());
    }
    let last = image.rfind('/').map_or(0, |slash| slash + 1);
    let repository = image[last..].find(':').map_or(image, |colon| &image[..last + colon]);
    let recorded = list(found, "RepoDigests").iter().filter_map(Value::as_str);
    recorded.filter_map(|one| one.split_once('@')).find(|(name, _)| *name == repository).map(|(_, digest)| digest.to_owned())
}

/// Fargate's words for an image that is not there; the engine's own for everything else.
fn pull_failure(image: &str, error: &DockerError) -> String {
    let message = &error.message;
    let absent = ["manifest unknown", "not found", "name unknown"].iter().any(|words| message.contains(words));
    if absent {
        return format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: {image}: not found"
        );
    }
    format!("CannotPullContainerError: Error response from daemon: {message}")
}
