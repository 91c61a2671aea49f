//! Arguments of slipway-secrets.

use crate::format::Format;
use clap::Subcommand;
use kit::aws::{Region, RoleArn};
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run one command with the secrets in its environment only
    Exec {
        #[command(flatten)]
        wanted: Wanted,
        /// The command
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Export the secrets to later workflow steps, masked
    Export(Wanted),
    /// Write the secrets to a file that only this user can read; the post step removes it
    File {
        #[command(flatten)]
        wanted: Wanted,
        /// Where to write; must not exist yet
        #[arg(long, value_name = "FILE")]
        path: PathBuf,
        /// Who reads the file; a value that such a reader would change is refused
        #[arg(long, value_enum, default_value_t = Format::Dotenv, value_name = "FORMAT")]
        format: Format,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Wanted {
    /// A secret as NAME=SOURCE beside the contract's; SOURCE is ssm:NAME, secretsmanager:ID#KEY or env:NAME
    #[arg(long, value_delimiter = '\n', value_name = "NAME=SOURCE")]
    pub(crate) source: Vec<String>,
    /// Role to assume instead of the contract's deploy role, as an ARN
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<RoleArn>,
    /// Region instead of the contract's
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
}
