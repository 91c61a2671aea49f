//! The process that hosts the gateway, the registry's front, the GitHub stand-in and the load balancers.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Part, environment};
use crate::fault::{Context, Result};
use crate::instance::{Instance, port};
use crate::probe::{Endpoint, Probe};

pub(super) fn part(instance: &Instance, sandbox: PathBuf) -> Result<Part> {
    // A rebuilt program is another file, and the old one must not go on serving.
    let built = sandbox
        .metadata()
        .context(format!("looking at {}", sandbox.display()))?;
    let probe = |port, path, status| Probe {
        at: Endpoint::Tcp(instance.at(port)),
        path,
        status,
    };
    Ok(Part {
        name: "serve",
        program: sandbox,
        arguments: vec!["serve".to_owned()],
        environment: environment(instance),
        probes: vec![
            probe(port::GATEWAY, "/_sandbox/health", 200),
            probe(port::GITHUB, "/.well-known/jwks", 200),
        ],
        timeout: Duration::from_secs(300),
        hint: format!(
            "see whether something else listens on {} to {}",
            instance.at(port::GATEWAY),
            port::REGISTRY
        ),
        inputs: format!("{} {}.{}", built.size(), built.mtime(), built.mtime_nsec()),
    })
}
