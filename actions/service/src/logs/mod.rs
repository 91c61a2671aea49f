//! The last log lines of tasks that failed, without the secrets that ECS gave them.

mod pick;
mod redact;
mod values;

use ecs::{Client, ContainerSecret, Definition, LogStream, last_lines};
use kit::aws::TaskDefinitionArn;
use kit::error::Result;
use net::{Account, Net};
pub(crate) use pick::{Picked, pick};
pub(crate) use redact::Redactor;
use redact::last;
use serde_json::json;

/// The most lines of one container. An event of CloudWatch Logs may hold several.
const LINES: usize = 20;

/// The log of one container of a task.
#[derive(Debug, Clone)]
pub(crate) struct TaskLog {
    picked: Picked,
    stream: LogStream,
    lines: Vec<String>,
    /// Why there are no lines, where there may be some.
    left_out: Option<String>,
}

/// Reads the ends of the logs of these containers. They only add to a report, so whatever keeps them from being read is part of it.
pub(crate) async fn collect(
    net: &Net,
    account: &Account,
    client: &Client,
    task_definition: &TaskDefinitionArn,
    picked: Vec<Picked>,
) -> Vec<TaskLog> {
    if picked.is_empty() {
        return Vec::new();
    }
    let Ok(definition) = client.definition(task_definition.as_str()).await else {
        return Vec::new();
    };
    let mut logs = Vec::new();
    for picked in picked {
        let stream = definition.log_stream(&picked.container, &picked.task, &account.region);
        let Some(stream) = stream else {
            continue;
        };
        let read = lines(net, account, &definition, &picked.container, &stream).await;
        let (lines, left_out) = match read {
            Ok(lines) if lines.is_empty() => continue,
            Ok(lines) => (lines, None),
            Err(error) => (Vec::new(), Some(error.line())),
        };
        logs.push(TaskLog {
            picked,
            stream,
            lines,
            left_out,
        });
    }
    logs
}

/// # Errors
/// The lines cannot be read, or not what has to be hidden in them.
async fn lines(
    net: &Net,
    account: &Account,
    definition: &Definition,
    container: &str,
    stream: &LogStream,
) -> Result<Vec<String>> {
    let read = last_lines(net, account, stream, LINES).await?;
    if read.lines.is_empty() {
        return Ok(Vec::new());
    }
    let redactor = redactor(net, account, definition, container).await?;
    Ok(last(
        read.lines.iter().map(|line| redactor.line(line)),
        LINES,
    ))
}

/// Hides the secrets that ECS gives to a container.
///
/// # Errors
/// One of them cannot be read, or cannot be hidden.
pub(crate) async fn redactor(
    net: &Net,
    account: &Account,
    definition: &Definition,
    container: &str,
) -> Result<Redactor> {
    let secrets: Vec<ContainerSecret> = definition.secrets(container);
    let mut redactor = Redactor::default();
    for secret in values::read(net, account, &secrets).await? {
        redactor.hide(&secret.name, secret.value.expose())?;
    }
    Ok(redactor)
}

impl TaskLog {
    /// The log as lines of text.
    pub(crate) fn text(&self) -> Vec<String> {
        let Picked { task, container } = &self.picked;
        let LogStream {
            group,
            name,
            region,
        } = &self.stream;
        let short: String = task.chars().take(8).collect();
        let mut lines = match &self.left_out {
            None => vec![format!("last lines of container {container} ({short}):")],
            Some(why) => vec![format!(
                "last lines of container {container} ({short}) are left out: {why}"
            )],
        };
        lines.extend(self.lines.iter().map(|line| format!("  | {line}")));
        lines.push(format!(
            "  read more: aws logs tail {group} --log-stream-names {name} --region {region} --since 1h"
        ));
        lines
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        json!({
            "task": self.picked.task, "container": self.picked.container,
            "log_group": self.stream.group, "log_stream": self.stream.name,
            "lines": self.lines, "left_out": self.left_out,
        })
    }
}
