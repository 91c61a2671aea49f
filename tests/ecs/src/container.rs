//! A container of a task definition, as Docker Engine is asked to create it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::value::{flag, list, need, number, text};

/// The container's identity, for its name and its labels.
pub(crate) struct Identity<'a> {
    pub(crate) label: &'a str,
    pub(crate) task_id: &'a str,
    pub(crate) task_arn: &'a str,
    pub(crate) cluster: &'a str,
    pub(crate) family: &'a str,
    pub(crate) revision: String,
}

/// Where the container's network is.
pub(crate) enum Network<'a> {
    /// A network of its own, with nothing but a loopback interface.
    Own,
    /// The network of another container of the task, by the engine's ID.
    Joined(&'a str),
}

/// The name under which every container of a sandbox can be found.
pub(crate) const LABEL: &str = "slipway.sandbox";
/// The label with a task's ARN, as the ECS agent writes it.
pub(crate) const TASK_LABEL: &str = "com.amazonaws.ecs.task-arn";

/// The definition with the overrides of RunTask applied.
pub(crate) fn overridden(definition: &Value, overrides: &Value) -> Value {
    let mut container = definition.clone();
    let name = need(definition, "name");
    for change in list(overrides, "containerOverrides")
        .iter()
        .filter(|one| need(one, "name") == name)
    {
        for member in [
            "command",
            "cpu",
            "memory",
            "memoryReservation",
            "environmentFiles",
        ] {
            if let Some(value) = change.get(member) {
                container[member] = value.clone();
            }
        }
        let mut environment = list(&container, "environment").to_vec();
        for new in list(change, "environment") {
            environment.retain(|old| old["name"] != new["name"]);
            environment.push(new.clone());
        }
        container["environment"] = Value::Array(environment);
    }
    container
}

pub(crate) fn ports(definitions: &[Value]) -> Vec<u16> {
    let mappings = definitions
        .iter()
        .flat_map(|container| list(container, "portMappings"));
    let mut ports: Vec<u16> = mappings
        .filter_map(|mapping| u16::try_from(number(mapping, "containerPort")?).ok())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The body of the engine's `POST /containers/create`.
pub(crate) fn body(
    container: &Value,
    identity: &Identity<'_>,
    network: &Network<'_>,
    secrets: &BTreeMap<String, String>,
    task_memory: Option<i64>,
) -> Value {
    let mut environment: Vec<String> = list(container, "environment")
        .iter()
        .map(|one| format!("{}={}", need(one, "name"), need(one, "value")))
        .collect();
    environment.extend(
        secrets
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );

    let mut labels = Map::new();
    if let Some(own) = container.get("dockerLabels").and_then(Value::as_object) {
        labels.extend(own.clone());
    }
    let name = need(container, "name");
    for (key, value) in [
        (LABEL, identity.label),
        ("com.amazonaws.ecs.cluster", identity.cluster),
        ("com.amazonaws.ecs.container-name", name),
        (TASK_LABEL, identity.task_arn),
        ("com.amazonaws.ecs.task-definition-family", identity.family),
        (
            "com.amazonaws.ecs.task-definition-version",
            identity.revision.as_str(),
        ),
    ] {
        labels.insert(key.to_owned(), json!(value));
    }

    let mut body = json!({
        "Image": container["image"],
        "Env": environment,
        "Labels": labels,
        "HostConfig": host_config(container, identity, network, task_memory),
    });
    let same = [
        ("command", "Cmd"),
        ("entryPoint", "Entrypoint"),
        ("user", "User"),
        ("workingDirectory", "WorkingDir"),
        ("interactive", "OpenStdin"),
    ];
    for (ours, theirs) in same {
        // An empty list means that the image's own setting holds, to ECS as to the engine.
        if let Some(value) = container
            .get(ours)
            .filter(|value| value.as_array().is_none_or(|list| !list.is_empty()))
        {
            body[theirs] = value.clone();
        }
    }
    if let Some(check) = container.get("healthCheck") {
        let nanos =
            |name: &str, default: i64| number(check, name).unwrap_or(default) * 1_000_000_000;
        body["Healthcheck"] = json!({
            "Test": check["command"],
            "Interval": nanos("interval", 30),
            "Timeout": nanos("timeout", 5),
            "Retries": number(check, "retries").unwrap_or(3),
            "StartPeriod": nanos("startPeriod", 0),
        });
    }
    body
}

fn host_config(
    container: &Value,
    identity: &Identity<'_>,
    network: &Network<'_>,
    task_memory: Option<i64>,
) -> Value {
    let mib = |mib: i64| mib * 1024 * 1024;
    let mut host = json!({
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "2m"}},
        "ReadonlyRootfs": flag(container, "readonlyRootFilesystem"),
        "Init": flag(&container["linuxParameters"], "initProcessEnabled"),
        "Privileged": flag(container, "privileged"),
    });
    match network {
        Network::Own => host["NetworkMode"] = json!("none"),
        Network::Joined(other) => host["NetworkMode"] = json!(format!("container:{other}")),
    }
    if let Some(limit) = number(container, "memory").or(task_memory) {
        host["Memory"] = json!(mib(limit));
        host["MemorySwap"] = json!(mib(limit));
    }
    if let Some(soft) = number(container, "memoryReservation") {
        host["MemoryReservation"] = json!(mib(soft));
    }
    if let Some(shares) = number(container, "cpu").filter(|shares| *shares > 0) {
        host["CpuShares"] = json!(shares);
    }
    let capabilities = &container["linuxParameters"]["capabilities"];
    for (ours, theirs) in [("add", "CapAdd"), ("drop", "CapDrop")] {
        if !list(capabilities, ours).is_empty() {
            host[theirs] = capabilities[ours].clone();
        }
    }
    let limits: Vec<Value> = list(container, "ulimits")
        .iter()
        .map(|one| json!({"Name": one["name"], "Soft": one["softLimit"], "Hard": one["hardLimit"]}))
        .collect();
    host["Ulimits"] = json!(limits);
    let mounts: Vec<Value> = list(container, "mountPoints")
        .iter()
        .map(|mount| {
            let volume = format!(
                "{}-{}-{}",
                identity.label,
                identity.task_id,
                need(mount, "sourceVolume")
            );
            json!({
                "Type": "volume", "Source": volume, "Target": need(mount, "containerPath"),
                "ReadOnly": flag(mount, "readOnly"),
                "VolumeOptions": {"Labels": {LABEL: identity.label, TASK_LABEL: identity.task_arn}},
            })
        })
        .collect();
    host["Mounts"] = json!(mounts);
    host
}

/// Seconds between SIGTERM and SIGKILL.
pub(crate) fn stop_grace(container: &Value, default: u64) -> u64 {
    number(container, "stopTimeout")
        .and_then(|seconds| u64::try_from(seconds).ok())
        .unwrap_or(default)
}

/// Containers in the order in which `dependsOn` lets them start, or the name of one in a circle. Essential containers
/// and what they depend on come before the others.
pub(crate) fn start_order(definitions: &[Value]) -> Result<Vec<usize>, String> {
    let name = |index: &usize| need(&definitions[*index], "name");
    let mut order: Vec<usize> = Vec::new();
    while order.len() < definitions.len() {
        let remaining: Vec<usize> = (0..definitions.len())
            .filter(|index| !order.contains(index))
            .collect();
        let ready = |index: &&usize| {
            let dependencies = list(&definitions[**index], "dependsOn");
            dependencies.iter().all(|dependency| {
                order
                    .iter()
                    .any(|done| name(done) == need(dependency, "containerName"))
            })
        };
        let essential = |index: &&usize| is_essential(&definitions[**index]);
        let needed = |index: &&usize| {
            let remaining_dependencies = remaining
                .iter()
                .flat_map(|other| list(&definitions[*other], "dependsOn"));
            remaining_dependencies
                .into_iter()
                .any(|dependency| need(dependency, "containerName") == name(index))
        };
        let mut candidates = remaining.iter().filter(ready);
        let next = candidates
            .clone()
            .find(essential)
            .or_else(|| candidates.clone().find(needed))
            .or_else(|| candidates.next());
        match next {
            Some(index) => order.push(*index),
            None => return Err(remaining.first().map(name).unwrap_or_default().to_owned()),
        }
    }
    Ok(order)
}

pub(crate) fn is_essential(definition: &Value) -> bool {
    definition
        .get("essential")
        .and_then(Value::as_bool)
        .unwrap_or(true)
}

/// Returns true if another container waits for this one to end before it starts.
pub(crate) fn ends_first(definitions: &[Value], name: &str) -> bool {
    let all = definitions
        .iter()
        .flat_map(|definition| list(definition, "dependsOn"));
    all.into_iter().any(|dependency| {
        need(dependency, "containerName") == name
            && matches!(text(dependency, "condition"), Some("COMPLETE" | "SUCCESS"))
    })
}
