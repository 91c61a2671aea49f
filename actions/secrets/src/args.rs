//! Arguments of slipway-secrets.

use crate::format::Format;
use clap::builder::PossibleValue;
use clap::{Subcommand, ValueEnum};
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
        /// Reader of the file; a value that such a reader would change is refused
        #[arg(long, value_enum, default_value_t = Format::Dotenv, value_name = "FORMAT")]
        format: Format,
    },
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Dotenv, Self::Docker, Self::Shell, Self::Json]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, reader) = match self {
            Self::Dotenv => ("dotenv", "npm's dotenv, node --env-file, python-dotenv"),
            Self::Docker => ("docker", "docker run --env-file"),
            Self::Shell => ("shell", "A POSIX shell, by `set -a; . FILE`"),
            Self::Json => ("json", "One JSON object"),
        };
        Some(PossibleValue::new(name).help(reader))
    }
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
