//! Fetches what variables name in the Parameter Store and Secrets Manager, with the credentials of the build's role.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::variables::{Given, Variable};
use crate::fault::{Fault, Result};
use crate::world::aws::Aws;
use crate::world::runner::Variables;

/// How many names GetParameters takes at once (Systems Manager API Reference).
const AT_ONCE: usize = 10;

/// The values of a build's variables.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// By name.
    pub(super) all: Variables,
    /// Those that were stored, which the log hides.
    pub(super) hidden: Vec<String>,
}

/// Fetches every stored value, or says which one cannot be had.
pub(super) async fn fetch(aws: &Aws, given: &Given) -> Result<Values> {
    let parameters: Vec<&String> = given
        .values()
        .filter_map(|variable| match variable {
            Variable::Parameter(parameter) => Some(parameter),
            _ => None,
        })
        .collect();
    let parameters = parameter_values(aws, &parameters).await?;
    let mut values = Values::default();
    for (name, variable) in given {
        let value = match variable {
            Variable::Plain(value) => value.clone(),
            Variable::Parameter(parameter) => {
                parameters.get(parameter).cloned().unwrap_or_default()
            }
            Variable::Secret(reference) => secret_value(aws, &Reference::parse(reference)?).await?,
        };
        if !matches!(variable, Variable::Plain(_)) {
            values.hidden.push(value.clone());
        }
        values.all.insert(name.clone(), value);
    }
    Ok(values)
}

async fn parameter_values(aws: &Aws, names: &[&String]) -> Result<BTreeMap<String, String>> {
    let mut names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut values = BTreeMap::new();
    for names in names.chunks(AT_ONCE) {
        let body = json!({"Names": names, "WithDecryption": true});
        let answer = aws
            .json("ssm", "AmazonSSM.GetParameters", &body)
            .await?
            .map_err(|refused| {
                Fault::new(format!(
                    "ssm:GetParameters answered {}: {}",
                    refused.status, refused.body
                ))
            })?;
        for parameter in answer["Parameters"].as_array().into_iter().flatten() {
            if let (Some(name), Some(value)) =
                (parameter["Name"].as_str(), parameter["Value"].as_str())
            {
                values.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(missing) = names.iter().find(|name| !values.contains_key(**name)) {
            return Err(Fault::new(format!("parameter does not exist: {missing}")));
        }
    }
    Ok(values)
}

/// A reference in `env/secrets-manager`: `SECRET[:JSON-KEY[:VERSION-STAGE[:VERSION-ID]]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reference {
    id: String,
    key: Option<String>,
    stage: Option<String>,
    version: Option<String>,
}

impl Reference {
    fn parse(text: &str) -> Result<Self> {
        // An ARN has six colons of its own.
        let own = if text.starts_with("arn:") { 6 } else { 0 };
        let parts: Vec<&str> = text.split(':').collect();
        let (Some(id), Some(rest)) = (parts.get(..=own), parts.get(own + 1..)) else {
            return Err(Fault::new(format!("{text} names no secret")));
        };
        let id = id.join(":");
        let part = |index: usize| {
            rest.get(index)
                .filter(|part| !part.is_empty())
                .map(|part| (*part).to_owned())
        };
        let reference = Self {
            id,
            key: part(0),
            stage: part(1),
            version: part(2),
        };
        if reference.id.is_empty() || rest.len() > 3 {
            return Err(Fault::new(format!("{text} names no secret")));
        }
        if reference.stage.is_some() && reference.version.is_some() {
            return Err(Fault::new(format!(
                "{text} names both a version stage and a version ID"
            )));
        }
        Ok(reference)
    }
}

async fn secret_value(aws: &Aws, reference: &Reference) -> Result<String> {
    let id = &reference.id;
    let mut body = json!({"SecretId": id});
    if let Some(stage) = &reference.stage {
        body["VersionStage"] = json!(stage);
    }
    if let Some(version) = &reference.version {
        body["VersionId"] = json!(version);
    }
    let answer = aws
        .json("secretsmanager", "secretsmanager.GetSecretValue", &body)
        .await?
        .map_err(|refused| {
            Fault::new(format!(
                "secretsmanager:GetSecretValue of {id} answered {}: {}",
                refused.status, refused.body
            ))
        })?;
    let text = answer["SecretString"]
        .as_str()
        .ok_or_else(|| Fault::new(format!("secret {id} is not text")))?;
    let Some(key) = &reference.key else {
        return Ok(text.to_owned());
    };
    // Nothing of the secret may stand in the message, so the parser's own words stay out.
    let object: Value = serde_json::from_str(text)
        .map_err(|_| Fault::new(format!("secret {id} is not JSON, so it has no key {key}")))?;
    object[key]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Fault::new(format!("secret {id} has no text under {key}")))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use axum::routing::post;

    use super::*;
    use crate::world::aws::Keys;

    #[test]
    fn a_reference_may_be_a_name_or_an_arn() {
        let arn = "arn:aws:secretsmanager:ca-central-1:123456789012:secret:team/token-AbCdEf";
        for (text, id, key, stage, version) in [
            ("team/token", "team/token", None, None, None),
            ("team/token:k", "team/token", Some("k"), None, None),
            (
                "team/token::AWSPREVIOUS",
                "team/token",
                None,
                Some("AWSPREVIOUS"),
                None,
            ),
            ("team/token:k::7", "team/token", Some("k"), None, Some("7")),
            (arn, arn, None, None, None),
            (&format!("{arn}:k"), arn, Some("k"), None, None),
        ] {
            let expected = Reference {
                id: id.to_owned(),
                key: key.map(str::to_owned),
                stage: stage.map(str::to_owned),
                version: version.map(str::to_owned),
            };
            assert_eq!(Reference::parse(text).unwrap(), expected, "{text}");
        }
        for text in ["", "arn:aws:secretsmanager", "a:b:c:d", "a:b:c:d:e"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    /// Secrets Manager and the Parameter Store with one value each.
    async fn store() -> (Aws, tokio::task::JoinHandle<()>) {
        let answer = async |headers: HeaderMap, body: String| {
            let body: Value = serde_json::from_str(&body).unwrap();
            let answer = match headers["x-amz-target"].to_str().unwrap() {
                "AmazonSSM.GetParameters" => {
                    assert_eq!(body["WithDecryption"], true);
                    json!({"Parameters": [{"Name": "/there", "Value": "p"}], "InvalidParameters": []})
                }
                _ => json!({"SecretString": r#"{"k":"from-key"}"#}),
            };
            answer.to_string()
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/", post(answer));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let keys = Keys {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "half".to_owned(),
            session_token: None,
        };
        (
            Aws::new(
                crate::world::http_client().unwrap(),
                &endpoint,
                "ca-central-1",
                keys,
            ),
            server,
        )
    }

    fn given(name: &str, variable: Variable) -> Given {
        Given::from([(name.to_owned(), variable)])
    }

    #[tokio::test]
    async fn stored_values_are_fetched_and_hidden_and_missing_ones_named() {
        let (aws, server) = store().await;
        let mut all = given("T", Variable::Secret("s:k".into()));
        all.extend(given("P", Variable::Parameter("/there".into())));
        all.extend(given("X", Variable::Plain("x".into())));
        let values = fetch(&aws, &all).await.unwrap();
        assert_eq!(
            values.all,
            Variables::from(
                [("P", "p"), ("T", "from-key"), ("X", "x")].map(|(n, v)| (n.into(), v.into()))
            )
        );
        assert_eq!(values.hidden, ["p", "from-key"]);
        let missing = fetch(&aws, &given("P", Variable::Parameter("/not-there".into())))
            .await
            .unwrap_err();
        assert_eq!(missing.to_string(), "parameter does not exist: /not-there");
        let keyless = fetch(&aws, &given("T", Variable::Secret("s:other".into())))
            .await
            .unwrap_err();
        assert_eq!(keyless.to_string(), "secret s has no text under other");
        server.abort();
    }
}
