//! Finding the plan that an ID names.

use crate::client::Client;
use crate::follow::began;
use crate::identity::{Made, PREFIX, empty_plan_id, plan_id, token};
use crate::seen::{ChangeSet, Event, Stack};
use kit::error::Result;
use std::cell::Cell;

/// What an ID names.
#[derive(Debug)]
pub(crate) enum Search {
    /// A plan that changes nothing, of the stack as it is.
    Nothing,
    /// A change set that nobody executed yet.
    Open(Box<ChangeSet>, Made),
    /// A plan whose execution began before, with its events and those after it.
    Begun(Vec<Event>),
    /// Nothing that is there.
    Unknown,
}

/// Looks for a plan of the stack.
///
/// # Errors
/// CloudFormation does not answer.
pub(crate) async fn search(client: &Client, stack: &Stack, plan: &str) -> Result<Search> {
    if empty_plan_id(stack) == plan {
        return Ok(Search::Nothing);
    }
    for listed in client.change_sets(&stack.id).await? {
        if listed.status != "CREATE_COMPLETE" || !listed.name.starts_with(PREFIX) {
            continue;
        }
        // It may be gone since it was listed.
        let Some(set) = client.change_set(&listed.id).await? else {
            continue;
        };
        let Some(made) = Made::read(set.description.as_deref()) else {
            continue;
        };
        let template = client.template_of(&set.id).await?;
        if plan_id(&set, &template) != plan {
            continue;
        }
        return Ok(match set.execution.as_str() {
            "AVAILABLE" => Search::Open(Box::new(set), made),
            // The events may not show its execution yet.
            "EXECUTE_IN_PROGRESS" | "EXECUTE_COMPLETE" | "EXECUTE_FAILED" => {
                Search::Begun(begun(client, &stack.id, plan).await?)
            }
            _ => Search::Unknown,
        });
    }
    let events = begun(client, &stack.id, plan).await?;
    Ok(match events.is_empty() {
        false => Search::Begun(events),
        true => Search::Unknown,
    })
}

/// The events since the execution of a plan began, the oldest first; nothing if they show none of it.
async fn begun(client: &Client, stack: &str, plan: &str) -> Result<Vec<Event>> {
    let token = token(plan);
    let seen = Cell::new(false);
    let before = |event: &Event| {
        let ours = event.token.as_deref() == Some(token.as_str());
        seen.set(seen.get() || ours);
        seen.get() && !ours
    };
    let events = client.events(stack, before).await?;
    Ok(if began(&token, &events) {
        events
    } else {
        Vec::new()
    })
}
