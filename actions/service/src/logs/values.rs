//! The values of the secrets that ECS gives to a container, read to be hidden and for nothing else.

use ecs::ContainerSecret;
use kit::Secret;
use kit::aws::Arn;
use kit::error::{Error, Result};
use net::{Account, Net};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A secret's value.
pub(crate) struct SecretValue {
    pub(crate) name: String,
    pub(crate) value: Secret,
}

/// Reads them all, each once.
///
/// # Errors
/// One of them cannot be read; without its value nobody can tell where it stands.
pub(crate) async fn read(
    net: &Net,
    account: &Account,
    secrets: &[ContainerSecret],
) -> Result<Vec<SecretValue>> {
    let each: BTreeSet<&ContainerSecret> = secrets.iter().collect();
    let mut values = Vec::new();
    for secret in each {
        let unread = |error: Error| error.under(format!("secret {} cannot be hidden", secret.name));
        let value = one(net, account, &secret.from).await.map_err(unread)?;
        let key = Managed::parse(&secret.from).and_then(|managed| managed.key);
        let given = key.map(|key| of_key(value.expose(), &key).map_err(unread));
        for value in std::iter::once(value).chain(given.transpose()?) {
            values.push(SecretValue {
                name: secret.name.clone(),
                value,
            });
        }
    }
    Ok(values)
}

/// A reference to a secret of Secrets Manager, `ARN:KEY:STAGE:VERSION`, of which the last three may be empty or missing (Amazon ECS
/// API Reference, `Secret`).
struct Managed {
    /// The ARN of the whole secret.
    secret: Arn,
    /// The key of the secret's JSON whose value ECS gives to the container.
    key: Option<String>,
    stage: Option<String>,
    version: Option<String>,
}

impl Managed {
    /// Takes a reference apart; `None` for one to a parameter.
    fn parse(from: &str) -> Option<Self> {
        let arn: Arn = from.parse().ok()?;
        let mut parts = arn.resource.split(':');
        let (kind, name) = (parts.next()?, parts.next()?);
        if arn.service != "secretsmanager" {
            return None;
        }
        let secret = Arn::new(
            arn.partition,
            &arn.service,
            arn.region.as_ref(),
            arn.account.as_ref(),
            &format!("{kind}:{name}"),
        );
        let mut next = || {
            let part = parts.next().filter(|part| !part.is_empty());
            part.map(str::to_owned)
        };
        Some(Self {
            secret,
            key: next(),
            stage: next(),
            version: next(),
        })
    }
}

/// The value of a key of a secret's JSON. To the container it is the whole secret, so that it must be hidden where a part of a
/// secret may be too short for that.
///
/// # Errors
/// There is none.
fn of_key(value: &str, key: &str) -> Result<Secret> {
    let json: Option<Value> = serde_json::from_str(value).ok();
    let found = json.as_ref().and_then(|json| json.get(key));
    match found {
        Some(Value::String(text)) => Ok(Secret::new(text.clone())),
        Some(value) => Ok(Secret::new(value.to_string())),
        None => Err(Error::failed(format!("it has no key {key}"))),
    }
}

async fn one(net: &Net, account: &Account, from: &str) -> Result<Secret> {
    let Request {
        service,
        target,
        input,
        path,
    } = request(from);
    let mut account = account.clone();
    if let Some(region) = from.parse::<Arn>().ok().and_then(|arn| arn.region) {
        account.region = region;
    }
    let answer = net.json(&account, service, target, &input).await?;
    match answer.pointer(path).and_then(Value::as_str) {
        Some(value) => Ok(Secret::new(value.to_owned())),
        None => Err(Error::failed(format!("{service} has no text for {from}"))),
    }
}

/// The call that reads a secret.
#[derive(Debug, PartialEq)]
struct Request {
    service: &'static str,
    target: &'static str,
    input: Value,
    /// Where the value is in the answer.
    path: &'static str,
}

/// The call for a reference of a task definition (Amazon ECS API Reference, `Secret`). It reads the whole secret also where one key of
/// its JSON is asked for, since its other values are secret too.
fn request(from: &str) -> Request {
    let Some(managed) = Managed::parse(from) else {
        return Request {
            service: "ssm",
            target: "AmazonSSM.GetParameters",
            input: json!({"Names": [from], "WithDecryption": true}),
            path: "/Parameters/0/Value",
        };
    };
    let mut input = json!({"SecretId": managed.secret.as_str()});
    let version = [
        ("VersionStage", managed.stage),
        ("VersionId", managed.version),
    ];
    for (name, value) in version {
        if let Some(value) = value {
            input[name] = json!(value);
        }
    }
    Request {
        service: "secretsmanager",
        target: "secretsmanager.GetSecretValue",
        input,
        path: "/SecretString",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Redactor;

    /// ECS gives the container that value alone.
    #[test]
    fn the_value_of_a_key_is_a_secret_of_its_own() {
        let arn = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:shop/api-AbCdEf";
        let key = |from: &str| Managed::parse(from).and_then(|managed| managed.key);
        assert_eq!(key(arn), None);
        assert_eq!(key("/shop/url"), None);
        assert_eq!(key(&format!("{arn}::AWSPREVIOUS:")), None);
        assert_eq!(
            key(&format!("{arn}:password::")),
            Some("password".to_owned())
        );
        let json = r#"{"password": "12345", "pin": 7}"#;
        assert_eq!(of_key(json, "pin").unwrap().expose(), "7");
        for (value, key) in [(json, "other"), ("no json", "password")] {
            let error = of_key(value, key).err().unwrap();
            assert!(error.message.contains(key), "{error}");
            assert!(!error.message.contains(value), "{error}");
        }
        // It is too short to be hidden, so the lines are left out.
        let password = of_key(json, "password").unwrap();
        let error = Redactor::default().hide("PASSWORD", password.expose());
        assert!(error.unwrap_err().message.contains("PASSWORD"));
    }

    #[test]
    fn each_form_of_a_reference_is_read_where_it_is() {
        let arn = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:shop/api-AbCdEf";
        let parameter = "arn:aws:ssm:eu-west-1:111111111111:parameter/shop/url";
        for (from, service, input) in [
            (
                "/shop/url",
                "ssm",
                json!({"Names": ["/shop/url"], "WithDecryption": true}),
            ),
            (
                parameter,
                "ssm",
                json!({"Names": [parameter], "WithDecryption": true}),
            ),
            (arn, "secretsmanager", json!({"SecretId": arn})),
            (
                &format!("{arn}:token::"),
                "secretsmanager",
                json!({"SecretId": arn}),
            ),
            (
                &format!("{arn}:token:AWSPREVIOUS:v1"),
                "secretsmanager",
                json!({"SecretId": arn, "VersionStage": "AWSPREVIOUS", "VersionId": "v1"}),
            ),
        ] {
            let request = request(from);
            assert_eq!(
                (request.service, &request.input),
                (service, &input),
                "{from}"
            );
        }
    }
}
