//! The Docker Engine: the machine's own where one answers, else one that this sandbox starts, and ends again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Part, environment};
use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::probe::{Endpoint, Probe};

/// The engine's socket, whether or not the sandbox started the engine.
pub(crate) const SOCKET: &str = "/var/run/docker.sock";
/// Held while an engine is started or ended: all sandboxes of a machine share one.
pub(crate) const LOCK: &str = "/run/lock/slipway-engine.lock";
/// Where the commands that use it are marked, those of all sandboxes.
pub(crate) const USERS: &str = "/run/lock/slipway-engine-users";
/// The label that names the sandbox a container belongs to.
pub(crate) const LABEL: &str = "slipway.sandbox";

pub(crate) fn part(instance: &Instance) -> Part {
    Part {
        name: "docker",
        program: PathBuf::from("/usr/sbin/dockerd"),
        arguments: vec![
            "--host".to_owned(),
            format!("unix://{SOCKET}"),
            "--data-root".to_owned(),
            instance.dir.join("engine").display().to_string(),
            "--log-level".to_owned(),
            "warn".to_owned(),
        ],
        environment: environment(instance),
        probes: vec![Probe {
            at: Endpoint::Unix(PathBuf::from(SOCKET)),
            path: "/_ping",
            status: 200,
        }],
        timeout: Duration::from_secs(300),
        hint: "dockerd needs root, cgroups and iptables; where an engine runs already, it is used"
            .to_owned(),
        inputs: String::new(),
    }
}

/// Removes this sandbox's containers.
pub(crate) fn remove_containers(instance: &Instance) -> Result<()> {
    let ours = containers(&[
        "--all",
        "--quiet",
        "--filter",
        &format!("label={LABEL}={}", instance.id),
    ])?;
    if ours.is_empty() {
        return Ok(());
    }
    let mut arguments = vec!["rm", "--force", "--volumes"];
    arguments.extend(ours.iter().map(String::as_str));
    docker(&arguments).map(drop)
}

/// The containers that would die with the engine: everybody's that still run.
pub(crate) fn running() -> Result<Vec<String>> {
    containers(&["--quiet"])
}

fn containers(options: &[&str]) -> Result<Vec<String>> {
    let mut arguments = vec!["ps"];
    arguments.extend(options);
    Ok(docker(&arguments)?.lines().map(str::to_owned).collect())
}

fn docker(arguments: &[&str]) -> Result<String> {
    let client = Path::new("/usr/bin/docker");
    let output = Command::new(client)
        .env_clear()
        .env("DOCKER_HOST", format!("unix://{SOCKET}"))
        .args(arguments)
        .output()
        .context(format!("running {}", client.display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Fault::new(format!(
        "docker {} ended with {}: {}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}
