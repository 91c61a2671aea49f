//! Changes a CloudFormation stack as planned: a plan is a change set that can be reviewed and has an ID, and only that is
//! executed, and followed to its end.

mod apply;
mod args;
mod assembly;
mod bucket;
mod cause;
mod changes;
mod chosen;
mod client;
mod drift;
mod files;
mod fit;
mod follow;
mod foreign;
mod hidden;
mod identity;
mod imports;
mod inner;
mod inputs;
mod judge;
mod locate;
mod make;
mod marks;
mod plan;
mod policy;
mod progress;
mod proposal;
mod prose;
mod protect;
mod publish;
mod readable;
mod recover;
mod regions;
mod report;
mod search;
mod seen;
mod settings;
mod source;
mod standing;
mod stateful;
mod status;
mod template;
mod text;
mod unchecked;
mod watch;

use args::{Args, Verb};
use kit::action::{Action, SecretInput};
use kit::error::Result;
use kit::{Cx, Report, Step};
use progress::Progress;
use std::cell::RefCell;

/// The step.
pub struct Stack;

impl Step for Stack {
    type Args = Args;

    const ACTION: Action = Action {
        name: "stack",
        description: "Plan a change of an AWS CloudFormation stack, and execute exactly the plan that was reviewed",
        icon: "layers",
        outputs: &[
            (
                "plan-id",
                "plan: the ID that `apply --plan` and `slipway-promote grant --plan` take; empty on a pull request",
            ),
            (
                "has-changes",
                "plan: `true` if the plan changes anything, else `false`",
            ),
            ("changes", "plan: how many resources the plan changes"),
            ("stack-id", "ARN of the stack"),
            (
                "drifted",
                "drift: `true` if the stack is not as its template says, `unknown` if a part was not compared, else `false`; also there if the step fails",
            ),
            (
                "outputs",
                "apply and status: the stack's outputs as a JSON object, by name",
            ),
        ],
        secrets: &[SecretInput {
            name: "github-token",
            description: "Token that writes a plan as a comment on its pull request (`pull-requests: write`)",
            default: "${{ github.token }}",
        }],
        post: false,
    };

    /// An interrupted run reports what goes on in CloudFormation.
    fn handles_signals(_args: &Args) -> bool {
        true
    }

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        let progress = RefCell::new(Progress::default());
        let arguments = match &args.verb {
            Verb::Plan(plan) => plan.stack.arguments(cx),
            Verb::Import(import) => import.plan.stack.arguments(cx),
            Verb::Apply(apply) => apply.stack.arguments(cx),
            Verb::Status(status) => status.stack.arguments(cx),
            Verb::Drift(drift) => drift.stack.arguments(cx),
            Verb::Recover(recover) => recover.stack.arguments(cx),
        };
        let work = async {
            match args.verb {
                Verb::Plan(args) => proposal::plan(&args, &[], cx, &progress).await,
                Verb::Import(args) => {
                    let resources = imports::given(&args.resource)?;
                    proposal::plan(&args.plan, &resources, cx, &progress).await
                }
                Verb::Apply(args) => apply::apply(args, cx, &progress).await,
                Verb::Status(args) => status::status(args, cx).await,
                Verb::Drift(args) => drift::drift(args, cx).await,
                Verb::Recover(args) => recover::recover(args, cx, &progress).await,
            }
        };
        kit::signal::unless(work, |signal| {
            progress::interrupted(signal, &progress.borrow(), &arguments)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn action_and_readme_say_what_the_arguments_say() {
        kit::render::check::<super::Stack>(env!("CARGO_MANIFEST_DIR")).unwrap();
    }
}
