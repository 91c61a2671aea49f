//! Drift: resources are read back and compared with the template.
//! Source: AWS CloudFormation API Reference, `DetectStackDrift` and `DescribeStackResourceDrifts`.

use serde_json::{Value, json};

use super::Scope;
use crate::error::{Answer, ApiError};
use crate::run::Work;
use crate::state::{Detection, Stack};
use crate::{drift, dynamic, handlers, ids};

pub(super) async fn detect(scope: &Scope<'_>) -> Answer {
    let wanted = scope.texts("LogicalResourceIds");
    let id = ids::uuid();
    let stack = scope.stack(|stack| {
        if stack.busy() || stack.status == "REVIEW_IN_PROGRESS" {
            return Err(ApiError::validation(format!(
                "Drift detection cannot be performed on stack [{}] while it is in {} state",
                stack.name, stack.status
            )));
        }
        if stack
            .detections
            .last()
            .is_some_and(|it| it.status == "DETECTION_IN_PROGRESS")
        {
            return Err(ApiError::validation(format!(
                "Drift detection is already in progress for stack [{}]",
                stack.id
            )));
        }
        stack.detections.push(Detection {
            id: id.clone(),
            started: ids::now(),
            status: "DETECTION_IN_PROGRESS",
            reason: None,
            drifted: 0,
        });
        Ok(stack.clone())
    })?;
    // Drift is detected with the caller's permissions, also where the stack has a role.
    let work = scope.work((stack.id, stack.name), None, None).await?;
    let detection = id.clone();
    tokio::spawn(async move { run(&work, &detection, &wanted).await });
    Ok(json!({"StackDriftDetectionId": id}))
}

async fn run(work: &Work, detection: &str, wanted: &[String]) {
    let mut failed = Vec::new();
    for (id, resource) in work.resources() {
        if !wanted.is_empty() && !wanted.contains(&id) {
            continue;
        }
        let desk = work.desk(&id);
        let expected = dynamic::resolved(&desk.services, &resource.properties).await;
        let kind = &resource.declared.kind;
        let actual = handlers::read(&desk, kind, &resource.physical).await;
        let (Ok(expected), Ok(actual)) = (expected, actual) else {
            failed.push(id);
            continue;
        };
        let (status, mut members) = drift::compared(&expected, &actual);
        members["StackResourceDriftStatus"] = json!(status);
        members["Timestamp"] = json!(ids::text(ids::now()));
        work.with(|stack| {
            if let Some(resource) = stack.resource_mut(&id) {
                resource.drift = Some(members);
            }
        });
    }
    work.with(|stack| {
        let drifted = stack
            .resources
            .iter()
            .filter(|(_, it)| drifted(it.drift.as_ref()));
        let drifted = drifted.count();
        let found = stack.detections.iter_mut().find(|it| it.id == detection);
        if let Some(found) = found {
            found.drifted = drifted;
            found.status = "DETECTION_COMPLETE";
            if !failed.is_empty() {
                found.status = "DETECTION_FAILED";
                found.reason = Some(format!(
                    "Failed to detect drift on resource [{}]",
                    failed.join(", ")
                ));
            }
        }
    });
}

fn drifted(drift: Option<&Value>) -> bool {
    let status = drift.and_then(|drift| drift["StackResourceDriftStatus"].as_str());
    matches!(status, Some("MODIFIED" | "DELETED"))
}

/// The drift status of a stack as far as its last complete detection tells.
pub(super) fn of_stack(stack: &Stack) -> Value {
    match stack.detections.last() {
        Some(last) if last.status != "DETECTION_IN_PROGRESS" => json!({
            "StackDriftStatus": if last.drifted > 0 { "DRIFTED" } else { "IN_SYNC" },
            "LastCheckTimestamp": ids::text(last.started),
        }),
        _ => json!({"StackDriftStatus": "NOT_CHECKED"}),
    }
}

pub(super) fn status(scope: &Scope<'_>) -> Answer {
    let id = scope.need("StackDriftDetectionId");
    scope.with(|region| {
        let found = region.stacks.iter().find_map(|stack| {
            let detection = stack.detections.iter().find(|it| it.id == id)?;
            Some((stack, detection))
        });
        let (stack, detection) = found.ok_or_else(|| {
            ApiError::validation(format!("Drift detection [{id}] does not exist"))
        })?;
        let mut answer = json!({
            "StackId": stack.id,
            "StackDriftDetectionId": id,
            "DetectionStatus": detection.status,
            "Timestamp": ids::text(detection.started),
        });
        if detection.status != "DETECTION_IN_PROGRESS" {
            let drifted = detection.drifted > 0;
            answer["StackDriftStatus"] = json!(if drifted { "DRIFTED" } else { "IN_SYNC" });
            answer["DriftedStackResourceCount"] = json!(detection.drifted);
        }
        if let Some(reason) = &detection.reason {
            answer["DetectionStatusReason"] = json!(reason);
        }
        Ok(answer)
    })
}

pub(super) fn resources(scope: &Scope<'_>) -> Answer {
    let wanted = scope.texts("StackResourceDriftStatusFilters");
    let found = scope.stack(|stack| {
        let mut found = Vec::new();
        for (id, resource) in &stack.resources {
            let Some(mut drift) = resource.drift.clone() else {
                continue;
            };
            let status = drift["StackResourceDriftStatus"]
                .as_str()
                .unwrap_or_default();
            if !wanted.is_empty() && !wanted.iter().any(|it| it == status) {
                continue;
            }
            drift["StackId"] = json!(stack.id);
            drift["LogicalResourceId"] = json!(id);
            drift["PhysicalResourceId"] = json!(resource.physical);
            drift["ResourceType"] = json!(resource.declared.kind);
            found.push(drift);
        }
        Ok(found)
    })?;
    scope.page("StackResourceDrifts", found).map(Value::Object)
}
