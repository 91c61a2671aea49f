//! The arguments. Names and meanings are `docker buildx build`'s where it has one.

use clap::Subcommand;
use std::path::PathBuf;

/// What the binary can be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Build the commit's image, push it and prove its digest; a commit that is already published is not built again
    Publish(Box<Publish>),
    /// Create the repository if it is missing, let the environments' accounts pull from it, and report where it differs from what publish expects
    Repository(Repository),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Repository {
    /// ECR repository, e.g. acme/storefront [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<String>,
    /// Account that may pull from the repository, beside its own [default: those of the contract's environments]
    #[arg(long, value_name = "ACCOUNT", value_delimiter = '\n')]
    pub(crate) pull_account: Vec<String>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    pub(crate) repository: Repository,
    /// Commit the image is built from; its tag [default: the run's]
    #[arg(long, value_name = "SHA")]
    pub(crate) commit: Option<String>,
    /// Further tag for the image, beside the commit
    #[arg(long, value_name = "TAG", value_delimiter = '\n')]
    pub(crate) tag: Vec<String>,
    /// Build although the commit is already published; refused where its tag is immutable
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// Folder of the build context [default: the contract's, else .]
    #[arg(long, value_name = "DIR")]
    pub(crate) context: Option<PathBuf>,
    /// Dockerfile [default: the contract's, else Dockerfile in the context]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// Build argument NAME=VALUE, stored in the image's history for all to read: never a secret
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = '\n')]
    pub(crate) build_arg: Vec<String>,
    /// Build secret id=ID,env=VARIABLE, whose value is taken from that environment variable
    #[arg(long, value_name = "id=ID,env=VARIABLE", value_delimiter = '\n')]
    pub(crate) secret: Vec<String>,
    /// Label NAME=VALUE, beside revision, source and created of the OCI standard
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = '\n')]
    pub(crate) label: Vec<String>,
    /// Platform such as linux/arm64 [default: the contract's, else the builder's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = '\n')]
    pub(crate) platform: Vec<String>,
    /// Use nothing of the builder's cache
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Ask the registry for newer base images
    #[arg(long)]
    pub(crate) pull: bool,
}
