//! Tells whether an alias serves one digest, healthy: the one definition for every step. Pure.

use crate::types::{Alias, Function, LATEST, Provisioned};
use kit::id::Digest;

/// An alias as it was seen, with the version that it serves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    /// The alias.
    pub alias: Alias,
    /// The version that it serves, beside that of the weights.
    pub serving: Function,
    /// Its provisioned concurrency, if it has any.
    pub provisioned: Option<Provisioned>,
}

impl Look {
    /// True while Lambda moves the alias' provisioned concurrency to another version, or makes it. The weights that the alias shows
    /// then are Lambda's own, and the version that they name has the traffic (hashicorp/terraform-provider-aws#48116); an alias
    /// with provisioned concurrency takes no others.
    pub fn provisions(&self) -> bool {
        let provisioned = self.provisioned.as_ref();
        provisioned.is_some_and(|it| it.status == "IN_PROGRESS" || self.alias.weight().is_some())
    }
}

/// The version that an alias is to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its number, if it is known which; any with the digest does otherwise.
    pub version: Option<String>,
    /// The digest of its image.
    pub digest: Digest,
}

/// The conditions that are missing for the alias to serve the version alone, ready for invocations. An idle version
/// (`Inactive`) is ready: Lambda activates it with the next invocation (AWS Lambda Developer Guide, "Lambda function states").
pub fn missing(expected: &Expected, look: &Look) -> Vec<String> {
    let mut missing = Vec::new();
    let Look {
        alias,
        serving,
        provisioned,
    } = look;
    let version = &alias.function_version;
    if version == LATEST {
        missing.push(format!(
            "the alias to serve a published version: it serves {LATEST}, which changes with each update"
        ));
    }
    if let Some(wanted) = expected
        .version
        .as_ref()
        .filter(|wanted| *wanted != version)
    {
        missing.push(format!(
            "the alias to serve version {wanted}: it serves version {version}"
        ));
    }
    if let Some((other, _)) = alias.weight() {
        missing.push(format!(
            "the alias to serve one version: version {other} has a share of the traffic"
        ));
    }
    match serving.digest() {
        Some(digest) if digest == expected.digest => {}
        Some(digest) => missing.push(format!(
            "version {version} to have the digest: it has {digest}"
        )),
        None => missing.push(format!("Lambda to name the digest of version {version}")),
    }
    let configuration = &serving.configuration;
    match configuration.state.as_deref() {
        Some("Active" | "Inactive") => {}
        state => missing.push(because(
            format!(
                "version {version} to be active: it is {}",
                state.unwrap_or("in no state")
            ),
            configuration.state_reason.as_deref(),
        )),
    }
    if let Some(provisioned) = provisioned.as_ref().filter(|it| it.status != "READY") {
        missing.push(because(
            format!(
                "its provisioned concurrency: {} of {} available, {}",
                provisioned.available_provisioned_concurrent_executions,
                provisioned.requested_provisioned_concurrent_executions,
                provisioned.status
            ),
            provisioned.status_reason.as_deref(),
        ));
    }
    missing
}

fn because(what: String, reason: Option<&str>) -> String {
    match reason.filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("{what}: {reason}"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn digest(digit: &str) -> Digest {
        Digest::parse(&format!("sha256:{}", digit.repeat(64))).unwrap()
    }

    fn look(version: &str, routing: Value, image: &str, state: &str, provisioned: Value) -> Look {
        let image = format!("h/web@{}", digest(image));
        Look {
            alias: serde_json::from_value(
                json!({"FunctionVersion": version, "RoutingConfig": routing}),
            )
            .unwrap(),
            serving: serde_json::from_value(
                json!({"Configuration": {"State": state}, "Code": {"ResolvedImageUri": image}}),
            )
            .unwrap(),
            provisioned: serde_json::from_value(provisioned).unwrap(),
        }
    }

    #[test]
    fn lambdas_own_reason_is_named_where_it_gives_one() {
        let expected = Expected {
            version: None,
            digest: digest("a"),
        };
        let mut seen = look("3", Value::Null, "a", "Failed", Value::Null);
        for (reason, wanted) in [
            (None, "version 3 to be active: it is Failed"),
            (Some(""), "version 3 to be active: it is Failed"),
            (
                Some("no image"),
                "version 3 to be active: it is Failed: no image",
            ),
        ] {
            seen.serving.configuration.state_reason = reason.map(str::to_owned);
            assert_eq!(missing(&expected, &seen), [wanted]);
        }
        seen.serving = Function::default();
        let unknown = [
            "Lambda to name the digest of version 3",
            "version 3 to be active: it is in no state",
        ];
        assert_eq!(missing(&expected, &seen), unknown);
    }

    #[test]
    fn an_alias_is_healthy_if_it_serves_one_active_version_with_the_digest() {
        let none = || Value::Null;
        let weights = || json!({"AdditionalVersionWeights": {"2": 0.1}});
        let ready = || json!({"Status": "READY"});
        let progress =
            || json!({"Status": "IN_PROGRESS", "RequestedProvisionedConcurrentExecutions": 2});
        for (version, routing, image, state, provisioned, wanted) in [
            ("3", none(), "a", "Active", none(), ""),
            ("3", none(), "a", "Inactive", ready(), ""),
            ("4", none(), "a", "Active", none(), "serve version 3"),
            (LATEST, none(), "a", "Active", none(), "published version"),
            (
                "3",
                weights(),
                "a",
                "Active",
                none(),
                "version 2 has a share",
            ),
            ("3", none(), "b", "Active", none(), "to have the digest"),
            ("3", none(), "a", "Pending", none(), "it is Pending"),
            ("3", none(), "a", "Failed", none(), "it is Failed"),
            ("3", none(), "a", "Active", progress(), "0 of 2 available"),
        ] {
            let expected = Expected {
                version: Some("3".to_owned()),
                digest: digest("a"),
            };
            let seen = look(version, routing, image, state, provisioned);
            let found = missing(&expected, &seen).join("; ");
            match wanted {
                "" => assert_eq!(found, ""),
                wanted => assert!(found.contains(wanted), "{found}"),
            }
        }
    }
}
