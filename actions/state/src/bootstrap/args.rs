//! Arguments of `bootstrap` and `doctor`.

use crate::args::Storage;

#[derive(Debug, clap::Args)]
pub(crate) struct Bootstrap {
    #[command(flatten)]
    pub(super) storage: Storage,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(super) storage: Storage,
}
