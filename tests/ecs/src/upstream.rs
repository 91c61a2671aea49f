//! Calls that ECS makes for a task, as the task's execution role: secrets, parameters, the registry's token.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::docker::RegistryLogin;
use crate::value::text;

/// One call to another AWS service in a JSON protocol.
#[derive(Debug, Clone)]
pub struct UpstreamCall {
    /// Signing name: `ssm`, `secretsmanager` or `ecr`.
    pub service: &'static str,
    /// Value of `X-Amz-Target`, such as `AmazonSSM.GetParameters`.
    pub target: &'static str,
    /// Account of the task, in which the call is made.
    pub account: String,
    /// Region of the task.
    pub region: String,
    /// The task definition's execution role, in whose name the call is made.
    pub role: String,
    /// The operation's input.
    pub body: Value,
}

/// An error answer of another AWS service.
#[derive(Debug, Clone)]
pub struct UpstreamError {
    /// Code, such as `AccessDeniedException`.
    pub code: String,
    /// The service's message.
    pub message: String,
}

type Outcome = Pin<Box<dyn Future<Output = Result<Value, UpstreamError>> + Send>>;

/// The way to other AWS services, which the host of this stand-in provides.
pub type Upstream = Arc<dyn Fn(UpstreamCall) -> Outcome + Send + Sync>;

/// A role of an account, in whose name a service calls others.
pub struct Role<'a> {
    /// The way to them.
    pub upstream: &'a Upstream,
    /// The account.
    pub account: &'a str,
    /// The region.
    pub region: &'a str,
    /// The role's ARN.
    pub role: &'a str,
}

impl Role<'_> {
    async fn call(
        &self,
        service: &'static str,
        target: &'static str,
        body: Value,
    ) -> Result<Value, UpstreamError> {
        (self.upstream)(UpstreamCall {
            service,
            target,
            account: self.account.to_owned(),
            region: self.region.to_owned(),
            role: self.role.to_owned(),
            body,
        })
        .await
    }

    /// The value behind `valueFrom`: the name or ARN of a parameter, or the ARN of a secret with optional
    /// `:json-key:version-stage:version-id`. An error is the text that Fargate gives as stopped reason.
    pub(crate) async fn secret(&self, value_from: &str) -> Result<String, String> {
        if value_from.contains(":secretsmanager:") {
            return self.secrets_manager_value(value_from).await;
        }
        let name = match value_from.split_once(":parameter/") {
            Some((_, name)) => format!("/{name}"),
            None => value_from.to_owned(),
        };
        let failed = |detail: String| {
            format!(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
                 unable to retrieve secrets from ssm: service call has been retried 1 time(s): {detail}"
            )
        };
        // An ARN of a parameter without a path has no slash before its name; SSM then knows it by the bare name.
        for name in [name.clone(), name.trim_start_matches('/').to_owned()] {
            let input = json!({"Names": [name], "WithDecryption": true});
            let found = self.call("ssm", "AmazonSSM.GetParameters", input).await;
            let found =
                found.map_err(|error| failed(format!("{}: {}", error.code, error.message)))?;
            if let Some(value) = found["Parameters"]
                .get(0)
                .and_then(|one| text(one, "Value"))
            {
                return Ok(value.to_owned());
            }
        }
        Err(failed(format!("invalid parameters: {value_from}")))
    }

    async fn secrets_manager_value(&self, value_from: &str) -> Result<String, String> {
        let parts: Vec<&str> = value_from.split(':').collect();
        let arn = parts.iter().take(7).copied().collect::<Vec<_>>().join(":");
        let part = |index: usize| parts.get(index).copied().filter(|part| !part.is_empty());
        let mut input = json!({"SecretId": arn});
        if let Some(stage) = part(8) {
            input["VersionStage"] = json!(stage);
        }
        if let Some(version) = part(9) {
            input["VersionId"] = json!(version);
        }
        let failed = |detail: String| {
            format!(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
                 unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret {arn} \
                 from secrets manager: {detail}"
            )
        };
        let found = self
            .call("secretsmanager", "secretsmanager.GetSecretValue", input)
            .await;
        let found = found.map_err(|error| failed(format!("{}: {}", error.code, error.message)))?;
        let whole = text(&found, "SecretString")
            .ok_or_else(|| failed("the secret has no SecretString".to_owned()))?;
        let Some(key) = part(7) else {
            return Ok(whole.to_owned());
        };
        let parsed = serde_json::from_str::<Value>(whole).ok();
        match parsed.as_ref().and_then(|parsed| parsed.get(key)) {
            Some(Value::String(value)) => Ok(value.clone()),
            Some(other) => Ok(other.to_string()),
            None => Err(failed(format!(
                "retrieved secret from Secrets Manager did not contain json key {key}"
            ))),
        }
    }

    /// Credentials for the registry, as the agent gets them from ECR.
    ///
    /// # Errors
    /// ECR gives none; with the reason, as Fargate gives it for a stopped task.
    pub async fn registry_login(&self, registry: &str) -> Result<RegistryLogin, String> {
        let failed = |detail: String| {
            format!(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
                 unable to retrieve ecr registry auth: service call has been retried 3 time(s): {detail}"
            )
        };
        let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
        let found = self.call("ecr", target, json!({})).await;
        let found = found.map_err(|error| failed(format!("{}: {}", error.code, error.message)))?;
        let token = found["authorizationData"]
            .get(0)
            .and_then(|data| text(data, "authorizationToken"));
        let plain = token
            .and_then(|token| STANDARD.decode(token).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let login = plain.as_deref().and_then(|plain| plain.split_once(':'));
        let (user, password) =
            login.ok_or_else(|| failed("the authorization token cannot be read".to_owned()))?;
        Ok(RegistryLogin {
            user: user.to_owned(),
            password: password.to_owned(),
            server: registry.to_owned(),
        })
    }
}
