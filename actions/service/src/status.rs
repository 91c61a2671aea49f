//! What a service runs, and how healthy it is.

use crate::args::Place;
use crate::ecs;
use crate::observe::World;
use crate::proof::{place, state};
use crate::seen::{Record, Rollout, Task, revision};
use kit::error::Result;
use kit::report::{markdown_table, text_table};
use kit::{Cx, Report};
use net::{Net, Purpose, Target};
use std::collections::BTreeMap;

/// Looks once and tells.
///
/// # Errors
/// Bad input, no such service, or AWS does not answer.
pub(crate) async fn status(args: Place, cx: &Cx) -> Result<Report> {
    let resolved = cx.resolved()?;
    let contract = resolved.as_ref();
    let cluster = kit::step::required(
        "cluster",
        args.cluster,
        contract.map(|contract| contract.deploy.cluster.clone()),
    )?;
    let service = kit::step::required(
        "service",
        args.service,
        contract.map(|contract| contract.deploy.service.clone()),
    )?;
    let target = Target::chosen(contract, Purpose::Read, None, None);
    let account = Net::new(cx)?.account(&target).await?;
    let world = World::new(&account, cluster, service);
    let seen = world.look().await?;
    let definition = ecs::definition(&world.ecs, &seen.service.task_definition).await?;
    let container = crate::plan::container(
        args.container
            .or(contract.map(|contract| contract.deploy.container.clone())),
        &definition,
    )?;
    let address = world.address(&seen.service).await?;
    let record = world.last_record().await.unwrap_or_else(|code| {
        cx.host.info(format!(
            "ECS's service deployments cannot be read ({code}); how the last one ended is left out"
        ));
        None
    });
    let ended = record.as_ref().and_then(ended);

    let deployments: Vec<Vec<String>> = seen
        .service
        .deployments
        .iter()
        .map(|deployment| {
            vec![
                revision(&deployment.task_definition).to_owned(),
                if deployment.primary {
                    "primary"
                } else {
                    "active"
                }
                .to_owned(),
                word(deployment.rollout).to_owned(),
                deployment.desired.to_string(),
                deployment.running.to_string(),
                deployment.pending.to_string(),
                deployment.failed.to_string(),
                digests(&seen.tasks, &deployment.id, &container),
            ]
        })
        .collect();
    let targets: Vec<Vec<String>> = seen
        .groups
        .iter()
        .flat_map(|group| {
            group
                .targets
                .iter()
                .map(|target| vec![group.name().to_owned(), place(target), state(target)])
        })
        .collect();
    let heads = [
        "revision", "role", "rollout", "desired", "running", "pending", "failed", "digest",
    ];
    let target_heads = ["target group", "target", "health"];
    let mut text = format!(
        "service {} in cluster {} is {}, desired {}, running {}\n\n{}",
        seen.service.name,
        world.cluster,
        seen.service.status,
        seen.service.desired,
        seen.service.running,
        text_table(&heads, &deployments)
    );
    let mut summary = format!(
        "### Service {}\n\n{}",
        seen.service.name,
        markdown_table(&heads, &deployments)
    );
    if let Some(ended) = &ended {
        text.push_str(&format!("\n{ended}\n"));
        summary.push_str(&format!("\n{}\n", crate::report::code(ended)));
    }
    if !targets.is_empty() {
        text.push_str(&format!("\n{}", text_table(&target_heads, &targets)));
        summary.push_str(&format!("\n{}", markdown_table(&target_heads, &targets)));
    }
    if let Some(address) = &address {
        text.push_str(&format!("\naddress {address}\n"));
        summary.push_str(&format!("\nAddress: {address}\n"));
    }

    let json = serde_json::json!({
        "service": seen.service.name,
        "service_arn": seen.service.arn,
        "cluster": world.cluster,
        "account": account.id,
        "region": account.region,
        "status": seen.service.status,
        "task_definition": seen.service.task_definition,
        "container": container,
        "image": definition.image(&container),
        "desired": seen.service.desired,
        "running": seen.service.running,
        "deployments": seen.service.deployments.iter().map(|deployment| serde_json::json!({
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
        "tasks": seen.tasks.iter().map(|task| serde_json::json!({
            "id": task.id,
            "deployment": task.started_by,
            "task_definition": task.task_definition,
            "status": task.status,
            "digest": digest(task, &container),
        })).collect::<Vec<_>>(),
        "targets": seen.groups.iter().flat_map(|group| group.targets.iter().map(|target| serde_json::json!({
            "target_group": group.arn,
            "target": place(target),
            "state": target.state,
            "reason": target.reason,
            "description": target.description,
        }))).collect::<Vec<_>>(),
        "last_deployment": record.as_ref().map(|record| serde_json::json!({
            "status": record.status,
            "reason": record.reason,
        })),
        "address": address,
    });
    let mut report = Report {
        summary,
        text,
        json,
        ..Report::default()
    }
    .output("task-definition-arn", &seen.service.task_definition)
    .output("service-arn", &seen.service.arn);
    if let Some(primary) = seen.service.primary() {
        report = report.output("deployment-id", &primary.id);
    }
    if let Some(address) = address {
        report = report.output("address", address);
    }
    Ok(report)
}

/// How the last deployment ended, where it did not succeed.
fn ended(record: &Record) -> Option<String> {
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

fn digest<'a>(task: &'a Task, container: &str) -> Option<&'a str> {
    task.containers
        .iter()
        .find(|found| found.name == container)?
        .digest
        .as_deref()
}

/// The digests a deployment's running tasks report, with how many tasks where it is not one.
fn digests(tasks: &[Task], deployment: &str, container: &str) -> String {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for task in tasks
        .iter()
        .filter(|task| task.started_by == deployment && task.status == "RUNNING")
    {
        *found
            .entry(digest(task, container).unwrap_or("unknown"))
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

    #[test]
    fn a_rollback_says_why_and_a_success_nothing() {
        let record = |status: &str, reason: &str| Record {
            status: status.to_owned(),
            reason: reason.to_owned(),
            ..Record::default()
        };
        for (status, reason, said) in [
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
            assert_eq!(ended(&record(status, reason)).as_deref(), said);
        }
    }
}
