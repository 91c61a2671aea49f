//! Runs a digest in an ECS service and follows it to one verdict: by our own deployment, by what
//! the tasks say they run, and by the health of their targets.

mod act;
mod address;
mod args;
mod compare;
mod decide;
mod deploy;
mod evidence;
mod follow;
mod observe;
mod permit;
mod place;
mod progress;
mod reference;
mod registration;
mod report;
#[cfg(test)]
mod samples;
mod status;
mod under;
mod watch;

use args::{Args, Verb};
use deploy::Progress;
use kit::action::Action;
use kit::error::Result;
use kit::{Cx, Report, Step};
use std::cell::RefCell;

/// The step.
pub struct Service;

impl Step for Service {
    type Args = Args;

    const ACTION: Action = Action {
        name: "service",
        description: "Deploy an image digest to an Amazon ECS service and follow it until its targets are healthy",
        icon: "upload-cloud",
        outputs: &[
            (
                "task-definition-arn",
                "ARN of the task definition the service runs",
            ),
            ("deployment-id", "ID of the deployment that runs it"),
            ("service-arn", "ARN of the service"),
            (
                "address",
                "Where the load balancer answers, if there is one",
            ),
            (
                "verdict",
                "How the deployment ended, as `slipway-promote record --verdict` takes it: `healthy`, `rolled-back` or `failed`; also there if the step fails, and empty if nothing was deployed or nobody saw the end",
            ),
        ],
        secrets: &[],
        post: false,
    };

    /// An interrupted deploy reports how far it got.
    fn handles_signals(_args: &Args) -> bool {
        true
    }

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        let progress = RefCell::new(Progress::default());
        let arguments = match &args.verb {
            Verb::Deploy(deploy) => deploy.selector.arguments(cx),
            Verb::Status(selector) => selector.arguments(cx),
        };
        let work = async {
            match args.verb {
                Verb::Deploy(args) => deploy::deploy(args, cx, &progress).await,
                Verb::Status(args) => status::status(args, cx).await,
            }
        };
        tokio::select! {
            result = work => result,
            signal = kit::signal::interrupted() => {
                Err(deploy::interrupted(signal, &progress.borrow(), &arguments))
            }
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
