//! The conditions under which a task of a version can start, by its task definition, and what the answers to them mean. Pure.

use ecs::{ContainerSecret, Definition};
use kit::aws::Arn;
use serde_json::Value;
use std::collections::BTreeSet;

/// Something that has to be there before a task can start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needed {
    /// A log group, in a region if it is not the service's.
    LogGroup {
        name: String,
        region: Option<String>,
    },
    /// A parameter of Parameter Store, by name or ARN.
    Parameter(String),
    /// A secret of Secrets Manager, by its ARN without key, stage and version.
    Secret(String),
}

impl Needed {
    /// The condition, for people.
    pub(super) fn label(&self) -> String {
        match self {
            Needed::LogGroup { name, .. } => format!("log group {name}"),
            Needed::Parameter(from) => format!("parameter {from}"),
            Needed::Secret(id) => format!("secret {id}"),
        }
    }
}

/// Everything that the containers of a definition need, each once.
pub(super) fn needed(definition: &Definition) -> BTreeSet<Needed> {
    let names = definition.containers();
    let secrets = names.iter().flat_map(|name| definition.secrets(name));
    let groups = definition.container_definitions.iter().filter_map(|it| {
        let logging: Value = serde_json::from_str(it.get("logConfiguration")?.get()).ok()?;
        log_group(&logging)
    });
    secrets.map(|it| secret(&it)).chain(groups).collect()
}

/// The log group of a container's log configuration, unless the driver creates it or is another one (Amazon ECS Developer Guide,
/// "Send Amazon ECS logs to CloudWatch").
fn log_group(logging: &Value) -> Option<Needed> {
    let option = |name: &str| logging["options"][name].as_str().map(str::to_owned);
    let made = option("awslogs-create-group").is_some_and(|made| made == "true");
    if logging["logDriver"] != "awslogs" || made {
        return None;
    }
    Some(Needed::LogGroup {
        name: option("awslogs-group")?,
        region: option("awslogs-region"),
    })
}

fn secret(secret: &ContainerSecret) -> Needed {
    let parts: Vec<&str> = secret.from.split(':').collect();
    match parts.get(2) {
        Some(&"secretsmanager") => Needed::Secret(parts[..parts.len().min(7)].join(":")),
        _ => Needed::Parameter(secret.from.clone()),
    }
}

/// The name of a parameter. An ARN has no slash before the name of one in a hierarchy (AWS Systems Manager User Guide, "Working
/// with parameter hierarchies").
pub(super) fn parameter_name(from: &str) -> String {
    let arn: Option<Arn> = from.parse().ok();
    match arn
        .as_ref()
        .and_then(|arn| arn.resource.strip_prefix("parameter/"))
    {
        Some(name) if name.contains('/') => format!("/{name}"),
        Some(name) => name.to_owned(),
        None => from.to_owned(),
    }
}

/// The answer to one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is met.
    Met,
    /// It is not, for this reason.
    Unmet(String),
    /// It could not be seen, for this reason.
    Unknown(String),
}

/// A condition, and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) condition: String,
    pub(super) answer: Answer,
}

impl Finding {
    pub(super) fn new(condition: impl Into<String>, answer: Answer) -> Self {
        Self {
            condition: condition.into(),
            answer,
        }
    }

    /// The answer as a word and a reason.
    pub(super) fn words(&self) -> (&'static str, &str) {
        match &self.answer {
            Answer::Met => ("met", ""),
            Answer::Unmet(reason) => ("not met", reason),
            Answer::Unknown(reason) => ("unknown", reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_definition_needs_is_named_once() {
        let secret = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:shop/api-AbCdEf";
        let logs = |group: &str, more: Value| {
            let mut options = json!({"awslogs-group": group, "awslogs-region": "eu-west-1"});
            for (name, value) in more.as_object().unwrap() {
                options[name] = value.clone();
            }
            json!({"logDriver": "awslogs", "options": options})
        };
        let body = json!({"taskDefinition": {
            "taskDefinitionArn": crate::samples::REVISION,
            "containerDefinitions": [
                {"name": "web", "logConfiguration": logs("/ecs/shop", json!({})),
                 "secrets": [{"name": "A", "valueFrom": format!("{secret}:token::")}, {"name": "B", "valueFrom": "/shop/url"}]},
                {"name": "worker", "logConfiguration": logs("/ecs/shop", json!({})),
                 "secrets": [{"name": "A", "valueFrom": secret}]},
                {"name": "made", "logConfiguration": logs("/ecs/made", json!({"awslogs-create-group": "true"}))},
                {"name": "other", "logConfiguration": {"logDriver": "awsfirelens"}},
            ],
        }});
        let definition = Definition::parse(body.to_string().as_bytes()).unwrap();
        let labels: Vec<String> = needed(&definition).iter().map(Needed::label).collect();
        let secret = format!("secret {secret}");
        assert_eq!(
            labels,
            ["log group /ecs/shop", "parameter /shop/url", &secret]
        );
    }

    #[test]
    fn a_parameter_has_the_name_that_its_arn_stands_for() {
        let arn = "arn:aws:ssm:eu-west-1:111111111111:parameter/";
        for (from, name) in [
            ("/shop/url".to_owned(), "/shop/url"),
            ("url".to_owned(), "url"),
            (format!("{arn}shop/url"), "/shop/url"),
            (format!("{arn}url"), "url"),
        ] {
            assert_eq!(parameter_name(&from), name);
        }
    }
}
