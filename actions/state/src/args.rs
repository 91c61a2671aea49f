//! Arguments of slipway-state.

use crate::{bootstrap, history, plan};
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
        #[command(flatten)]
        kind: Kind,
        #[command(flatten)]
        adopt: Adopt,
        /// How long the command may take: credentials that end sooner are refused at the start
        #[arg(long, value_parser = kit::clock::parse_duration, value_name = "TIME")]
        budget: Option<std::time::Duration>,
        /// Folder of the infrastructure code, instead of the contract's
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
        /// Put bucket, key, region and lock of the step before those that the code's backend block names, instead of refusing them
        #[arg(long)]
        override_backend: bool,
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
        #[command(flatten)]
        kind: Kind,
        #[command(flatten)]
        adopt: Adopt,
        #[command(flatten)]
        keep: Keep,
    },
    /// Give the lock back
    Unlock {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        object: Object,
        #[command(flatten)]
        adopt: Adopt,
    },
    /// Say who holds the lock
    Status {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        object: Object,
    },
    /// Create the state bucket and the lock table, or bring them to what they should be
    Bootstrap(Box<bootstrap::Bootstrap>),
    /// Leave a lock that `lock` took to a later job, which adopts it by its ID
    Park {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        object: Object,
        #[command(flatten)]
        adopt: Adopt,
        #[command(flatten)]
        keep: Keep,
    },
    /// Remove a lock that nobody gives back, whoever took it: a person's decision
    ForceUnlock {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        object: Object,
        /// The ID of the lock that was looked at, as `status` or Terraform shows it
        #[arg(long, required = true, value_name = "ID")]
        id: String,
    },
    /// Move from the lock table to `.tflock` in two steps, `--to both` and then `--to file`, or back
    MoveLock {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        object: Object,
        /// The way of locking to move to: `both`, `file`, or `dynamodb`
        #[arg(
            long,
            value_enum,
            required = true,
            hide_possible_values = true,
            value_name = "HOW"
        )]
        to: crate::backend::Locking,
    },
    /// Plan under the lock, keep the plan in the state bucket, and show what it would do
    Plan(Box<plan::args::Plan>),
    /// Apply a kept plan, if everything it was made from is still the same
    Apply(Box<plan::args::Apply>),
    /// Say what differs from the state; exit 6 if something does
    Drift(Box<plan::args::Drift>),
    /// Say what about bucket and table is not as it should be, and change nothing; exit 3 if something is not
    Doctor(Box<bootstrap::Doctor>),
    /// Say whether the digest that Terraform keeps is the state's; exit 3 if not
    VerifyDigest(Box<history::args::Verify>),
    /// Write the digest of the state, under the lock, where the state follows the one it belonged to
    RepairDigest(Box<history::args::Repair>),
    /// Show the versions of the state that the bucket keeps
    Versions(Box<history::args::Versions>),
    /// Bring an earlier version of the state back, under the lock; the infrastructure is not touched
    Rollback(Box<history::args::Rollback>),
}

/// Where the state is.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// State bucket [default: the contract's, else TF_STATE_BUCKET]
    #[arg(long, value_name = "BUCKET")]
    pub(crate) bucket: Option<String>,
    /// DynamoDB lock table; without one the lock is the file KEY.tflock beside the state [default: the contract's; without a contract TF_LOCK_TABLE]
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// How the state is locked: `file` (KEY.tflock beside the state), `dynamodb` (deprecated by Terraform; `move-lock` moves), `both` [default: dynamodb if there is a table, else file]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "HOW")]
    pub(crate) locking: Option<crate::backend::Locking>,
    /// Region of bucket and table, which need not be the command's [default: the contract's, else AWS_REGION]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<kit::aws::Region>,
    /// Role to assume instead of the contract's, as an ARN
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<kit::aws::RoleArn>,
}

/// Which lock is held around a command.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hold {
    /// Terraform's own, so that it is told not to lock
    Native,
    /// One beside it, so that Terraform locks for itself
    Beside,
}

impl Hold {
    /// As an argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Beside => "beside",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Object {
    /// Key of the state object, instead of the contract's
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Workspace whose state it is, as `terraform workspace list` names it [default: the default one]
    #[arg(long, value_name = "NAME")]
    pub(crate) workspace: Option<String>,
}

/// The state that a verb is about.
#[derive(Debug, clap::Args)]
pub(crate) struct State {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) object: Object,
}

/// The same, under its lock.
#[derive(Debug, clap::Args)]
pub(crate) struct Locked {
    #[command(flatten)]
    pub(crate) state: State,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Wait {
    /// How long to wait for a lock that somebody holds, e.g. 90s, 10m or 0s
    #[arg(long, default_value = "10m", value_parser = kit::clock::parse_duration, value_name = "TIME")]
    pub(crate) lock_timeout: std::time::Duration,
    /// How long a run that gives no sign of life counts as alive, e.g. 90s
    #[arg(long, default_value = "3m", value_parser = lease, value_name = "TIME")]
    pub(crate) lease: std::time::Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Kind {
    /// Which lock to hold: `native` (Terraform's own) or `beside` (one beside it, and Terraform locks for itself) [default: native]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "KIND")]
    pub(crate) hold: Option<Hold>,
}

/// A lock that an earlier step or job took.
#[derive(Debug, clap::Args)]
pub(crate) struct Adopt {
    /// The lock's ID, as `lock` or `status` named it
    #[arg(long, value_name = "ID")]
    pub(crate) lock_id: Option<String>,
    /// The lock's version number, as `lock` or `park` named it: refused if somebody used the lock since
    #[arg(long, requires = "lock_id", value_name = "RVN")]
    pub(crate) rvn: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Keep {
    /// How long the lock may be kept without its run's end, e.g. 90m
    #[arg(long, default_value = "6h", value_parser = kit::clock::parse_duration, value_name = "TIME")]
    pub(crate) max: std::time::Duration,
}

/// Shorter ones would be over before an answer that is late.
fn lease(text: &str) -> Result<std::time::Duration, String> {
    let lease = kit::clock::parse_duration(text)?;
    if lease < std::time::Duration::from_secs(2) {
        return Err(format!("`{text}` is too short for a lease: 2s at least"));
    }
    if lease > std::time::Duration::from_secs(24 * 60 * 60) {
        return Err(format!(
            "`{text}` is too long for a lease: 24h at most, because the lock of a run that was killed blocks others for a whole lease"
        ));
    }
    Ok(lease)
}
