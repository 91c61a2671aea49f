//! Arguments of slipway-service.

use crate::function::Shift;
use clap::Subcommand;
use kit::aws::{AliasName, Arn, ClusterName, FunctionName, ServiceName};
use kit::id::{Digest, argument};
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
    /// Answer the pause hook at which the deployment of a digest waits, and follow it to its verdict
    Continue(Continue),
    /// Go back to the version before: stop the deployment in progress, or deploy the one that was healthy last
    Rollback(RollBack),
    /// Show what a deployment would change in what the service runs
    Diff(Diff),
    /// Say before a deployment whether a digest could run in the service: image, secrets, log groups, percentages
    Verify(Verify),
    /// Run a command once in a task of its own, with the image, the roles and the network of the service, and wait for its end
    RunTask(RunTask),
    /// Say what the service runs and how healthy it is
    Status(ServiceSelector),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) version: Version,
    /// Leave the deployment to ECS if the timeout is over or the run is cancelled, instead of rolling it back
    #[arg(long)]
    pub(crate) no_rollback: bool,
    /// Accept a service whose desired count is 0, where nothing runs that could be verified
    #[arg(long)]
    pub(crate) allow_zero_tasks: bool,
    /// Deploy over this deployment although it shifts traffic, is paused or goes back: ARN of ECS's record of it, as the refusal names it
    #[arg(long, value_name = "ARN")]
    pub(crate) replace: Option<Arn>,
    #[command(flatten)]
    pub(crate) traffic: Traffic,
}

/// How the traffic of a function's alias moves to the new version.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Traffic {
    /// Steps in which a function's traffic moves: canary:PERCENT:TIME or linear:PERCENT:TIME, such as canary:10:5m [default: all at once]
    #[arg(long, value_name = "STEPS")]
    pub(crate) shift: Option<Shift>,
    /// CloudWatch alarm that rolls a function's deployment back if it goes off; may be given several times
    #[arg(long, value_name = "NAME", value_delimiter = '\n')]
    pub(crate) alarm: Vec<String>,
    /// How long the alarms are watched after a function has all of its traffic, such as 5m [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = kit::clock::parse_duration)]
    pub(crate) bake: Option<Duration>,
}

impl Traffic {
    /// The alarms named; an empty line in a workflow's input names none.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let names = self.alarm.iter().map(|name| name.trim());
        names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Returns true if anything is given that only a function has.
    pub(crate) fn is_given(&self) -> bool {
        self.shift.is_some() || self.bake.is_some() || !self.alarms().is_empty()
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Continue {
    #[command(flatten)]
    pub(crate) version: Version,
    /// Hook to answer, the output `hook` of the run that ended at it; another one that waits is refused
    #[arg(long, value_name = "ID")]
    pub(crate) hook: String,
    /// Leave the deployment to ECS if the timeout is over or the run is cancelled, instead of rolling it back
    #[arg(long)]
    pub(crate) no_rollback: bool,
    /// Accept a service whose desired count is 0, where nothing runs that could be verified
    #[arg(long)]
    pub(crate) allow_zero_tasks: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RollBack {
    #[command(flatten)]
    pub(crate) selector: ServiceSelector,
    /// How long to wait for the end of the deployment or the task, such as 90s, 15m or 1h [default: 15m, and for a deployment also the waits that the service configures]
    #[arg(long, value_name = "TIME", value_parser = kit::clock::parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Accept a service whose desired count is 0, where nothing runs that could be verified
    #[arg(long)]
    pub(crate) allow_zero_tasks: bool,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) selector: ServiceSelector,
    /// Image digest to run, sha256:… (never a tag)
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<Digest>,
    #[command(flatten)]
    pub(crate) origin: Origin,
    /// Exit with 6 if there is a difference
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) selector: ServiceSelector,
    /// Image digest to run, sha256:… (never a tag)
    #[arg(long, value_name = "DIGEST", value_parser = argument::<Digest>)]
    pub(crate) digest: Digest,
    #[command(flatten)]
    pub(crate) origin: Origin,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunTask {
    #[command(flatten)]
    pub(crate) version: Version,
    /// Command to run in the container, in place of the image's own
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) argv: Vec<String>,
}

/// Where an image is pulled from.
#[derive(Debug, clap::Args)]
pub(crate) struct Origin {
    /// Image repository, a name or a whole URI [default: the contract's, else the one the container runs from]
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) repository: Option<String>,
    /// Registry host to pull a bare repository name from, e.g. a replica [default: ECR in the build account]
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Option<String>,
}

/// A version of a service that is to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Version {
    #[command(flatten)]
    pub(crate) selector: ServiceSelector,
    /// Image digest to run, sha256:… (never a tag)
    #[arg(long, value_name = "DIGEST", value_parser = argument::<Digest>)]
    pub(crate) digest: Digest,
    #[command(flatten)]
    pub(crate) origin: Origin,
    /// Number of the permit to deploy under, the output `permit` of `slipway-promote grant`; required in an environment with a gate
    #[arg(long, value_name = "NUMBER")]
    pub(crate) permit: Option<String>,
    /// How long to wait for the end of the deployment or the task, such as 90s, 15m or 1h [default: 15m, and for a deployment also the waits that the service configures]
    #[arg(long, value_name = "TIME", value_parser = kit::clock::parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl Version {
    /// The time for a task, and for calls before the service is known.
    pub(crate) fn usual_time(&self) -> Duration {
        self.timeout.unwrap_or(crate::time::USUAL)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServiceSelector {
    /// ECS cluster, name or ARN [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<ClusterName>,
    /// ECS service, name or ARN [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<ServiceName>,
    /// Container to update, the others keep their image; may be given several times [default: the contract's or the only one, and all of the same repository]
    #[arg(long, value_name = "NAME", value_delimiter = '\n')]
    pub(crate) container: Vec<String>,
    /// Lambda function in place of an ECS service, by its name; for deploy, rollback, diff and status [default: the contract's]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["cluster", "service", "container"])]
    pub(crate) function: Option<FunctionName>,
    /// Alias of the function, which serves the version that is deployed [default: the contract's, else live]
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Option<AliasName>,
}

impl ServiceSelector {
    /// The arguments that lead to the same service again, for a hint.
    pub(crate) fn arguments(&self, cx: &kit::Cx) -> String {
        [
            ("environment", cx.common.environment.as_deref()),
            ("cluster", self.cluster.as_ref().map(ClusterName::as_str)),
            ("service", self.service.as_ref().map(ServiceName::as_str)),
            ("function", self.function.as_ref().map(FunctionName::as_str)),
            ("alias", self.alias.as_ref().map(AliasName::as_str)),
        ]
        .iter()
        .filter_map(|(name, value)| Some(format!("--{name} {}", (*value)?)))
        .collect::<Vec<_>>()
        .join(" ")
    }

    /// The containers named; an empty line in a workflow's input names none.
    pub(crate) fn containers(&self) -> Vec<String> {
        let names = self.container.iter().map(|name| name.trim());
        names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }
}
