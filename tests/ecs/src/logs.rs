//! CloudWatch Logs, as far as tasks write to it: the streams `prefix/container/task-id` of the awslogs driver, filled
//! with what the containers really wrote.

use serde_json::{Value, json};

use crate::Inner;
use crate::error::{Answer, ApiError};
use crate::ids;
use crate::task::Task;
use crate::value::{flag, list, need, number, text};

/// Log events of one answer, at most, unless the request sets a limit.
const PAGE: usize = 10_000;

pub(crate) async fn dispatch(
    inner: &Inner,
    account: &str,
    region: &str,
    operation: &str,
    input: &Value,
) -> Option<Answer> {
    match operation {
        "GetLogEvents" => Some(events(inner, account, region, input).await),
        "DescribeLogStreams" => Some(streams(inner, account, region, input).await),
        _ => None,
    }
}

struct Stream {
    name: String,
    task: String,
    container: usize,
    created_at: f64,
}

/// The streams of a group; `None` when no task ever wrote to it.
fn find(inner: &Inner, account: &str, region: &str, input: &Value) -> Option<Vec<Stream>> {
    let group = text(input, "logGroupName")
        .or(text(input, "logGroupIdentifier"))
        .unwrap_or_default();
    let group = group
        .split_once(":log-group:")
        .map_or(group, |(_, name)| name)
        .trim_end_matches(":*");
    let mut world = inner.world();
    let mut streams = Vec::new();
    for task in world.region(account, region).tasks.values() {
        for (index, definition) in list(&task.definition, "containerDefinitions")
            .iter()
            .enumerate()
        {
            if let Some(name) = stream_name(task, definition, group) {
                streams.push(Stream {
                    name,
                    task: task.id.clone(),
                    container: index,
                    created_at: task.created_at,
                });
            }
        }
    }
    (!streams.is_empty()).then_some(streams)
}

fn stream_name(task: &Task, definition: &Value, group: &str) -> Option<String> {
    let logging = &definition["logConfiguration"];
    let options = &logging["options"];
    if logging["logDriver"] != "awslogs" || options["awslogs-group"] != group {
        return None;
    }
    let prefix = text(options, "awslogs-stream-prefix")?;
    Some(format!("{prefix}/{}/{}", need(definition, "name"), task.id))
}

fn no_group() -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
}

async fn streams(inner: &Inner, account: &str, region: &str, input: &Value) -> Answer {
    let mut found = find(inner, account, region, input).ok_or_else(no_group)?;
    let prefix = text(input, "logStreamNamePrefix").unwrap_or_default();
    found.retain(|stream| stream.name.starts_with(prefix));
    found.sort_by(|a, b| a.name.cmp(&b.name));
    if text(input, "orderBy") == Some("LastEventTime") {
        found.sort_by(|a, b| a.created_at.total_cmp(&b.created_at));
    }
    if flag(input, "descending") {
        found.reverse();
    }
    found.truncate(
        number(input, "limit")
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(50),
    );
    let mut shown = Vec::new();
    for stream in found {
        let lines = lines(inner, account, region, &stream).await;
        let mut one = json!({
            "logStreamName": stream.name,
            "creationTime": (stream.created_at * 1000.0) as i64,
            "storedBytes": 0,
        });
        if let (Some((first, _)), Some((last, _))) = (lines.first(), lines.last()) {
            one["firstEventTimestamp"] = json!(first);
            one["lastEventTimestamp"] = json!(last);
            one["lastIngestionTime"] = json!(last);
        }
        shown.push(one);
    }
    Ok(json!({"logStreams": shown}))
}

async fn lines(inner: &Inner, account: &str, region: &str, stream: &Stream) -> Vec<(i64, String)> {
    let id = {
        let mut world = inner.world();
        let Some(task) = world.region(account, region).tasks.get(&stream.task) else {
            return Vec::new();
        };
        let container = &task.containers[stream.container];
        if let Some(kept) = &container.logs {
            return kept.clone();
        }
        container.engine_id.clone()
    };
    match id {
        Some(id) => inner.docker.logs(&id).await.unwrap_or_default(),
        None => Vec::new(),
    }
}

async fn events(inner: &Inner, account: &str, region: &str, input: &Value) -> Answer {
    let name = need(input, "logStreamName");
    let streams = find(inner, account, region, input).ok_or_else(no_group)?;
    let stream = streams.into_iter().find(|stream| stream.name == name);
    let stream = stream.ok_or_else(|| {
        ApiError::new(
            "ResourceNotFoundException",
            "The specified log stream does not exist.",
        )
    })?;
    let mut all = lines(inner, account, region, &stream).await;
    let (from, to) = (number(input, "startTime"), number(input, "endTime"));
    all.retain(|(time, _)| from.is_none_or(|from| *time >= from) && to.is_none_or(|to| *time < to));
    let limit = number(input, "limit")
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(PAGE);
    let last = all.len();
    let position = |token: &str| {
        token
            .parse::<usize>()
            .map(|at| at.min(last))
            .map_err(|_| ApiError::invalid("The specified nextToken is invalid."))
    };
    let (start, end) = match text(input, "nextToken").and_then(|token| token.split_once('/')) {
        Some(("f", at)) => (position(at)?, last.min(position(at)? + limit)),
        Some(("b", at)) => (position(at)?.saturating_sub(limit), position(at)?),
        Some(_) => return Err(ApiError::invalid("The specified nextToken is invalid.")),
        None if flag(input, "startFromHead") => (0, last.min(limit)),
        None => (last.saturating_sub(limit), last),
    };
    let now = (ids::now() * 1000.0) as i64;
    let shown: Vec<Value> = all[start..end]
        .iter()
        .map(|(time, message)| json!({"timestamp": time, "message": message, "ingestionTime": (*time).min(now)}))
        .collect();
    Ok(json!({
        "events": shown,
        "nextForwardToken": format!("f/{end:032}"),
        "nextBackwardToken": format!("b/{start:032}"),
    }))
}
