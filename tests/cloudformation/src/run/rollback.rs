//! Taking an update back: changes in place are changed back, replacements are given up, new resources are deleted.

use super::{Work, failed_to};
use crate::state::{Before, Resource};
use crate::template::graph;

/// Returns to what the stack was before the update. The resources in `skip` are taken as they are.
pub(super) async fn back(work: &Work, skip: &[String]) {
    let Some(before) = work.with(|stack| stack.before.clone()) else {
        return;
    };
    let template = work.with(|stack| stack.template.clone());
    let order = template
        .and_then(|template| graph::order(&template).ok())
        .unwrap_or_default();
    let place = |id: &String| order.iter().position(|known| known == id);
    let mut resources = work.resources();
    resources.sort_by_key(|(id, _)| std::cmp::Reverse(place(id)));
    let (mut made, mut failed) = (Vec::new(), Vec::new());
    for (id, now) in resources {
        let Some(old) = crate::template::find(&before.resources, &id) else {
            made.push((id, now));
            continue;
        };
        if skip.contains(&id) {
            work.with(|stack| {
                if let Some(resource) = stack.resource_mut(&id) {
                    resource.status = "UPDATE_COMPLETE";
                }
            });
        } else if now.physical != old.physical {
            work.point_back(&id, old);
            made.push((id, now));
        } else if now.properties != old.properties || now.status == "UPDATE_FAILED" {
            if work.change_back(&id, &now, old).await.is_err() {
                failed.push(id);
            }
        } else {
            work.with(|stack| {
                if let Some(resource) = stack.resource_mut(&id) {
                    resource.declared = old.declared.clone();
                }
            });
        }
    }
    if !failed.is_empty() {
        work.status("UPDATE_ROLLBACK_FAILED", Some(failed_to("update", &failed)));
        return;
    }
    work.status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", None);
    for (id, resource) in made {
        clear(work, &before, &id, &resource).await;
    }
    work.with(|stack| {
        stack.template.clone_from(&before.template);
        stack.description.clone_from(&before.description);
        stack.parameters.clone_from(&before.parameters);
        stack.tags.clone_from(&before.tags);
        stack.capabilities.clone_from(&before.capabilities);
        stack.outputs.clone_from(&before.outputs);
        stack.before = None;
        stack.cancelled = false;
    });
    work.status("UPDATE_ROLLBACK_COMPLETE", None);
}

/// Deletes what only the update made.
async fn clear(work: &Work, before: &Before, id: &str, resource: &Resource) {
    if !resource.physical.is_empty() {
        let keep = resource.declared.deletion_policy.as_deref() == Some("Retain");
        work.remove(id, resource, keep).await;
    }
    if crate::template::find(&before.resources, id).is_none() {
        work.with(|stack| stack.resources.retain(|(known, _)| known != id));
    }
}

/// Goes on with a rollback that failed.
pub(crate) async fn continue_rollback(work: Work, skip: Vec<String>) {
    work.note("CONTINUE_ROLLBACK");
    work.status(
        "UPDATE_ROLLBACK_IN_PROGRESS",
        Some("User Initiated".to_owned()),
    );
    back(&work, &skip).await;
}

/// Takes back an operation that was left failed.
pub(crate) async fn roll_back(work: Work, created: bool) {
    work.note("ROLLBACK");
    let reason = Some("User Initiated".to_owned());
    if !created {
        work.status("UPDATE_ROLLBACK_IN_PROGRESS", reason);
        return back(&work, &[]).await;
    }
    work.status("ROLLBACK_IN_PROGRESS", reason);
    let left = work.remove_all(&[], true).await;
    match left.is_empty() {
        true => work.status("ROLLBACK_COMPLETE", None),
        false => work.status("ROLLBACK_FAILED", Some(failed_to("delete", &left))),
    }
}
