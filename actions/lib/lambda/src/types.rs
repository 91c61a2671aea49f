//! Functions, versions and aliases, as Lambda answers them (AWS Lambda API Reference, "FunctionConfiguration",
//! "AliasConfiguration", "GetFunction" and "GetProvisionedConcurrencyConfig").

use kit::id::Digest;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The version that changes with each update, and that no alias should serve.
pub const LATEST: &str = "$LATEST";

/// The configuration of a version.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Configuration {
    /// The ARN, with the version or the alias that was asked for.
    pub function_arn: String,
    /// Its number, or [`LATEST`].
    pub version: String,
    /// The hash of its code.
    pub code_sha256: String,
    /// Changes with each update.
    pub revision_id: Option<String>,
    /// `Image` or `Zip`.
    pub package_type: Option<String>,
    /// `Pending`, `Active`, `Inactive`, `Failed` and others.
    pub state: Option<String>,
    /// Why it is in that state.
    pub state_reason: Option<String>,
    /// The same as a code.
    pub state_reason_code: Option<String>,
    /// `Successful`, `Failed` or `InProgress`.
    pub last_update_status: Option<String>,
    /// Why the last update is in that status.
    pub last_update_status_reason: Option<String>,
    /// The same as a code.
    pub last_update_status_reason_code: Option<String>,
    /// The other members, the settings among them.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// A version with its code.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Function {
    /// Its configuration.
    pub configuration: Configuration,
    code: Code,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Code {
    image_uri: Option<String>,
    resolved_image_uri: Option<String>,
}

impl Function {
    /// The image that was asked for, if the code is one.
    pub fn image(&self) -> Option<&str> {
        self.code.image_uri.as_deref()
    }

    /// The digest of its image, as Lambda resolved it.
    pub fn digest(&self) -> Option<Digest> {
        let resolved = self.code.resolved_image_uri.as_deref()?;
        Digest::parse(resolved.split_once('@')?.1).ok()
    }
}

/// An alias.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Alias {
    /// The ARN.
    pub alias_arn: String,
    /// The version that it serves, beside that of the weights.
    pub function_version: String,
    /// Changes with each update, and with some that Lambda makes itself.
    pub revision_id: Option<String>,
    routing_config: Option<Routing>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Routing {
    additional_version_weights: BTreeMap<String, f64>,
}

impl Alias {
    /// The second version that it serves, and its share of the traffic, between 0 and 1.
    pub fn weight(&self) -> Option<(&str, f64)> {
        let routing = self.routing_config.as_ref()?;
        let (version, weight) = routing.additional_version_weights.iter().next()?;
        Some((version, *weight))
    }

    /// What it serves, in one phrase.
    pub fn line(&self) -> String {
        let first = format!("version {}", self.function_version);
        match self.weight() {
            None => first,
            Some((second, weight)) => {
                format!(
                    "{first}, and version {second} for {}% of the traffic",
                    percent(weight)
                )
            }
        }
    }
}

/// A weight in percent, without needless digits.
fn percent(weight: f64) -> f64 {
    (weight * 10_000.0).round() / 100.0
}

/// Provisioned concurrency of an alias.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Provisioned {
    /// `IN_PROGRESS`, `READY` or `FAILED`.
    pub status: String,
    /// Why it failed.
    pub status_reason: Option<String>,
    /// How many execution environments are wanted.
    pub requested_provisioned_concurrent_executions: i64,
    /// How many there are.
    pub available_provisioned_concurrent_executions: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_function_is_known_by_the_digest_that_lambda_resolved() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let read = |code: Value| -> Option<String> {
            let function: Function =
                serde_json::from_value(json!({"Configuration": {"Version": "3"}, "Code": code}))
                    .unwrap();
            function.digest().map(|digest| digest.to_string())
        };
        let tagged = json!({"ImageUri": "h/web:1", "ResolvedImageUri": format!("h/web@{digest}")});
        assert_eq!(read(tagged), Some(digest));
        assert_eq!(read(json!({"ImageUri": "h/web:1"})), None);
        assert_eq!(read(json!({"Location": "https://bucket/zip"})), None);
    }

    #[test]
    fn an_alias_says_what_it_serves() {
        let alias = |routing: Value| -> Alias {
            let alias = json!({"FunctionVersion": "1", "RoutingConfig": routing});
            serde_json::from_value(alias).unwrap()
        };
        let weighted = alias(json!({"AdditionalVersionWeights": {"2": 0.055}}));
        assert_eq!(weighted.weight(), Some(("2", 0.055)));
        assert_eq!(
            weighted.line(),
            "version 1, and version 2 for 5.5% of the traffic"
        );
        for none in [
            json!({"AdditionalVersionWeights": {}}),
            json!({}),
            Value::Null,
        ] {
            assert_eq!(alias(none).line(), "version 1");
        }
    }
}
