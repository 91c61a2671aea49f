//! Builds the image of a commit, pushes it to ECR, proves the digest, and owns the repository it
//! lives in.

mod args;
mod credentials;
mod decide;
mod docker;
mod ecr;
mod place;
mod private_dir;
mod publish;
mod pull;
mod registry;
mod report;
mod repository;
mod request;

pub use credentials::helper::run as credential_helper;

use args::{Args, Verb};
use kit::action::Action;
use kit::step::Cx;
use kit::{Report, Result, Step};

/// The step.
pub struct Image;

impl Step for Image {
    type Args = Args;

    const ACTION: Action = Action {
        name: "image",
        description: "Build the image of a commit, push it to ECR and prove its digest",
        icon: "package",
        outputs: &[
            (
                "digest",
                "The image's digest, `sha256:…`, read back from the registry",
            ),
            (
                "reference",
                "`registry/repository@digest`; GitHub drops it between jobs where the account ID is masked",
            ),
            (
                "repository",
                "The repository's name; with digest, what passes between jobs",
            ),
            ("registry", "The registry's host"),
            ("tags", "The tags that name the digest, one a line"),
        ],
        secrets: &[],
        post: false,
    };

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        match args.verb {
            Verb::Publish(publish) => publish::run(publish, cx).await,
            Verb::Repository(repository) => repository::run(repository, cx).await,
        }
    }
}
