//! Arguments of slipway-state.

use clap::Subcommand;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Hold the lock around a command, with backend, variables and credentials in its environment
    Run {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        object: Object,
        #[command(flatten)]
        wait: Wait,
        /// Folder of the infrastructure code, instead of the contract's
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
        /// The command
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Take the lock and keep it until `unlock` or the end of the job
    Lock {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        object: Object,
        #[command(flatten)]
        wait: Wait,
    },
    /// Give the lock back
    Unlock {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        object: Object,
        /// The lock's ID, as `lock` or `status` named it
        #[arg(long, required = true, value_name = "ID")]
        lock_id: String,
    },
    /// Say who holds the lock
    Status {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        object: Object,
    },
    /// Create the state bucket and the lock table, or bring them to what they should be
    Bootstrap {
        #[command(flatten)]
        place: Place,
        /// Print what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Where the state is.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// State bucket [default: the contract's, else TF_STATE_BUCKET]
    #[arg(long, value_name = "BUCKET")]
    pub(crate) bucket: Option<String>,
    /// DynamoDB lock table [default: the contract's, else TF_LOCK_TABLE]
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// Region of bucket and table, instead of the contract's
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Role to assume instead of the contract's, as an ARN
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Object {
    /// Key of the state object, instead of the contract's
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Wait {
    /// How long to wait for a lock that somebody holds, e.g. 90s, 10m or 0s
    #[arg(long, default_value = "10m", value_parser = kit::clock::parse_duration, value_name = "TIME")]
    pub(crate) lock_timeout: std::time::Duration,
}
