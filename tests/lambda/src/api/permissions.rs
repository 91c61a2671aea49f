//! Resource policies and tags of functions.

use serde_json::{Value, json};

use super::Call;
use crate::error::{Answer, ApiError};

fn no_policy() -> ApiError {
    ApiError::missing("The resource you requested does not exist.")
}

pub(super) fn add(call: &Call<'_>) -> Answer {
    let (_, qualifier) = call.named();
    let (id, principal) = (call.text("StatementId"), call.text("Principal"));
    let resource = call.arn();
    call.with(|function| {
        if function.version(&qualifier).is_none() {
            return Err(call.not_found());
        }
        let statements = function.policies.entry(qualifier.clone()).or_default();
        if statements.iter().any(|one| one["Sid"] == id) {
            return Err(ApiError::conflict(format!(
                "The statement id ({id}) provided already exists. Please provide a new statement id, or remove the existing statement."
            )));
        }
        let who = match principal {
            service if service.ends_with(".amazonaws.com") => json!({ "Service": service }),
            "*" => json!("*"),
            account if account.starts_with("arn:") => json!({ "AWS": account }),
            account => json!({ "AWS": format!("arn:aws:iam::{account}:root") }),
        };
        let mut statement = json!({
            "Sid": id, "Effect": "Allow", "Principal": who, "Action": call.text("Action"), "Resource": resource,
        });
        for (member, operator, key) in [
            ("SourceArn", "ArnLike", "AWS:SourceArn"),
            ("SourceAccount", "StringEquals", "AWS:SourceAccount"),
        ] {
            if let Some(value) = call.input[member].as_str() {
                statement["Condition"][operator] = json!({ key: value });
            }
        }
        statements.push(statement.clone());
        // The policy counts as a part of the alias.
        if let Some(alias) = function.aliases.get_mut(&qualifier) {
            alias.id = crate::state::id();
        }
        Ok(json!({ "Statement": statement.to_string() }))
    })
}

pub(super) fn remove(call: &Call<'_>) -> Answer {
    let (_, qualifier) = call.named();
    let id = call.text("StatementId");
    call.with(|function| {
        let statements = function.policies.entry(qualifier.clone()).or_default();
        let before = statements.len();
        statements.retain(|one| one["Sid"] != id);
        match statements.len() < before {
            true => Ok(Value::Null),
            false => Err(ApiError::missing(format!(
                "Statement {id} is not found in resource policy."
            ))),
        }
    })
}

pub(super) fn policy(call: &Call<'_>) -> Answer {
    let (_, qualifier) = call.named();
    call.with(|function| {
        let statements = function.policies.get(&qualifier);
        let statements = statements.filter(|statements| !statements.is_empty());
        let statements = statements.ok_or_else(no_policy)?;
        let policy = json!({"Version": "2012-10-17", "Id": "default", "Statement": statements});
        let revision = match function.aliases.get(&qualifier) {
            Some(alias) => alias.id.clone(),
            None => function.latest.id().to_owned(),
        };
        Ok(json!({"Policy": policy.to_string(), "RevisionId": revision}))
    })
}

/// A call whose function is named by its ARN in the member `Resource`.
fn of_resource(call: &Call<'_>) -> Value {
    json!({"FunctionName": call.text("Resource")})
}

pub(super) fn tags(call: &Call<'_>) -> Answer {
    let named = of_resource(call);
    let call = Call {
        input: &named,
        ..*call
    };
    call.with(|function| Ok(json!({ "Tags": function.tags })))
}

pub(super) fn tag(call: &Call<'_>) -> Answer {
    let tags = call.input["Tags"].as_object().cloned().unwrap_or_default();
    let named = of_resource(call);
    let call = Call {
        input: &named,
        ..*call
    };
    call.with(|function| {
        function.tags.extend(tags);
        Ok(Value::Null)
    })
}

pub(super) fn untag(call: &Call<'_>) -> Answer {
    let keys = call.input["TagKeys"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let named = of_resource(call);
    let call = Call {
        input: &named,
        ..*call
    };
    call.with(|function| {
        for key in keys.iter().filter_map(Value::as_str) {
            function.tags.remove(key);
        }
        Ok(Value::Null)
    })
}
