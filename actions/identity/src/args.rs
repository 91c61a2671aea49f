//! Arguments of slipway-identity.

use clap::{Subcommand, ValueEnum};
use kit::aws::{AccountId, Region, RoleArn};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Export the credentials to later workflow steps, masked
    Export(Wanted),
    /// Show which credentials the job would get, and change nothing
    Check(Wanted),
    /// Run one command with the credentials only in its environment
    Exec {
        #[command(flatten)]
        wanted: Wanted,
        /// The command
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Wanted {
    /// Purpose of the credentials, which selects the contract's role
    #[arg(long, value_enum, default_value_t = Purpose::Deploy, value_name = "PURPOSE")]
    pub(crate) purpose: Purpose,
    /// Role to assume instead of the contract's, as an ARN
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<RoleArn>,
    /// Account the credentials must belong to, instead of the contract's
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<AccountId>,
    /// Region instead of the contract's
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    Read,
    Deploy,
    Publish,
    Permit,
}
