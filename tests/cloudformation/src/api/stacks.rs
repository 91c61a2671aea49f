//! Operations on whole stacks beside change sets: protection, policy, deletion, cancellation.

use serde_json::json;

use super::Scope;
use super::execute::{nothing, obsolete};
use crate::error::{Answer, ApiError};
use crate::{run, stack_policy};

pub(super) fn protect(scope: &Scope<'_>) -> Answer {
    let on = scope.flag("EnableTerminationProtection");
    scope.stack(|stack| {
        if stack.deleted.is_some() || stack.status == "DELETE_IN_PROGRESS" {
            return Err(ApiError::validation(format!(
                "Termination protection cannot be updated for stack [{}] in {} state",
                stack.name, stack.status
            )));
        }
        stack.protected = on;
        Ok(json!({"StackId": stack.id}))
    })
}

pub(super) fn set_policy(scope: &Scope<'_>) -> Answer {
    scope.refuse(&["StackPolicyURL"])?;
    let policy = scope.text("StackPolicyBody").ok_or_else(|| {
        ApiError::validation("Either StackPolicyBody or StackPolicyURL must be specified.")
    })?;
    stack_policy::check(policy).map_err(ApiError::validation)?;
    scope.stack(|stack| {
        stack.policy = Some(policy.to_owned());
        Ok(nothing())
    })
}

pub(super) fn get_policy(scope: &Scope<'_>) -> Answer {
    scope.stack(|stack| {
        Ok(match &stack.policy {
            Some(policy) => json!({"StackPolicyBody": policy}),
            None => nothing(),
        })
    })
}

pub(super) async fn delete(scope: &Scope<'_>) -> Answer {
    scope.refuse(&["DeletionMode"])?;
    let named = scope.need("StackName");
    let found = scope.with(|region| {
        let stack = region.find(named);
        stack.map(|stack| (stack.clone(), imported(region, stack)))
    });
    // Deleting a stack that is not there succeeds, as does deleting one that is deleted or being deleted.
    let Some((stack, importers)) = found else {
        return Ok(nothing());
    };
    if stack.deleted.is_some() || stack.status == "DELETE_IN_PROGRESS" {
        return Ok(nothing());
    }
    if stack.protected {
        return Err(ApiError::validation(format!(
            "Stack [{}] cannot be deleted while TerminationProtection is enabled",
            stack.name
        )));
    }
    let retain = scope.texts("RetainResources");
    if !retain.is_empty() && stack.status != "DELETE_FAILED" {
        return Err(ApiError::validation(format!(
            "Invalid operation on stack [{}]. RetainResources can only be specified for a stack in DELETE_FAILED state",
            stack.id
        )));
    }
    if stack.busy() {
        return Err(ApiError::validation(format!(
            "Stack [{}] cannot be deleted while in status {}",
            stack.name, stack.status
        )));
    }
    if let Some((export, importer)) = importers {
        return Err(ApiError::validation(format!(
            "Export {export} cannot be deleted as it is in use by {importer}"
        )));
    }
    let token = scope.text("ClientRequestToken").map(str::to_owned);
    let role = scope.text("RoleARN").map(str::to_owned).or(stack.role);
    let work = scope.work((stack.id, stack.name), role, token).await?;
    work.with(|stack| stack.status = "DELETE_IN_PROGRESS");
    tokio::spawn(run::delete(work, retain));
    Ok(nothing())
}

/// An export of the stack that another stack imports, with that stack's name.
fn imported(
    region: &crate::state::Region,
    stack: &crate::state::Stack,
) -> Option<(String, String)> {
    let exports: Vec<&String> = stack
        .outputs
        .iter()
        .filter_map(|it| it.export.as_ref())
        .collect();
    let others = region
        .stacks
        .iter()
        .filter(|other| other.deleted.is_none() && other.id != stack.id);
    others.into_iter().find_map(|other| {
        let template = other.template.as_ref()?;
        exports.iter().find_map(|export| {
            let named = format!("{{\"Fn::ImportValue\":\"{export}\"}}");
            let resources = template.resources.iter();
            let uses = resources.into_iter().any(|(_, it)| {
                serde_json::Value::Object(it.properties.clone())
                    .to_string()
                    .contains(&named)
            });
            uses.then(|| ((*export).clone(), other.name.clone()))
        })
    })
}

pub(super) fn cancel(scope: &Scope<'_>) -> Answer {
    scope.stack(|stack| {
        if stack.status != "UPDATE_IN_PROGRESS" {
            return Err(ApiError::validation(
                "CancelUpdateStack cannot be called from current stack status",
            ));
        }
        stack.cancelled = true;
        stack.cancel_token = scope.text("ClientRequestToken").map(str::to_owned);
        Ok(nothing())
    })
}

pub(super) async fn continue_rollback(scope: &Scope<'_>) -> Answer {
    let stack = scope.stack(|stack| {
        if stack.status != "UPDATE_ROLLBACK_FAILED" {
            return Err(ApiError::validation(format!(
                "Stack:{} is in {} state and can not continue update rollback.",
                stack.id, stack.status
            )));
        }
        Ok(stack.clone())
    })?;
    let skip = scope.texts("ResourcesToSkip");
    let failed = |id: &String| {
        stack
            .resource(id)
            .is_some_and(|resource| resource.status == "UPDATE_FAILED")
    };
    if let Some(wrong) = skip.iter().find(|id| !failed(id)) {
        return Err(ApiError::validation(format!(
            "ResourcesToSkip must only contain resources in UPDATE_FAILED state: {wrong}"
        )));
    }
    let token = scope.text("ClientRequestToken").map(str::to_owned);
    let role = scope.text("RoleARN").map(str::to_owned).or(stack.role);
    let work = scope.work((stack.id, stack.name), role, token).await?;
    work.with(|stack| {
        stack.status = "UPDATE_ROLLBACK_IN_PROGRESS";
        obsolete(stack);
    });
    tokio::spawn(run::continue_rollback(work, skip));
    Ok(nothing())
}

pub(super) async fn roll_back(scope: &Scope<'_>) -> Answer {
    scope.refuse(&["RetainExceptOnCreate"])?;
    let stack = scope.stack(|stack| match stack.status {
        "CREATE_FAILED" | "UPDATE_FAILED" => Ok(stack.clone()),
        status => Err(ApiError::validation(format!(
            "Stack:{} is in {status} state and can not be rolled back.",
            stack.id
        ))),
    })?;
    let token = scope.text("ClientRequestToken").map(str::to_owned);
    let role = scope.text("RoleARN").map(str::to_owned).or(stack.role);
    let created = stack.status == "CREATE_FAILED";
    let id = stack.id.clone();
    let work = scope.work((stack.id, stack.name), role, token).await?;
    let begun = match created {
        true => "ROLLBACK_IN_PROGRESS",
        false => "UPDATE_ROLLBACK_IN_PROGRESS",
    };
    work.with(|stack| {
        stack.status = begun;
        obsolete(stack);
    });
    let operation = work.operation.clone();
    tokio::spawn(run::roll_back(work, created));
    Ok(json!({"StackId": id, "OperationId": operation}))
}
