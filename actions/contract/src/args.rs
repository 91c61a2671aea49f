//! Arguments of slipway-contract.

use clap::Subcommand;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Check the whole contract; with --environment, also resolve its references
    Check,
    /// Resolve one environment, print it, and export its variables as TF_VAR_*
    Resolve,
    /// Print the JSON Schema of the contract, for editors
    Schema,
}
