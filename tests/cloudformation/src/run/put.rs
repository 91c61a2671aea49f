//! Making and changing one resource.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value};

use super::{At, Plan, Stop, Work};
use crate::handlers::{self, Made};
use crate::schema::Recreation;
use crate::stack_policy::{self, Action};
use crate::state::{Resource, STACK};
use crate::template::Declaration;
use crate::{dynamic, ids};

/// A resource that is being made or changed.
struct Wanted<'a> {
    id: &'a str,
    declared: &'a Declaration,
    properties: Map<String, Value>,
    shown: Map<String, Value>,
}

impl Work {
    /// Brings one resource to what the plan says: makes it, changes it, replaces it, or leaves it.
    pub(crate) async fn put(&self, plan: &Plan, id: &str) -> Result<(), Stop> {
        let Some(declared) = plan.template.resource(id) else {
            return Ok(());
        };
        let old = self.with(|stack| stack.resource(id).cloned());
        let [properties, shown] = match self.properties(plan, id) {
            Ok(both) => both,
            Err(reason) => return Err(self.unresolved(id, declared, old.as_ref(), reason)),
        };
        let wanted = Wanted {
            id,
            declared,
            properties,
            shown,
        };
        let Some(old) = old else {
            return self.make(&wanted, "").await;
        };
        if old.properties == wanted.properties {
            self.with(|stack| {
                if let Some(resource) = stack.resource_mut(id) {
                    resource.declared = declared.clone();
                }
            });
            return Ok(());
        }
        let replaced = self.replaces(&old, &wanted);
        let action = if replaced {
            Action::Replace
        } else {
            Action::Modify
        };
        if !stack_policy::allows(plan.policy.as_deref(), action, id, &declared.kind) {
            return Err(self.denied(&wanted, &old, action));
        }
        match replaced {
            true => self.make(&wanted, &old.physical).await,
            false => self.change(&wanted, &old, "update").await,
        }
    }

    fn replaces(&self, old: &Resource, wanted: &Wanted<'_>) -> bool {
        let Some(schema) = self.inner.schemas.get(&wanted.declared.kind) else {
            return false;
        };
        let none = Value::Null;
        let names = old.properties.keys().chain(wanted.properties.keys());
        names.into_iter().any(|name| {
            let before = old.properties.get(name).unwrap_or(&none);
            let after = wanted.properties.get(name).unwrap_or(&none);
            before != after && schema.recreation(name, before, after) > Recreation::Never
        })
    }

    /// Returns `stop` for the resource whose failure ends the operation, and a cancellation for one that was under way.
    fn first(&self, stop: Stop) -> Stop {
        match self.failed.swap(true, Ordering::SeqCst) {
            false => stop,
            true => Stop::Cancelled,
        }
    }

    fn unresolved(
        &self,
        id: &str,
        declared: &Declaration,
        old: Option<&Resource>,
        reason: String,
    ) -> Stop {
        let (status, stop) = match old {
            None => ("CREATE_FAILED", Stop::Create),
            Some(_) => ("UPDATE_FAILED", Stop::Update),
        };
        let at = At {
            kind: &declared.kind,
            physical: old.map_or("", |old| &old.physical),
            status,
            reason: Some(reason),
            shown: None,
        };
        self.resource(id, &at);
        self.failed.store(true, Ordering::SeqCst);
        stop
    }

    fn denied(&self, wanted: &Wanted<'_>, old: &Resource, action: Action) -> Stop {
        let name = match action {
            Action::Modify => "Update:Modify",
            Action::Replace => "Update:Replace",
            Action::Delete => "Update:Delete",
        };
        let reason = format!(
            "Action denied by stack policy: Statement [#1] does not allow [{name}] for resource [LogicalResourceId/{}]",
            wanted.id
        );
        let at = At {
            kind: &wanted.declared.kind,
            physical: &old.physical,
            status: "UPDATE_FAILED",
            reason: Some(reason),
            shown: Some(&wanted.shown),
        };
        self.resource(wanted.id, &at);
        self.failed.store(true, Ordering::SeqCst);
        Stop::Update
    }

    /// Makes a resource, for the first time or in place of one that is there.
    async fn make(&self, wanted: &Wanted<'_>, old: &str) -> Result<(), Stop> {
        let Wanted { id, declared, .. } = *wanted;
        let new = old.is_empty();
        let status = |create: &'static str, update: &'static str| if new { create } else { update };
        let begin = status("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS");
        if new {
            let begun = Resource {
                declared: declared.clone(),
                physical: String::new(),
                attributes: Map::new(),
                properties: Map::new(),
                status: begin,
                reason: None,
                changed: ids::now(),
                drift: None,
            };
            self.with(|stack| stack.resources.push((id.to_owned(), begun)));
        }
        let at = |physical, status, reason| At {
            kind: &declared.kind,
            physical,
            status,
            reason,
            shown: Some(&wanted.shown),
        };
        let why = (!new).then(|| {
            "Requested update requires the creation of a new physical resource; hence creating one."
                .to_owned()
        });
        self.resource(id, &at(old, begin, why));
        let made = self.made(wanted).await;
        let failed = status("CREATE_FAILED", "UPDATE_FAILED");
        match made {
            Ok(made) => {
                self.keep(wanted, &made);
                let physical = made.physical.as_str();
                // A nested stack said so when it began.
                if declared.kind != STACK {
                    let initiated = Some("Resource creation Initiated".to_owned());
                    self.resource(id, &at(physical, begin, initiated));
                }
                if self.stopped() {
                    let reason = Some("Resource creation cancelled".to_owned());
                    self.resource(id, &at(physical, failed, reason));
                    return Err(Stop::Cancelled);
                }
                let done = status("CREATE_COMPLETE", "UPDATE_COMPLETE");
                self.resource(id, &at(physical, done, None));
                Ok(())
            }
            Err(reason) => {
                let stop = self.first(if new { Stop::Create } else { Stop::Update });
                let reason = match stop {
                    Stop::Cancelled => "Resource creation cancelled".to_owned(),
                    _ => reason,
                };
                self.resource(id, &at(old, failed, Some(reason)));
                Err(stop)
            }
        }
    }

    async fn made(&self, wanted: &Wanted<'_>) -> Result<Made, String> {
        let desk = self.desk(wanted.id);
        let properties = dynamic::resolved(&desk.services, &wanted.properties).await?;
        let lingered = self.linger(wanted.id, "create").await;
        lingered.map_err(|failure| failure.reason())?;
        if wanted.declared.kind == STACK {
            let made = self.embed(wanted.id, "CREATE_IN_PROGRESS", &wanted.shown);
            return made.await.map_err(|failure| failure.message);
        }
        handlers::create(&desk, &wanted.declared.kind, &properties)
            .await
            .map_err(|failure| failure.reason())
    }

    /// Notes what a resource is now.
    fn keep(&self, wanted: &Wanted<'_>, made: &Made) {
        self.with(|stack| {
            if let Some(resource) = stack.resource_mut(wanted.id) {
                resource.declared = wanted.declared.clone();
                resource.physical.clone_from(&made.physical);
                resource.attributes.clone_from(&made.attributes);
                resource.properties.clone_from(&wanted.properties);
                resource.drift = None;
            }
        });
    }

    /// Changes a resource in place, forward or back.
    async fn change(
        &self,
        wanted: &Wanted<'_>,
        old: &Resource,
        operation: &str,
    ) -> Result<(), Stop> {
        let Wanted { id, declared, .. } = *wanted;
        let at = |status, reason| At {
            kind: &declared.kind,
            physical: &old.physical,
            status,
            reason,
            shown: Some(&wanted.shown),
        };
        self.resource(id, &at("UPDATE_IN_PROGRESS", None));
        let desk = self.desk(id);
        let changed = async {
            let before = dynamic::resolved(&desk.services, &old.properties).await?;
            let after = dynamic::resolved(&desk.services, &wanted.properties).await?;
            let lingered = self.linger(id, operation).await;
            lingered.map_err(|failure| failure.reason())?;
            if declared.kind == STACK {
                let made = self.embed(id, "UPDATE_IN_PROGRESS", &wanted.shown);
                return made.await.map_err(|failure| failure.message);
            }
            handlers::update(&desk, &declared.kind, &old.physical, &before, &after)
                .await
                .map_err(|failure| failure.reason())
        };
        match changed.await {
            Ok(made) => {
                self.keep(wanted, &made);
                if operation == "update" && self.stopped() {
                    let reason = Some("Resource update cancelled".to_owned());
                    self.resource(id, &at("UPDATE_FAILED", reason));
                    return Err(Stop::Cancelled);
                }
                self.resource(id, &at("UPDATE_COMPLETE", None));
                Ok(())
            }
            Err(reason) => {
                let stop = match operation {
                    "update" => self.first(Stop::Update),
                    _ => Stop::Update,
                };
                let reason = match stop {
                    Stop::Cancelled => "Resource update cancelled".to_owned(),
                    _ => reason,
                };
                self.resource(id, &at("UPDATE_FAILED", Some(reason)));
                Err(stop)
            }
        }
    }

    /// Takes a change in place back.
    pub(crate) async fn change_back(
        &self,
        id: &str,
        now: &Resource,
        before: &Resource,
    ) -> Result<(), Stop> {
        let wanted = Wanted {
            id,
            declared: &before.declared,
            properties: before.properties.clone(),
            shown: Map::new(),
        };
        self.change(&wanted, now, "rollback").await
    }

    /// Returns to the resource that a replacement was to take the place of, which is still there.
    pub(crate) fn point_back(&self, id: &str, before: &Resource) {
        let at = |status| At {
            kind: &before.declared.kind,
            physical: &before.physical,
            status,
            reason: None,
            shown: None,
        };
        self.with(|stack| {
            if let Some(resource) = stack.resource_mut(id) {
                *resource = before.clone();
            }
        });
        self.resource(id, &at("UPDATE_IN_PROGRESS"));
        self.resource(id, &at("UPDATE_COMPLETE"));
    }
}
