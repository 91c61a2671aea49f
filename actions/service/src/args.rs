//! Arguments of slipway-service.

use clap::Subcommand;
use std::time::Duration;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a digest in the service and follow it to one verdict
    Deploy(Deploy),
    /// Say what the service runs and how healthy it is
    Status(Place),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Image digest to run, sha256:… (never a tag)
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: String,
    /// Image repository, a name or a whole URI [default: the contract's, else the one the container runs from]
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) repository: Option<String>,
    /// Registry host to pull a bare repository name from, e.g. a replica [default: ECR in the build account]
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Option<String>,
    /// How long to follow the deployment, such as 90s, 15m or 1h
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = kit::clock::parse_duration)]
    pub(crate) timeout: Duration,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// ECS cluster, name or ARN [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// ECS service, name or ARN [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Container that gets the image [default: the contract's, else the only one there is]
    #[arg(long, value_name = "NAME")]
    pub(crate) container: Option<String>,
}

impl Place {
    /// The arguments that lead to the same service again, for a hint.
    pub(crate) fn words(&self, cx: &kit::Cx) -> String {
        [
            ("environment", &cx.common.environment),
            ("cluster", &self.cluster),
            ("service", &self.service),
        ]
        .iter()
        .filter_map(|(name, value)| Some(format!("--{name} {}", value.as_ref()?)))
        .collect::<Vec<_>>()
        .join(" ")
    }
}
