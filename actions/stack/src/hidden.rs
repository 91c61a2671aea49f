//! Which values of properties are shown. Pure.
//!
//! A plan is read by everybody who reads the log. CloudFormation hides the values of `NoEcho` parameters, and nothing else: a
//! password that somebody wrote into a template it shows as it is.

use serde_json::Value;

/// Stands for a value that is not shown.
pub(crate) const HIDDEN: &str = "(hidden)";

/// Parts of the names of properties that hold secrets, in lower case and without separators.
const SECRET_NAMES: &[&str] = &[
    "accesskey",
    "apikey",
    "authtoken",
    "clientsecret",
    "connectionstring",
    "credential",
    "licensekey",
    "oauthtoken",
    "passphrase",
    "password",
    "privatekey",
    "secretkey",
    "secretstring",
    "secrettoken",
    "userdata",
    "webhooksecret",
];

/// Properties that hold secrets although their names do not say so, by type.
const SECRET_PROPERTIES: &[(&str, &str)] = &[
    ("AWS::Amplify::App", "AccessToken"),
    ("AWS::Amplify::App", "EnvironmentVariables"),
    ("AWS::Amplify::Branch", "EnvironmentVariables"),
    ("AWS::AppRunner::Service", "RuntimeEnvironmentVariables"),
    ("AWS::CodeBuild::Project", "EnvironmentVariables"),
    ("AWS::ECS::TaskDefinition", "Environment"),
    ("AWS::ElasticBeanstalk::Environment", "OptionSettings"),
    ("AWS::Glue::Connection", "ConnectionProperties"),
    ("AWS::Lambda::Function", "Environment"),
    ("AWS::SSM::Parameter", "Value"),
    ("AWS::SageMaker::Model", "Environment"),
    ("AWS::Serverless::Function", "Environment"),
];

/// Whether the value at a path within a resource of this type is hidden. The path is a JSON pointer.
fn is_hidden(kind: &str, path: &str) -> bool {
    let mut names = path.split('/').filter(|name| !name.is_empty());
    names.any(|name| {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|character| character.to_ascii_lowercase())
            .collect();
        // The ARN or the ID of a secret is no secret.
        let reference =
            plain.ends_with("arn") || plain.ends_with("id") || plain.ends_with("policy");
        let secret = SECRET_NAMES.iter().any(|part| plain.contains(part)) && !reference;
        secret || SECRET_PROPERTIES.contains(&(kind, name))
    })
}

/// A value as it is shown: the text of a JSON value or plain text. Secrets within it are hidden, references to secrets stay.
pub(crate) fn shown(kind: &str, path: &str, text: &str, secrets: &[String]) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => {
            masked(&cleaned(kind, path, value).to_string(), secrets)
        }
        _ if is_reference(text) => text.to_owned(),
        _ if is_hidden(kind, path) => HIDDEN.to_owned(),
        _ => masked(text, secrets),
    }
}

/// A JSON value without the secrets in it.
pub(crate) fn cleaned(kind: &str, path: &str, value: Value) -> Value {
    match value {
        Value::Object(all) => Value::Object(
            all.into_iter()
                .map(|(name, value)| {
                    let value = cleaned(kind, &format!("{path}/{name}"), value);
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(all) => {
            let all = all.into_iter().map(|value| cleaned(kind, path, value));
            Value::Array(all.collect())
        }
        Value::String(text) if is_reference(&text) => Value::String(text),
        Value::Null => Value::Null,
        _ if is_hidden(kind, path) => Value::String(HIDDEN.to_owned()),
        other => other,
    }
}

/// Whether the text is one reference that CloudFormation follows when it makes the change, and nothing else.
pub(crate) fn is_reference(text: &str) -> bool {
    let inner = text
        .strip_prefix("{{resolve:")
        .and_then(|rest| rest.strip_suffix("}}"));
    inner.is_some_and(|inner| !inner.contains(['{', '}']))
}

/// The text without the secrets that this process was given.
pub(crate) fn masked(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), HIDDEN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_everything_else_is_shown() {
        for (kind, path, text, wanted) in [
            ("AWS::SQS::Queue", "/Properties/DelaySeconds", "5", "5"),
            (
                "AWS::RDS::DBInstance",
                "/Properties/MasterUserPassword",
                "hunter2",
                HIDDEN,
            ),
            (
                "AWS::RDS::DBInstance",
                "/Properties/MasterUserPassword",
                "{{resolve:secretsmanager:db:SecretString:password}}",
                "{{resolve:secretsmanager:db:SecretString:password}}",
            ),
            (
                "AWS::RDS::DBInstance",
                "/Properties/MasterUserPassword",
                "{{resolve:ssm:a}}hunter2",
                HIDDEN,
            ),
            (
                "AWS::RDS::DBInstance",
                "/Properties/MasterUsername",
                "admin",
                "admin",
            ),
            (
                "AWS::SecretsManager::Secret",
                "/Properties/SecretString",
                "hunter2",
                HIDDEN,
            ),
            (
                "AWS::SecretsManager::Rotation",
                "/Properties/SecretId",
                "db",
                "db",
            ),
            (
                "AWS::X::Y",
                "/Properties/CredentialsArn",
                "arn:aws:x",
                "arn:aws:x",
            ),
            (
                "AWS::IAM::AccountPolicy",
                "/Properties/PasswordPolicy/MinimumLength",
                "12",
                "12",
            ),
            (
                "AWS::Lambda::Function",
                "/Properties/Environment/Variables/TABLE",
                "t",
                HIDDEN,
            ),
            ("AWS::SSM::Parameter", "/Properties/Value", "v", HIDDEN),
            ("AWS::SNS::Topic", "/Properties/Value", "v", "v"),
            (
                "AWS::EC2::Instance",
                "/Properties/UserData",
                "IyEvYmlu",
                HIDDEN,
            ),
            (
                "AWS::X::Y",
                "/Properties/Name",
                "the token abc123 is in here",
                "the token (hidden) is in here",
            ),
            (
                "AWS::X::Y",
                "/Properties/Auth",
                r#"{"User":"u","Password":"p","Parts":[{"ApiKey":1},{"Size":2}]}"#,
                r#"{"User":"u","Password":"(hidden)","Parts":[{"ApiKey":"(hidden)"},{"Size":2}]}"#,
            ),
        ] {
            let found = shown(kind, path, text, &["abc123".to_owned(), String::new()]);
            assert_eq!(found, wanted, "{kind} {path}");
        }
    }
}
