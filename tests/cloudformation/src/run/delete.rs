//! Deleting resources: those of a stack that goes, and those that an update leaves behind.

use super::{At, Work, failed_to};
use crate::handlers;
use crate::ids;
use crate::state::{Resource, STACK};
use crate::template::graph;

impl Work {
    /// Deletes a resource, or leaves it where its policy says so. Returns true if it is gone from the stack.
    pub(crate) async fn remove(&self, id: &str, resource: &Resource, keep: bool) -> bool {
        let at = |status, reason| At {
            kind: &resource.declared.kind,
            physical: &resource.physical,
            status,
            reason,
            shown: None,
        };
        if keep {
            self.resource(id, &at("DELETE_SKIPPED", None));
            return true;
        }
        self.resource(id, &at("DELETE_IN_PROGRESS", None));
        let desk = self.desk(id);
        let deleted = async {
            self.linger(id, "delete").await?;
            let properties = &resource.properties;
            if resource.declared.kind == STACK {
                return self.unembed(&resource.physical).await;
            }
            handlers::delete(
                &desk,
                &resource.declared.kind,
                &resource.physical,
                properties,
            )
            .await
        };
        match deleted.await {
            Ok(()) => {
                self.resource(id, &at("DELETE_COMPLETE", None));
                true
            }
            Err(failure) => {
                self.resource(id, &at("DELETE_FAILED", Some(failure.reason())));
                false
            }
        }
    }

    /// Deletes the stack's resources, those that need others first; answers the ones that are still there.
    pub(crate) async fn remove_all(&self, retain: &[String], on_create: bool) -> Vec<String> {
        let template = self.with(|stack| stack.template.clone());
        let order = template
            .and_then(|template| graph::order(&template).ok())
            .unwrap_or_default();
        let mut resources = self.resources();
        let place = |id: &String| order.iter().position(|known| known == id);
        resources.sort_by_key(|(id, _)| std::cmp::Reverse(place(id)));
        let mut left = Vec::new();
        for (id, resource) in resources {
            let policy = resource.declared.deletion_policy.as_deref();
            let keep = match policy {
                Some("Retain") => true,
                Some("RetainExceptOnCreate") => !on_create,
                _ => retain.contains(&id),
            };
            let made = !resource.physical.is_empty();
            if made && !self.remove(&id, &resource, keep).await {
                left.push(id);
                continue;
            }
            self.with(|stack| stack.resources.retain(|(known, _)| *known != id));
        }
        left
    }
}

/// Deletes a stack.
pub(crate) async fn delete(work: Work, retain: Vec<String>) {
    work.note("DELETE_STACK");
    work.status("DELETE_IN_PROGRESS", Some("User Initiated".to_owned()));
    finish(&work, &retain, false).await;
}

/// Deletes everything and ends the stack.
pub(super) async fn finish(work: &Work, retain: &[String], on_create: bool) {
    let left = work.remove_all(retain, on_create).await;
    if !left.is_empty() {
        work.status("DELETE_FAILED", Some(failed_to("delete", &left)));
        return;
    }
    work.status("DELETE_COMPLETE", None);
    work.with(|stack| {
        stack.deleted = Some(ids::now());
        stack.outputs.clear();
        stack.change_sets.clear();
    });
}
