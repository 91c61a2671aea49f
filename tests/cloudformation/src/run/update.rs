//! Updating a stack: its resources, then what is left behind.

use super::{Plan, Stop, Work, create, failed_to, rollback};
use crate::ids;
use crate::stack_policy::{Action, allows};
use crate::state::Resource;

/// Updates a stack, and takes the update back where it fails.
pub(crate) async fn update(work: Work, plan: Plan) {
    work.note("UPDATE_STACK");
    work.with(|stack| {
        // Resources that an earlier operation failed to make are made anew.
        stack
            .resources
            .retain(|(_, resource)| !resource.physical.is_empty());
        // After an update that was left failed, a rollback still returns to what was there before that one.
        if stack.before.is_none() {
            stack.before = Some(Box::new(stack.before()));
        }
        stack.updated = Some(ids::now());
        stack.cancelled = false;
    });
    work.status("UPDATE_IN_PROGRESS", Some("User Initiated".to_owned()));
    work.with(|stack| {
        stack.template = Some(plan.template.clone());
        stack.description.clone_from(&plan.template.description);
        stack.parameters.clone_from(&plan.inputs.parameters);
        stack.tags.clone_from(&plan.tags);
        stack.capabilities.clone_from(&plan.capabilities);
    });
    let mut stopped = create::run(&work, &plan).await;
    if stopped.is_empty() && !work.stopped() {
        stopped = kept_by_policy(&work, &plan);
    }
    let outputs = work.outputs(&plan);
    let cancelled = work.with(|stack| stack.cancelled);
    let reason = match outputs {
        _ if cancelled => "User Initiated".to_owned(),
        _ if !stopped.is_empty() => reasons(&stopped),
        Err(reason) => reason,
        Ok(outputs) => {
            work.with(|stack| stack.outputs = outputs);
            return clean_up(&work, &plan).await;
        }
    };
    if work.keep_failed {
        work.status("UPDATE_FAILED", Some(reason));
        return;
    }
    // AWS does not document which of both tokens the events of the rollback have. A cancellation with a token passes it on here, one
    // without leaves that of the update.
    let cancelled = cancelled.then(|| work.with(|stack| stack.cancel_token.take()));
    let token = cancelled.flatten().or_else(|| work.token.clone());
    let work = Work { token, ..work };
    work.status("UPDATE_ROLLBACK_IN_PROGRESS", Some(reason));
    rollback::back(&work, &[]).await;
}

fn reasons(stopped: &[(String, Stop)]) -> String {
    let of = |wanted: Stop| -> Vec<String> {
        let ids = stopped.iter().filter(|(_, stop)| *stop == wanted);
        ids.map(|(id, _)| id.clone()).collect()
    };
    failed_to("create", &of(Stop::Create)) + &failed_to("update", &of(Stop::Update))
}

/// The resources that the plan has no more.
fn obsolete(work: &Work, plan: &Plan) -> Vec<(String, Resource)> {
    let included = work.included(plan);
    let resources = work.resources().into_iter();
    resources.filter(|(id, _)| !included.contains(id)).collect()
}

/// The resources that the plan removes and the stack's policy keeps, each with its event.
fn kept_by_policy(work: &Work, plan: &Plan) -> Vec<(String, Stop)> {
    let policy = plan.policy.as_deref();
    let obsolete = obsolete(work, plan).into_iter();
    let kept = obsolete.filter(|(id, it)| !allows(policy, Action::Delete, id, &it.declared.kind));
    kept.map(|(id, resource)| {
        let reason = format!(
            "Action denied by stack policy: Statement [#1] does not allow [Update:Delete] for resource [LogicalResourceId/{id}]"
        );
        let at = super::At {
            kind: &resource.declared.kind,
            physical: &resource.physical,
            status: "UPDATE_FAILED",
            reason: Some(reason),
            shown: None,
        };
        work.resource(&id, &at);
        (id, Stop::Update)
    })
    .collect()
}

/// Deletes what the update replaced and removed. A resource that cannot be deleted does not fail the update.
async fn clean_up(work: &Work, plan: &Plan) {
    work.status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None);
    let before = work.with(|stack| stack.before.clone());
    let mut left = false;
    for (id, old) in before
        .map(|before| before.resources)
        .unwrap_or_default()
        .into_iter()
        .rev()
    {
        let now = work.with(|stack| stack.resource(&id).cloned());
        let replaced = now.is_some_and(|now| now.physical != old.physical);
        let keep = old.declared.update_replace_policy.as_deref() == Some("Retain");
        if replaced {
            left |= !work.remove(&id, &old, keep).await;
        }
    }
    for (id, old) in obsolete(work, plan).into_iter().rev() {
        let policy = old.declared.deletion_policy.as_deref();
        let keep = matches!(policy, Some("Retain" | "RetainExceptOnCreate"));
        left |= !work.remove(&id, &old, keep).await;
        work.with(|stack| stack.resources.retain(|(known, _)| *known != id));
    }
    let reason =
        left.then(|| "Update successful. One or more resources could not be deleted.".to_owned());
    work.with(|stack| stack.before = None);
    work.status("UPDATE_COMPLETE", reason);
}
