//! moto: the AWS APIs that no other part is better at, behind the gateway.

use std::time::Duration;

use super::{Part, environment};
use crate::instance::{Instance, port};
use crate::probe::{Endpoint, Probe};

/// How it is started: `moto_server`, which remembers what it would look for at each call.
const START: &str = include_str!("moto.py");

pub(super) fn part(instance: &Instance) -> Part {
    Part {
        name: "moto",
        program: instance.venv_bin().join("python"),
        arguments: [
            "-c".to_owned(),
            START.to_owned(),
            "-H".to_owned(),
            instance.ip.to_string(),
            "-p".to_owned(),
            port::MOTO.to_string(),
        ]
        .to_vec(),
        environment: environment(instance)
            .into_iter()
            // A certificate counts as validated a moment after it was asked for, not after a minute.
            .chain([("MOTO_ACM_VALIDATION_WAIT".to_owned(), "1".to_owned())])
            .collect(),
        probes: vec![Probe {
            at: Endpoint::Tcp(instance.at(port::MOTO)),
            // `data.json` would tell all that moto holds, which takes the longer the fuller it is.
            path: "/moto-api/config",
            status: 201,
        }],
        timeout: Duration::from_secs(300),
        hint: format!(
            "see whether something else listens on {}",
            instance.at(port::MOTO)
        ),
        inputs: String::new(),
    }
}
