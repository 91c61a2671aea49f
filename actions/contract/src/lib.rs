//! The contract as a step: checks `delivery.yaml` before anything else runs, and hands one
//! environment of it to other tools.

mod args;
mod report;

use args::{Args, Verb};
use kit::action::Action;
use kit::error::{Error, Result};
use kit::{Cx, Report, Step};

/// The step.
pub struct Contract;

impl Step for Contract {
    type Args = Args;

    const ACTION: Action = Action {
        name: "contract",
        description: "Check the delivery contract and resolve one environment of it",
        icon: "file-text",
        outputs: &[
            ("service", "The service's name"),
            ("environment", "The environment's name"),
            (
                "follows",
                "The environment a digest must have been healthy in before; empty for the first",
            ),
            ("account", "The environment's account ID"),
            ("region", "The environment's region"),
            (
                "build-account",
                "The account of the image repository and the ledger",
            ),
            (
                "build-region",
                "The region of the image repository and the ledger",
            ),
            ("repository", "The ECR repository's name"),
            ("cluster", "The ECS cluster"),
            ("ecs-service", "The ECS service"),
            (
                "container",
                "The container of the task definition that gets the image",
            ),
            ("function", "The Lambda function, if one is declared"),
            ("alias", "The function's alias"),
        ],
        secrets: &[],
        post: false,
    };

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        match args.verb {
            Verb::Check => {
                let contract = cx.contract()?;
                if let Some(environment) = &cx.common.environment {
                    contract.resolve_everything(environment, &cx.env)?;
                }
                Ok(report::checked(&contract, cx.common.environment.as_deref()))
            }
            Verb::Resolve => {
                let contract = cx.contract()?;
                let environment = cx.common.environment.as_ref().ok_or_else(|| {
                    let names: Vec<String> = contract
                        .environments()
                        .into_iter()
                        .map(|one| one.environment)
                        .collect();
                    Error::usage("--environment is missing").hint(format!(
                        "add --environment NAME; {} has {}",
                        contract.path(),
                        names.join(", ")
                    ))
                })?;
                let everything = contract.resolve_everything(environment, &cx.env)?;
                Ok(report::resolved(&everything))
            }
            Verb::Schema => Ok(report::schema()),
        }
    }
}
