//! The arguments. Names and meanings are `docker buildx build`'s where it has one.

mod pairs;

use crate::blob::Compression;
use crate::build::BuilderName;
use crate::scan::Severity;
use clap::builder::PossibleValue;
use clap::{Subcommand, ValueEnum};
use kit::id::{CommitId, Digest, argument};
use pairs::Pairs;
use std::path::PathBuf;
use std::time::Duration;

/// The arguments of the binary.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Build the commit's image, push it and prove its digest; what is already published is not built again
    Publish(Box<Publish>),
    /// Copy an image by digest, with what refers to it, to other regions, accounts or repositories
    Copy(Copy),
    /// Put tags on an image by digest
    Retag(Retag),
    /// Create the repository if it is missing, show how its settings differ, and change them
    Repository(Box<Repository>),
    /// Ask ECR for an image's scan findings and refuse what is too severe, or was not scanned
    Scan(Scan),
}

/// The repository, which every verb has.
#[derive(Debug, clap::Args)]
pub(crate) struct RepositoryName {
    /// ECR repository, e.g. acme/storefront [default: the contract's]
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<String>,
}

/// The destinations of replicas.
#[derive(Debug, clap::Args)]
pub(crate) struct Destinations {
    /// Destination of a replica: a REGION of the same account, or ROLE_ARN@REGION for another account
    #[arg(long, value_name = "DESTINATION", value_delimiter = '\n')]
    pub(crate) to: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Repository {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Print the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The settings that a repository is to have. Others are left as they are.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Settings {
    /// Account that may pull from the repository, beside its own [default: those of the contract's environments]
    #[arg(long, value_name = "ACCOUNT", value_delimiter = '\n')]
    pub(crate) pull_account: Vec<String>,
    /// Tags that may move, as a pattern with `*`, e.g. cache-*; all others are immutable
    #[arg(long, value_name = "PATTERN", value_delimiter = '\n')]
    pub(crate) mutable_tag: Vec<String>,
    /// File with the repository's lifecycle policy, JSON as ECR takes it; one that would expire an image the ledger calls live is refused
    #[arg(long, value_name = "FILE")]
    pub(crate) lifecycle_policy: Option<PathBuf>,
    /// KMS key the repository is encrypted with from its creation [default: ECR's own]
    #[arg(long, value_name = "ARN")]
    pub(crate) kms_key: Option<String>,
    /// Resource tag KEY=VALUE of the repository
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = '\n')]
    pub(crate) resource_tag: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,
    #[command(flatten)]
    pub(crate) settings: Settings,
    #[command(flatten)]
    pub(crate) destinations: Destinations,
    /// Print the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Commit the image is built from; its tag [default: the run's]
    #[arg(long, value_name = "SHA", value_parser = argument::<CommitId>)]
    pub(crate) commit: Option<CommitId>,
    /// KMS key that signs the image's provenance, alias or ARN [default: the contract's]
    #[arg(long, value_name = "KEY")]
    pub(crate) provenance_key: Option<kit::aws::KmsKey>,
    /// Repository of the source in the provenance, https://HOST/OWNER/NAME [default: the run's]
    #[arg(long, value_name = "URL")]
    pub(crate) source_repository: Option<String>,
    /// Tag for the image; a published image also has the commit's tag
    #[arg(long, short = 't', value_name = "TAG", value_delimiter = '\n')]
    pub(crate) tag: Vec<String>,
    /// Publish without proof that the image is the commit's, for this reason; it gets the label dev.slipway.unverified and the given tags, not the commit's
    #[arg(long, value_name = "REASON", requires = "tag")]
    pub(crate) allow_unverified: Option<String>,
    /// Build even if the commit or its content is published; refused if its tag is immutable
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// Push this OCI layout (folder or tar) or docker archive instead of building
    #[arg(long, value_name = "PATH", conflicts_with_all = BUILDERS)]
    pub(crate) layout: Option<PathBuf>,
    /// Compression of the layers; zstd is refused with an OCI layout, which is pushed as it is
    #[arg(long, value_enum, default_value_t = Compression::Gzip)]
    pub(crate) compression: Compression,
    #[command(flatten)]
    pub(crate) build: Build,
}

/// The arguments of [`Build`], which only a builder can obey. clap's own group of that name is empty: it cannot hold the
/// groups that are flattened into it.
const BUILDERS: [&str; 23] = [
    "builder",
    "context",
    "file",
    "target",
    "build_arg",
    "label",
    "secret",
    "platform",
    "cache_from",
    "cache_to",
    "no_cache",
    "pull",
    "ssh",
    "build_context",
    "add_host",
    "annotation",
    "no_cache_filter",
    "ulimit",
    "shm_size",
    "allow",
    "network",
    "provenance",
    "sbom",
];

/// The arguments of a build.
#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// Builder [default: the first that is installed, in this order]
    #[arg(long, value_enum)]
    pub(crate) builder: Option<BuilderName>,
    /// Folder of the build context [default: the contract's, else .]
    #[arg(long, value_name = "DIR")]
    pub(crate) context: Option<PathBuf>,
    /// Dockerfile [default: the contract's, else Dockerfile in the context]
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) pairs: Pairs,
    /// Build secret, id=ID,env=VARIABLE or id=ID,src=FILE, whose value is taken from that environment variable or file
    #[arg(long, value_name = "id=ID,…", value_delimiter = '\n')]
    pub(crate) secret: Vec<String>,
    /// Platform such as linux/arm64 [default: the contract's, else the builder's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = '\n')]
    pub(crate) platform: Vec<String>,
    /// Build cache to read, e.g. type=registry,ref=HOST/NAME:cache
    #[arg(long, value_name = "CACHE", value_delimiter = '\n')]
    pub(crate) cache_from: Vec<String>,
    /// Build cache to write; for a cache in ECR, the attributes that ECR needs are added
    #[arg(long, value_name = "CACHE", value_delimiter = '\n')]
    pub(crate) cache_to: Vec<String>,
    /// Build without the builder's cache
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Pull newer versions of the base images
    #[arg(long)]
    pub(crate) pull: bool,
    #[command(flatten)]
    pub(crate) flags: BuilderFlags,
    /// Network of the build's RUN steps: default, none or host
    #[arg(long, value_name = "MODE")]
    pub(crate) network: Option<String>,
    /// Provenance attestation, e.g. mode=max; the digest is then an index's and differs at each build
    #[arg(long, value_name = "MODE")]
    pub(crate) provenance: Option<String>,
    /// Attach a software bill of materials; the digest is then an index's
    #[arg(long)]
    pub(crate) sbom: bool,
}

/// Arguments that the builder gets as they are.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct BuilderFlags {
    /// SSH agent or key for RUN --mount=type=ssh: default, or ID=PATH
    #[arg(long, value_name = "default|ID=PATH", value_delimiter = '\n')]
    pub(crate) ssh: Vec<String>,
    /// Further build context, NAME=FOLDER or NAME=docker-image://IMAGE
    #[arg(long, value_name = "NAME=CONTEXT", value_delimiter = '\n')]
    pub(crate) build_context: Vec<String>,
    /// Entry of /etc/hosts during the build, HOST:IP
    #[arg(long, value_name = "HOST:IP", value_delimiter = '\n')]
    pub(crate) add_host: Vec<String>,
    /// Annotation NAME=VALUE of the image's manifest
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = '\n')]
    pub(crate) annotation: Vec<String>,
    /// Stage that is built without the builder's cache
    #[arg(long, value_name = "STAGE", value_delimiter = '\n')]
    pub(crate) no_cache_filter: Vec<String>,
    /// Limit of the build's RUN steps, e.g. nofile=1024:2048
    #[arg(long, value_name = "TYPE=SOFT:HARD", value_delimiter = '\n')]
    pub(crate) ulimit: Vec<String>,
    /// Size of /dev/shm during the build, e.g. 128m
    #[arg(long, value_name = "SIZE")]
    pub(crate) shm_size: Option<String>,
    /// Entitlement of the build beyond its sandbox: network.host or security.insecure
    #[arg(long, value_name = "ENTITLEMENT", value_delimiter = '\n')]
    pub(crate) allow: Vec<String>,
}

impl ValueEnum for BuilderName {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Buildx => "docker buildx, any driver",
            Self::Buildkit => "docker build of clients before version 23",
            Self::Buildah => "buildah, without a daemon",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

impl ValueEnum for Compression {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Gzip, Self::Zstd]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }))
    }
}

impl ValueEnum for Severity {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Copy {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,
    #[command(flatten)]
    pub(crate) destinations: Destinations,
    /// Digest of the image, sha256:…
    #[arg(long, value_name = "DIGEST", value_parser = argument::<Digest>)]
    pub(crate) digest: Option<Digest>,
    /// Destination repository [default: the name of the source]
    #[arg(long, value_name = "NAME")]
    pub(crate) to_repository: Option<String>,
    /// Tag for the image; a published image also has the commit's tag
    #[arg(long, value_name = "TAG", value_delimiter = '\n')]
    pub(crate) tag: Vec<String>,
    /// Print the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Retag {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,
    /// Digest of the image, sha256:…
    #[arg(long, value_name = "DIGEST", value_parser = argument::<Digest>)]
    pub(crate) digest: Option<Digest>,
    /// Tag for the image; a published image also has the commit's tag
    #[arg(long, value_name = "TAG", value_delimiter = '\n')]
    pub(crate) tag: Vec<String>,
    /// Print the plan and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Scan {
    #[command(flatten)]
    pub(crate) repository: RepositoryName,
    /// Digest of the image, sha256:…
    #[arg(long, value_name = "DIGEST", value_parser = argument::<Digest>)]
    pub(crate) digest: Option<Digest>,
    /// Lowest severity that makes the step refuse the image
    #[arg(long, value_enum, default_value_t = Severity::High)]
    pub(crate) fail_on: Severity,
    /// Finding that is waived until a day, ID=YYYY-MM-DD, e.g. CVE-2026-1234=2026-12-31
    #[arg(long, value_name = "ID=DAY", value_delimiter = '\n')]
    pub(crate) waive: Vec<String>,
    /// Time to wait for a scan to end
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = kit::clock::parse_duration)]
    pub(crate) wait: Duration,
}
