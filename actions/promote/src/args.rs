//! Arguments of slipway-promote.

use clap::{Subcommand, ValueEnum};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Say whether a digest may come into the environment, rule by rule; exit 3 if not
    Check(Check),
    /// Write into the ledger what came into the environment, after seeing it run there
    Record(Record),
    /// Say what is in each environment, since when and by whom
    Status(Status),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Image digest, sha256:…
    #[arg(long, value_name = "DIGEST", conflicts_with = "from")]
    pub(crate) digest: Option<String>,
    /// Environment whose newest digest is promoted when none is given [default: the one this environment follows]
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) github: GitHub,
    #[command(flatten)]
    pub(crate) rules: Rules,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Record {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Image digest, sha256:…
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: String,
    /// Commit the digest was built from, all its digits
    #[arg(long, value_name = "SHA")]
    pub(crate) commit: String,
    /// How the deployment ended; healthy is written only when it is seen running
    #[arg(long, value_enum, default_value = "healthy")]
    pub(crate) verdict: Verdict,
    #[command(flatten)]
    pub(crate) github: GitHub,
    /// ECS cluster [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// ECS service, name or ARN [default: the contract's, else what the ledger calls it]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Container that runs the digest [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) container: Option<String>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Where the ledger is.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Service's name in the ledger [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) ledger_service: Option<String>,
    /// Ledger's DynamoDB table [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) ledger: Option<String>,
    /// Region, without a contract [default: AWS_REGION]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<kit::aws::Region>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GitHub {
    /// Repository on GitHub, OWNER/NAME [default: the one this run belongs to]
    #[arg(long, value_name = "OWNER/NAME")]
    pub(crate) github_repository: Option<String>,
}

/// The gate's rules where no contract declares them. With a contract they must say the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Rules {
    /// Branch the commit must be on, without a contract [default: main]
    #[arg(long, value_name = "BRANCH")]
    pub(crate) branch: Option<String>,
    /// Approvals a pull request needs, without a contract [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) approvals: Option<u32>,
    /// Check runs that must have succeeded, as NAME or NAME@APP-ID, without a contract
    #[arg(long, value_name = "NAME", value_delimiter = '\n')]
    pub(crate) checks: Vec<String>,
    /// Workflow file a promotion must come from, without a contract
    #[arg(long, value_name = "PATH")]
    pub(crate) workflow: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verdict {
    Healthy,
    Failed,
    RolledBack,
}
