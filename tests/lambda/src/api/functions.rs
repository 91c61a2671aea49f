//! Functions: their code, which is an image, and their configuration.

use serde_json::{Map, Value, json};

use super::Call;
use crate::error::{Answer, ApiError};
use crate::image;
use crate::state::{Function, Revision};

/// The members of a configuration that a user sets, and what each is answered with where it is not given (AWS Lambda API
/// Reference, "CreateFunction").
fn defaults() -> Map<String, Value> {
    let Value::Object(members) = json!({
        "Timeout": 3,
        "MemorySize": 128,
        "Description": "",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "TracingConfig": {"Mode": "PassThrough"},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
    }) else {
        return Map::new();
    };
    members
}

/// Takes the settings of a request over into those that are answered.
fn set(settings: &mut Map<String, Value>, input: &Value) {
    for name in [
        "Role",
        "Timeout",
        "MemorySize",
        "Description",
        "Environment",
        "Architectures",
        "EphemeralStorage",
        "TracingConfig",
        "KMSKeyArn",
        "VpcConfig",
        "DeadLetterConfig",
        "LoggingConfig",
    ] {
        if let Some(value) = input.get(name) {
            settings.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(value) = input.get("ImageConfig") {
        settings.insert(
            "ImageConfigResponse".to_owned(),
            json!({ "ImageConfig": value }),
        );
    }
}

fn only_images(code: &Value) -> Result<&str, ApiError> {
    code["ImageUri"].as_str().ok_or_else(|| {
        ApiError::new(
            "StandInNotImplemented",
            "this stand-in runs functions of container images alone",
        )
    })
}

pub(super) async fn create(call: &Call<'_>) -> Answer {
    let (name, _) = call.named();
    let asked = only_images(&call.input["Code"])?;
    let mut settings = defaults();
    set(&mut settings, call.input);
    let image = image::resolve(call.inner, call.scope, asked).await?;
    let takes = call.inner.config.timings.update;
    let mut world = call.inner.world();
    let functions = world.place(call.scope);
    if functions.contains_key(&name) {
        return Err(ApiError::conflict(format!(
            "Function already exist: {name}"
        )));
    }
    let latest = Revision::new(settings, image, asked.to_owned(), takes);
    let tags = call.input["Tags"].as_object().cloned().unwrap_or_default();
    let mut function = Function {
        name: name.clone(),
        latest,
        versions: Default::default(),
        next: 1,
        aliases: Default::default(),
        policies: Default::default(),
        tags,
    };
    let version = match call.input["Publish"].as_bool() {
        Some(true) => super::versions::add(&mut function, takes),
        _ => "$LATEST".to_owned(),
    };
    let answer = function.configuration(call.scope, &version, "");
    functions.insert(name, function);
    Ok(answer)
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let (_, qualifier) = call.named();
    call.with(|function| {
        let version = function.version(&qualifier);
        let version = version.ok_or_else(|| call.not_found())?;
        let revision = function.revision(&version);
        let revision = revision.ok_or_else(|| call.not_found())?;
        let mut answer = json!({
            "Configuration": function.configuration(call.scope, &version, &qualifier),
            "Code": {
                "RepositoryType": "ECR",
                "ImageUri": revision.asked,
                "ResolvedImageUri": revision.image,
            },
        });
        if !function.tags.is_empty() {
            answer["Tags"] = Value::Object(function.tags.clone());
        }
        Ok(answer)
    })
}

pub(super) fn configuration(call: &Call<'_>) -> Answer {
    let (_, qualifier) = call.named();
    call.with(|function| {
        let version = function.version(&qualifier);
        let version = version.ok_or_else(|| call.not_found())?;
        Ok(function.configuration(call.scope, &version, &qualifier))
    })
}

pub(super) async fn update_code(call: &Call<'_>) -> Answer {
    let asked = only_images(call.input)?;
    call.with(|function| call.settled(function))?;
    let image = image::resolve(call.inner, call.scope, asked).await?;
    let takes = call.inner.config.timings.update;
    call.with(|function| {
        call.settled(function)?;
        if call.input["DryRun"] != true {
            function.latest.image = image;
            function.latest.asked = asked.to_owned();
            function.latest.touch(takes);
        }
        let version = match call.input["Publish"].as_bool() {
            Some(true) => super::versions::add(function, takes),
            _ => "$LATEST".to_owned(),
        };
        Ok(function.configuration(call.scope, &version, ""))
    })
}

pub(super) fn update_configuration(call: &Call<'_>) -> Answer {
    let takes = call.inner.config.timings.update;
    call.with(|function| {
        call.settled(function)?;
        set(&mut function.latest.settings, call.input);
        function.latest.touch(takes);
        Ok(function.configuration(call.scope, "$LATEST", ""))
    })
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let (name, qualifier) = call.named();
    let mut world = call.inner.world();
    let functions = world.place(call.scope);
    let Some(function) = functions.get_mut(&name) else {
        return Err(call.not_found());
    };
    if qualifier.is_empty() {
        functions.remove(&name);
        return Ok(json!({"StatusCode": 204}));
    }
    let used = function
        .aliases
        .iter()
        .find(|(_, alias)| alias.version == qualifier || alias.weights.contains_key(&qualifier));
    if let Some((alias, _)) = used {
        return Err(ApiError::conflict(format!(
            "Version {qualifier} is currently referenced by an alias: [{alias}]"
        )));
    }
    let number = qualifier.parse::<u64>().ok();
    match number.and_then(|number| function.versions.remove(&number)) {
        Some(_) => Ok(json!({"StatusCode": 204})),
        None => Err(call.not_found()),
    }
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let mut world = call.inner.world();
    let functions = world.place(call.scope).values();
    let listed: Vec<Value> = functions
        .map(|function| function.configuration(call.scope, "$LATEST", ""))
        .collect();
    Ok(json!({ "Functions": listed }))
}
