//! Arguments of the verbs about what stood in the bucket.

use crate::args::{Locked, State};

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Repair {
    #[command(flatten)]
    pub(crate) locked: Locked,
    /// Accept the current state as the right one, although nothing proves it
    #[arg(long)]
    pub(crate) accept_current: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Versions {
    #[command(flatten)]
    pub(crate) state: State,
    /// How many versions to show, the newest first
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "NUMBER")]
    pub(crate) limit: u16,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) locked: Locked,
    /// The version whose state comes back, as `versions` shows it
    #[arg(long, required = true, value_name = "VERSION")]
    pub(crate) to_version: String,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
