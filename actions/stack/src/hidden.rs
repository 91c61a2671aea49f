//! The choice of the property values that are shown. Pure.
//!
//! A plan is read by everybody who reads the log. CloudFormation hides the values of `NoEcho` parameters, and nothing else: a
//! password that somebody wrote into a template it shows as it is.

use crate::prose;
use serde_json::Value;

/// Stands for a value that is not shown.
pub(crate) const HIDDEN: &str = "(hidden)";

/// Parts of the names of properties that hold secrets, in lower case and without separators.
const SECRET_NAMES: &[&str] = &[
    "accesskey",
    "apikey",
    "connectionstring",
    "credential",
    "licensekey",
    "passphrase",
    "password",
    "privatekey",
    "secret",
    "token",
    "userdata",
];

/// Names that contain one of these parts and hold no secret: the function behind a custom resource, how an instance's metadata
/// are read, and for how long tokens are valid.
const NOT_SECRET: &[&str] = &["httptokens", "servicetoken", "tokenvalidityunits"];

/// The ends of the names of references to secrets, of their rules and of their times.
const REFERENCE_ENDS: &[&str] = &["arn", "id", "name", "policy", "validity"];

/// Properties that hold secrets although their names do not say so, by type.
const SECRET_PROPERTIES: &[(&str, &str)] = &[
    ("AWS::Amplify::App", "AccessToken"),
    ("AWS::Amplify::App", "EnvironmentVariables"),
    ("AWS::Amplify::Branch", "EnvironmentVariables"),
    ("AWS::ApiGateway::ApiKey", "Value"),
    ("AWS::AppRunner::Service", "RuntimeEnvironmentVariables"),
    ("AWS::Batch::JobDefinition", "Environment"),
    ("AWS::CodeBuild::Project", "EnvironmentVariables"),
    ("AWS::ECS::TaskDefinition", "Environment"),
    ("AWS::Events::Connection", "AuthParameters"),
    ("AWS::ElasticBeanstalk::Environment", "OptionSettings"),
    ("AWS::Glue::Connection", "ConnectionProperties"),
    ("AWS::Lambda::Function", "Environment"),
    ("AWS::SSM::Parameter", "Value"),
    ("AWS::SageMaker::Model", "Environment"),
    ("AWS::Serverless::Function", "Environment"),
];

/// Properties that hold references to secrets although their names say more, by type.
const REFERENCE_PROPERTIES: &[(&str, &str)] = &[("AWS::ECS::TaskDefinition", "Secrets")];

/// Returns true if the value at a path within a resource of this type is hidden. The path is a JSON pointer.
fn is_hidden(kind: &str, path: &str) -> bool {
    let mut names = path.split('/').filter(|name| !name.is_empty());
    names.any(|name| {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|character| character.to_ascii_lowercase())
            .collect();
        let reference = REFERENCE_ENDS.iter().any(|end| plain.ends_with(end))
            || NOT_SECRET.contains(&plain.as_str())
            || REFERENCE_PROPERTIES.contains(&(kind, name));
        let secret = SECRET_NAMES.iter().any(|part| plain.contains(part)) && !reference;
        secret || SECRET_PROPERTIES.contains(&(kind, name))
    })
}

/// A value as it is shown: the text of a JSON value or plain text. Secrets within it are hidden, references to secrets stay.
pub(crate) fn shown(kind: &str, path: &str, text: &str, secrets: &[String]) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => {
            cleaned(kind, path, value, secrets).to_string()
        }
        // A switch is not a secret, whatever its name.
        Ok(Value::Bool(on)) => on.to_string(),
        _ if is_reference(text) => text.to_owned(),
        _ if is_hidden(kind, path) => HIDDEN.to_owned(),
        _ => masked(text, secrets),
    }
}

/// A JSON value without the secrets in it. They are looked for before the value is written as text, which would escape them.
pub(crate) fn cleaned(kind: &str, path: &str, value: Value, secrets: &[String]) -> Value {
    match value {
        Value::Object(all) => Value::Object(
            all.into_iter()
                .map(|(name, value)| {
                    let value = cleaned(kind, &format!("{path}/{name}"), value, secrets);
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(all) => {
            let all = all
                .into_iter()
                .map(|value| cleaned(kind, path, value, secrets));
            Value::Array(all.collect())
        }
        Value::String(text) if is_reference(&text) => Value::String(text),
        Value::Null | Value::Bool(_) => value,
        _ if is_hidden(kind, path) => Value::String(HIDDEN.to_owned()),
        Value::String(text) => Value::String(masked(&text, secrets)),
        other => other,
    }
}

/// The value of a parameter as it is shown; its name says whether it is a secret.
pub(crate) fn parameter(name: &str, value: &str) -> String {
    shown("", &format!("/{name}"), value, &[])
}

/// The reason of a failure without the value of a property that holds a secret: services repeat a value that they refuse.
pub(crate) fn reason(text: &str) -> String {
    prose::replaced_values(text, |property, value| {
        let path = format!("/{}", property.replace('.', "/"));
        match is_hidden("", &path) {
            true => HIDDEN,
            false => value,
        }
    })
}

/// Returns true if the text is one reference that CloudFormation follows when it makes the change, and nothing else.
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

    #[track_caller]
    fn is_shown(kind: &str, path: &str, text: &str, wanted: &str) {
        let secrets = ["abc123".to_owned(), String::new(), "a\"b\nc".to_owned()];
        assert_eq!(shown(kind, path, text, &secrets), wanted, "{kind} {path}");
    }

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
        ] {
            is_shown(kind, path, text, wanted);
        }
    }

    #[test]
    fn values_of_tokens_are_hidden_and_settings_of_tokens_are_not() {
        for (kind, path, text, wanted) in [
            ("Custom::Bot", "/Properties/BotToken", "t", HIDDEN),
            ("Custom::Bot", "/Properties/Secret", "s", HIDDEN),
            (
                "Custom::Bot",
                "/Properties/ServiceToken",
                "arn:aws:lambda",
                "arn:aws:lambda",
            ),
            ("Custom::Bot", "/Properties/SecretName", "n", "n"),
            (
                "AWS::EC2::LaunchTemplate",
                "/Properties/MetadataOptions/HttpTokens",
                "required",
                "required",
            ),
            (
                "AWS::Cognito::UserPoolClient",
                "/Properties/AccessTokenValidity",
                "60",
                "60",
            ),
            (
                "AWS::Cognito::UserPoolClient",
                "/Properties/GenerateSecret",
                "true",
                "true",
            ),
            (
                "AWS::ECS::TaskDefinition",
                "/Properties/ContainerDefinitions",
                r#"[{"Secrets":[{"Name":"A","ValueFrom":"arn:aws:ssm"}]}]"#,
                r#"[{"Secrets":[{"Name":"A","ValueFrom":"arn:aws:ssm"}]}]"#,
            ),
            ("AWS::ApiGateway::ApiKey", "/Properties/Value", "k", HIDDEN),
            (
                "AWS::X::Y",
                "/Properties/Auth",
                r#"{"Key":"it is a\"b\nc"}"#,
                r#"{"Key":"it is (hidden)"}"#,
            ),
            (
                "AWS::X::Y",
                "/Properties/Auth",
                r#"{"GenerateSecret":true,"Password":"{{resolve:ssm:a}}","Token":null}"#,
                r#"{"GenerateSecret":true,"Password":"{{resolve:ssm:a}}","Token":null}"#,
            ),
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
            is_shown(kind, path, text, wanted);
        }
    }

    #[test]
    fn a_reason_does_not_repeat_a_secret() {
        for (text, wanted) in [
            ("not authorized", "not authorized"),
            (
                "1 validation error: Value 'hunter2' at 'masterUserPassword' failed",
                "1 validation error: Value '(hidden)' at 'masterUserPassword' failed",
            ),
            (
                "Value 'it's' at 'auth.token' failed; Value 'x' at 'size' failed",
                "Value '(hidden)' at 'auth.token' failed; Value 'x' at 'size' failed",
            ),
            ("Value 'x", "Value 'x"),
        ] {
            assert_eq!(reason(text), wanted);
        }
    }

    #[test]
    fn a_parameter_is_hidden_by_its_name() {
        assert_eq!(parameter("DbPassword", "hunter2"), HIDDEN);
        assert_eq!(parameter("Size", "2"), "2");
    }
}
