//! Dynamic references, `{{resolve:SERVICE:REFERENCE}}`: values that are read when a resource is made, and that neither a
//! change set nor an event shows.
//! Source: AWS CloudFormation User Guide, "Get values stored in other services using dynamic references".

use serde_json::{Map, Value, json};

use crate::services::Services;

/// The properties with the values of their dynamic references, or why one has none.
pub(crate) async fn resolved(
    services: &Services,
    properties: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut found = Value::Object(properties.clone());
    for text in texts(&found) {
        let mut new = text.clone();
        while let Some((whole, reference)) = first(&new) {
            let value = value(services, &reference).await?;
            new = new.replacen(&whole, &value, 1);
        }
        replace(&mut found, &text, &new);
    }
    match found {
        Value::Object(properties) => Ok(properties),
        _ => Ok(Map::new()),
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if first(text).is_some() => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn replace(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) if text == old => new.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, old, new)),
        Value::Object(members) => members.values_mut().for_each(|it| replace(it, old, new)),
        _ => {}
    }
}

/// The first dynamic reference of a text: all of it, and what stands inside.
fn first(text: &str) -> Option<(String, String)> {
    let start = text.find("{{resolve:")?;
    let end = start + text[start..].find("}}")?;
    let whole = text[start..end + 2].to_owned();
    Some((whole, text[start + "{{resolve:".len()..end].to_owned()))
}

async fn value(services: &Services, reference: &str) -> Result<String, String> {
    let (service, named) = reference.split_once(':').unwrap_or((reference, ""));
    match service {
        "ssm" | "ssm-secure" => {
            let input = json!({"Name": named, "WithDecryption": service == "ssm-secure"});
            let answer = services.json("ssm", "AmazonSSM.GetParameter", input).await;
            let answer = answer.map_err(|refusal| refusal.sentence())?;
            let kind = answer["Parameter"]["Type"].as_str().unwrap_or_default();
            if (kind == "SecureString") != (service == "ssm-secure") {
                return Err(format!(
                    "Incorrect format is used in the following SSM reference: [{named}]"
                ));
            }
            let value = answer["Parameter"]["Value"].as_str();
            Ok(value.unwrap_or_default().to_owned())
        }
        "secretsmanager" => secret(services, named).await,
        _ => Err(format!(
            "Error parsing parameter {service}: Incorrect format is used in the following dynamic reference: [{reference}]"
        )),
    }
}

/// `ID:SecretString:KEY:STAGE:VERSION`, of which only the ID is needed; an ARN has six colons of its own.
async fn secret(services: &Services, named: &str) -> Result<String, String> {
    let parts: Vec<&str> = named.split(':').collect();
    let own = if named.starts_with("arn:") { 7 } else { 1 };
    let id = parts
        .iter()
        .take(own)
        .copied()
        .collect::<Vec<_>>()
        .join(":");
    let part = |index: usize| parts.get(own + index).copied().filter(|it| !it.is_empty());
    let mut input = json!({"SecretId": id});
    if let Some(stage) = part(2) {
        input["VersionStage"] = json!(stage);
    }
    if let Some(version) = part(3) {
        input["VersionId"] = json!(version);
    }
    let answer = services
        .json("secretsmanager", "secretsmanager.GetSecretValue", input)
        .await
        .map_err(|refusal| refusal.sentence())?;
    let whole = answer["SecretString"].as_str().unwrap_or_default();
    let Some(key) = part(1) else {
        return Ok(whole.to_owned());
    };
    let parsed: Value = serde_json::from_str(whole).unwrap_or_default();
    match &parsed[key] {
        Value::Null => Err(format!(
            "Could not find a value associated with JSONKey in SecretString for {id}"
        )),
        Value::String(value) => Ok(value.clone()),
        other => Ok(other.to_string()),
    }
}
