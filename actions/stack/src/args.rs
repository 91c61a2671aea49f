//! Arguments of slipway-stack.

use clap::Subcommand;
use kit::aws::RoleArn;
use kit::contract::Capability;
use kit::id::{CommitId, PlanId, argument};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a change set, show what it changes, and name it by an ID
    Plan(Plan),
    /// Make a change set that takes over resources that exist, and name it by an ID; nothing of them changes
    Import(Import),
    /// Execute exactly the change set that was planned, and follow it to its end
    Apply(Apply),
    /// Show the status of the stack: its last operation, its outputs and its open change sets
    Status(Status),
    /// Compare the stack's resources with its template; exit 6 if they differ, 3 if that is not known
    Drift(Drift),
    /// Let a rollback that failed go on, past the resources that are named
    Recover(Recover),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) stack: StackName,
    /// Template, a file of JSON or YAML, or the folder of a CDK app's cloud assembly, such as cdk.out [default: the contract's]
    #[arg(long, value_name = "FILE")]
    pub(crate) template: Option<PathBuf>,
    /// Bucket of the stack's account and region, for a template that does not fit into a request [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) bucket: Option<String>,
    /// Folder of the commit whose template is planned [default: the contract's]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) directory: Option<PathBuf>,
    /// Value of a parameter, NAME=VALUE; may be given several times, and comes before the contract's
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = '\n')]
    pub(crate) parameter: Vec<String>,
    /// Value of a NoEcho parameter, NAME=VARIABLE, from a variable of the environment; may be given several times
    #[arg(long, value_name = "NAME=VARIABLE", value_delimiter = '\n')]
    pub(crate) secret_parameter: Vec<String>,
    /// Parameter that keeps the value that the stack has; may be given several times
    #[arg(long, value_name = "NAME", value_delimiter = '\n')]
    pub(crate) keep_parameter: Vec<String>,
    /// Tag of the stack and of all its resources, KEY=VALUE; may be given several times, and comes before the contract's
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = '\n')]
    pub(crate) tag: Vec<String>,
    /// Capability to acknowledge, CAPABILITY_IAM, CAPABILITY_NAMED_IAM or CAPABILITY_AUTO_EXPAND; may be given several times [default: the contract's]
    #[arg(long, value_name = "NAME", value_delimiter = '\n', value_parser = capability)]
    pub(crate) capability: Vec<Option<Capability>>,
    /// Role that CloudFormation assumes, its ARN [default: the contract's, else the one that the stack has]
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<RoleArn>,
    /// Logical ID of a resource that holds data and may be replaced or removed; may be given several times
    #[arg(long, value_name = "LOGICAL-ID", value_delimiter = '\n')]
    pub(crate) allow_replace: Vec<String>,
    /// Commit of the template, as a full hash, which plan and permit must be for [default: the run's]
    #[arg(long, value_name = "SHA", value_parser = argument::<CommitId>)]
    pub(crate) commit: Option<CommitId>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) plan: Plan,
    /// Resource to take over, LOGICAL-ID=IDENTIFIER, such as Queue=https://…; LOGICAL-ID=NAME=VALUE,NAME=VALUE if it has several; may be given several times
    #[arg(long, value_name = "LOGICAL-ID=IDENTIFIER", value_delimiter = '\n')]
    pub(crate) resource: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) stack: StackName,
    /// The plan's ID, from the output `plan-id` of `plan`
    #[arg(long, value_name = "ID", value_parser = argument::<PlanId>)]
    pub(crate) plan: PlanId,
    /// Output `permit` of slipway-promote: the permit that names the plan, where the gate says `plan: true`
    #[arg(long, value_name = "NUMBER")]
    pub(crate) permit: Option<String>,
    /// Commit of the template, as a full hash, which plan and permit must be for [default: the run's]
    #[arg(long, value_name = "SHA", value_parser = argument::<CommitId>)]
    pub(crate) commit: Option<CommitId>,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) stack: StackName,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Drift {
    #[command(flatten)]
    pub(crate) stack: StackName,
    /// Logical ID of a resource that CloudFormation does not compare, and that need not be compared; may be given several times
    #[arg(long, value_name = "LOGICAL-ID", value_delimiter = '\n')]
    pub(crate) unchecked: Vec<String>,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) stack: StackName,
    /// Logical ID of a resource that could not be rolled back and is left as it is, or STACK.LOGICAL-ID in a nested stack; may be given several times
    #[arg(long, value_name = "LOGICAL-ID", value_delimiter = '\n')]
    pub(crate) skip: Vec<String>,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Wait {
    /// How long to wait for CloudFormation, such as 15m or 2h
    #[arg(long, value_name = "TIME", default_value = "60m", value_parser = kit::clock::parse_duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StackName {
    /// Name of the stack [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Region of the stack; of several, they are changed in this order, one after the other; may be given several times [default: the contract's]
    #[arg(long, value_name = "REGION", value_delimiter = '\n')]
    pub(crate) region: Vec<String>,
}

impl StackName {
    /// The arguments that lead to the same stack again, for a hint.
    pub(crate) fn arguments(&self, cx: &kit::Cx) -> String {
        let environment = cx.common.environment.as_deref();
        let regions = self.region.iter().map(|region| region.trim());
        let regions = regions.filter(|region| !region.is_empty());
        [("environment", environment), ("name", self.name.as_deref())]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .chain(regions.map(|region| ("region", region)))
            .map(|(name, value)| format!("--{name} {value}"))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// An empty line of a workflow's input names none.
fn capability(text: &str) -> Result<Option<Capability>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let found = Capability::ALL.into_iter().find(|one| one.as_str() == text);
    found.map(Some).ok_or_else(|| {
        let names = Capability::ALL.map(Capability::as_str);
        format!(
            "there is no capability `{text}`: one of {}",
            names.join(", ")
        )
    })
}

/// The names in an argument that can be given several times, one a line in an input.
pub(crate) fn names(lines: &[String]) -> Vec<String> {
    let names = lines.iter().map(|name| name.trim());
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
