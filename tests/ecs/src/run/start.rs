//! Bringing a task's containers up: secrets, the registry's token, pulls, and starts in the order of `dependsOn`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Runner;
use crate::container::{self, Identity, Network};
use crate::docker::{DockerError, RegistryLogin};
use crate::ids;
use crate::network::Published;
use crate::task::Stop;
use crate::upstream::Role;
use crate::value::{list, need, text};

impl Runner {
    pub(super) async fn start(&mut self) -> Result<(), Stop> {
        let failed = |reason: String| Stop::failed_to_start(reason);
        let role = text(&self.plan.overrides, "executionRoleArn")
            .or(text(&self.plan.definition, "executionRoleArn"));
        let role = role.map(str::to_owned);
        let secrets = self.secrets(role.as_deref()).await.map_err(failed)?;
        let registry = self.inner.config.registry.clone();
        let ours = |image: &str| crate::value::in_registry(image, &registry);
        let needs_login = self
            .plan
            .containers
            .iter()
            .any(|one| ours(need(one, "image")));
        let login = match &role {
            Some(role) if needs_login => Some(
                self.role(role)
                    .registry_login(&registry)
                    .await
                    .map_err(failed)?,
            ),
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
        Role {
            upstream: &self.inner.config.upstream,
            account: &self.key.account,
            region: &self.key.region,
            role,
        }
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

    async fn pull(
        &self,
        index: usize,
        image: &str,
        login: Option<&RegistryLogin>,
    ) -> Result<(), Stop> {
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
        let Some(task) = region.tasks.get(&self.key.id) else {
            return;
        };
        let revisions = region
            .services
            .iter_mut()
            .flat_map(|service| &mut service.revisions);
        for revision in revisions.filter(|revision| Some(&revision.arn) == task.revision.as_ref()) {
            for container in &task.containers {
                if let Some(digest) = &container.digest {
                    revision
                        .digests
                        .entry(container.name.clone())
                        .or_insert_with(|| digest.clone());
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
        // All containers of a task share a network. The first that stays holds it; one that has to end before others
        // start does without.
        let mut holder: Option<String> = None;
        for index in order {
            let definition = self.plan.containers[index].clone();
            self.wait_for_dependencies(&definition).await?;
            let ends_first =
                container::ends_first(&self.plan.containers, need(&definition, "name"));
            let network = match &holder {
                _ if ends_first => Network::Own,
                Some(other) => Network::Joined(other),
                None => Network::Own,
            };
            let holds = matches!(network, Network::Own) && !ends_first;
            let identity = Identity {
                label: &self.inner.config.label,
                task_id: &self.key.id,
                task_arn: &self.plan.arn,
                cluster: &self.plan.cluster,
                family: need(&self.plan.definition, "family"),
                revision: self.plan.definition["revision"].to_string(),
            };
            let body = container::body(&definition, &identity, &network, &secrets[index], memory);
            let name = format!(
                "{}-{}-{}-{}",
                identity.label,
                identity.family,
                need(&definition, "name"),
                &self.key.id[..12]
            );
            let id = match self.inner.docker.create(&name, &body).await {
                Ok(id) => id,
                Err(error) => {
                    return Err(self.refused(index, "CannotCreateContainerError", &error));
                }
            };
            let started = self.inner.docker.start(&id).await;
            let started =
                started.map_err(|error| self.refused(index, "CannotStartContainerError", &error));
            self.with(|task| {
                task.containers[index].runtime =
                    Some(format!("{}-{}", self.key.id, &id[..id.len().min(10)]));
                task.containers[index].engine_id = Some(id.clone());
            });
            self.created.insert(index, id.clone());
            started?;
            if holds {
                let published = self.publish(&id, &ports).await;
                self.published = published
                    .map_err(|error| self.refused(index, "CannotStartContainerError", &error))?;
                holder = Some(id);
            }
            self.with(|task| task.containers[index].status = "RUNNING");
        }
        Ok(())
    }

    /// The task's end, where the engine refused to create or start one of its containers.
    fn refused(&self, index: usize, kind: &str, error: &DockerError) -> Stop {
        let reason = format!("{kind}: Error response from daemon: {}", error.message);
        self.with(|task| task.containers[index].reason = Some(reason.clone()));
        Stop::failed_to_start(reason)
    }

    /// Opens the task's ports on its address. A container that has ended already has none.
    async fn publish(&self, id: &str, ports: &[u16]) -> Result<Published, DockerError> {
        let seen = self.inner.docker.inspect(id).await?;
        let process = seen["State"]["Pid"].as_i64().unwrap_or(0);
        match Published::start(self.plan.address, ports, id, process).await {
            Ok(published) => Ok(published),
            // The process of a short command is gone before the engine has noticed its end.
            Err(_) if self.ends(id).await? => Ok(Published::default()),
            Err(error) => Err(DockerError::new(format!(
                "cannot open ports {ports:?} of {}: {error}",
                self.plan.address
            ))),
        }
    }

    /// Returns true if the engine reports within five seconds that this container is not running.
    async fn ends(&self, id: &str) -> Result<bool, DockerError> {
        for _ in 0..50 {
            let seen = self.inner.docker.inspect(id).await?;
            if seen["State"]["Running"] == false {
                return Ok(true);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        Ok(false)
    }

    /// Waits for what `dependsOn` asks: START, HEALTHY, COMPLETE or SUCCESS of another container.
    async fn wait_for_dependencies(&self, definition: &Value) -> Result<(), Stop> {
        for dependency in list(definition, "dependsOn") {
            let (name, condition) = (
                need(dependency, "containerName"),
                need(dependency, "condition"),
            );
            let index = self
                .plan
                .containers
                .iter()
                .position(|one| need(one, "name") == name)
                .unwrap_or(0);
            let mut met = condition == "START";
            while !met {
                self.look()
                    .await
                    .map_err(|error| Stop::failed_to_start(error.to_string()))?;
                let seen = self.with(|task| {
                    let container = &task.containers[index];
                    (container.status, container.exit_code, container.health)
                });
                let Some((status, exit, health)) = seen else {
                    return Ok(());
                };
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
}

/// The digest that the engine recorded for this reference.
fn digest_of(image: &str, found: &Value) -> Option<String> {
    if let Some((_, digest)) = image.split_once('@') {
        return Some(digest.to_owned());
    }
    let last = image.rfind('/').map_or(0, |slash| slash + 1);
    let repository = image[last..]
        .find(':')
        .map_or(image, |colon| &image[..last + colon]);
    let recorded = list(found, "RepoDigests").iter().filter_map(Value::as_str);
    recorded
        .filter_map(|one| one.split_once('@'))
        .find(|(name, _)| *name == repository)
        .map(|(_, digest)| digest.to_owned())
}

/// Fargate's words for an image that is not there; the engine's own for everything else.
fn pull_failure(image: &str, error: &DockerError) -> String {
    let message = &error.message;
    let absent = ["manifest unknown", "not found", "name unknown"]
        .iter()
        .any(|words| message.contains(words));
    if absent {
        return format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: {image}: not found"
        );
    }
    format!("CannotPullContainerError: Error response from daemon: {message}")
}
