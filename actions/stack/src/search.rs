//! Finding the plan that an ID names.

use crate::client::Client;
use crate::identity::{Made, Protects, empty_plan_id, is_plan, plan_id, token, token_prefix};
use crate::seen::{ChangeSet, Event, Stack};
use crate::standing::REVIEW;
use kit::error::Result;
use kit::id::PlanId;
use std::cell::RefCell;

/// The plan or operation that an ID names.
#[derive(Debug)]
pub(crate) enum Search {
    /// A plan that changes no resource of the stack as it is.
    Nothing,
    /// A change set that nobody executed yet.
    Open(Box<ChangeSet>, Made),
    /// A plan whose execution began before.
    Started(Execution),
    /// Nothing that is there.
    Unknown,
}

/// An execution that began before.
#[derive(Debug)]
pub(crate) struct Execution {
    /// Its token, which also says what the plan protects.
    pub(crate) token: String,
    /// The settings that the change set was made with, if it is still there.
    pub(crate) made: Option<Made>,
    /// Its events and those after it, the oldest first.
    pub(crate) events: Vec<Event>,
    /// The newest event before it.
    pub(crate) boundary: Option<String>,
}

/// Looks for a plan of the stack. One that changes no resource is not kept anywhere, so it is found by what it protects.
///
/// # Errors
/// CloudFormation does not answer.
pub(crate) async fn search(
    client: &Client,
    stack: &Stack,
    plan: &PlanId,
    protects: &Protects,
) -> Result<Search> {
    for listed in client.change_sets(&stack.id).await? {
        if listed.status != "CREATE_COMPLETE" || !is_plan(&listed.name) {
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
        if plan_id(&set, &template) != plan.as_str() {
            continue;
        }
        return Ok(match set.execution.as_str() {
            "AVAILABLE" => Search::Open(Box::new(set), made),
            "EXECUTE_IN_PROGRESS" | "EXECUTE_COMPLETE" | "EXECUTE_FAILED" => {
                let found = execution(client, &stack.id, plan).await?;
                // The events may not show its execution yet.
                let found = found.unwrap_or_else(|| Execution {
                    token: token(plan.as_str(), &made.protects),
                    made: None,
                    events: Vec::new(),
                    boundary: None,
                });
                Search::Started(Execution {
                    made: Some(made),
                    ..found
                })
            }
            _ => Search::Unknown,
        });
    }
    // The template of a stack that was only ever planned cannot be asked for.
    if stack.status != REVIEW {
        let as_it_is = client.as_it_is(stack).await?;
        if empty_plan_id(&[as_it_is], protects) == plan.as_str() {
            return Ok(Search::Nothing);
        }
    }
    let found = execution(client, &stack.id, plan).await?;
    Ok(found.map_or(Search::Unknown, Search::Started))
}

/// The execution of a plan, if the events show one.
async fn execution(client: &Client, stack: &str, plan: &PlanId) -> Result<Option<Execution>> {
    let prefix = token_prefix(plan.as_str());
    let (token, boundary) = (RefCell::new(None), RefCell::new(None));
    let before = |event: &Event| {
        let ours = event.token.as_ref().filter(|it| it.starts_with(&prefix));
        if let Some(ours) = ours {
            token.replace(Some(ours.clone()));
            return false;
        }
        let passed = token.borrow().is_some();
        if passed {
            boundary.replace(Some(event.id.clone()));
        }
        passed
    };
    let events = client.events(stack, before).await?;
    Ok(token.into_inner().map(|token| Execution {
        token,
        made: None,
        events,
        boundary: boundary.into_inner(),
    }))
}
