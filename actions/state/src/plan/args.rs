//! Arguments of `plan`, `apply` and `drift`.

use crate::args::{Locked, State};
use crate::tool::name::Name;
use kit::id::{CommitId, PlanId, argument};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) locked: Locked,
    #[command(flatten)]
    pub(crate) code: Code,
    #[command(flatten)]
    pub(crate) options: Options,
    /// How long the plan may be applied, e.g. 30m or 24h; 168h at most
    #[arg(long, default_value = "24h", value_parser = validity, value_name = "TIME")]
    pub(crate) valid_for: Duration,
    /// Plan with the role `read`, without the lock, and keep nothing that could be applied; always so on a pull request
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Commit that runs there now: new providers and modules since it are named
    #[arg(long, value_name = "SHA", value_parser = argument::<CommitId>)]
    pub(crate) base: Option<CommitId>,
    /// Pull request that gets the plan as a comment [default: the one this run is about]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) pull_request: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) locked: Locked,
    #[command(flatten)]
    pub(crate) code: Code,
    #[command(flatten)]
    pub(crate) options: Options,
    /// The plan's ID, from the output `plan-id` of `plan`
    #[arg(long, value_name = "ID", value_parser = argument::<PlanId>)]
    pub(crate) plan: PlanId,
    /// Output `permit` of slipway-promote: the permit that names the plan, where the gate says `plan: true`
    #[arg(long, value_name = "NUMBER")]
    pub(crate) permit: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Drift {
    #[command(flatten)]
    pub(crate) state: State,
    #[command(flatten)]
    pub(crate) code: Code,
    #[command(flatten)]
    pub(crate) values: Values,
}

/// Values from files.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Values {
    /// Files of variable values, from the folder of the infrastructure code
    #[arg(long, value_name = "FILE", value_delimiter = '\n')]
    pub(crate) var_file: Vec<String>,
}

/// The part of the infrastructure, and what becomes of it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) values: Values,
    /// Resources or modules to plan alone, with what they depend on; the plan is then incomplete
    #[arg(long, value_name = "ADDRESS", value_delimiter = '\n')]
    pub(crate) target: Vec<String>,
    /// Resources to replace although nothing about them changed
    #[arg(long, value_name = "ADDRESS", value_delimiter = '\n')]
    pub(crate) replace: Vec<String>,
    /// Destroy everything that the state holds
    #[arg(long, conflicts_with_all = ["refresh_only", "replace"])]
    pub(crate) destroy: bool,
    /// Only update the state to match the infrastructure
    #[arg(long, conflicts_with = "replace")]
    pub(crate) refresh_only: bool,
}

/// The infrastructure code and what reads it.
#[derive(Debug, clap::Args)]
pub(crate) struct Code {
    /// Folder of the infrastructure code, instead of the contract's
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// The tool [default: terraform, else tofu, whichever is on PATH]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) tool: Option<Name>,
    /// Commit of the infrastructure code, as a full hash [default: the run's]
    #[arg(long, value_name = "SHA", value_parser = argument::<CommitId>)]
    pub(crate) commit: Option<CommitId>,
}

/// A plan that lies about for longer is one that nobody remembers; the bucket's rule removes it after
/// a day more.
fn validity(text: &str) -> Result<Duration, String> {
    let time = kit::clock::parse_duration(text)?;
    if time > Duration::from_secs(7 * 24 * 3600) {
        return Err(format!("`{text}` is too long for a plan: 168h at most"));
    }
    Ok(time)
}
