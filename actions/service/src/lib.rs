//! Runs a digest in an ECS service and follows it to one verdict: by our own deployment, by what
//! the tasks say they run, and by the health of their targets. Or in a Lambda function: by the version that its alias serves.

mod act;
mod address;
mod args;
mod back;
mod compare;
mod decide;
mod deploy;
mod diff;
mod evidence;
mod follow;
mod free;
mod function;
mod interrupt;
mod locate;
mod logs;
mod observe;
mod opening;
mod overtaken;
mod owner;
mod permit;
mod proceed;
mod progress;
mod reference;
mod registration;
mod report;
#[cfg(test)]
mod samples;
mod stage;
mod status;
mod stop;
mod task;
mod time;
mod under;
mod verdict;
mod verify;
mod watch;

use args::{Args, Verb};
use kit::action::Action;
use kit::error::{Error, Result};
use kit::{Cx, Report, Step};

/// The step.
pub struct Service;

impl Step for Service {
    type Args = Args;

    const ACTION: Action = Action {
        name: "service",
        description: "Deploy an image digest to an Amazon ECS service or a Lambda function and follow it until it is healthy, or run one command with it",
        icon: "upload-cloud",
        outputs: &[
            (
                "task-definition-arn",
                "ARN of the task definition the service runs",
            ),
            ("deployment-id", "ID of the deployment that runs it"),
            ("service-arn", "ARN of the service"),
            (
                "function-version-arn",
                "ARN of the function's version that was deployed, or that the alias serves",
            ),
            (
                "task-arn",
                "ARN of the task that ran the command; also there if the step fails after it began",
            ),
            (
                "address",
                "Where the load balancer answers, if there is one",
            ),
            (
                "hook",
                "ID of the pause hook at which the deployment waits, for `continue`; empty unless it is paused",
            ),
            (
                "digest",
                "Digest of the image that the verdict is of, as `slipway-promote record --digest` takes it: of a rollback, the version that was left where the verdict is `rolled-back`, else the one that runs",
            ),
            (
                "verdict",
                "How the deployment ended, as `slipway-promote record --verdict` takes it: `healthy`, `rolled-back` or `failed`; also there if the step fails, and empty if nothing was deployed or nobody saw the end. `paused` while it waits for an answer: record nothing then",
            ),
        ],
        secrets: &[],
        post: false,
    };

    /// The image of a service has this shell, if any.
    const SHELL: &'static [&'static str] = &["sh", "-ec"];

    /// A deploy that is interrupted says how far it got, or rolls its deployment back; a task is stopped.
    fn handles_signals(args: &Args) -> bool {
        matches!(
            args.verb,
            Verb::Deploy(_) | Verb::Continue(_) | Verb::Rollback(_) | Verb::RunTask(_)
        )
    }

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        if function::is_meant(&args.verb, cx)? {
            return function::run(args, cx).await;
        }
        match args.verb {
            Verb::Deploy(args) if args.traffic.is_given() => Err(Error::usage(
                "--shift, --alarm and --bake are for the deployment of a function",
            )
            .hint("give --function NAME, or configure the ECS service's own deployment strategy")),
            Verb::Deploy(args) => deploy::deploy(args, cx).await,
            Verb::Continue(args) => proceed::proceed(args, cx).await,
            Verb::Rollback(args) => back::roll_back(args, cx).await,
            Verb::Diff(args) => diff::diff(args, cx).await,
            Verb::Verify(args) => verify::verify(args, cx).await,
            Verb::RunTask(args) => task::run_task(args, cx).await,
            Verb::Status(args) => status::status(args, cx).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn action_and_readme_say_what_the_arguments_say() {
        kit::render::check::<super::Service>(env!("CARGO_MANIFEST_DIR")).unwrap();
    }
}
