//! The parts that run as processes: how each is started, and how one sees that it is ready.

mod distribution;
mod dynamodb;
pub(crate) mod engine;
mod moto;
mod serve;

pub(crate) use distribution::{Account, password};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::Result;
use crate::instance::{Instance, sha256};
use crate::probe::Probe;

/// One part, ready to be started.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// All of them must answer.
    pub(crate) probes: Vec<Probe>,
    /// How long it may take to become ready on a busy machine.
    pub(crate) timeout: Duration,
    /// The hint if it does not start.
    pub(crate) hint: String,
    /// The other inputs that it was started from, such as the content of a configuration file.
    pub(crate) inputs: String,
}

impl Part {
    /// A hash that changes when the part has to be restarted. The environment is left out: it differs from caller to caller
    /// by its PATH alone.
    pub(crate) fn fingerprint(&self) -> String {
        sha256(format!("{:?} {:?} {}", self.program, self.arguments, self.inputs).as_bytes())
    }

    /// Returns true if the part is ready.
    pub(crate) fn ready(&self, timeout: Duration) -> bool {
        self.probes.iter().all(|probe| probe.answers(timeout))
    }
}

/// Removes what parts that ended left on the disk, which those that begin would take for theirs.
pub(crate) fn forget(instance: &Instance) -> Result<()> {
    distribution::forget(instance)
}

/// The parts in the order in which they are started; the engine comes before them.
pub(crate) fn all(instance: &Instance, sandbox: PathBuf) -> Result<Vec<Part>> {
    Ok(vec![
        moto::part(instance),
        dynamodb::part(instance, sandbox.clone())?,
        distribution::part(instance)?,
        serve::part(instance, sandbox)?,
    ])
}

/// The environment every part starts with: nothing of the caller's but the way to programs.
fn environment(instance: &Instance) -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
    [
        ("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")),
        ("HOME", instance.dir.join("home").display().to_string()),
        ("LANG", "C.UTF-8".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
