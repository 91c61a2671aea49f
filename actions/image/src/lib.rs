//! Builds the image of a commit, pushes it to ECR, proves the digest, and owns the repository it
//! lives in.

mod args;
mod blob;
mod build;
mod builder_flags;
mod cache;
mod checkout;
mod compress;
mod copy;
mod credentials;
mod decide;
mod destinations;
mod digest;
mod dockerfile;
mod ecr;
mod hash;
mod input;
mod json;
mod key;
mod primary;
mod private_dir;
mod provenance;
mod publish;
mod pull_policy;
mod push;
mod registry;
mod replicas;
mod report;
mod repository;
mod request;
mod retag;
mod scan;
mod signing;
mod source;
mod tag_pattern;
mod tags;

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
            ("tags", "The tags that name the digest, one per line"),
            (
                "platforms",
                "`OS/ARCHITECTURE=digest` of each image, one per line",
            ),
            (
                "bytes-pushed",
                "Bytes of blobs that were sent, over the primary repository and all replicas",
            ),
            (
                "bytes-skipped",
                "Bytes of blobs that the repositories already had",
            ),
            (
                "bytes-mounted",
                "Bytes of blobs that were mounted from another repository of the registry",
            ),
            ("seconds", "Duration of the push in seconds"),
            (
                "verdict",
                "`clean` if the scan refused nothing; a scan that refuses fails the step and has its verdict in `--json`",
            ),
            (
                "counts",
                "Findings by severity, `critical=0 high=0 …`, including waived ones",
            ),
        ],
        secrets: &[],
        post: false,
    };

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        match args.verb {
            Verb::Publish(publish) => publish::run(*publish, cx).await,
            Verb::Copy(copy) => copy::run(copy, cx).await,
            Verb::Retag(retag) => retag::run(retag, cx).await,
            Verb::Repository(repository) => repository::run(*repository, cx).await,
            Verb::Scan(scan) => scan::run(scan, cx).await,
        }
    }
}
