//! Executing a change set.
//! Source: AWS CloudFormation API Reference, `ExecuteChangeSet`.

use serde_json::{Value, json};

use super::Scope;
use super::change_sets::{named, updatable};
use crate::error::{Answer, ApiError};
use crate::inputs;
use crate::run::{self, Plan};
use crate::state::{ChangeSet, Stack};

pub(super) async fn execute(scope: &Scope<'_>) -> Answer {
    scope.refuse(&["RetainExceptOnCreate"])?;
    let (stack, set) = scope.with(|region| {
        named(scope, region, |stack, at| {
            Ok((stack.clone(), stack.change_sets[at].clone()))
        })
    })?;
    if repeated(scope, &stack, &set)? {
        return Ok(json!({}));
    }
    if set.owner.is_some() {
        return Err(ApiError::validation(format!(
            "ChangeSet [{}] is nested; execute its root change set",
            set.id
        )));
    }
    ready(&stack, &set)?;
    let keep = input_flag(scope, "DisableRollback");
    if keep.is_some() && set.on_failure.is_some() {
        return Err(ApiError::validation(
            "DisableRollback cannot be specified when OnStackFailure was specified for the change set",
        ));
    }
    let token = scope.text("ClientRequestToken").map(str::to_owned);
    let of = (stack.id.clone(), stack.name.clone());
    let mut work = scope.work(of, set.role.clone(), token.clone()).await?;
    work.keep_failed = keep == Some(true) || set.on_failure.as_deref() == Some("DO_NOTHING");
    let plan = begin(scope, &set, token)?;
    let create = set.kind == "CREATE";
    let on_failure = match (&set.on_failure, keep) {
        (Some(asked), _) => asked.clone(),
        (None, Some(true)) => "DO_NOTHING".to_owned(),
        _ => "ROLLBACK".to_owned(),
    };
    let id = set.id.clone();
    // The status is an operation's before the call is answered, so that nobody sees the stack as it was.
    let begun = match set.kind.as_str() {
        "CREATE" => "CREATE_IN_PROGRESS",
        "IMPORT" => "IMPORT_IN_PROGRESS",
        _ => "UPDATE_IN_PROGRESS",
    };
    let imports = set.imports.clone();
    work.with(|stack| stack.status = begun);
    tokio::spawn(async move {
        let after = work.clone();
        match create {
            true => run::create(work, plan, on_failure).await,
            false if !imports.is_empty() => run::import(work, plan, imports).await,
            false => run::update(work, plan).await,
        }
        after.with(|stack| {
            let done = matches!(
                stack.status,
                "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE"
            );
            if let Some(set) = stack.change_sets.iter_mut().find(|set| set.id == id) {
                set.execution = if done {
                    "EXECUTE_COMPLETE"
                } else {
                    "EXECUTE_FAILED"
                };
            }
        });
    });
    Ok(json!({}))
}

fn input_flag(scope: &Scope<'_>, member: &str) -> Option<bool> {
    scope.input[member].as_bool()
}

/// Returns true if an earlier call with the same token began this execution.
fn repeated(scope: &Scope<'_>, stack: &Stack, set: &ChangeSet) -> Result<bool, ApiError> {
    let Some(token) = scope.text("ClientRequestToken") else {
        return Ok(false);
    };
    match stack.tokens.get(token) {
        None => Ok(false),
        Some(asked) if *asked == set.id => Ok(true),
        Some(_) => Err(ApiError::new(
            "TokenAlreadyExistsException",
            format!("Token {token} was already used for another operation"),
        )),
    }
}

fn ready(stack: &Stack, set: &ChangeSet) -> Result<(), ApiError> {
    let refused = |what: &str, status: &str| {
        Err(ApiError::new(
            "InvalidChangeSetStatus",
            format!(
                "ChangeSet [{}] cannot be executed in its current {what} of [{status}]",
                set.id
            ),
        ))
    };
    if set.status != "CREATE_COMPLETE" {
        return refused("status", set.status);
    }
    if set.execution != "AVAILABLE" {
        return refused("execution status", set.execution);
    }
    let can = match set.kind.as_str() {
        "CREATE" => stack.status == "REVIEW_IN_PROGRESS",
        "IMPORT" if stack.status == "REVIEW_IN_PROGRESS" => true,
        _ => updatable(stack.status),
    };
    match can {
        true => Ok(()),
        false => Err(ApiError::validation(format!(
            "Stack:{} is in {} state and can not be updated.",
            stack.id, stack.status
        ))),
    }
}

/// Takes the change set for execution; no second call can. The stack's other change sets are deleted, since they are not
/// about the stack that there will be.
fn begin(scope: &Scope<'_>, set: &ChangeSet, token: Option<String>) -> Result<Plan, ApiError> {
    scope.with(|region| {
        let exports = region.exports().into_iter();
        let exports = exports.map(|(name, (value, _))| (name, value)).collect();
        let others = named(scope, region, |stack, _| {
            let others = stack.change_sets.iter().filter(|other| other.id != set.id);
            Ok(others.map(|other| other.id.clone()).collect::<Vec<_>>())
        })?;
        for other in others {
            region.forget_nested(&other);
        }
        named(scope, region, |stack, at| {
            ready(stack, &stack.change_sets[at])?;
            let inputs = inputs::of(scope.account, scope.region, stack, set, exports);
            stack.disable_rollback = scope.flag("DisableRollback");
            if let Some(token) = token {
                stack.tokens.insert(token, set.id.clone());
            }
            Ok(run::take(stack, set, inputs))
        })
    })
}

/// Marks the change sets of a stack that became another one.
pub(super) fn obsolete(stack: &mut Stack) {
    for set in &mut stack.change_sets {
        if set.execution == "AVAILABLE" {
            set.execution = "OBSOLETE";
        }
    }
}

/// An answer without members.
pub(super) fn nothing() -> Value {
    json!({})
}
