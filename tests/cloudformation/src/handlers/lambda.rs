//! `AWS::Lambda::Function`, `Version`, `Alias` and `Permission`. Functions are those of container images.
//! Source: AWS CloudFormation User Guide, "AWS Lambda resource type reference".

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{Desk, Failure, Made, Properties, copied, unknown};
use crate::services::{Refusal, Services, encode};
use crate::template::parameters::text;

const FUNCTION: [&str; 10] = [
    "Code",
    "Description",
    "Environment",
    "FunctionName",
    "ImageConfig",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "Role",
    "Timeout",
];
/// The properties of a function that `UpdateFunctionConfiguration` takes.
const SETTINGS: [&str; 7] = [
    "Description",
    "Environment",
    "ImageConfig",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Timeout",
];
const VERSION: [&str; 3] = ["CodeSha256", "Description", "FunctionName"];
const ALIAS: [&str; 4] = ["Description", "FunctionName", "FunctionVersion", "Name"];
const PERMISSION: [&str; 5] = [
    "Action",
    "FunctionName",
    "Principal",
    "SourceAccount",
    "SourceArn",
];
const FUNCTIONS: &str = "/2015-03-31/functions";
/// How often the end of an update is looked for, and how long between two looks.
const LOOKS: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(100);

pub(super) fn properties(kind: &str) -> &'static [&'static str] {
    match kind {
        "AWS::Lambda::Function" => &FUNCTION,
        "AWS::Lambda::Version" => &VERSION,
        "AWS::Lambda::Alias" => &ALIAS,
        _ => &PERMISSION,
    }
}

async fn call(
    services: &Services,
    method: Method,
    path: &str,
    query: &str,
    body: Option<Value>,
) -> Result<Value, Refusal> {
    let path = format!("{FUNCTIONS}{path}");
    services.rest("lambda", method, &path, query, body).await
}

fn given(properties: &Properties, name: &str) -> String {
    properties.get(name).map(text).unwrap_or_default()
}

/// The function of a property that names it by name or ARN, and the qualifier in that.
fn named(properties: &Properties) -> (String, String) {
    let given = given(properties, "FunctionName");
    let rest = given
        .rsplit_once("function:")
        .map_or(&*given, |(_, rest)| rest);
    let (name, qualifier) = rest.split_once(':').unwrap_or((rest, ""));
    (name.to_owned(), qualifier.to_owned())
}

fn made(physical: &str, attributes: &[(&str, &Value)]) -> Made {
    let attributes = attributes.iter();
    Made {
        physical: physical.to_owned(),
        attributes: attributes
            .map(|(name, value)| ((*name).to_owned(), (*value).clone()))
            .collect(),
    }
}

/// Returns true if a function has the name.
pub(super) async fn exists(services: &Services, name: &str) -> bool {
    let path = format!("/{name}");
    call(services, Method::GET, &path, "", None).await.is_ok()
}

/// The function or version once nothing about it is in progress.
async fn settled(desk: &Desk, name: &str, qualifier: &str) -> Result<Value, Failure> {
    let query = match qualifier {
        "" => String::new(),
        qualifier => format!("Qualifier={}", encode(qualifier)),
    };
    let path = format!("/{name}/configuration");
    for _ in 0..LOOKS {
        let found = call(&desk.services, Method::GET, &path, &query, None).await?;
        if found["State"] == "Active" && found["LastUpdateStatus"] == "Successful" {
            return Ok(found);
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Err(Failure::new(
        "NotStabilized",
        format!("{name} did not become Active"),
    ))
}

pub(super) async fn create(
    desk: &Desk,
    kind: &str,
    properties: &Properties,
) -> Result<Made, Failure> {
    match kind {
        "AWS::Lambda::Function" => create_function(desk, properties).await,
        "AWS::Lambda::Version" => publish(desk, properties).await,
        "AWS::Lambda::Alias" => create_alias(desk, properties).await,
        "AWS::Lambda::Permission" => permit(desk, properties).await,
        _ => Err(unknown(kind)),
    }
}

async fn create_function(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let name = desk.named(properties, "FunctionName");
    let mut input = copied(properties, &FUNCTION);
    input.insert("FunctionName".to_owned(), json!(name));
    let input = Some(Value::Object(input));
    match call(&desk.services, Method::POST, "", "", input).await {
        Err(refusal) if refusal.message.starts_with("Function already exist") => {
            return Err(desk.exists("AWS::Lambda::Function", &name));
        }
        other => other?,
    };
    let found = settled(desk, &name, "").await?;
    Ok(made(&name, &[("Arn", &found["FunctionArn"])]))
}

async fn publish(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let (name, _) = named(properties);
    let input = Value::Object(copied(properties, &["CodeSha256", "Description"]));
    let path = format!("/{name}/versions");
    let published = call(&desk.services, Method::POST, &path, "", Some(input)).await?;
    let version = text(&published["Version"]);
    let found = settled(desk, &name, &version).await?;
    let arn = &found["FunctionArn"];
    let attributes = [("FunctionArn", arn), ("Version", &found["Version"])];
    Ok(made(&text(arn), &attributes))
}

async fn create_alias(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let (name, _) = named(properties);
    let input = copied(properties, &["Description", "FunctionVersion", "Name"]);
    let path = format!("/{name}/aliases");
    let input = Some(Value::Object(input));
    let answer = call(&desk.services, Method::POST, &path, "", input).await?;
    let arn = &answer["AliasArn"];
    Ok(made(&text(arn), &[("AliasArn", arn)]))
}

async fn permit(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let (name, qualifier) = named(properties);
    let id = desk.name();
    let mut input = copied(
        properties,
        &["Action", "Principal", "SourceAccount", "SourceArn"],
    );
    input.insert("StatementId".to_owned(), json!(id));
    let path = format!("/{name}/policy");
    let input = Some(Value::Object(input));
    call(&desk.services, Method::POST, &path, &of(&qualifier), input).await?;
    Ok(made(&id, &[("Id", &json!(id))]))
}

/// The query that names a qualifier, where there is one.
fn of(qualifier: &str) -> String {
    match qualifier {
        "" => String::new(),
        qualifier => format!("Qualifier={}", encode(qualifier)),
    }
}

pub(super) async fn update(
    desk: &Desk,
    kind: &str,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    match kind {
        "AWS::Lambda::Function" => update_function(desk, physical, old, new).await,
        "AWS::Lambda::Alias" => {
            let (name, _) = named(new);
            let input = Value::Object(copied(new, &["Description", "FunctionVersion"]));
            let path = format!("/{name}/aliases/{}", given(new, "Name"));
            let answer = call(&desk.services, Method::PUT, &path, "", Some(input)).await?;
            Ok(made(physical, &[("AliasArn", &answer["AliasArn"])]))
        }
        // Every property of the others replaces them.
        _ => Err(unknown(kind)),
    }
}

async fn update_function(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let changed = |name: &&str| old.get(*name) != new.get(*name);
    if SETTINGS.iter().any(changed) {
        let mut input = copied(new, &SETTINGS);
        // What the template does not say any more goes back to what it is without it.
        for (name, usual) in [
            ("Description", json!("")),
            ("Environment", json!({"Variables": {}})),
            ("ImageConfig", json!({})),
            ("MemorySize", json!(128)),
            ("Timeout", json!(3)),
        ] {
            if changed(&name) {
                input.entry(name).or_insert(usual);
            }
        }
        let path = format!("/{physical}/configuration");
        let input = Some(Value::Object(input));
        call(&desk.services, Method::PUT, &path, "", input).await?;
        settled(desk, physical, "").await?;
    }
    if changed(&"Code") {
        let path = format!("/{physical}/code");
        let code = new.get("Code").cloned();
        call(&desk.services, Method::PUT, &path, "", code).await?;
    }
    let found = settled(desk, physical, "").await?;
    Ok(made(physical, &[("Arn", &found["FunctionArn"])]))
}

pub(super) async fn delete(
    desk: &Desk,
    kind: &str,
    physical: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    let (name, qualifier) = named(properties);
    let (path, query) = match kind {
        "AWS::Lambda::Function" => (format!("/{physical}"), String::new()),
        "AWS::Lambda::Version" => {
            let version = physical.rsplit(':').next().unwrap_or_default();
            (format!("/{name}"), of(version))
        }
        "AWS::Lambda::Alias" => {
            let alias = given(properties, "Name");
            (format!("/{name}/aliases/{alias}"), String::new())
        }
        _ => (format!("/{name}/policy/{physical}"), of(&qualifier)),
    };
    let services = &desk.services;
    call(services, Method::DELETE, &path, &query, None)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_by_name_or_arn_with_a_qualifier_or_without() {
        let arn = "arn:aws:lambda:eu-west-1:111111111111:function:web:live";
        for (given, wanted) in [
            ("web", ("web", "")),
            ("web:live", ("web", "live")),
            (arn, ("web", "live")),
        ] {
            let properties =
                serde_json::Map::from_iter([("FunctionName".to_owned(), json!(given))]);
            let (name, qualifier) = named(&properties);
            assert_eq!((&*name, &*qualifier), wanted, "{given}");
        }
    }
}
