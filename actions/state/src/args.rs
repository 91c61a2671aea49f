//! Arguments of slipway-state: its verbs here, and those that several verbs share in `shared`.

mod shared;

pub(crate) use shared::{Adopt, Keep, Kind, Locked, Object, State, Storage, Wait, Which};

use crate::backend::Locking;
use crate::{bootstrap, history, plan};
use clap::Subcommand;
use kit::id::{CommitId, argument};
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
        locked: Locked,
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
        /// Override the code's backend block with the step's bucket, key, region and lock
        #[arg(long)]
        override_backend: bool,
        /// Commit that runs there now: new providers and modules since it are named
        #[arg(long, value_name = "SHA", value_parser = argument::<CommitId>)]
        base: Option<CommitId>,
        /// The command
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Take the lock and keep it until `unlock` or the end of the job
    Lock {
        #[command(flatten)]
        locked: Locked,
        #[command(flatten)]
        kind: Kind,
        #[command(flatten)]
        adopt: Adopt,
        #[command(flatten)]
        keep: Keep,
    },
    /// Release the lock
    Unlock {
        #[command(flatten)]
        state: State,
        #[command(flatten)]
        adopt: Adopt,
    },
    /// Say who holds the lock
    Status {
        #[command(flatten)]
        state: State,
    },
    /// Create the state bucket and the lock table, or bring them to what they should be
    Bootstrap(Box<bootstrap::args::Bootstrap>),
    /// Leave a lock that `lock` took to a later job, which adopts it by its ID
    Park {
        #[command(flatten)]
        state: State,
        #[command(flatten)]
        adopt: Adopt,
        #[command(flatten)]
        keep: Keep,
    },
    /// Remove a lock that its holder does not release, after a person has checked it
    ForceUnlock {
        #[command(flatten)]
        state: State,
        #[command(flatten)]
        which: Which,
    },
    /// Move from the lock table to `.tflock` in two steps, `--to both` and then `--to file`, or back
    MoveLock {
        #[command(flatten)]
        state: State,
        /// The way of locking to move to
        #[arg(
            long,
            value_enum,
            required = true,
            hide_possible_values = true,
            value_name = "HOW"
        )]
        to: Locking,
    },
    /// Plan under the lock, save the plan in the state bucket, and show what it would do
    Plan(Box<plan::args::Plan>),
    /// Apply a saved plan, if everything it was made from is still the same
    Apply(Box<plan::args::Apply>),
    /// Say what differs from the state; exit 6 if something does
    Drift(Box<plan::args::Drift>),
    /// Say what about bucket and table is not as it should be, and change nothing; exit 3 if something is not
    Doctor(Box<bootstrap::args::Doctor>),
    /// Say whether the digest that Terraform keeps is the state's; exit 3 if not
    VerifyDigest(Box<history::args::Verify>),
    /// Write the digest of the state, under the lock, where the state follows the one it belonged to
    RepairDigest(Box<history::args::Repair>),
    /// Show the versions of the state that the bucket keeps
    Versions(Box<history::args::Versions>),
    /// Bring an earlier version of the state back, under the lock; the infrastructure is not touched
    Rollback(Box<history::args::Rollback>),
}
