//! DynamoDB Local, which cannot be told to listen on one address only: it gets a network namespace of its own, and a
//! bridge in there answers on a Unix socket.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Part, environment};
use crate::fault::{Context, Result};
use crate::instance::Instance;
use crate::probe::{Endpoint, Probe};

pub(super) fn part(instance: &Instance, sandbox: PathBuf) -> Result<Part> {
    let socket = instance.dynamodb_socket();
    if let Some(folder) = socket.parent() {
        fs::create_dir_all(folder).context(format!("creating {}", folder.display()))?;
    }
    let emulator = instance.npm("amplify-dynamodb-simulator").join("emulator");
    Ok(Part {
        name: "dynamodb",
        program: PathBuf::from("/usr/bin/unshare"),
        arguments: vec![
            "--net".to_owned(),
            "--".to_owned(),
            sandbox.display().to_string(),
            "dynamodb".to_owned(),
            socket.display().to_string(),
            emulator.display().to_string(),
        ],
        environment: environment(instance),
        // It answers a request without a signature with this.
        probes: vec![Probe {
            at: Endpoint::Unix(socket),
            path: "/",
            status: 400,
        }],
        timeout: Duration::from_secs(300),
        hint: "it needs root for its network namespace, and Java 17".to_owned(),
        inputs: String::new(),
    })
}
