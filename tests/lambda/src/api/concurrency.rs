//! Provisioned concurrency, which is allocated for an alias here; for a version alone it is not implemented.
//! Source: AWS Lambda Developer Guide, "Configuring provisioned concurrency for a function".

use std::time::Instant;

use serde_json::{Value, json};

use super::Call;
use crate::error::{Answer, ApiError};
use crate::state::{Provisioned, now};

fn none() -> ApiError {
    ApiError::new(
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
    )
}

fn answer(provisioned: &Provisioned) -> Value {
    let ready = Instant::now() >= provisioned.ready;
    let available = if ready { provisioned.requested } else { 0 };
    json!({
        "RequestedProvisionedConcurrentExecutions": provisioned.requested,
        "AvailableProvisionedConcurrentExecutions": available,
        "AllocatedProvisionedConcurrentExecutions": available,
        "Status": if ready { "READY" } else { "IN_PROGRESS" },
        "LastModified": provisioned.modified,
    })
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let (_, qualifier) = call.named();
    call.with(|function| {
        let alias = function.aliases.get(&qualifier);
        let provisioned = alias.and_then(|alias| alias.provisioned.as_ref());
        provisioned.map(answer).ok_or_else(none)
    })
}

pub(super) fn put(call: &Call<'_>) -> Answer {
    let (_, qualifier) = call.named();
    let takes = call.inner.config.timings.provision;
    let requested = call.input["ProvisionedConcurrentExecutions"].as_i64();
    call.with(|function| {
        let Some(alias) = function.aliases.get_mut(&qualifier) else {
            return Err(call.not_found());
        };
        if !alias.weights.is_empty() {
            return Err(ApiError::invalid(
                "Alias with weights can not be used with Provisioned Concurrency",
            ));
        }
        let provisioned = Provisioned {
            requested: requested.unwrap_or(1),
            ready: Instant::now() + takes,
            modified: now(),
        };
        let mut answer = answer(&provisioned);
        alias.provisioned = Some(provisioned);
        answer["Status"] = json!("IN_PROGRESS");
        Ok(answer)
    })
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let (_, qualifier) = call.named();
    call.with(|function| {
        if let Some(alias) = function.aliases.get_mut(&qualifier) {
            alias.provisioned = None;
        }
        Ok(Value::Null)
    })
}
