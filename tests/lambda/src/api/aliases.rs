//! Aliases: names that serve one version, or share their traffic between two.
//! Source: AWS Lambda Developer Guide, "Implement Lambda canary deployments using a weighted alias".

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::Call;
use crate::error::{Answer, ApiError};
use crate::state::{Alias, Function, id};

pub(super) fn create(call: &Call<'_>) -> Answer {
    let name = call.text("Name");
    let weights = call.input["RoutingConfig"]["AdditionalVersionWeights"].as_object();
    let weights = weights.cloned().unwrap_or_default();
    call.with(|function| {
        let version = call.text("FunctionVersion");
        check(call, function, version, &weights)?;
        if function.aliases.contains_key(name) {
            return Err(ApiError::conflict(format!(
                "Alias already exists: {}:{name}",
                function.arn(call.scope)
            )));
        }
        let alias = Alias {
            version: version.to_owned(),
            description: call.text("Description").to_owned(),
            weights,
            id: id(),
            provisioned: None,
            moving: None,
        };
        let answer = alias.answer(&function.arn(call.scope), name);
        function.aliases.insert(name.to_owned(), alias);
        Ok(answer)
    })
}

/// Refuses a version that is not there, and weights that Lambda does not take.
fn check(
    call: &Call<'_>,
    function: &Function,
    version: &str,
    weights: &Map<String, Value>,
) -> Result<(), ApiError> {
    for version in std::iter::once(version).chain(weights.keys().map(String::as_str)) {
        if function.revision(version).is_none() {
            return Err(ApiError::missing(format!(
                "Function not found: {}:{version}",
                function.arn(call.scope)
            )));
        }
    }
    if weights.is_empty() {
        return Ok(());
    }
    let refused = match weights.iter().next() {
        _ if weights.len() > 1 => {
            "Number of items in AdditionalVersionWeights cannot be greater than 1"
        }
        Some((other, _)) if other == "$LATEST" || version == "$LATEST" => {
            "$LATEST is not supported for an alias pointing to more than 1 version"
        }
        Some((other, _)) if other == version => {
            "Invalid function version. Function version should not be included in routing configuration"
        }
        Some((_, weight)) if !weight.as_f64().is_some_and(|it| (0.0..=1.0).contains(&it)) => {
            "A weight is between 0 and 1"
        }
        _ => return Ok(()),
    };
    Err(ApiError::invalid(refused))
}

fn not_found(call: &Call<'_>, function: &Function) -> ApiError {
    let arn = function.arn(call.scope);
    ApiError::missing(format!(
        "Cannot find alias arn: {arn}:{}",
        call.text("Name")
    ))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let name = call.text("Name");
    call.with(|function| {
        let alias = function.aliases.get(name);
        let alias = alias.ok_or_else(|| not_found(call, function))?;
        Ok(alias.answer(&function.arn(call.scope), name))
    })
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let name = call.text("Name");
    let takes = call.inner.config.timings.provision;
    call.with(|function| {
        let alias = function.aliases.get(name);
        let alias = alias.ok_or_else(|| not_found(call, function))?;
        let given = call.text("RevisionId");
        if !given.is_empty() && given != alias.id {
            return Err(ApiError::precondition());
        }
        let version = match call.text("FunctionVersion") {
            "" => alias.version.clone(),
            version => version.to_owned(),
        };
        // A configuration without weights clears them; none at all leaves them.
        let weights = match call.input.get("RoutingConfig") {
            Some(routing) => routing["AdditionalVersionWeights"].as_object().cloned(),
            None => Some(alias.weights.clone()),
        };
        let weights = weights.unwrap_or_default();
        check(call, function, &version, &weights)?;
        if alias.provisioned.is_some() && !weights.is_empty() {
            return Err(ApiError::invalid(
                "Alias with weights can not be used with Provisioned Concurrency",
            ));
        }
        let arn = function.arn(call.scope);
        let Some(alias) = function.aliases.get_mut(name) else {
            return Err(call.not_found());
        };
        if let Some(provisioned) = alias
            .provisioned
            .as_mut()
            .filter(|_| version != alias.version)
        {
            provisioned.ready = Instant::now() + takes;
            alias.moving = Some((alias.version.clone(), provisioned.ready));
        }
        alias.version = version;
        alias.weights = weights;
        alias.id = id();
        if let Some(description) = call.input["Description"].as_str() {
            alias.description = description.to_owned();
        }
        Ok(alias.answer(&arn, name))
    })
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    // An alias that is not there is deleted as well.
    call.with(|function| {
        function.aliases.remove(call.text("Name"));
        Ok(Value::Null)
    })
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let of = call.text("FunctionVersion");
    call.with(|function| {
        let arn = function.arn(call.scope);
        let listed: Vec<Value> = function
            .aliases
            .iter()
            .filter(|(_, alias)| of.is_empty() || alias.version == of)
            .map(|(name, alias)| alias.answer(&arn, name))
            .collect();
        Ok(json!({ "Aliases": listed }))
    })
}
