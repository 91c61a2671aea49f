//! Creating a stack, and taking it back where it fails.

use std::sync::Arc;

use super::{Plan, Stop, Work, delete, failed_to, waves};
use crate::template::graph;

/// Makes a stack's resources. `on_failure` is `ROLLBACK`, `DELETE` or `DO_NOTHING`.
pub(crate) async fn create(work: Work, plan: Plan, on_failure: String) {
    work.note("CREATE_STACK");
    work.status("CREATE_IN_PROGRESS", Some("User Initiated".to_owned()));
    let failed = put_all(&work, &plan).await;
    let outputs = match failed.is_empty() {
        true => work.outputs(&plan),
        false => Err(failed_to("create", &failed)),
    };
    let reason = match outputs {
        Ok(outputs) => {
            work.with(|stack| stack.outputs = outputs);
            work.status("CREATE_COMPLETE", None);
            return;
        }
        Err(reason) => reason,
    };
    match on_failure.as_str() {
        "DO_NOTHING" => work.status("CREATE_FAILED", Some(reason)),
        "DELETE" => {
            work.status("CREATE_FAILED", Some(reason.clone()));
            let reason = format!("{reason}Delete requested by user.");
            work.status("DELETE_IN_PROGRESS", Some(reason));
            delete::finish(&work, &[], true).await;
        }
        _ => {
            let reason = format!("{reason}Rollback requested by user.");
            work.status("ROLLBACK_IN_PROGRESS", Some(reason));
            let left = work.remove_all(&[], true).await;
            match left.is_empty() {
                true => work.status("ROLLBACK_COMPLETE", None),
                false => work.status("ROLLBACK_FAILED", Some(failed_to("delete", &left))),
            }
        }
    }
}

/// Brings all resources to what the plan says; answers those that failed, without the cancelled ones.
pub(super) async fn put_all(work: &Work, plan: &Plan) -> Vec<String> {
    let stopped = run(work, plan).await;
    let failed = stopped
        .into_iter()
        .filter(|(_, stop)| *stop != Stop::Cancelled);
    failed.map(|(id, _)| id).collect()
}

/// The same, with those that were cancelled.
pub(super) async fn run(work: &Work, plan: &Plan) -> Vec<(String, Stop)> {
    let needs = graph::needs(&plan.template).unwrap_or_default();
    let (work, plan) = (work.clone(), Arc::new(plan.clone()));
    let ids = work.included(&plan);
    let watch = work.clone();
    waves::run(
        ids,
        &needs,
        move || watch.stopped(),
        move |id| {
            let (work, plan) = (work.clone(), Arc::clone(&plan));
            async move { work.put(&plan, &id).await }
        },
    )
    .await
}
