//! Service deployments and revisions: the record of each rollout.

use serde_json::{Value, json};

use crate::api::missing;
use crate::error::{Answer, ApiError};
use crate::service::terminal;
use crate::state::{Region, Rollout};
use crate::value::{list, need, number, text, texts};

pub(crate) fn list_all(region: &mut Region, input: &Value) -> Answer {
    let service = super::service(region, input, "service")?;
    let statuses = texts(input, "status");
    let created = &input["createdAt"];
    let bound = |name: &str| created.get(name).and_then(Value::as_f64);
    let shown: Vec<Value> = service
        .rollouts
        .iter()
        .filter(|rollout| {
            statuses.is_empty() || statuses.iter().any(|status| status == rollout.status)
        })
        .filter(|rollout| bound("after").is_none_or(|after| rollout.created_at > after))
        .filter(|rollout| bound("before").is_none_or(|before| rollout.created_at < before))
        .map(|rollout| service.describe_rollout_briefly(rollout))
        .collect();
    let start: usize = text(input, "nextToken")
        .map_or(Ok(0), str::parse)
        .map_err(|_| ApiError::invalid("Invalid token."))?;
    let size = number(input, "maxResults")
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n > 0)
        .unwrap_or(20);
    let mut answer =
        json!({"serviceDeployments": shown.iter().skip(start).take(size).collect::<Vec<_>>()});
    if start + size < shown.len() {
        answer["nextToken"] = json!((start + size).to_string());
    }
    Ok(answer)
}

pub(crate) fn describe(region: &mut Region, input: &Value) -> Answer {
    let wanted = texts(input, "serviceDeploymentArns");
    if wanted.is_empty() || wanted.len() > 20 {
        return Err(ApiError::invalid(
            "Between 1 and 20 service deployment ARNs can be described.",
        ));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in wanted {
        let mut all = region
            .services
            .iter()
            .flat_map(|service| service.rollouts.iter().map(move |one| (service, one)));
        match all.find(|(_, rollout)| rollout.arn == arn) {
            Some((service, rollout)) => found.push(service.describe_rollout(region, rollout)),
            None => failures.push(missing(&arn)),
        }
    }
    Ok(json!({"serviceDeployments": found, "failures": failures}))
}

pub(crate) fn describe_revisions(region: &mut Region, input: &Value) -> Answer {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in list(input, "serviceRevisionArns")
        .iter()
        .filter_map(Value::as_str)
    {
        let mut all = region
            .services
            .iter()
            .flat_map(|service| service.revisions.iter().map(move |one| (service, one)));
        match all.find(|(_, revision)| revision.arn == arn) {
            Some((service, revision)) => found.push(service.describe_revision(revision)),
            None => failures.push(missing(arn)),
        }
    }
    Ok(json!({"serviceRevisions": found, "failures": failures}))
}

pub(crate) fn stop(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "serviceDeploymentArn");
    // The model lists ABORT too; the developer guide accepts only ROLLBACK.
    if text(input, "stopType").is_some_and(|kind| kind != "ROLLBACK") {
        return Err(ApiError::invalid("stopType must be ROLLBACK."));
    }
    let rollout = rollout(region, arn)?;
    if terminal(rollout.status) {
        return Err(ApiError::new(
            "ConflictException",
            format!(
                "Service deployment is in a terminal state: {}.",
                rollout.status
            ),
        ));
    }
    if !rollout.status.starts_with("ROLLBACK") {
        rollout.status = "ROLLBACK_REQUESTED";
        rollout.updated_at = crate::ids::now();
    }
    Ok(json!({"serviceDeploymentArn": arn}))
}

fn rollout<'a>(region: &'a mut Region, arn: &str) -> Result<&'a mut Rollout, ApiError> {
    let mut rollouts = region.services.iter_mut().flat_map(|one| &mut one.rollouts);
    rollouts.find(|one| one.arn == arn).ok_or_else(|| {
        ApiError::new(
            "ServiceDeploymentNotFoundException",
            "Service deployment not found.",
        )
    })
}

/// ContinueServiceDeployment: the answer to a pause hook that awaits one. The deployment must be IN_PROGRESS.
pub(crate) fn proceed(region: &mut Region, input: &Value) -> Answer {
    let arn = need(input, "serviceDeploymentArn");
    let rollout = rollout(region, arn)?;
    if rollout.status != "IN_PROGRESS" {
        return Err(ApiError::invalid(format!(
            "Service deployment is in the state {}; it must be IN_PROGRESS.",
            rollout.status
        )));
    }
    let id = need(input, "hookId");
    let hooks = rollout.shift.as_mut().map(|shift| &mut shift.hooks);
    let hook = hooks.and_then(|hooks| hooks.iter_mut().find(|hook| hook.id == id));
    let hook = hook.ok_or_else(|| ApiError::invalid(format!("Hook {id} was not found.")))?;
    if hook.status != "AWAITING_ACTION" {
        return Err(ApiError::invalid(format!(
            "Hook {id} is in the state {}; it must be AWAITING_ACTION.",
            hook.status
        )));
    }
    // Neither the model nor the guide says which status a hook has after ROLLBACK.
    if text(input, "action") == Some("ROLLBACK") {
        hook.status = "FAILED";
        rollout.status = "ROLLBACK_REQUESTED";
    } else {
        hook.status = "SUCCEEDED";
    }
    rollout.updated_at = crate::ids::now();
    Ok(json!({"serviceDeploymentArn": arn}))
}
