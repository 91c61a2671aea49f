//! Decides from facts whether a digest may be promoted to an environment, records deployments, and
//! shows which digest each environment runs.

mod answer;
mod args;
mod board;
mod chains;
mod check;
mod decisions;
mod diff;
mod doctor;
mod environment_history;
mod explain;
mod export;
mod grant;
mod history;
mod live;
mod mirrored;
mod notify;
mod person;
mod principal;
mod record;
mod requests;
mod review;
mod setting;
mod status;
mod values;
mod verify;

pub use args::Args;

use args::Verb;
use kit::action::{Action, SecretInput};
use kit::{Cx, Report, Result, Step};

/// The step.
pub struct Promote;

impl Step for Promote {
    type Args = Args;

    const ACTION: Action = Action {
        name: "promote",
        description: "Decide whether an image digest may be promoted to an environment, and record deployments",
        icon: "chevrons-right",
        outputs: &[
            (
                "digest",
                "check, grant: the image digest that may be deployed; request: the one it is for",
            ),
            (
                "commit",
                "check, grant, request: the commit the digest was built from",
            ),
            (
                "repository",
                "check, grant: the image repository in the build account",
            ),
            (
                "from",
                "check, grant: the environment the digest was healthy in",
            ),
            (
                "base",
                "check, grant: the commit from which the promotion is examined, of the newest version that a regular promotion brought to the environment, or where its first promotion begins; for `base` of slipway-state",
            ),
            (
                "plan",
                "check, grant: the ID of the infrastructure plan that was named, for `plan` of slipway-state apply; empty if none was",
            ),
            (
                "head",
                "check, grant: hash of the environment's newest deployment, for `expect-head` of record",
            ),
            (
                "break-glass",
                "check, grant: the break-glass reason, if a rule was overridden; for `break-glass` of record",
            ),
            (
                "permit",
                "grant: the number of the permit, for `permit` of record and of slipway-service; empty where there is no gate",
            ),
            (
                "record",
                "record, review, request, approve, reject, withdraw: the record's number in the environment's chain",
            ),
            (
                "hash",
                "record, review, request, approve, reject, withdraw: the record's hash, which the next record includes",
            ),
            (
                "deployment",
                "record: the GitHub Deployment that mirrors the record, if there is one",
            ),
        ],
        secrets: &[SecretInput {
            name: "github-token",
            description: "Token that reads runs, pull requests, reviews, pushes and checks, and writes deployments",
            default: "${{ github.token }}",
        }],
        post: false,
    };

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        match args.verb {
            Verb::Check(args) => match args.pull_request {
                Some(number) => check::pull_request::run(number, &args, cx).await,
                None => check::run(&args, cx).await,
            },
            Verb::Grant(args) => grant::run(args, cx).await,
            Verb::Record(args) => record::run(args, cx).await,
            Verb::Review(args) => review::run(args, cx).await,
            Verb::Request(args) => check::request::run(args, cx).await,
            Verb::Approve(args) => answer::run(answer::Word::Approve, args, cx).await,
            Verb::Reject(args) => answer::run(answer::Word::Reject, args, cx).await,
            Verb::Withdraw(args) => answer::run(answer::Word::Withdraw, args, cx).await,
            Verb::Status(args) => status::run(args, cx).await,
            Verb::History(args) => history::run(args, cx).await,
            Verb::Verify(args) => verify::run(args, cx).await,
            Verb::Export(args) => export::run(args, cx).await,
            Verb::Board(args) => board::run(args, cx).await,
            Verb::Diff(args) => diff::run(args, cx).await,
            Verb::Explain(args) => explain::run(&args, cx),
            Verb::Doctor(args) => doctor::run(args, cx).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn action_and_readme_say_what_the_arguments_say() {
        kit::render::check::<super::Promote>(env!("CARGO_MANIFEST_DIR")).unwrap();
    }
}
