//! Changing the tags of a resource whose service has a JSON protocol.

use serde_json::{Value, json};

use super::{Desk, Properties};
use crate::services::Refusal;
use crate::tags;

/// The calls of a JSON protocol that change the tags of a resource.
pub(super) struct TagCalls {
    pub(super) service: &'static str,
    /// The call that removes tags, and the member with their keys.
    pub(super) remove: (&'static str, &'static str),
    /// The call that adds tags, and the member with them.
    pub(super) add: (&'static str, &'static str),
    /// The members that name the resource.
    pub(super) resource: Value,
    /// The new tags as the service takes them.
    pub(super) tags: Value,
}

impl Desk {
    /// Removes the tags that are no longer wanted, and writes the new ones if any tag changes.
    pub(super) async fn retag(
        &self,
        calls: TagCalls,
        old: &Properties,
        new: &Properties,
    ) -> Result<(), Refusal> {
        let (old, new) = (old.get("Tags"), new.get("Tags"));
        let gone = tags::gone(old, new);
        if !gone.is_empty() {
            let mut input = calls.resource.clone();
            input[calls.remove.1] = json!(gone);
            self.services
                .json(calls.service, calls.remove.0, input)
                .await?;
        }
        if old != new && new.is_some() {
            let mut input = calls.resource;
            input[calls.add.1] = calls.tags;
            self.services
                .json(calls.service, calls.add.0, input)
                .await?;
        }
        Ok(())
    }
}
