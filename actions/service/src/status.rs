//! The version that a service runs, and its health.

use crate::address::address;
use crate::args::ServiceSelector;
use crate::locate::{Found, find};
use ecs::{
    Definition, Expected, Record, RetryPolicy, Rollout, Seen, Task, containers, endpoint, missing,
    state,
};
use kit::error::Result;
use kit::id::Digest;
use kit::markdown;
use kit::report::{markdown_table, text_table};
use kit::{Cx, Report};
use net::{Account, Net, Purpose};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a call that AWS throttles is made again.
const RETRY: Duration = Duration::from_secs(60);

const DEPLOYMENT_HEADS: [&str; 8] = [
    "revision", "role", "rollout", "desired", "running", "pending", "failed", "digest",
];
const TARGET_HEADS: [&str; 3] = ["target group", "target", "health"];

/// The service as observed, and its health.
struct Status {
    account: Account,
    cluster: String,
    seen: Seen,
    definition: Definition,
    containers: Vec<String>,
    record: Option<Record>,
    address: Option<String>,
    /// The conditions that are missing for it to be healthy.
    missing: Vec<String>,
}

/// Looks once and reports.
///
/// # Errors
/// Bad input, no such service, or AWS does not answer.
pub(crate) async fn status(args: ServiceSelector, cx: &Cx) -> Result<Report> {
    observe(args, cx).await.map(|status| status.report())
}

async fn observe(args: ServiceSelector, cx: &Cx) -> Result<Status> {
    let defaults = cx.defaults()?;
    let contract = defaults.contract();
    let policy = || RetryPolicy::within(RETRY);
    let net = Net::new(cx)?;
    let Found { account, client } = find(cx, &net, &defaults, &args, Purpose::Read, policy).await?;
    let seen = client.look().await?;
    let definition = client
        .definition(seen.service.task_definition.as_str())
        .await?;
    let usual = contract.map(|contract| contract.deploy.container.as_str());
    let named = args.containers();
    let containers = containers(&named, usual, None, &definition, &definition)?.containers;
    let address = address(&client, &seen.service).await?;
    let record = client.last_record().await.unwrap_or_else(|error| {
        cx.host.info(format!(
            "{error}, which needs {}; how the last deployment ended is left out",
            error.permission
        ));
        None
    });
    Ok(Status {
        missing: lacking(&seen, &definition, &containers, false),
        account,
        cluster: client.cluster.clone(),
        seen,
        definition,
        containers,
        record,
        address,
    })
}

/// The conditions that are missing for the service to be healthy with the version it runs now; with `allow_zero_tasks` a service that
/// wants no tasks lacks none of them.
pub(crate) fn lacking(
    seen: &Seen,
    definition: &Definition,
    containers: &[String],
    allow_zero_tasks: bool,
) -> Vec<String> {
    let Some(primary) = seen.service.primary() else {
        return vec!["a primary deployment".to_owned()];
    };
    // The digest of the definition; a definition by tag is judged by the digest its tasks report.
    let by_definition = containers.iter().find_map(|name| {
        let image = definition.image(name)?;
        Digest::parse(image.split_once('@')?.1).ok()
    });
    let by_tasks = || {
        let tasks = seen.tasks.iter();
        let mut digests = tasks.filter_map(|task| task.digest(containers.first()?));
        digests.find_map(|digest| Digest::parse(digest).ok())
    };
    let found = by_definition.or_else(by_tasks);
    if found.is_none() && allow_zero_tasks && seen.service.desired == 0 {
        return Vec::new();
    }
    let Some(digest) = found else {
        return vec!["ECS to name the digest of a running task".to_owned()];
    };
    let expected = Expected {
        deployment: primary.id.clone(),
        task_definition: primary.task_definition.clone(),
        digest,
        containers: containers.to_vec(),
        health_checked: definition.health_checked(),
        allow_zero_tasks,
        wanted: None,
    };
    missing(&expected, seen)
}

impl Status {
    fn report(self) -> Report {
        let service = &self.seen.service;
        let (deployments, targets) = (self.deployments(), self.targets());
        let ended = self.record.as_ref().and_then(ended);
        let health = self.health();
        let mut text = format!(
            "service {} in cluster {} is {}, desired {}, running {}: {health}\n\n{}",
            service.name,
            self.cluster,
            service.status,
            service.desired,
            service.running,
            text_table(&DEPLOYMENT_HEADS, &deployments)
        );
        let mut summary = format!(
            "### Service {}\n\n{}\n\n{}",
            service.name,
            markdown::code(&health),
            markdown_table(&DEPLOYMENT_HEADS, &deployments)
        );
        if let Some(ended) = &ended {
            text.push_str(&format!("\n{ended}\n"));
            summary.push_str(&format!("\n{}\n", markdown::code(ended)));
        }
        if !targets.is_empty() {
            text.push_str(&format!("\n{}", text_table(&TARGET_HEADS, &targets)));
            summary.push_str(&format!("\n{}", markdown_table(&TARGET_HEADS, &targets)));
        }
        if let Some(address) = &self.address {
            text.push_str(&format!("\naddress {address}\n"));
            summary.push_str(&format!("\nAddress: {address}\n"));
        }
        let mut report = Report {
            summary,
            text,
            json: self.json(),
            ..Report::default()
        }
        .output("task-definition-arn", &service.task_definition)
        .output("service-arn", &service.arn);
        if let Some(primary) = service.primary() {
            report = report.output("deployment-id", &primary.id);
        }
        if let Some(address) = &self.address {
            report = report.output("address", address);
        }
        report
    }

    fn health(&self) -> String {
        match self.missing.as_slice() {
            [] => "healthy".to_owned(),
            missing => format!(
                "not healthy: {}",
                crate::progress::first_few(missing, 5).join("; ")
            ),
        }
    }

    fn deployments(&self) -> Vec<Vec<String>> {
        let rows = self.seen.service.deployments.iter().map(|deployment| {
            let role = if deployment.primary {
                "primary"
            } else {
                "active"
            };
            let digests: Vec<String> = self
                .containers
                .iter()
                .map(|name| {
                    let found = digests(&self.seen.tasks, &deployment.id, name);
                    match self.containers.len() {
                        1 => found,
                        _ => format!("{name}: {found}"),
                    }
                })
                .collect();
            vec![
                deployment.task_definition.name().to_owned(),
                role.to_owned(),
                word(deployment.rollout).to_owned(),
                deployment.desired.to_string(),
                deployment.running.to_string(),
                deployment.pending.to_string(),
                deployment.failed.to_string(),
                digests.join("; "),
            ]
        });
        rows.collect()
    }

    fn targets(&self) -> Vec<Vec<String>> {
        let groups = self.seen.groups.iter();
        groups
            .flat_map(|group| group.targets.iter().map(|target| (group.name(), target)))
            .map(|(group, target)| vec![group.to_owned(), endpoint(target), state(target)])
            .collect()
    }

    fn json(&self) -> serde_json::Value {
        let service = &self.seen.service;
        let digests = |task: &Task| -> BTreeMap<String, Option<String>> {
            let names = self.containers.iter();
            names
                .map(|name| (name.clone(), task.digest(name).map(str::to_owned)))
                .collect()
        };
        serde_json::json!({
            "service": service.name,
            "service_arn": service.arn,
            "cluster": self.cluster,
            "account": self.account.id,
            "region": self.account.region,
            "status": service.status,
            "healthy": self.missing.is_empty(),
            "missing": self.missing,
            "task_definition": service.task_definition,
            "containers": self.containers.iter().map(|name| serde_json::json!({
                "name": name, "image": self.definition.image(name),
            })).collect::<Vec<_>>(),
            "desired": service.desired,
            "running": service.running,
            "deployments": service.deployments.iter().map(|deployment| serde_json::json!({
                "id": deployment.id,
                "primary": deployment.primary,
                "task_definition": deployment.task_definition,
                "rollout": word(deployment.rollout),
                "reason": deployment.reason,
                "desired": deployment.desired,
                "running": deployment.running,
                "pending": deployment.pending,
                "failed": deployment.failed,
            })).collect::<Vec<_>>(),
            "tasks": self.seen.tasks.iter().map(|task| serde_json::json!({
                "id": task.id,
                "deployment": task.started_by,
                "task_definition": task.task_definition,
                "status": task.status,
                "digests": digests(task),
            })).collect::<Vec<_>>(),
            "targets": self.seen.groups.iter().flat_map(|group| group.targets.iter().map(|target| serde_json::json!({
                "target_group": group.arn,
                "target": endpoint(target),
                "state": target.state,
                "reason": target.reason,
                "description": target.description,
            }))).collect::<Vec<_>>(),
            "last_deployment": self.record.as_ref().map(|record| serde_json::json!({
                "status": record.status,
                "reason": record.reason,
                "stage": record.stage,
                "production_traffic": record.weights.map(|weights| weights.production),
                "waiting_hook": record.pause().map(|hook| &hook.id),
            })),
            "address": self.address,
        })
    }
}

/// How the last deployment ended, where it did not succeed, and where one stands that shifts traffic.
fn ended(record: &Record) -> Option<String> {
    if record.weights.is_some() && !ecs::is_over(&record.status) {
        let mut parts = vec![record.status.to_lowercase().replace('_', " ")];
        parts.extend(crate::progress::shift(record));
        if let Some(hook) = record.pause() {
            parts.push(format!("waits for an answer to hook {}", hook.id));
        }
        return Some(format!("deployment: {}", parts.join(" · ")));
    }
    let word = record.status.to_lowercase().replace('_', " ");
    let badly = record.status.starts_with("ROLLBACK") || record.status.starts_with("STOP");
    badly.then(|| match record.reason.as_str() {
        "" => format!("last deployment: {word}"),
        reason => format!("last deployment: {word}: {reason}"),
    })
}

fn word(rollout: Rollout) -> &'static str {
    match rollout {
        Rollout::InProgress => "in progress",
        Rollout::Completed => "completed",
        Rollout::Failed => "failed",
        Rollout::Unknown => "unknown",
    }
}

/// The digests that running tasks of a deployment report for a container, with how many tasks where they differ.
fn digests(tasks: &[Task], deployment: &str, container: &str) -> String {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for task in tasks
        .iter()
        .filter(|task| task.started_by == deployment && task.status == "RUNNING")
    {
        *found
            .entry(task.digest(container).unwrap_or("unknown"))
            .or_default() += 1;
    }
    match found.len() {
        0 => "-".to_owned(),
        1 => found.keys().copied().collect(),
        _ => found
            .iter()
            .map(|(digest, tasks)| format!("{digest} ({tasks})"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use ecs::{Container, Deployment, Service};

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn running(digests: [&str; 2]) -> (Seen, Definition) {
        let seen = Seen {
            service: Service {
                desired: 1,
                running: 1,
                deployments: vec![Deployment {
                    id: "ecs-svc/1".to_owned(),
                    primary: true,
                    rollout: Rollout::Completed,
                    ..samples::deployment()
                }],
                ..samples::service()
            },
            tasks: vec![Task {
                id: "t1".to_owned(),
                started_by: "ecs-svc/1".to_owned(),
                status: "RUNNING".to_owned(),
                containers: ["web", "worker"]
                    .iter()
                    .zip(digests)
                    .map(|(name, digest)| Container {
                        name: (*name).to_owned(),
                        digest: Some(digest.to_owned()),
                        ..Container::default()
                    })
                    .collect(),
                ..samples::task()
            }],
            ..samples::seen()
        };
        let body = serde_json::json!({"taskDefinition": {"taskDefinitionArn": samples::REVISION, "containerDefinitions": [
            {"name": "web", "image": format!("a.example/web@{DIGEST}")},
            {"name": "worker", "image": "a.example/web:latest"},
        ]}});
        let definition = Definition::parse(body.to_string().as_bytes()).unwrap();
        (seen, definition)
    }

    #[test]
    fn it_is_healthy_by_the_definition_that_a_deploy_uses() {
        let containers = ["web".to_owned(), "worker".to_owned()];
        let other = format!("sha256:{}", "1".repeat(64));
        for (digests, missing) in [
            ([DIGEST, DIGEST], 0),
            ([DIGEST, other.as_str()], 1),
            ([other.as_str(), other.as_str()], 2),
        ] {
            let (seen, definition) = running(digests);
            let found = lacking(&seen, &definition, &containers, false);
            assert_eq!(found.len(), missing, "{found:?}");
        }
        let (mut seen, definition) = running([DIGEST, DIGEST]);
        seen.service.deployments[0].rollout = Rollout::InProgress;
        let found = lacking(&seen, &definition, &containers, false);
        assert_eq!(found, ["ECS has not completed the deployment"]);
        seen.service.deployments.clear();
        assert!(!lacking(&seen, &definition, &containers, false).is_empty());
    }

    #[test]
    fn an_image_without_a_digest_is_judged_by_what_its_tasks_agree_on() {
        let (seen, definition) = running([DIGEST, DIGEST]);
        let worker = ["worker".to_owned()];
        assert_eq!(lacking(&seen, &definition, &worker, false), [""; 0]);
        let (seen, definition) = running([DIGEST, "odd"]);
        assert!(!lacking(&seen, &definition, &worker, false).is_empty());
    }

    #[test]
    fn a_rollback_says_why_and_a_success_nothing() {
        let record = |status: &str, reason: &str| Record {
            status: status.to_owned(),
            reason: reason.to_owned(),
            ..Record::default()
        };
        for (status, reason, line) in [
            ("SUCCESSFUL", "", None),
            ("IN_PROGRESS", "", None),
            (
                "ROLLBACK_SUCCESSFUL",
                "Service deployment rolled back because the circuit breaker threshold was exceeded.",
                Some(
                    "last deployment: rollback successful: Service deployment rolled back because the circuit breaker threshold was exceeded.",
                ),
            ),
            ("STOPPED", "", Some("last deployment: stopped")),
        ] {
            assert_eq!(ended(&record(status, reason)).as_deref(), line);
        }
    }
}
