//! The logs of tasks: where a container's driver `awslogs` writes them, and their lines.

use crate::definition::Definition;
use kit::aws::Region;
use kit::error::{ErrorKind, Failure, Result};
use net::{Account, Net};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One container's stream in CloudWatch Logs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogStream {
    /// The log group.
    pub group: String,
    /// The stream's name, `PREFIX/CONTAINER/TASK`.
    pub name: String,
    /// The region that the driver writes to.
    pub region: String,
}

/// A secret that ECS gives to a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerSecret {
    /// The variable's name.
    pub name: String,
    /// Where its value comes from: a parameter's name or ARN, or a secret's ARN.
    pub from: String,
}

/// The end of a stream as it was read, or a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogLines {
    /// The lines, oldest first.
    pub lines: Vec<String>,
    /// Where the next read begins.
    pub next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogConfiguration {
    log_driver: String,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Secret {
    name: String,
    value_from: String,
}

impl Definition {
    /// The stream of a container in one task; `None` where it logs otherwise, or under names that only the instance knows.
    /// (Amazon ECS Developer Guide, "Send Amazon ECS logs to CloudWatch": without a prefix the stream is named for the
    /// engine's ID of the container.)
    pub fn log_stream(&self, container: &str, task: &str, region: &Region) -> Option<LogStream> {
        let found: LogConfiguration =
            serde_json::from_str(self.container(container)?.get("logConfiguration")?.get()).ok()?;
        if found.log_driver != "awslogs" {
            return None;
        }
        let option = |name: &str| found.options.get(name).cloned();
        let prefix = option("awslogs-stream-prefix")?;
        Some(LogStream {
            group: option("awslogs-group")?,
            name: format!("{prefix}/{container}/{task}"),
            region: option("awslogs-region").unwrap_or_else(|| region.as_str().to_owned()),
        })
    }

    /// The secrets that a container gets as variables, or for its log driver.
    pub fn secrets(&self, container: &str) -> Vec<ContainerSecret> {
        let Some(found) = self.container(container) else {
            return Vec::new();
        };
        let own = found.get("secrets").map(|list| list.get().to_owned());
        let logging: Option<Value> = found
            .get("logConfiguration")
            .and_then(|it| serde_json::from_str(it.get()).ok());
        let logging = logging.map(|it| it["secretOptions"].to_string());
        own.into_iter()
            .chain(logging)
            .filter_map(|list| serde_json::from_str::<Option<Vec<Secret>>>(&list).ok()?)
            .flatten()
            .map(|secret| ContainerSecret {
                name: secret.name,
                from: secret.value_from,
            })
            .collect()
    }
}

/// The last lines of a stream, at most `most`. There are none if nothing was written to it yet.
///
/// # Errors
/// CloudWatch Logs does not answer, or refuses.
pub async fn last_lines(
    net: &Net,
    account: &Account,
    stream: &LogStream,
    most: usize,
) -> Result<LogLines> {
    let input = json!({
        "logGroupName": stream.group, "logStreamName": stream.name, "limit": most, "startFromHead": false,
    });
    read(net, account, stream, &input).await
}

/// The lines of a stream from its beginning, or from where an earlier read ended.
///
/// # Errors
/// As [`last_lines`].
pub async fn next_lines(
    net: &Net,
    account: &Account,
    stream: &LogStream,
    next: Option<&str>,
) -> Result<LogLines> {
    let mut input = json!({
        "logGroupName": stream.group, "logStreamName": stream.name, "startFromHead": true,
    });
    if let Some(next) = next {
        input["nextToken"] = json!(next);
    }
    read(net, account, stream, &input).await
}

async fn read(net: &Net, account: &Account, stream: &LogStream, input: &Value) -> Result<LogLines> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        #[serde(default)]
        events: Vec<Event>,
        next_forward_token: Option<String>,
    }
    #[derive(Deserialize)]
    struct Event {
        #[serde(default)]
        message: String,
    }
    let mut account = account.clone();
    account.region = stream.region.parse()?;
    let answer = net.json(&account, "logs", "Logs_20140328.GetLogEvents", input);
    let answer = match answer.await {
        Ok(answer) => answer,
        Err(error) if error.kind == ErrorKind::Service(Failure::Missing) => {
            return Ok(LogLines::default());
        }
        Err(error) if error.kind == ErrorKind::Service(Failure::Denied) => {
            return Err(error.hint(format!(
                "the role needs logs:GetLogEvents for the log group {}",
                stream.group
            )));
        }
        Err(error) => return Err(error),
    };
    let answer: Answer = serde_json::from_value(answer).map_err(|error| {
        kit::Error::failed("CloudWatch Logs answered in an undocumented format").because(error)
    })?;
    Ok(LogLines {
        // An event may hold several lines.
        lines: answer
            .events
            .iter()
            .flat_map(|event| event.message.lines().map(str::to_owned))
            .collect(),
        next: answer.next_forward_token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        let body = json!({"taskDefinition": {
            "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111111111111:task-definition/web:7", "family": "web",
            "containerDefinitions": [
                {"name": "web", "secrets": [{"name": "A", "valueFrom": "/a"}], "logConfiguration": {
                    "logDriver": "awslogs", "secretOptions": [{"name": "B", "valueFrom": "/b"}],
                    "options": {"awslogs-group": "/ecs/web", "awslogs-stream-prefix": "web"}}},
                {"name": "far", "logConfiguration": {"logDriver": "awslogs", "options": {
                    "awslogs-group": "/g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}}},
                {"name": "nameless", "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/g"}}},
                {"name": "elsewhere", "logConfiguration": {"logDriver": "awsfirelens"}, "secrets": null},
                {"name": "silent"},
            ],
        }});
        Definition::parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_stream_is_named_for_prefix_container_and_task() {
        let definition = definition();
        let region: Region = "eu-west-1".parse().unwrap();
        let stream = |container| definition.log_stream(container, "t1", &region);
        let found = |group: &str, name: &str, region: &str| {
            Some(LogStream {
                group: group.to_owned(),
                name: name.to_owned(),
                region: region.to_owned(),
            })
        };
        assert_eq!(stream("web"), found("/ecs/web", "web/web/t1", "eu-west-1"));
        assert_eq!(stream("far"), found("/g", "p/far/t1", "us-east-1"));
        for other in ["nameless", "elsewhere", "silent", "absent"] {
            assert_eq!(stream(other), None, "{other}");
        }
    }

    #[test]
    fn the_secrets_of_a_container_and_of_its_log_driver_are_known() {
        let from = |container: &str| -> Vec<String> {
            let secrets = definition().secrets(container).into_iter();
            secrets.map(|secret| secret.from).collect()
        };
        assert_eq!(from("web"), ["/a", "/b"]);
        assert!(from("elsewhere").is_empty() && from("silent").is_empty());
    }
}
